//! Every bound of the protocol, with its reason.

/// The driver's timer: fine enough for the random waits of an election.
pub const TICK_MS: u64 = 10;
/// Length of a heartbeat round (T in section 2.4).
pub const HEARTBEAT_MS: u64 = 100;
/// Undecided slots of a leader. Deep enough to hide a slow disk behind pipelining.
pub const WINDOW_SLOTS_MAX: u64 = 1024;
/// Undecided bytes of a leader: what a new leader may have to fetch and re-propose.
pub const WINDOW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Commands in one slot.
pub const BATCH_COMMANDS_MAX: usize = 1024;
/// Payload of one slot.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Rows in one message. Below gRPC's default message limit of 4 MiB with room for framing.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// A bound for the fixed fields of a row.
pub const ENTRY_OVERHEAD_BYTES: usize = 128;
/// Slots decided but not yet applied: a replica that is further behind accepts nothing new.
pub const APPLY_LAG_SLOTS_MAX: u64 = 2048;
/// Decided rows kept in memory for slow followers.
pub const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Voters in one configuration.
pub const VOTERS_MAX: usize = 7;

const _: () = assert!(BATCH_BYTES_MAX + ENTRY_OVERHEAD_BYTES <= PAGE_BYTES, "a row fits a page");
const _: () = assert!(PAGE_BYTES <= WINDOW_BYTES_MAX, "a page fits the window");
const _: () = assert!(WINDOW_SLOTS_MAX <= APPLY_LAG_SLOTS_MAX, "a full window can be applied");
