//! Every bound of this service, with its reason.

use std::time::Duration;

/// First voters: more than seven make every commit slower and survive hardly more.
pub const REPLICAS_MAX: usize = 7;

/// Known disks, standbys and strangers included. An operator's mistake (a replica that starts
/// with a new disk again and again) must not grow the process.
pub const SERVERS_MAX: usize = 64;

/// Known gateways; their names may be new at every start.
pub const GATEWAYS_MAX: usize = 256;

/// Disk ids, names and versions: a UUID or a host name and a little more.
pub const NAME_BYTES_MAX: usize = 255;

/// gRPC messages: a genesis of seven voters has about 1 KiB.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Connections of one process: every replica and gateway has one or two.
pub const CONCURRENCY_MAX: usize = 64;

/// How long a replica may take to answer an admin call: it includes an fsync or two.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a change of the voters or of the lead may take: a replica gives up after 10 s.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(12);

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause between rounds of forming, when a round left something to do.
pub const ROUND_PAUSE: Duration = Duration::from_millis(250);

/// Pause between looks at who is silent.
pub const SWEEP_PAUSE: Duration = Duration::from_millis(250);

/// The pause after a change that failed, doubling …
pub const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// … up to this.
pub const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(16);

/// Removing a voter leaves so many at least: three survive the loss of one, two survive none.
pub const VOTERS_MIN: usize = 3;

/// A standby with fewer slots less than the others has caught up: what a leader's window holds
/// (`CAUGHT_UP_SLOTS` of the replica).
pub const CAUGHT_UP_SLOTS: u64 = 1024;

/// Heartbeats in sequence with such a lag that make a standby fit to vote: one may be luck.
pub const CAUGHT_UP_BEATS: u32 = 3;

/// Places that are drained at the same time.
pub const DRAINING_MAX: usize = SERVERS_MAX;

/// A voter that was silent for so long does not count as one that runs, for a cluster whose size
/// follows the replicas: longer than a machine takes to start again.
pub const GONE_AFTER: Duration = Duration::from_mins(5);

/// The settings `replace_after_ms` and `change_pause_ms`, at most: a day.
pub const WAIT_MS_MAX: u64 = 86_400_000;

const _: () = assert!(VOTERS_MIN <= REPLICAS_MAX);
const _: () = assert!(REPLICAS_MAX < SERVERS_MAX);
