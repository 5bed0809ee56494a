//! The log against a model: any sequence of transactions, restarts and crashes.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use proptest::prelude::*;
use support::{named_by, voter};
use tempfile::TempDir;
use wal::{Base, Wal};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Some operations in one transaction.
    Commit(Vec<Op>),
    /// A snapshot this far above the last row, of a later epoch or not; and whether the process
    /// restarts between announcement and installation.
    Install(u64, bool, bool),
    /// Close and open.
    Restart,
    /// Go on with a copy of the files, as a crash leaves them.
    Crash,
}

/// What becomes `PersistOp`s once the state is known.
#[derive(Clone, Debug)]
enum Op {
    /// A promise this far above the last.
    Promise(u64),
    /// Rows from this far above the commit index on, or after the last row; larger than what the
    /// tree keeps in a leaf, sometimes.
    Accept {
        back: u64,
        payloads: Vec<u16>,
        kind: u8,
        ballot: (u64, u64),
    },
    /// The commit index rises by up to this.
    Decide(u64),
    /// The epoch ends right above the commit index, with so many voters in the next one.
    Seal(u64),
    /// Rows up to this far below the commit index go.
    Compact(u64),
    /// A vote of another disk.
    Witness(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0_u64..3).prop_map(Op::Promise),
        8 => (0_u64..6, prop::collection::vec(0_u16..6000, 1..5), 0_u8..2, (0_u64..5, any::<u64>()))
            .prop_map(|(back, payloads, kind, ballot)| Op::Accept { back, payloads, kind, ballot }),
        4 => (1_u64..6).prop_map(Op::Decide),
        1 => (1_u64..8).prop_map(Op::Seal),
        1 => (0_u64..5).prop_map(Op::Compact),
        1 => (1_u64..5, 0_u64..9).prop_map(|(node, disk_seq)| Op::Witness(node, disk_seq)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(op(), 1..6).prop_map(Step::Commit),
        1 => (1_u64..5, any::<bool>(), any::<bool>())
            .prop_map(|(ahead, later, restart)| Step::Install(ahead, later, restart)),
        2 => Just(Step::Restart),
        2 => Just(Step::Crash),
    ]
}

/// What the log must hold.
struct Model {
    promised: Ballot,
    /// The state at the slot up to which the log is compacted.
    low: Base,
    /// The state at the commit index.
    high: Base,
    /// Above `low`.
    rows: BTreeMap<Slot, Entry>,
    witnessed: BTreeMap<NodeId, DiskSeq>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            promised: Ballot::ZERO,
            low: Base::EMPTY,
            high: Base::EMPTY,
            rows: BTreeMap::new(),
            witnessed: BTreeMap::new(),
        }
    }
}

/// The state after one more entry.
fn after(base: &Base, row: &Entry) -> Base {
    let configuration = match row.kind {
        EntryKind::Seal => Some(named_by(row)),
        _ => base.configuration.clone(),
    };
    Base {
        configuration,
        ..support::base(row)
    }
}

impl Model {
    fn epoch(&self) -> Epoch {
        let active = self.high.configuration.as_ref();
        active.map_or(Epoch::FIRST, |configuration| configuration.epoch)
    }

    fn ballot(&self, round: u64, node: u64) -> Ballot {
        Ballot {
            epoch: self.epoch(),
            round: Round(round),
            node: NodeId(node),
        }
    }

    fn chain(&self, slot: Slot) -> Chain {
        self.rows.get(&slot).map_or(self.low.chain, |row| row.chain)
    }

    fn last(&self) -> Slot {
        let last = self.rows.keys().last().copied();
        last.unwrap_or(self.low.slot)
    }

    /// Applies an operation as an acceptor would ask for it.
    fn execute(&mut self, op: &Op) -> Vec<PersistOp> {
        match op {
            Op::Promise(more) => {
                let epoch = self.epoch();
                if self.promised.epoch < epoch {
                    self.promised = self.ballot(0, 0);
                }
                self.promised.round.0 += more;
                vec![PersistOp::Promise(self.promised)]
            }
            Op::Accept {
                back,
                payloads,
                kind,
                ballot,
            } => {
                let above = self.last().distance_above(self.high.slot);
                let first = Slot(self.last().0 + 1 - back.min(&above));
                let ballot = self.ballot(ballot.0, ballot.1);
                let mut chain = self.chain(first.prev());
                let rows: Vec<Entry> = (first.0..)
                    .zip(payloads)
                    .map(|(slot, length)| {
                        let kind = EntryKind::from_u8(*kind).unwrap();
                        let payload =
                            Bytes::from(vec![length.to_le_bytes()[0]; usize::from(*length)]);
                        let at = Timestamp(u64::from(*length));
                        let row = Entry::new(chain, Slot(slot), ballot, kind, at, payload);
                        chain = row.chain;
                        row
                    })
                    .collect();
                vec![self.accept(rows)]
            }
            Op::Decide(more) => {
                for _ in 0..*more {
                    // A row left over from before the ones below it were replaced is of another
                    // history: no acceptor learns it.
                    let next = self.rows.get(&self.high.slot.next());
                    if let Some(row) = next.filter(|row| row.follows(self.high.chain)) {
                        self.high = after(&self.high, row);
                    }
                }
                vec![PersistOp::Decided {
                    slot: self.high.slot,
                    chain: self.high.chain,
                }]
            }
            Op::Seal(voters) => self.seal(*voters),
            Op::Compact(back) => {
                let upto = Slot(self.high.slot.0.saturating_sub(*back)).max(self.low.slot);
                while self.low.slot < upto {
                    let (_, row) = self.rows.pop_first().unwrap();
                    self.low = after(&self.low, &row);
                }
                vec![PersistOp::Compact { upto }]
            }
            Op::Witness(node, disk_seq) => {
                let (node, disk_seq) = (NodeId(*node), DiskSeq(*disk_seq));
                let seen = self.witnessed.entry(node).or_default();
                *seen = disk_seq.max(*seen);
                if *seen == DiskSeq(0) {
                    self.witnessed.remove(&node);
                    return Vec::new();
                }
                vec![PersistOp::Witness { node, disk_seq }]
            }
        }
    }

