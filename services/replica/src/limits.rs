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

/// How long a peer may take to answer the hello: a little more than it may wait to tell two
/// processes with one disk apart.
pub const PEER_HELLO_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a new process of a known node waits while an older one's stream is open: several
/// heartbeats in each half of it.
pub const IDENTITY_PROBE: Duration = Duration::from_millis(800);
/// Streams to nodes: voters, standbys that ask, contacts.
pub const PEER_STREAMS_MAX: usize =
    paxos::limits::VOTERS_MAX + paxos::limits::LEARNERS_MAX + paxos::limits::CONTACTS_MAX;
/// A stream to a node that does not vote ends when nothing was sent for so long.
pub const PEER_STREAM_IDLE: Duration = Duration::from_secs(30);
/// Nodes up to which membership's word about unknown ones is remembered.
pub const HINTS_MAX: usize = 64;

/// Questions of operators and readers that wait for the driver.
pub const QUESTIONS_MAX: usize = 1024;
/// How long the core may take to answer one: an election fits.
pub const QUESTION_WAIT: Duration = Duration::from_secs(2);
/// How long commands wait while an epoch or the lead changes hands, before they are sent on.
pub const UNSETTLED_WAIT: Duration = Duration::from_secs(2);
/// How long a change of voters or of the lead may take until it is seen here.
pub const CHANGE_WAIT: Duration = Duration::from_secs(10);
/// A node that is to vote has so many slots less than the leader at most: what a window holds.
pub const CAUGHT_UP_SLOTS: u64 = paxos::limits::WINDOW_SLOTS_MAX;

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
/// How long the transaction of the state machine stays open for more when nobody wants to read
/// what is in it. At 500 messages a second fifty share one
/// (docs/adr/0015-the-state-is-synced-beside-its-writer.md).
pub const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// Slots in one transaction of the state machine.
pub const APPLY_SLOTS_MAX: usize = 1024;
/// Payload bytes in one transaction of the state machine: bounds how long a reader of its
/// result waits.
pub const APPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Slots that may be applied before the state is made durable …
pub const DURABLE_EVERY_SLOTS: usize = 4096;
/// … their bytes: a sync of the disk for so much is not felt …
pub const DURABLE_EVERY_BYTES: usize = 8 * 1024 * 1024;
/// … and how long it may take until then.
pub const DURABLE_EVERY: Duration = Duration::from_secs(1);
/// How long nothing must come before it is made durable anyway.
pub const DURABLE_IDLE: Duration = Duration::from_millis(200);

/// Decided slots kept in the log for others that are behind, however light they are.
pub const KEEP_SLOTS_MAX: u64 = 65_536;
/// How many times as much is kept for a live node that still reads it.
pub const SLOWEST_FACTOR: u64 = 4;
/// Slots that a compaction drops at least …
pub const COMPACT_STEP_SLOTS: u64 = 1024;
/// … unless they weigh so much.
pub const COMPACT_STEP_BYTES: u64 = 1024 * 1024;
/// The setting `keep_log_mib`, at most.
pub const KEEP_LOG_MIB_MAX: u64 = 64 * 1024;

/// Snapshots that are sent at the same time.
pub const SNAPSHOT_TRANSFERS_MAX: usize = 2;
/// How fast a snapshot is sent: a fast disk's and network's fraction, so that commits go on
/// beside it.
pub const SNAPSHOT_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;
/// Chunks on the way between disk and network, on both sides.
pub const SNAPSHOT_CHUNKS_READY_MAX: usize = 2;
/// How long a replica may take to make a snapshot: a second per million messages, as a rule.
pub const SNAPSHOT_MAKE_TIMEOUT: Duration = Duration::from_secs(300);
/// A transfer that brings nothing for so long is given up, and another replica is asked.
pub const SNAPSHOT_STALL: Duration = Duration::from_secs(10);
/// The wait before all replicas are asked again for a snapshot.
pub const SNAPSHOT_RETRY: Duration = Duration::from_millis(500);
/// For so long after its last chunk what follows a snapshot is kept for the one that has it.
pub const SNAPSHOT_LINGER: Duration = Duration::from_secs(30);

/// How long a hash of the state waits for its slot.
pub const HASH_WAIT: Duration = Duration::from_secs(5);

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

