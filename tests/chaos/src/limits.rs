//! Every bound of this program, with its reason.

use std::time::Duration;

/// The first fault comes after so long: the figures of a healthy cluster are part of the report.
pub const FIRST_FAULT_MS: u64 = 4_000;
/// From one step to the next, at least …
pub const STEP_MIN_MS: u64 = 2_500;
/// … and at most. With the mean of 5 s a run of ten minutes has about 110 steps, so that 60 are
/// installed even where half of them have to wait for a cluster that is not whole.
pub const STEP_MAX_MS: u64 = 7_500;
/// How long a fault lasts, at least …
pub const HOLD_MIN_MS: u64 = 500;
/// … and at most: longer than the suspicion of membership, so that some of the dead are replaced.
pub const HOLD_MAX_MS: u64 = 6_000;
/// No fault begins so shortly before the end of the load.
pub const LAST_FAULT_MS: u64 = 6_000;

/// How long a step waits for the cluster to be whole enough. Then it is skipped.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often the nemesis looks whether something is due.
pub const TURN: Duration = Duration::from_millis(50);
/// How long a damaged replica may take to be whole again; then it is given a new disk.
pub const MEND: Duration = Duration::from_secs(8);
/// How long a replacement is watched. One that takes longer shows as `not healed` at the end.
pub const REPLACED: Duration = Duration::from_secs(60);
/// How long one process of a rolling restart may take to be back.
pub const ROLLED: Duration = Duration::from_secs(20);
/// How long two more voters may take, one after the other with a pause between.
pub const SCALED: Duration = Duration::from_secs(120);
/// How long a process may take to end after SIGTERM: the services give themselves 5 s.
pub const STOPPED: Duration = Duration::from_secs(15);
/// How long a new cluster may take until it has a leader and ready gateways.
pub const READY: Duration = Duration::from_secs(60);
/// After the last fault is over: how long the cluster may take until it is whole.
pub const HEALED: Duration = Duration::from_secs(90);
/// Answers that were on their way when the last of a majority died.
pub const IN_FLIGHT: Duration = Duration::from_millis(500);

/// How often every replica is asked for its status.
pub const WATCH: Duration = Duration::from_millis(100);
/// A replica that says nothing for so long is taken for gone: a paused one accepts connections.
pub const STATUS_WAIT: Duration = Duration::from_millis(400);
/// A node behind by so many slots is not whole. What the product asks of a new voter.
pub const CAUGHT_UP_SLOTS: u64 = 1024;

/// Bytes that a link takes at once.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on the way in one direction of a connection: past it the sender waits.
pub const CHUNKS_MAX: usize = 256;
/// The shortest time that a lost packet costs: Linux repeats after 200 ms at the earliest.
pub const REPEAT_MS: u64 = 200;

/// What is left on a disk that is nearly full: below the mark at which a replica refuses, as in
/// `tests/scenarios`.
pub const FULL_LEFT_BYTES: u64 = 20 * 1024 * 1024;
/// Space for growth on the small disk before it is filled.
pub const SMALL_DISK_BYTES: u64 = 160 * 1024 * 1024;
/// How far a wall clock jumps at most: a day, in milliseconds.
pub const CLOCK_JUMP_MS: u64 = 86_400_000;

/// Replicas, gateways, standbys: what one machine carries.
pub const PROCESSES_MAX: usize = 16;
/// Minutes of load at most: a week.
pub const MINUTES_MAX: f64 = 10_080.0;

/// How long membership and a majority miss a voter before it is replaced. Longer than most
/// faults last, so that not every one ends in a replacement.
pub const REPLACE_AFTER_MS: u64 = 4_000;
/// Between two changes of the voters.
pub const REPLACE_PAUSE_MS: u64 = 3_000;
/// After the load: how long messages without an answer are waited for.
pub const DRAIN: Duration = Duration::from_secs(30);
/// How long reading every room from every gateway may take.
pub const READ: Duration = Duration::from_secs(120);
/// How long replicas may take to have applied the same, without load.
pub const EQUAL: Duration = Duration::from_secs(60);
/// What takes the place of these three once the cluster has not become whole: the verdict stands.
pub const BROKEN: Duration = Duration::from_secs(5);
