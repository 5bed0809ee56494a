//! Every bound of the workload, each with its reason.

use std::time::Duration;

/// Clients of one run: each is a socket, a file and a task; two cores serve no more.
pub const CLIENTS_MAX: usize = 1000;
/// Rooms of one run.
pub const ROOMS_MAX: usize = 1000;
/// Rooms that one client writes to: each may have a message in flight, and a gateway takes 16
/// requests of a connection at once.
pub const ROOMS_PER_CLIENT_MAX: usize = 8;
/// Messages per second of one client: a gateway refills 10, and some are sent again.
pub const RATE_PER_CLIENT_MAX: f64 = 9.0;
/// Messages per room that wait on a client. What comes while so many wait is never written: the
/// load is a closed loop, and the memory bounded.
pub(crate) const OUTBOX_MAX: usize = 32;
/// How far a client that was held up makes up for what it did not write.
pub(crate) const DEBT_MAX: Duration = Duration::from_secs(4);

/// A message without an answer for this long is sent again over another connection. A gateway
/// answers within 5 s, if it lives.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(6);
/// Between two signs of life. Much more often than the protocol asks: a gateway that was stopped
/// must not hold up a client for 35 s.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(2);
/// A connection that was silent for this long is left.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Opening a connection, and hearing `ready` on it: a gateway waits 2 s for the client's slot.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Writing a frame.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A page of history.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to connect, at least and at most, drawn for each.
pub(crate) const RECONNECT_MS: std::ops::Range<u64> = 20..400;
/// Before a message that was refused for now is sent again, where no time was told.
pub(crate) const RETRY_MS: std::ops::Range<u64> = 50..250;
/// Own messages that a client remembers, to change one of them.
pub(crate) const OWN_MESSAGES_MAX: usize = 32;
/// A request to join or leave that has no answer after this is forgotten.
pub(crate) const DID_PATIENCE: Duration = Duration::from_secs(10);
/// Pages that wait to be read by one client.
pub(crate) const READS_WAITING_MAX: usize = 16;
/// Events of a page; the protocol allows 200.
pub(crate) const PAGE: u64 = 200;
/// Making accounts, rooms and members before load begins.
pub(crate) const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Accounts that are made at once: each asks for a commit.
pub(crate) const SETUP_AT_ONCE: usize = 8;
