//! What one directory holds at one moment: the authorities, the own certificate and its key.
//!
//! The names are those that cert-manager gives in a Secret, so that one is mounted as it is.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::identity::{Identity, Role, Unfit};
use crate::limits::FILE_BYTES_MAX;
use crate::server_verifier::ServerVerifier;

/// The authorities whose certificates count.
pub const CA_FILE: &str = "ca.crt";
/// The own certificate, and those between it and an authority.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// Its key.
pub const KEY_FILE: &str = "tls.key";

/// HTTP/2 alone is spoken between the services.
const H2: &[u8] = b"h2";

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Missing, too large, not permitted.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No PEM, or without what must be in it.
    #[error("{path} holds no {wanted} in PEM: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What the reader said.
        why: String,
    },
    /// Certificate and key are not a pair, or not of a kind that is known.
    #[error("{CERTIFICATE_FILE} and {KEY_FILE} in {directory} are no pair: {why}")]
    Pair {
        /// Where they are.
        directory: PathBuf,
        /// What rustls said.
        why: String,
    },
    /// The certificate names nobody of ours.
    #[error("{CERTIFICATE_FILE} in {directory}: {why}")]
    Unfit {
        /// Where it is.
        directory: PathBuf,
        /// What is wrong with it.
        why: Unfit,
    },
    /// A certificate of another service.
    #[error("{CERTIFICATE_FILE} in {directory} is of {found}; a certificate of {wanted} is needed")]
    Role {
        /// Where it is.
        directory: PathBuf,
        /// Whom it names.
        found: Identity,
        /// Whom it must name.
        wanted: String,
    },
    /// The others would not believe it, for example because it has expired.
    #[error(
        "{CERTIFICATE_FILE} in {directory} is not believed by the authorities of {CA_FILE}: {why}"
    )]
    Unbelievable {
        /// Where it is.
        directory: PathBuf,
        /// What rustls said.
        why: String,
    },
}

/// The three files as they are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Files {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            ca: read(directory.join(CA_FILE))?,
            certificate: read(directory.join(CERTIFICATE_FILE))?,
            key: read(directory.join(KEY_FILE))?,
        })
    }
}

pub(crate) fn read(path: PathBuf) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => Err(Error::Read {
            path,
            source: std::io::Error::other("the file is too large"),
        }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// A certificate with its key, as they lie in `directory`.
pub(crate) fn certified(
    certificate: &[u8],
    key: &[u8],
    directory: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let chain = certificates(certificate, &directory.join(CERTIFICATE_FILE))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::Content {
        path: directory.join(KEY_FILE),
        wanted: "private key",
        why: error.to_string(),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|why| no_pair(directory, &why))
}

/// What rustls says against certificate and key in `directory`.
pub(crate) fn no_pair(directory: &Path, why: &rustls::Error) -> Error {
    Error::Pair {
        directory: directory.to_owned(),
        why: why.to_string(),
    }
}

/// Files that were found good.
pub(crate) struct Material {
    pub(crate) identity: Identity,
    /// When the certificate ends.
    pub(crate) ends: SystemTime,
    /// Of the certificate, to tell two of them apart in a log.
    pub(crate) serial: String,
    roots: Arc<RootCertStore>,
    own: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
    pub(crate) server: Arc<ServerConfig>,
}

/// Whom it names: the rest is long, and says nobody anything.
impl fmt::Debug for Material {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Material({}, {})", self.identity, self.serial)
    }
}

impl Material {
    /// Checks all that the others will check.
    pub(crate) fn new(files: &Files, directory: &Path) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let ca = directory.join(CA_FILE);
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca, &ca)? {
            roots.add(authority).map_err(|error| Error::Content {
                path: ca.clone(),
                wanted: "certificate of an authority",
                why: error.to_string(),
            })?;
        }
        let roots = Arc::new(roots);
        let own = certified(&files.certificate, &files.key, directory, &provider)?;
        let own = Arc::new(own);
        let pair = |why: rustls::Error| no_pair(directory, &why);
        let unfit = |why| Error::Unfit {
            directory: directory.to_owned(),
            why,
        };
        let leaf = own.end_entity_cert().map_err(pair)?;
        let identity = Identity::of(leaf).map_err(unfit)?;
        let (ends, serial) = particulars(leaf).map_err(unfit)?;
        let unbelievable = |why: String| Error::Unbelievable {
            directory: directory.to_owned(),
            why,
        };
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| unbelievable(error.to_string()))?;
        let between = own.cert.get(1..).unwrap_or_default();
        clients
            .verify_client_cert(leaf, between, UnixTime::now())
            .map_err(|error| unbelievable(error.to_string()))?;
        let server = server(Arc::clone(&provider), clients, Arc::clone(&own)).map_err(pair)?;
        Ok(Self {
            identity,
            ends,
            serial,
            roots,
            own,
            provider,
            server: Arc::new(server),
        })
    }

    /// How somebody of these roles in the own cluster is dialled.
    pub(crate) fn client(&self, to: &'static [Role]) -> Result<ClientConfig, rustls::Error> {
        let verifier = ServerVerifier {
            roots: Arc::clone(&self.roots),
            provider: Arc::clone(&self.provider),
            cluster: self.identity.cluster.clone(),
            roles: to,
        };
        let own = SingleCertAndKey::from(Arc::clone(&self.own));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(own));
        // Every connection proves itself anew: a certificate that was replaced must not live on
        // in a ticket. Connections last, so nothing is gained by tickets.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![H2.to_vec()];
        Ok(config)
    }
}

fn server(
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    own: Arc<CertifiedKey>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![H2.to_vec()];
    Ok(config)
}

pub(crate) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let content = |why: String| Error::Content {
        path: path.to_owned(),
        wanted: "certificate",
        why,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| content(error.to_string()))?;
    if found.is_empty() {
        return Err(content("nothing is in it".to_owned()));
    }
    Ok(found)
}

/// When it ends, and its serial number.
pub(crate) fn particulars(leaf: &CertificateDer<'_>) -> Result<(SystemTime, String), Unfit> {
    let (_, parsed) =
        X509Certificate::from_der(leaf).map_err(|error| Unfit::Unreadable(error.to_string()))?;
    let ends = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok((
        UNIX_EPOCH + Duration::from_secs(ends),
        parsed.raw_serial_as_string(),
    ))
}