    fn accept(&mut self, rows: Vec<Entry>) -> PersistOp {
        for row in &rows {
            self.promised = self.promised.max(row.ballot);
            self.rows.insert(row.slot, row.clone());
        }
        PersistOp::Accept(rows)
    }

    fn seal(&mut self, voters: u64) -> Vec<PersistOp> {
        let voters: Vec<u64> = (1..=voters).collect();
        let epoch = self.epoch().next().0;
        let row = support::seal(&self.high, self.ballot(9, 9), epoch, &voters);
        let accept = self.accept(vec![row.clone()]);
        self.high = after(&self.high, &row);
        self.begin_epoch();
        vec![accept, support::activate(&row)]
    }

    fn begin_epoch(&mut self) {
        let end = self.high.slot;
        self.rows.retain(|slot, _| *slot <= end);
        let configuration = self.high.configuration.as_ref().unwrap();
        self.witnessed
            .retain(|node, _| configuration.voters.contains(node));
    }

    /// A snapshot by another replica.
    fn snapshot(&self, ahead: u64, later: bool) -> Base {
        let chain = Chain([u8::try_from(ahead).unwrap(); 32]);
        let slot = Slot(self.last().0 + ahead);
        let mut base = Base {
            slot,
            chain,
            timestamp: Timestamp(7),
            configuration: self.high.configuration.clone(),
        };
        if later {
            let end = support::seal(&base, self.ballot(9, 9), self.epoch().0 + 2, &[1, 3]);
            base = after(&base, &end);
        }
        base
    }

    fn install(&mut self, base: &Base) {
        let began = base.configuration != self.high.configuration;
        self.rows.clear();
        (self.low, self.high) = (base.clone(), base.clone());
        if began {
            self.begin_epoch();
        }
    }

    /// Compares everything that can be read back, from the oldest state and from the newest.
    fn check(&self, wal: &mut Wal) {
        for base in [&self.low, &self.high] {
            let restored = wal.restore(base).unwrap().restored;
            assert_eq!(restored.promised, self.promised);
            assert_eq!(restored.decided, self.high.slot);
            assert_eq!(restored.chain, self.high.chain);
            assert_eq!(restored.timestamp, self.high.timestamp);
            assert_eq!(restored.compacted_to, self.low.slot);
            assert_eq!(restored.witnessed, self.witnessed);
            assert!(restored.disk_seq <= wal.disk_seq());
            assert!(restored.damaged.is_empty());
            assert_eq!(wal.configuration(), self.high.configuration.as_ref());
            let mut rows: Vec<Entry> = wal
                .replay(base, restored.decided)
                .flat_map(Result::unwrap)
                .collect();
            rows.extend(restored.undecided);
            let expected = self.rows.values().filter(|row| row.slot > base.slot);
            assert!(rows.iter().eq(expected), "the rows");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Property: every transaction that returned is there as a whole, after any restarts and
    /// crashes; `disk_seq` counts the transactions.
    #[test]
    fn the_log_is_its_history(steps in prop::collection::vec(step(), 1..25)) {
        let mut dir: TempDir = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut wal = voter(dir.path());
        for step in steps {
            let disk_seq = wal.disk_seq();
            match step {
                Step::Commit(ops) => {
                    let ops: Vec<PersistOp> =
                        ops.iter().flat_map(|op| model.execute(op)).collect();
                    let committed = wal.commit(&ops).unwrap();
                    prop_assert_eq!(committed.disk_seq.0, disk_seq.0 + 1);
                    model.check(&mut wal);
                }
                Step::Install(ahead, later, restart) => {
                    let base = model.snapshot(ahead, later);
                    wal.announce_snapshot(&base).unwrap();
                    model.check(&mut wal);
                    if restart {
                        drop(wal);
                        wal = Wal::open(dir.path()).unwrap();
                    }
                    prop_assert!(wal.awaits_snapshot(&base));
                    wal.install_snapshot(&base).unwrap();
                    model.install(&base);
                    prop_assert_eq!(wal.disk_seq().0, disk_seq.0 + 2);
                    model.check(&mut wal);
                }
                Step::Restart => {
                    drop(wal);
                    wal = Wal::open(dir.path()).unwrap();
                    prop_assert_eq!(wal.disk_seq(), disk_seq);
                    model.check(&mut wal);
                }
                Step::Crash => {
                    let crashed = support::copy(dir.path());
                    drop(wal);
                    wal = Wal::open(crashed.path()).unwrap();
                    dir = crashed;
                    prop_assert_eq!(wal.disk_seq(), disk_seq);
                    model.check(&mut wal);
                }
            }
        }
    }
}
