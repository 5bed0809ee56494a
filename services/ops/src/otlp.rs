//! Where spans go: OTLP over gRPC, with TLS when the endpoint is `https`. All of it is said by the standard
//! variables ([OTLP exporter configuration][1]); the SDK reads those that are not named here.
//!
//! [1]: https://opentelemetry.io/docs/specs/otel/protocol/exporter/

use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::telemetry::Error;

/// Where to.
const ENDPOINT: Setting = Setting("ENDPOINT");
/// Only gRPC is spoken.
const PROTOCOL: Setting = Setting("PROTOCOL");
/// A file with the authorities that may have signed the receiver's certificate, in PEM, instead of
/// those that this machine trusts.
const CERTIFICATE: Setting = Setting("CERTIFICATE");
/// Files with the certificate and key of this service, in PEM, for a receiver that wants one.
const CLIENT_CERTIFICATE: Setting = Setting("CLIENT_CERTIFICATE");
/// See [`CLIENT_CERTIFICATE`].
const CLIENT_KEY: Setting = Setting("CLIENT_KEY");

/// A setting that may be made for traces alone, which counts first, or for all that OTLP carries.
#[derive(Clone, Copy, Debug)]
struct Setting(&'static str);

impl Setting {
    /// The variable that sets it, and its value. An empty one sets nothing, as the standard wishes.
    fn read(self, var: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
            .iter()
            .map(|prefix| format!("{prefix}{}", self.0))
            .find_map(|name| {
                let value = var(&name).filter(|value| !value.is_empty())?;
                Some((name, value))
            })
    }
}

/// Whether an endpoint is named.
pub(crate) fn has_endpoint(var: impl Fn(&str) -> Option<String>) -> bool {
    ENDPOINT.read(var).is_some()
}

/// Makes the exporter; it connects when it has something to send.
pub(crate) fn exporter(var: impl Fn(&str) -> Option<String>) -> Result<SpanExporter, Error> {
    if let Some((_, protocol)) = PROTOCOL.read(&var).filter(|(_, value)| value != "grpc") {
        return Err(Error::Protocol(protocol));
    }
    let builder = SpanExporter::builder().with_tonic();
    let builder = match ENDPOINT.read(&var) {
        Some((_, endpoint)) if endpoint.starts_with("https://") => {
            builder.with_tls_config(tls(&var)?)
        }
        _ => builder,
    };
    Ok(builder.build()?)
}

fn tls(var: impl Fn(&str) -> Option<String>) -> Result<ClientTlsConfig, Error> {
    let mut tls = ClientTlsConfig::new();
    tls = match file(CERTIFICATE, &var)? {
        Some(authorities) => tls.ca_certificate(Certificate::from_pem(authorities)),
        None => tls.with_native_roots(),
    };
    let own = (file(CLIENT_CERTIFICATE, &var)?, file(CLIENT_KEY, &var)?);
    match own {
        (Some(certificate), Some(key)) => Ok(tls.identity(Identity::from_pem(certificate, key))),
        (None, None) => Ok(tls),
        _ => Err(Error::HalfIdentity),
    }
}

/// The content of the file that a setting names.
fn file(setting: Setting, var: impl Fn(&str) -> Option<String>) -> Result<Option<Vec<u8>>, Error> {
    let Some((name, path)) = setting.read(var) else {
        return Ok(None);
    };
    std::fs::read(&path)
        .map(Some)
        .map_err(|source| Error::File { name, path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::vars;

    /// Property: what is said for traces alone counts before what is said for everything, and an
    /// empty value says nothing.
    #[test]
    fn the_setting_for_traces_counts_first() {
        let both = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces"),
        ];
        assert_eq!(ENDPOINT.read(vars(&both)).unwrap().1, "http://traces");
        let empty = [both[0], ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")];
        assert_eq!(ENDPOINT.read(vars(&empty)).unwrap().1, "http://all");
        assert!(ENDPOINT.read(vars(&[])).is_none());
    }

    /// Property: what is missing for TLS is said with the variable that names it.
    #[tokio::test]
    async fn what_tls_lacks_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4317");
        let missing = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/not/there");
        let error = exporter(vars(&[endpoint, missing])).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(missing.0) && said.contains(missing.1),
            "{said}"
        );
        let half = tempfile::NamedTempFile::new().unwrap();
        let half = half.path().to_str().unwrap();
        let key = [endpoint, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", half)];
        let said = exporter(vars(&key)).unwrap_err().to_string();
        assert!(
            said.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
            "{said}"
        );
        // Not asked for without TLS.
        let plain = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        assert!(exporter(vars(&[plain, missing])).is_ok());
    }
}
