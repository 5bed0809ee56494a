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
    use super::bind;

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
