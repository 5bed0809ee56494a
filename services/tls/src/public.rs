//! The certificate that people's browsers see, and how a new one takes its place without a restart.
//!
//! In: a directory with `tls.crt` and `tls.key`, as certbot's hooks or cert-manager write it. Out:
//! what the next handshake uses. Nobody proves who he is here: people do that by their session.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits::{HANDSHAKE_TIMEOUT, LOOK_EVERY};
use crate::material::{CERTIFICATE_FILE, Error, KEY_FILE, certificates, particulars, read};
use crate::trust::days_left;

/// HTTP/1.1 alone: the gateway's sockets need no more, and it is the easier one to bound.
const HTTP: &[u8] = b"http/1.1";

/// A certificate of the public port. Cheap to clone.
#[derive(Clone)]
pub struct Public(Arc<Shared>);

struct Shared {
    directory: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Public {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Public({})", self.0.directory.display())
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            certificate: read(directory.join(CERTIFICATE_FILE))?,
            key: read(directory.join(KEY_FILE))?,
        })
    }

    fn config(&self, directory: &Path) -> Result<(ServerConfig, SystemTime), Error> {
        let chain = certificates(&self.certificate, &directory.join(CERTIFICATE_FILE))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| Error::Content {
            path: directory.join(KEY_FILE),
            wanted: "private key",
            why: error.to_string(),
        })?;
        // `certificates` gives at least one.
        let ends = chain
            .first()
            .and_then(|leaf| particulars(leaf).ok())
            .map_or(SystemTime::UNIX_EPOCH, |(ends, _)| ends);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = |why: rustls::Error| Error::Pair {
            directory: directory.to_owned(),
            why: why.to_string(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(pair)?;
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok((config, ends))
    }
}

impl Public {
    /// Reads the directory, and follows it from then on.
    ///
    /// # Errors
    /// When the files cannot be read or are no pair.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        let files = Files::read(directory)?;
        let (config, ends) = files.config(directory)?;
        if ends <= SystemTime::now() {
            tracing::error!(
                directory = %directory.display(),
                "the certificate of the public port has expired: browsers will refuse it"
            );
        }
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(config)),
        });
        tokio::spawn(follow(Arc::downgrade(&shared), files));
        Ok(Self(shared))
    }

    /// The server's side of a handshake.
    ///
    /// # Errors
    /// Why there is none: no TLS, none in common, or not within five seconds.
    pub async fn accept<IO>(&self, connection: IO) -> Result<TlsStream<IO>, String>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(
            &self
                .0
                .current
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        );
        match timeout(
            HANDSHAKE_TIMEOUT,
            TlsAcceptor::from(config).accept(connection),
        )
        .await
        {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!("no TLS: {error}")),
            Err(_) => Err(format!("no handshake within {HANDSHAKE_TIMEOUT:?}")),
        }
    }
}

/// Looks at the files until the port is gone.
async fn follow(shared: Weak<Shared>, mut known: Files) {
    let mut said = String::new();
    loop {
        sleep(LOOK_EVERY).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match look(&shared, &mut known) {
            Ok(()) => said.clear(),
            Err(error) => {
                // Two files that are written one after the other are no pair for a moment; what
                // does not change is said once.
                let why = error.to_string();
                if why != said {
                    tracing::error!(
                        why,
                        "a new certificate of the public port cannot be used; the one before it \
                         stays in use"
                    );
                    said = why;
                }
            }
        }
    }
}

fn look(shared: &Shared, known: &mut Files) -> Result<(), Error> {
    let files = Files::read(&shared.directory)?;
    if files == *known {
        return Ok(());
    }
    let (config, ends) = files.config(&shared.directory)?;
    *shared
        .current
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    *known = files;
    let days = days_left(ends);
    tracing::info!(days, "a new certificate of the public port is in use");
    Ok(())
}
