//! Listening on an address, with an error that says what to do.

use std::io;

use tokio::net::TcpListener;

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has the port.
    #[error("address {address} is in use: another process listens there; stop it or set {setting}")]
    InUse {
        /// The wished address.
        address: String,
        /// The setting that names another one.
        setting: &'static str,
    },
    /// The port needs a privilege.
    #[error("address {address} is not permitted: ports below 1024 need a privilege; set {setting}")]
    Denied {
        /// The wished address.
        address: String,
        /// The setting that names another one.
        setting: &'static str,
    },
    /// Anything else: not an address, not of this machine.
    #[error("cannot listen on {address}: {source}; check {setting}")]
    Other {
        /// The wished address.
        address: String,
        /// The setting that names another one.
        setting: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Host and port of `host:port` (an IPv6 host in brackets), for the validation of settings.
#[must_use]
pub fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    // Nothing that breaks a line of a table or a log, or that no resolver takes.
    let plain =
        host.chars().all(|c| c.is_ascii_graphic()) && !host.contains([':', '/', '@', '[', ']']);
    (!host.is_empty() && (plain || bracketed)).then_some((host, port))
}

/// Listens on `address` (`host:port`); `setting` is the name of the setting it came from.
pub async fn bind(address: &str, setting: &'static str) -> Result<TcpListener, Error> {
    let named = |source: io::Error| {
        let address = address.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::InUse { address, setting },
            io::ErrorKind::PermissionDenied => Error::Denied { address, setting },
            _ => Error::Other {
                address,
                setting,
                source,
            },
        }
    };
    TcpListener::bind(address).await.map_err(named)
}

#[cfg(test)]
mod tests {
    use super::{bind, host_and_port};

    #[test]
    fn splits_addresses() {
        for (address, expected) in [
            ("replica-1:1061", Some(("replica-1", 1061))),
            ("[::1]:1", Some(("[::1]", 1))),
            ("nonsense", None),
            (":1050", None),
            ("a:b", None),
            ("a:70000", None),
            ("http://a:1", None),
            ("::1:1", None),
            ("a b:1", None),
            ("\n:5", None),
            ("é:1", None),
        ] {
            assert_eq!(host_and_port(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_names_the_remedy() {
        let first = bind("127.0.0.1:0", "X_LISTEN").await.expect("a free port");
        let address = first.local_addr().expect("bound").to_string();
        let error = bind(&address, "X_LISTEN").await.expect_err("taken");
        assert_eq!(
            error.to_string(),
            format!(
                "address {address} is in use: another process listens there; \
                 stop it or set X_LISTEN"
            )
        );
    }

    #[tokio::test]
    async fn nonsense_names_the_setting() {
        let error = bind("nonsense", "X_LISTEN").await.expect_err("no address");
        assert!(error.to_string().ends_with("check X_LISTEN"), "{error}");
    }
}
