//! How a client decides that a server is who it dialled: the chain to the authority, as always,
//! and then role and cluster instead of the name of a host.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use crate::identity::{Identity, Role, Unfit};

/// See the module.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) provider: Arc<CryptoProvider>,
    /// The own cluster.
    pub(crate) cluster: String,
    /// Who may answer.
    pub(crate) roles: &'static [Role],
}

/// The certificate is good, and somebody else's.
#[derive(thiserror::Error)]
enum Stranger {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the one that answers is {0}, not of the cluster {1}")]
    Cluster(Identity, String),
    #[error("the one that answers is {0}, not a {1}")]
    Role(Identity, String),
}

/// rustls shows its `Other` by this.
impl fmt::Debug for Stranger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn check(found: Result<Identity, Unfit>, cluster: &str, roles: &[Role]) -> Result<(), Stranger> {
    let found = found?;
    if found.cluster != cluster {
        return Err(Stranger::Cluster(found, cluster.to_owned()));
    }
    if !roles.contains(&found.role) {
        let wanted: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        return Err(Stranger::Role(found, wanted.join(" or ")));
    }
    Ok(())
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        check(Identity::of(end_entity), &self.cluster, self.roles).map_err(|stranger| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
