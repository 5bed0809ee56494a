//! What a replica measures. All names are here; docs/operations.md says what they are good for.
//!
//! Figures that something counts anyway are read off it when they are asked for ([`Standing`]); the
//! others are counted where they happen, once per batch or transaction, never per message.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ops::metrics::{
    Counter, Family, Gauge, Histogram, Label, Registry, Unit, durations, gauge, numbers,
};
use paxos::status::{RoleName, Status};
use proto::v1::Outcome;
use proto::v1::outcome::Result as Did;

use crate::role::{Shared, Stage};
use crate::status::bytes_of;

/// The way of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// From the first of its commands until it has a slot.
    Gather,
    /// From there until a quorum has it on disk.
    Decide,
    /// One transaction of the state machine, which may have several batches.
    Apply,
}

impl Step {
    const fn label(self) -> Label {
        [(
            "step",
            match self {
                Self::Gather => "gather",
                Self::Decide => "decide",
                Self::Apply => "apply",
            },
        )]
    }
}

/// What a command did: the values of a label.
const OUTCOMES: [Label; 3] = [
    [("outcome", "applied")],
    [("outcome", "duplicate")],
    [("outcome", "refused")],
];

/// What is counted where it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    steps: Family<Label, Histogram, fn() -> Histogram>,
    batches: Histogram,
    syncs: Histogram,
    commands: Family<Label, Counter>,
    campaigns: Counter,
    elections: Counter,
    snapshot_bytes: Counter,
    snapshot_missing: Gauge,
}

/// Of this process.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    steps: Family::new_with_constructor(durations),
    batches: numbers(),
    syncs: durations(),
    commands: Family::default(),
    campaigns: Counter::default(),
    elections: Counter::default(),
    snapshot_bytes: Counter::default(),
    snapshot_missing: Gauge::default(),
});

impl Metrics {
    /// A batch has come a step further.
    pub(crate) fn step(&self, step: Step, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        self.steps.get_or_create(&step.label()).observe(seconds);
    }

    /// A batch got a slot.
    pub(crate) fn batch(&self, commands: usize) {
        // At most some hundred.
        self.batches
            .observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
    }

    /// The log is on disk.
    pub(crate) fn synced(&self, commit_us: u64) {
        self.syncs
            .observe(Duration::from_micros(commit_us).as_secs_f64());
    }

    /// Commands were applied.
    pub(crate) fn applied(&self, outcomes: &[Outcome]) {
        let (mut duplicates, mut refused) = (0, 0);
        for outcome in outcomes {
            if outcome.duplicate {
                duplicates += 1;
            } else if matches!(outcome.result, Some(Did::Refusal(_))) {
                refused += 1;
            }
        }
        let applied = outcomes.len() as u64 - duplicates - refused;
        for (label, count) in OUTCOMES.iter().zip([applied, duplicates, refused]) {
            if count > 0 {
                self.commands.get_or_create(label).inc_by(count);
            }
        }
    }

    /// This replica asks to lead.
    pub(crate) fn campaigned(&self) {
        self.campaigns.inc();
    }

    /// This replica leads.
    pub(crate) fn elected(&self) {
        self.elections.inc();
    }

    /// A snapshot of which so much is not here yet is fetched from now on.
    pub(crate) fn fetches(&self, bytes: u64) -> Fetching<'_> {
        self.snapshot_missing.set(gauge(bytes));
        Fetching(self)
    }
}

/// A snapshot on its way here; when dropped none is any more, whatever the reason.
#[derive(Debug)]
pub(crate) struct Fetching<'a>(&'a Metrics);

impl Fetching<'_> {
    /// A piece of it has arrived.
    pub(crate) fn fetched(&self, bytes: usize) {
        self.0.snapshot_bytes.inc_by(bytes as u64);
        self.0.snapshot_missing.dec_by(gauge(bytes as u64));
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.snapshot_missing.set(0);
    }
}

/// What is read off the replica.
#[derive(Clone, Debug, Default)]
struct Standing {
    node: Gauge,
    member: Gauge,
    quarantined: Gauge,
    voter: Gauge,
    leader: Gauge,
    quorum: Gauge,
    epoch: Gauge,
    ballot_round: Gauge,
    decided: Gauge,
    applied: Gauge,
    compacted: Gauge,
    undecided_slots: Gauge,
    undecided_bytes: Gauge,
    peers_heard: Gauge,
    no_space: Gauge,
    log_bytes: Gauge,
    state_bytes: Gauge,
    uptime_seconds: Gauge,
}

/// The registry, and what brings it up to date.
pub(crate) fn registry(shared: Arc<Shared>) -> (Registry, impl Fn() + Send + Sync + 'static) {
    let mut registry = Registry::with_prefix("chatterbox_replica");
    counted(&mut registry);
    let standing = Standing::default();
    standing.register(&mut registry);
    (registry, move || standing.look(&shared))
}