/// Gateways that whisper to each other through this replica.
pub const RELAYS_MAX: usize = TAILS_MAX;
/// Whispers that wait for the slowest of them; it loses the oldest.
pub const RELAY_QUEUE_MAX: usize = 256;
/// A whisper: the presence of a thousand people fits.
pub const WHISPER_BYTES_MAX: usize = 32 * 1024;

/// Reads that wait for a connection to the state; past it they are refused.
pub const READS_WAITING_MAX: usize = 1024;
/// How long a read waits for its `min_slot`.
pub const READ_WAIT: Duration = Duration::from_secs(2);
/// Bytes of the log read at once for an operator.
pub const LOG_PAGE_BYTES: usize = paxos::limits::PAGE_BYTES;

/// How often the status for people is refreshed.
pub const STATUS_EVERY: Duration = Duration::from_millis(20);
/// How often the leader looks whether there is something to tell in the room of the cluster.
pub const NOTICES_EVERY: Duration = Duration::from_millis(50);
/// A voter that the leader has not heard for so long is called silent: long beyond an election,
/// so that a pause of a moment is no news.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);
/// A silent voter that the leader has heard in every round for so long is heard again.
pub const HEARD_AFTER: Duration = Duration::from_secs(1);
/// Notices that a replica may post at once …
pub const NOTICES_BURST: u32 = 8;
/// … and how often one more. A replica that flaps for a day is 8,640 lines, not a million: who was
/// silent for less than the wait is not told, and an election is told only while its leader leads.
pub const NOTICES_REFILL: Duration = Duration::from_secs(10);
/// How long a notice may take until it is applied before it is posted again.
pub const NOTICE_WAIT: Duration = Duration::from_secs(2);

/// A replica that has applied so many slots less than it knows decided does not serve clients.
pub const HEALTH_LAG_SLOTS_MAX: u64 = 4096;
/// Slots that are traced and not yet applied. A trace is given up before a slot waits for it.
pub const TRACED_SLOTS_MAX: usize = 256;
/// Traced commands of one slot, at most: under load a batch has thousands.
pub const TRACES_SLOT_MAX: usize = 16;
/// Traces that travel to a peer with one frame.
pub const TRACES_FRAME_MAX: usize = 256;

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

/// How often the free space is looked at: what is left below the lower mark must last so long.
pub const FREE_EVERY: Duration = Duration::from_millis(200);

/// Slots of the log that are checked in one go …
pub const SCRUB_SLOTS: u64 = 256;
/// … and the pause before the next ones: a full log of 65,536 slots takes about four hours.
pub const SCRUB_PAUSE: Duration = Duration::from_mins(1);
/// Events of the state that are checked in one go, in some 10 ms …
pub const SCRUB_EVENTS: u32 = 2048;
/// … and the pause before the next ones: a million messages take about eight minutes.
pub const SCRUB_EVENTS_PAUSE: Duration = Duration::from_secs(1);
/// How often a replica looks whether it was removed from the voters.
pub const REMOVED_EVERY: Duration = Duration::from_millis(200);
/// How often streams, waiters and snapshots that nobody uses are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Prepared statements, page cache and stack of one reading connection are a few MiB.
pub const READERS_MAX: usize = 16;

/// How long a leader that is told to stop waits until somebody else leads: an election would take
/// about as long.
pub const HAND_OVER_WAIT: Duration = Duration::from_millis(700);
/// How often it looks.
pub const HAND_OVER_LOOK: Duration = Duration::from_millis(10);
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
const _: () = assert!(
    DURABLE_EVERY_SLOTS as u64 <= KEEP_SLOTS_MAX,
    "the state is durable before its rows are to go"
);

/// How often the search index looks whether something was applied.
pub(crate) const SEARCH_LOOK: Duration = Duration::from_millis(100);
/// After it has caught up, before it takes in what has come since. A message is found so much
/// later than it is shown, at most, and the first one after a pause after [`SEARCH_LOOK`].
pub(crate) const SEARCH_GATHER: Duration = Duration::from_millis(500);
/// Between two batches of the search index, when one was not enough: what is applied meanwhile has
/// the disk to itself.
pub(crate) const SEARCH_BATCH_PAUSE: Duration = Duration::from_millis(5);
/// How much the search index gives way when all cores are busy: a tenth of what a thread of the
/// commits gets. Not the lowest: while it reads, the state's write-ahead log cannot begin anew.
pub const SEARCH_NICE: i32 = 10;
/// Before an index that failed is opened again.
pub(crate) const SEARCH_RETRY: Duration = Duration::from_secs(5);
