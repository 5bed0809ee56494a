//! Listening on an address, with an error that says what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that wait to be accepted: all clients of a gateway that comes back knock at once. With
/// the usual 128 the system answers those above it with SYN cookies and resets some of them on their
/// second packet. Linux takes no more than `net.core.somaxconn`, which is 4096 since 5.4.
const BACKLOG: u32 = 4096;

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
    listen(address).await.map_err(named)
}

/// On the first address of that name that can be had.
async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted server must not wait for the connections of the one before it to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

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

    /// Property: clients that come back all at once are taken in, also while nobody accepts; none is
    /// reset or left to try again.
    #[tokio::test]
    async fn a_crowd_may_knock_at_once() {
        const CROWD: usize = 400;
        let listener = bind("127.0.0.1:0", "X_LISTEN").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut crowd = Vec::new();
        for nth in 0..CROWD {
            let knock = timeout(Duration::from_secs(10), TcpStream::connect(address));
            let mut stream = knock.await.expect("taken in").expect("not refused");
            // The second packet is the one that a SYN cookie does not fit.
            stream
                .write_all(b"a")
                .await
                .unwrap_or_else(|error| panic!("{nth}: {error}"));
            crowd.push(stream);
        }
        for _ in 0..CROWD {
            let (mut stream, _) = listener.accept().await.expect("one of them");
            assert_eq!(stream.read_u8().await.expect("what it said"), b'a');
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
