//! Mutual TLS of one process, or none: the handle that services hold.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

use crate::access::Table;
use crate::connector::Connector;
use crate::identity::{Identity, Role};
use crate::incoming::Incoming;
use crate::material::{Error, Files, Material};
use crate::trust::{Trust, days_left};

/// A certificate that can be used.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whom it names.
    pub identity: Identity,
    /// Which one it is.
    pub serial: String,
    /// How long it is still good.
    pub days: u64,
}

/// What is in a directory.
///
/// # Errors
/// When the files cannot be used.
pub fn inspect(directory: &Path) -> Result<Found, Error> {
    let material = Material::new(&Files::read(directory)?, directory)?;
    Ok(Found {
        days: days_left(material.ends),
        identity: material.identity,
        serial: material.serial,
    })
}

/// How this process speaks with the other services. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Mutual(Option<Arc<Trust>>);

impl Mutual {
    /// Reads the certificate in `directory` and follows its changes; plain text, and a loud word
    /// about it, when the directory is not configured. Call it inside a runtime.
    ///
    /// # Errors
    /// When the files cannot be used, or are of another role.
    pub fn start(directory: &Path, role: Role) -> Result<Self, Error> {
        if directory.as_os_str().is_empty() {
            tracing::warn!(
                "NO TLS: this {role} speaks plain text with the other services and believes \
                 whoever reaches its port; set the setting tls, or keep the network closed"
            );
            return Ok(Self::plain());
        }
        let mutual = Self::load(directory, &[role])?;
        if let Some(trust) = &mutual.0 {
            let current = trust.current();
            tracing::info!(
                identity = %current.identity,
                serial = current.serial,
                days = days_left(current.ends),
                "mutual TLS between the services"
            );
        }
        Ok(mutual)
    }

    /// As [`Mutual::start`], for a directory that is configured; says nothing.
    ///
    /// # Errors
    /// When the files cannot be used, or are of another role than these.
    pub fn load(directory: &Path, roles: &[Role]) -> Result<Self, Error> {
        let (trust, files) = Trust::load(directory, roles)?;
        tokio::spawn(Arc::clone(&trust).follow(files));
        Ok(Self(Some(trust)))
    }

    /// Plain text: for tests, and for single processes on one machine.
    #[must_use]
    pub const fn plain() -> Self {
        Self(None)
    }

    /// Who this process is by its certificate; `None`: plain text.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.0.as_ref().map(|trust| trust.identity())
    }

    /// The connections of a server: with a certificate only of those who have one, too.
    #[must_use]
    pub fn incoming(&self, listener: TcpListener) -> Incoming {
        Incoming::start(listener, self.0.clone())
    }

    /// Who may call what, as a layer of a server. Without TLS nobody can be told from anybody.
    #[must_use]
    pub fn access(&self, table: Table) -> crate::access::Access {
        crate::access::Access::new(table, self.0.is_some())
    }

    /// Dials a service of one of these roles.
    ///
    /// # Errors
    /// When nobody answers, or somebody else.
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
        to: &'static [Role],
    ) -> Result<Channel, tonic::transport::Error> {
        match &self.0 {
            None => endpoint.connect().await,
            Some(trust) => {
                let connector = Connector::new(Arc::clone(trust), to);
                endpoint.connect_with_connector(connector).await
            }
        }
    }

    /// As [`Mutual::connect`], when there is something to say.
    #[must_use]
    pub fn connect_lazy(&self, endpoint: &Endpoint, to: &'static [Role]) -> Channel {
        match &self.0 {
            None => endpoint.connect_lazy(),
            Some(trust) => {
                endpoint.connect_with_connector_lazy(Connector::new(Arc::clone(trust), to))
            }
        }
    }
}
