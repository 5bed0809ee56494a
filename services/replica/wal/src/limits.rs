//! Every bound of this crate, with its reason.

use std::time::Duration;

/// The oldest SQLite that may touch the log: 3.51.3 fixed the WAL-reset bug (trap 15).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// `PRAGMA application_id` of log.db: "CBXL".
pub const APPLICATION_ID: i32 = 0x4342_584c;
/// `PRAGMA user_version`: the format that this program writes and reads.
pub const FORMAT_VERSION: i32 = 2;
/// Free space that must be there at start, the ballast included: the WAL at its largest, the
/// checkpoint of it into log.db, and as much again. A replica that refuses rows because its disk
/// is nearly full can be started again and serve reads.
pub const FREE_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// Free space below which rows must be refused: twice what a window may hold (each row is written
/// to the WAL and to log.db), the state machine's share of it, and [`FREE_BYTES_LAST`].
pub const FREE_BYTES_LOW: u64 = 32 * 1024 * 1024;
/// Free space from which on rows are taken again. Well above the other mark, so that the lead
/// does not wander to and fro.
pub const FREE_BYTES_OK: u64 = 48 * 1024 * 1024;
/// Free space below which the ballast is given up.
pub const FREE_BYTES_LAST: u64 = 8 * 1024 * 1024;
/// The ballast: the WAL at its largest and the checkpoint of it into log.db.
pub const BALLAST_BYTES: u64 = 16 * 1024 * 1024;
/// Requests waiting for the writer. More than the window of the core, because every step may
/// ask for one persist and slow commits are when they pile up.
pub const REQUESTS_MAX: usize = 4096;
/// Requests in one transaction. Bounds how long the first one waits for the last.
pub const GROUP_REQUESTS_MAX: usize = 1024;
/// Bytes of rows in one transaction: the same bound for large rows.
pub const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Reads waiting for their turn. Each is a page for a replica that lags; it asks again.
pub const READS_MAX: usize = 64;
/// The opaque genesis: seven voters with keys and addresses take about 1 KiB.
pub const GENESIS_BYTES_MAX: usize = 16 * 1024;
/// A cluster's name.
pub const CLUSTER_NAME_BYTES_MAX: usize = 256;
/// Cached addresses: voters and standbys.
pub const PEERS_MAX: usize = 64;
/// An address: a host name has at most 253 bytes.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// How long a check of rows may hold up a commit: less than a commit takes.
pub const SCRUB_SLICE: Duration = Duration::from_micros(500);
/// Damaged slots that one check reports. One is enough to act on; many are a dying disk.
pub const SCRUB_DAMAGED_MAX: usize = 64;
/// Rows deleted along with a commit, besides twice as many as it writes: so the log shrinks
/// under any load. See `sweep.rs` for what it costs.
pub const SWEEP_ROWS: u64 = 64;
/// Payload of these rows, likewise.
pub const SWEEP_BYTES: u64 = 128 * 1024;
/// Rows deleted in a transaction of their own, when nothing else is to be done.
pub const SWEEP_QUIET_ROWS: u64 = 1024;
/// Payload of these rows.
pub const SWEEP_QUIET_BYTES: u64 = 2 * 1024 * 1024;
/// How long nothing must come before rows are deleted in a transaction of their own.
pub const SWEEP_QUIET: Duration = Duration::from_millis(10);
/// Nodes whose transaction counts are kept: the voters of the active epoch and, until the next
/// one, those that voted before it.
pub const WITNESSES_MAX: usize = 64;
/// Rows given back behind a damaged decided one: what fits a promise. More is a snapshot's job.
pub const RESTORED_BYTES_MAX: usize =
    paxos::limits::PROMISE_PAGES_MAX as usize * paxos::limits::PAGE_BYTES / 2;

const _: () = assert!(
    FREE_BYTES_LOW >= FREE_BYTES_LAST + 2 * paxos::limits::WINDOW_BYTES_MAX as u64,
    "what is under way fits when rows are refused"
);
const _: () = assert!(
    BALLAST_BYTES >= 4 * crate::checkpoint::WAL_BYTES_MAX,
    "the WAL at its largest (twice the mark of a checkpoint) and its checkpoint"
);
const _: () = assert!(FREE_BYTES_LOW < FREE_BYTES_OK, "no wandering");
const _: () = assert!(
    WITNESSES_MAX >= 2 * paxos::limits::VOTERS_MAX,
    "the voters of two epochs"
);
const _: () = assert!(
    GROUP_BYTES_MAX <= paxos::limits::WINDOW_BYTES_MAX,
    "a window is at most a few transactions, never less than one"
);
const _: () = assert!(
    paxos::limits::BATCH_BYTES_MAX + paxos::limits::ENTRY_OVERHEAD_BYTES <= GROUP_BYTES_MAX,
    "every row fits a transaction"
);
const _: () = assert!(
    REQUESTS_MAX as u64 >= paxos::limits::WINDOW_SLOTS_MAX,
    "a full window of single rows can wait"
);
