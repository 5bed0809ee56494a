//! Every bound of this program, with its reason.

use std::time::Duration;

/// Connections of the senders to one system: as many as a handful of gateways would have. More
/// in flight share them.
pub const CONNECTIONS_MAX: usize = 16;
/// Sends of the open loop without an answer: the system is far behind the rate, and what comes
/// after would measure nothing but the length of the run.
pub const OUTSTANDING_MAX: usize = 20_000;
/// Ticks of the open loop's clock that wait for the runtime.
pub const TICKS_MAX: usize = 65_536;
/// Frames that wait for one socket of ours.
pub const SOCKET_QUEUE_MAX: usize = 64;
/// Commands that wait for one stream to the leader.
pub const STREAM_QUEUE_MAX: usize = 4096;
/// Messages of a fan-out that are on their way to some subscriber: below the queue at which a
/// gateway (512 frames) or mosquitto (1,000 messages) gives up on a slow one.
pub const FANOUT_WINDOW: u64 = 100;
/// Sockets that are opened at once: a listener's queue holds 128.
pub const OPENING_AT_ONCE: usize = 64;
/// Accounts and rooms that are made at once: each asks for a commit.
pub const SETUP_AT_ONCE: usize = 16;
/// People of one room in the series over WebSocket.
pub const PEOPLE_PER_ROOM: usize = 4;

/// One commit may take so long before the run is given up: an election and a reconnect fit.
pub const COMMIT_PATIENCE: Duration = Duration::from_secs(20);
/// How long a system may take from its start to its first commit. RabbitMQ needs 20 s alone.
pub const START_PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at something that is awaited.
pub const LOOK: Duration = Duration::from_millis(50);
/// A refused command is sent again after this.
pub const RETRY: Duration = Duration::from_millis(20);
/// Between two signs of life of an idle socket, as the protocol asks.
pub const PING_EVERY: Duration = Duration::from_secs(15);
/// Latencies beyond this are recorded as this.
pub const LATENCY_MAX_US: u64 = 120_000_000;
