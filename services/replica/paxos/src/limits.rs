//! Every bound of the protocol, with its reason.

use crate::ids::{Round, Timestamp};

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
/// Chains of decided slots kept to compare with what other replicas report.
pub const CHAINS_MAX: usize = 1024;
/// Bytes decided but not yet applied: as `APPLY_LAG_SLOTS_MAX`, for large rows.
pub const APPLY_LAG_BYTES_MAX: usize = 4 * WINDOW_BYTES_MAX;
/// How far above its own commit index an acceptor accepts: the window of a leader, twice,
/// because the news of the leader's commit index is under way.
pub const ACCEPT_AHEAD_SLOTS_MAX: u64 = 2 * WINDOW_SLOTS_MAX;
/// Undecided bytes past which an acceptor that lacks decided slots fetches these first.
pub const ACCEPT_AHEAD_BYTES_MAX: usize = 4 * WINDOW_BYTES_MAX;
/// Pages of one promise: what an acceptor holds undecided, twice, because pages are not full.
pub const PROMISE_PAGES_MAX: u32 = 128;
/// Persist requests under way. A stalled disk makes a replica deaf, not large.
pub const PERSISTS_IN_FLIGHT_MAX: usize = 4096;
/// Messages that wait for the disk.
pub const HELD_MAX: usize = 8192;
/// Slots whose commit index may be known in memory only: what a restart has to learn again.
pub const DECIDED_MARK_SLOTS_MAX: u64 = 1024;
/// Samples of the disk's commit latency; the median of so many is reported.
pub const LATENCY_SAMPLES: usize = 9;

/// A leader's clock beyond this is taken for this: the year 144,680.
pub const CLOCK_MAX: Timestamp = Timestamp(1 << 52);
/// No entry is stamped above this, so that there always is a next timestamp.
pub const TIMESTAMP_MAX: Timestamp = Timestamp(1 << 53);
/// No ballot is above this round: at a thousand elections a second it takes 8,000 years.
pub const ROUND_MAX: Round = Round(1 << 48);
/// Rounds without a happy leader before a node thinks of leading. One may be bad luck.
pub const UNHAPPY_ROUNDS: u32 = 2;
/// Rounds without a quorum after which a leader takes no new proposals.
pub const DISCONNECTED_ROUNDS: u32 = 2;
/// The shortest wait before a campaign: the answers of a new round arrive within it.
pub const CAMPAIGN_WAIT_MIN_MS: u64 = 2 * TICK_MS;
/// The longest random wait before a campaign.
pub const CAMPAIGN_WAIT_MS: u64 = 2 * HEARTBEAT_MS;
/// A candidate's time without progress, and for how long others leave it alone.
pub const ELECTION_TIMEOUT_MS: u64 = 4 * HEARTBEAT_MS;
/// Bounds every time that doubles with each failure.
pub const BACKOFF_MAX_MS: u64 = 10_000;
/// A leader whose proposals do not advance for so long steps down.
pub const STUCK_MS: u64 = 2 * ELECTION_TIMEOUT_MS;
/// A leader that was stuck leaves the next campaign to others for so long.
pub const PENALTY_MS: u64 = 1_000;
/// A leader whose proposals advance for so long was not stuck by nature.
pub const STUCK_RESET_MS: u64 = 10_000;
/// A peer that owes an `Accepted` for so long gets the rows again.
pub const RETRANSMIT_MS: u64 = 2 * HEARTBEAT_MS;
/// A `CatchUp` that brought nothing for so long goes to another replica.
pub const CATCH_UP_RETRY_MS: u64 = 2 * HEARTBEAT_MS;
/// Reads that wait for one leader's confirmation: more than a gateway has in flight.
pub const READS_MAX: usize = 4096;
/// A hand-over that nobody took up after so long is given up.
pub const TRANSFER_TIMEOUT_MS: u64 = ELECTION_TIMEOUT_MS;
/// A leader whose disk takes so long for a commit looks for a faster one.
pub const SLOW_DISK_MS: u64 = 250;
/// A disk so many times as fast is worth an election.
pub const SLOW_DISK_FACTOR: u64 = 4;
/// Transactions of another disk after which what was seen of it is written down, along with
/// other writes. A disk that was turned back by fewer may go unnoticed after a restart of all.
pub const WITNESS_STEP: u64 = 256;
/// The same when the disk is idle. More than one: to write down what was seen is a transaction,
/// which the others see, and an idle cluster must come to rest.
pub const WITNESS_IDLE_STEP: u64 = 16;
const _: () = assert!(
    1 < WITNESS_IDLE_STEP && WITNESS_IDLE_STEP <= WITNESS_STEP,
    "an idle cluster rests"
);
/// Messages of an epoch that is not active here yet. Each is a page at most; the first ones
/// are what counts, the rest is sent again.
pub const EARLY_MESSAGES_MAX: usize = 8;
/// How long a replica that starts waits for all voters to say what they saw of its disk, before
/// a majority is enough. The fastest ones may have seen nothing.
pub const ADMISSION_WAIT_MS: u64 = 2 * HEARTBEAT_MS;
/// Nodes beside the voters to ask for decided rows.
pub const CONTACTS_MAX: usize = 16;
/// Nodes that do not vote and of which a voter remembers how far they are.
pub const LEARNERS_MAX: usize = 16;
/// A learner that was silent for so long is forgotten.
pub const LEARNER_SILENCE_MS: u64 = 10_000;
/// Voters in one configuration.
pub const VOTERS_MAX: usize = 7;

