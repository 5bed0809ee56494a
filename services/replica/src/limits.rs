//! Every bound of this binary, with its reason. Those of the protocol, the log and the state
//! machine are in the `limits` of their crates.

use std::time::Duration;

/// Messages waiting for one peer. Past it they are dropped: the protocol sends again.
pub const PEER_QUEUE_MESSAGES_MAX: usize = 8192;
/// Bytes waiting for one peer: a whole window of a leader fits.
pub const PEER_QUEUE_BYTES_MAX: usize = paxos::limits::WINDOW_BYTES_MAX;
/// Bytes after which a frame to a peer is full. One more message may follow, which keeps a
/// frame below gRPC's default limit of 4 MiB.
pub const PEER_FRAME_BYTES: usize = paxos::limits::PAGE_BYTES;
/// Messages in one frame, as a bound for small ones.
pub const PEER_FRAME_MESSAGES_MAX: usize = 1024;
/// Frames between transport and stream of one peer. The rest coalesces in the queue.
pub const PEER_FRAMES_READY_MAX: usize = 1;
/// Frames received from all peers that wait for the driver. A full channel stops reading from
/// the streams, not from other connections.
pub const PEER_FRAMES_IN_MAX: usize = 32;
/// How long a peer may take to accept a connection, and to answer the hello.
pub const PEER_CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The first wait after a lost connection. A restarted process is back within a second.
pub const PEER_RECONNECT_MIN: Duration = Duration::from_millis(20);
/// The longest wait between attempts: what a healed network costs at most.
pub const PEER_RECONNECT_MAX: Duration = Duration::from_secs(1);
/// An idle connection to a peer is probed so often …
pub const PEER_KEEPALIVE: Duration = Duration::from_secs(1);
/// … and given up when the probe is not answered for so long.
pub const PEER_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Groups of submissions from all streams that wait for the driver.
pub const SUBMISSIONS_QUEUE_MAX: usize = 16;
/// Commands that one read of a stream hands over together.
pub const SUBMISSIONS_GROUP_MAX: usize = 256;
/// Commands without an answer on one stream; past it the stream is not read.
pub const STREAM_OUTSTANDING_MAX: usize = 4096;
/// Commands without an answer on this replica; past it they are refused as `OVERLOADED`.
pub const WAITERS_MAX: usize = 65_536;
/// Bytes of commands that wait for a slot; past it they are refused as `OVERLOADED`.
pub const GATHERED_BYTES_MAX: usize = 2 * paxos::limits::WINDOW_BYTES_MAX;
/// What a refused gateway should wait before it tries again.
pub const RETRY_MS: u32 = 50;
/// Undecided batches up to which a new one is proposed at once. Beyond, commands gather: the
/// disk is busy anyway, and one row for many commands costs less than many rows.
pub const PIPELINE_SLOTS: u64 = 4;

/// Inputs that the driver takes of each kind before it executes what the core asked for.
pub const TURN_INPUTS_MAX: usize = 256;

/// Groups of entries on the way to the state machine. The core hands out at most
/// `APPLY_LAG_SLOTS_MAX` slots ahead of what is applied, so that this is never full.
pub const APPLY_QUEUE_MAX: usize = 2 * paxos::limits::APPLY_LAG_SLOTS_MAX as usize;
/// Slots in one transaction of the state machine.
pub const APPLY_SLOTS_MAX: usize = 1024;
/// Payload bytes in one transaction of the state machine: bounds how long a reader of its
/// result waits.
pub const APPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Applied transactions that wait for one reader of the live log …
pub const TAIL_QUEUE_MAX: usize = 1024;
/// … and their payload in bytes. A reader that is further behind is sent away.
pub const TAIL_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Readers of the live log: gateways.
pub const TAILS_MAX: usize = 64;
/// Effects in one answer of the live log, so that it stays below gRPC's limit of 4 MiB.
pub const TAIL_EFFECTS_MAX: usize = 256;
/// Bytes of effects read for a replay at once.
pub const TAIL_PAGE_BYTES: usize = 512 * 1024;

/// Reads that wait for a connection to the state; past it they are refused.
pub const READS_WAITING_MAX: usize = 1024;
/// How long a read waits for its `min_slot`.
pub const READ_WAIT: Duration = Duration::from_secs(2);
/// Bytes of the log read at once for an operator.
pub const LOG_PAGE_BYTES: usize = paxos::limits::PAGE_BYTES;

/// How often the status for people is refreshed.
pub const STATUS_EVERY: Duration = Duration::from_millis(20);
/// A replica that has applied so many slots less than it knows decided does not serve clients.
pub const HEALTH_LAG_SLOTS_MAX: u64 = 4096;
/// How often the health is looked at.
pub const HEALTH_EVERY: Duration = Duration::from_millis(100);

/// How often a replica without a cluster asks for one.
pub const REGISTER_EVERY: Duration = Duration::from_millis(200);
/// How long membership may take to answer.
pub const MEMBERSHIP_TIMEOUT: Duration = Duration::from_secs(1);
/// Bounds of the heartbeat interval that membership may ask for.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(50);
/// See [`HEARTBEAT_MIN`].
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// A failure that passes by itself within this is not said.
pub const LASTING_FAILURE: Duration = Duration::from_secs(1);
/// A failure that lasts is said again after so long.
pub const REPEAT_LOG: Duration = Duration::from_secs(5);

/// Free space below which no new proposals are taken: enough for what is under way.
pub const FREE_BYTES_LOW: u64 = 32 * 1024 * 1024;
/// A leader without space is silent for so long, that the others elect another one. Twice what
/// they need at most.
pub const RESIGNATION: Duration = Duration::from_millis(4 * paxos::limits::ELECTION_TIMEOUT_MS);
/// … and not again within so long: if all disks are full, the lead does not wander.
pub const RESIGNATION_EVERY: Duration = Duration::from_secs(60);
/// How often the free space is looked at.
pub const FREE_EVERY: Duration = Duration::from_millis(500);

/// Prepared statements, page cache and stack of one reading connection are a few MiB.
pub const READERS_MAX: usize = 16;

/// How long a graceful stop waits for streams to end.
pub const STOP_STREAMS: Duration = Duration::from_millis(1500);
/// How long a graceful stop waits for a thread to end.
pub const STOP_THREAD: Duration = Duration::from_millis(1000);

const _: () = assert!(
    PEER_FRAME_BYTES + paxos::limits::PAGE_BYTES < 4 * 1024 * 1024,
    "a frame fits gRPC's default limit"
);
const _: () = assert!(
    PEER_FRAME_BYTES + paxos::limits::PAGE_BYTES <= PEER_QUEUE_BYTES_MAX,
    "a frame fits the queue"
);
const _: () = assert!(
    GATHERED_BYTES_MAX >= 2 * paxos::limits::BATCH_BYTES_MAX,
    "a batch gathers while another waits"
);
const _: () = assert!(
    APPLY_QUEUE_MAX as u64 >= paxos::limits::APPLY_LAG_SLOTS_MAX,
    "everything that may be handed out fits"
);
