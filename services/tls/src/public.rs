//! The certificate of a port for people: browsers check it, and show none themselves.
//!
//! In: a directory with `tls.crt` and `tls.key` that somebody else writes (cert-manager, a client
//! of ACME). Out: what the next handshake uses. Must hold: files that cannot be used never replace
//! those that can; a new certificate needs no restart.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::complaint::Complaint;
use crate::limits::LOOK_EVERY;
use crate::material::{CERTIFICATE_FILE, Error, KEY_FILE, certified, no_pair, particulars, read};
use crate::trust::days_left;

/// WebSockets begin as a request of HTTP/1.1, and a browser opens them on a connection of their own.
const HTTP1: &[u8] = b"http/1.1";

/// The two files as they are.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate in use, which follows its files.
pub struct Public {
    directory: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

/// Where it is: keys are nobody's business.
impl fmt::Debug for Public {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Public({})", self.directory.display())
    }
}

impl Public {
    /// Reads the certificate in `directory` and follows its changes. Call it inside a runtime.
    ///
    /// # Errors
    /// When the files cannot be read or are no pair.
    pub fn start(directory: &Path) -> Result<Arc<Self>, Error> {
        let pair = Pair::read(directory)?;
        let public = Arc::new(Self {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(pair.config(directory)?)),
        });
        tokio::spawn(follow(Arc::downgrade(&public), pair));
        Ok(public)
    }

    /// The handshake of a connection. It takes as long as the other end likes: the caller sets the
    /// time.
    ///
    /// # Errors
    /// When the other end speaks no TLS 1.3, or hangs up.
    pub async fn accept(&self, connection: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(current)
            .accept(connection)
            .await
            .map(Box::new)
    }
}

impl Pair {
    fn read(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            certificate: read(directory.join(CERTIFICATE_FILE))?,
            key: read(directory.join(KEY_FILE))?,
        })
    }

    /// Says whose certificate it is, as far as that is of use in a log.
    fn config(&self, directory: &Path) -> Result<ServerConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = certified(&self.certificate, &self.key, directory, &provider)?;
        let no_pair = |why: rustls::Error| no_pair(directory, &why);
        let leaf = own.end_entity_cert().map_err(no_pair)?;
        let (ends, serial) = particulars(leaf).map_err(|why| Error::Unfit {
            directory: directory.to_owned(),
            why,
        })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(no_pair)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.alpn_protocols = vec![HTTP1.to_vec()];
        tracing::info!(serial, days = days_left(ends), "TLS for people");
        Ok(config)
    }
}

/// Looks at the files again and again, until the port is gone.
async fn follow(public: Weak<Public>, mut known: Pair) {
    let mut complaint = Complaint::default();
    loop {
        sleep(LOOK_EVERY).await;
        let Some(public) = public.upgrade() else {
            return;
        };
        let (directory, before) = (public.directory.clone(), known.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let pair = Pair::read(&directory)?;
            if pair == before {
                return Ok(None);
            }
            let config = pair.config(&directory)?;
            Ok::<_, Error>(Some((pair, config)))
        });
        // A task that is aborted at the end of the runtime has nothing to say.
        let Ok(looked) = looked.await else {
            return;
        };
        let fault = match looked {
            Ok(None) => String::new(),
            Ok(Some((pair, config))) => {
                *public
                    .current
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                known = pair;
                String::new()
            }
            Err(error) => error.to_string(),
        };
        if complaint.is_due(&fault) {
            tracing::error!(
                why = fault,
                "a new certificate for people cannot be used; the one before it stays in use"
            );
        }
    }
}
