//! What a run leaves behind, beside the histories: all that the report is drawn from. It is
//! kept as `run.json`.
//!
//! Times are milliseconds since the workload began.

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The command that repeats it.
    pub command: String,
    /// `local`, `compose` or `k8s`.
    pub mode: String,
    /// What the faults were drawn from.
    pub seed: u64,
    /// When it began, in RFC 3339, UTC.
    pub began: String,
    /// The version of the product: `git describe`, or the crate's version.
    pub version: String,
    /// How long load was on, in milliseconds.
    pub length_ms: u64,
    /// First voters.
    pub replicas: u32,
    /// Gateways.
    pub gateways: u32,
    /// Clients with a connection each.
    pub clients: u32,
    /// Rooms that they write to.
    pub rooms: u32,
    /// One for each second.
    pub samples: Vec<Sample>,
    /// Every step of the nemesis, in order.
    pub faults: Vec<Fault>,
    /// Elections, suspicions, replacements.
    pub marks: Vec<Mark>,
    /// For each death of a leader: how long no client had a message acknowledged.
    pub failovers: Vec<Failover>,
    /// What the checker said.
    pub verdict: Verdict,
}

/// What clients saw in one second.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When the second begins.
    pub at_ms: u64,
    /// Messages sent for the first time.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// From the first sending to the ack, median of those acknowledged in this second, in
    /// microseconds. 0 when there were none; so are the next two.
    pub p50_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// What became of a step of the nemesis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is certain that the fault was there.
    Installed,
    /// It was not tried: it would have broken more than a minority, or it does not exist in
    /// this mode.
    Skipped,
    /// It was tried, and whether it was there is not known.
    Indeterminate,
}

/// One step of the nemesis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Its kind, as in `FAULTS=`: `kill`, `pause`, `partition-halves` …
    pub kind: String,
    /// Whom it met: `r2`, `gateway-1`, `membership`, `r1 r3`.
    pub target: String,
    /// When it began.
    pub from_ms: u64,
    /// When it was over; the same for one without a length.
    pub to_ms: u64,
    /// Whether it was there.
    pub outcome: Outcome,
    /// What happened, in words; why it was skipped.
    pub words: String,
}

/// Something that the cluster did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// When it was seen.
    pub at_ms: u64,
    /// `election`, `suspicion`, `replacement`.
    pub kind: String,
    /// In words: `r3 leads with ballot 4.1@r3`.
    pub words: String,
}

/// The death of a leader, as clients saw it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Failover {
    /// When it was killed.
    pub at_ms: u64,
    /// From the last ack before to the first ack after, of all clients together.
    pub gap_ms: u64,
}

/// What the checker says of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Messages without an answer at the end: they may be there or not.
    pub unknown: u64,
    /// Events that clients were shown.
    pub shown: u64,
    /// Rows of the nodes' logs that were compared.
    pub rows: u64,
    /// The longest time in which a connected client had no answer, in milliseconds.
    pub longest_gap_ms: u64,
    /// When it began, in milliseconds of the run.
    pub longest_gap_at_ms: u64,
    /// What was wrong; empty when all claims held.
    pub violations: Vec<Violation>,
}

/// One claim that did not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// `lost`, `duplicated`, `reordered`, `phantom`, `gap`, `moved` …
    pub kind: String,
    /// What is wrong and where it is seen.
    pub words: String,
}
