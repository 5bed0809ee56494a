//! Every bound of the connections between the services, each with its reason.

use std::time::Duration;

/// Handshakes at the same time. One costs a core less than a millisecond; whoever opens
/// connections and says nothing holds a place for [`HANDSHAKE_TIMEOUT`] and no longer.
pub(crate) const HANDSHAKES_MAX: usize = 256;
/// Who has not proved itself by then is no service of ours.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are ready and wait for the server to take them.
pub(crate) const READY_MAX: usize = 16;
/// Between two looks at the files: an orchestrator takes a minute to write a new certificate, a
/// person who waits for it does not want to.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file of certificates or a key; a bundle of a dozen authorities has 20 KiB.
pub(crate) const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Refused connections are said at most once in so long, with how many there were: a stranger
/// must not fill the log.
pub(crate) const REFUSED_SAID_EVERY: Duration = Duration::from_secs(1);
/// A certificate that ends sooner than this is warned of, once an hour.
pub(crate) const ENDS_SOON: Duration = Duration::from_secs(3 * 24 * 3600);
/// How often that is said.
pub(crate) const ENDS_SOON_SAID_EVERY: Duration = Duration::from_secs(3600);
/// After the system refused a connection (no more files): it may have room later.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
