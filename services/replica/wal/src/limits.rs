//! Every bound of this crate, with its reason.

/// The oldest SQLite that may touch the log: 3.51.3 fixed the WAL-reset bug (trap 15).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// `PRAGMA application_id` of log.db: "CBXL".
pub const APPLICATION_ID: i32 = 0x4342_584c;
/// `PRAGMA user_version`: the format that this program writes and reads.
pub const FORMAT_VERSION: i32 = 1;
/// Free space that must be there at start: the WAL at its largest, the checkpoint of it into
/// log.db, and as much again to hand over in peace.
pub const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
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