fn counted(registry: &mut Registry) {
    let metrics = &*METRICS;
    registry.register_with_unit(
        "step",
        "How long a batch takes: until it has a slot, until it is decided, to be applied",
        Unit::Seconds,
        metrics.steps.clone(),
    );
    registry.register(
        "batch_commands",
        "Commands that share a slot",
        metrics.batches.clone(),
    );
    registry.register_with_unit(
        "sync",
        "A transaction of the log, until it is on disk",
        Unit::Seconds,
        metrics.syncs.clone(),
    );
    registry.register(
        "commands",
        "Commands applied, by what they did",
        metrics.commands.clone(),
    );
    registry.register(
        "campaigns",
        "Times that this replica asked to lead",
        metrics.campaigns.clone(),
    );
    registry.register(
        "elections",
        "Times that this replica began to lead",
        metrics.elections.clone(),
    );
    registry.register_with_unit(
        "snapshot_missing",
        "What is not here yet of the snapshot that is being fetched; 0: none is",
        Unit::Bytes,
        metrics.snapshot_missing.clone(),
    );
    registry.register_with_unit(
        "snapshot_fetched",
        "Pieces of snapshots that arrived here",
        Unit::Bytes,
        metrics.snapshot_bytes.clone(),
    );
}

impl Standing {
    fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "node",
                "The id of this node; 0 before it has one",
                &self.node,
            ),
            (
                "member",
                "1: it takes part; 0: it starts, waits or stands in quarantine",
                &self.member,
            ),
            (
                "quarantined",
                "1: its files must not be used (chatterctl status says why)",
                &self.quarantined,
            ),
            ("voter", "1: it votes", &self.voter),
            ("leader", "1: it leads", &self.leader),
            ("quorum_connected", "1: it hears a majority", &self.quorum),
            ("epoch", "The active epoch", &self.epoch),
            (
                "ballot_round",
                "The round of the highest promised ballot",
                &self.ballot_round,
            ),
            ("decided_slot", "The commit index", &self.decided),
            (
                "applied_slot",
                "The last slot that is applied",
                &self.applied,
            ),
            (
                "compacted_slot",
                "The log begins after this slot",
                &self.compacted,
            ),
            (
                "undecided_slots",
                "Slots above the commit index",
                &self.undecided_slots,
            ),
            (
                "peers_heard",
                "Other voters that were heard in the last round",
                &self.peers_heard,
            ),
            (
                "no_space",
                "1: its disk is nearly full, nothing new is accepted",
                &self.no_space,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        self.register_sizes(registry);
    }

    fn register_sizes(&self, registry: &mut Registry) {
        for (name, help, unit, gauge) in [
            (
                "undecided",
                "Rows above the commit index",
                Unit::Bytes,
                &self.undecided_bytes,
            ),
            (
                "log",
                "The size of log.db with its write-ahead log",
                Unit::Bytes,
                &self.log_bytes,
            ),
            (
                "state",
                "The size of state.db with its write-ahead log",
                Unit::Bytes,
                &self.state_bytes,
            ),
            (
                "uptime",
                "Since the process began",
                Unit::Seconds,
                &self.uptime_seconds,
            ),
        ] {
            registry.register_with_unit(name, help, unit, gauge.clone());
        }
    }

    fn look(&self, shared: &Shared) {
        let stage = shared.stage();
        self.member
            .set(i64::from(matches!(stage, Stage::Member(_))));
        self.quarantined
            .set(i64::from(matches!(stage, Stage::Quarantined(_))));
        self.log_bytes.set(gauge(bytes_of(shared.data(), "log.db")));
        self.state_bytes
            .set(gauge(bytes_of(shared.data(), "state.db")));
        self.uptime_seconds.set(gauge(shared.uptime_ms() / 1000));
        if let Stage::Member(member) = stage {
            self.applied.set(gauge(member.signals.applied().0));
            self.note(&member.driver.status());
        } else {
            // What it was before it stopped taking part is not so any more.
            for gauge in [&self.leader, &self.voter, &self.quorum, &self.peers_heard] {
                gauge.set(0);
            }
        }
    }

    fn note(&self, status: &Status) {
        let leads = status.is_voter && status.role == RoleName::Leader;
        let heard = status.peers.values().filter(|peer| peer.heard).count();
        self.node.set(gauge(status.node.0));
        self.voter.set(i64::from(status.is_voter));
        self.leader.set(i64::from(leads));
        self.quorum.set(i64::from(status.quorum_connected));
        self.epoch.set(gauge(status.configuration.epoch.0));
        self.ballot_round.set(gauge(status.promised.round.0));
        self.decided.set(gauge(status.decided.0));
        self.compacted.set(gauge(status.compacted_to.0));
        self.undecided_slots.set(gauge(status.undecided_slots));
        self.undecided_bytes
            .set(gauge(status.undecided_bytes as u64));
        self.peers_heard.set(gauge(heard as u64));
        self.no_space.set(i64::from(status.no_space));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: commands are counted by what they did.
    #[test]
    fn commands_are_counted() {
        let all = || OUTCOMES.map(|label| METRICS.commands.get_or_create(&label).get());
        let before = all();
        let duplicate = Outcome {
            duplicate: true,
            ..Outcome::default()
        };
        let refused = Outcome {
            result: Some(Did::Refusal(proto::v1::Refusal::default())),
            ..Outcome::default()
        };
        METRICS.applied(&[Outcome::default(), duplicate, refused, Outcome::default()]);
        let after = all();
        let more: Vec<u64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(more, [2, 1, 1]);
    }
}