const _: () = assert!(
    BATCH_BYTES_MAX + ENTRY_OVERHEAD_BYTES <= PAGE_BYTES,
    "a row fits a page"
);
const _: () = assert!(PAGE_BYTES <= WINDOW_BYTES_MAX, "a page fits the window");
const _: () = assert!(
    WINDOW_SLOTS_MAX <= APPLY_LAG_SLOTS_MAX,
    "a full window can be applied"
);
const _: () = assert!(
    APPLY_LAG_BYTES_MAX >= WINDOW_BYTES_MAX,
    "a full window can be applied"
);
const _: () = assert!(
    ACCEPT_AHEAD_SLOTS_MAX >= WINDOW_SLOTS_MAX,
    "a window is accepted"
);
const _: () = assert!(
    PROMISE_PAGES_MAX as usize * PAGE_BYTES >= 2 * ACCEPT_AHEAD_BYTES_MAX,
    "what an acceptor holds fits a promise"
);
const _: () = assert!(
    CAMPAIGN_WAIT_MIN_MS < CAMPAIGN_WAIT_MS / 2,
    "candidates are spread apart"
);
const _: () = assert!(HEARTBEAT_MS >= 4 * TICK_MS, "a round is several ticks");

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a bound changes on purpose only. The numbers are those that DESIGN 2.4 and 2.5 name, and
    /// those that were derived from them.
    #[test]
    fn the_bounds_are_those_of_the_design() {
        const MIB: usize = 1024 * 1024;
        assert_eq!((WINDOW_SLOTS_MAX, WINDOW_BYTES_MAX), (1024, 8 * MIB));
        assert_eq!((BATCH_COMMANDS_MAX, BATCH_BYTES_MAX), (1024, MIB / 4));
        assert_eq!((PAGE_BYTES, CACHE_BYTES_MAX), (MIB, 8 * MIB));
        assert_eq!(APPLY_LAG_BYTES_MAX, 32 * MIB);
        assert_eq!(
            (ACCEPT_AHEAD_SLOTS_MAX, ACCEPT_AHEAD_BYTES_MAX),
            (2048, 32 * MIB)
        );
        assert_eq!((HEARTBEAT_MS, ELECTION_TIMEOUT_MS), (100, 400));
        assert_eq!((CAMPAIGN_WAIT_MIN_MS, CAMPAIGN_WAIT_MS), (20, 200));
        assert_eq!((STUCK_MS, TRANSFER_TIMEOUT_MS), (800, 400));
        assert_eq!(
            (RETRANSMIT_MS, CATCH_UP_RETRY_MS, ADMISSION_WAIT_MS),
            (200, 200, 200)
        );
    }
}
