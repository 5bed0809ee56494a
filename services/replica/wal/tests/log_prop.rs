//! The log against a model: any sequence of transactions, restarts and crashes.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use proptest::prelude::*;
use support::voter;
use tempfile::TempDir;
use wal::{Base, Wal};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Some operations in one transaction.
    Commit(Vec<Op>),
    /// Close and open.
    Restart,
    /// Go on with a copy of the files, as a crash leaves them.
    Crash,
}

/// What becomes a `PersistOp` once the state is known.
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
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0_u64..3).prop_map(Op::Promise),
        4 => (0_u64..6, prop::collection::vec(0_u16..6000, 1..5), 0_u8..6, (0_u64..5, any::<u64>()))
            .prop_map(|(back, payloads, kind, ballot)| Op::Accept { back, payloads, kind, ballot }),
        2 => (1_u64..6).prop_map(Op::Decide),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(op(), 1..6).prop_map(Step::Commit),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    promised: Ballot,
    decided: u64,
    rows: BTreeMap<Slot, Entry>,
}

impl Model {
    fn decided(&self) -> Slot {
        Slot(Slot::GENESIS.0 + self.decided)
    }

    fn chain(&self, slot: Slot) -> Chain {
        self.rows.get(&slot).map_or(Chain::GENESIS, |row| row.chain)
    }

    /// Applies an operation as an acceptor would ask for it.
    fn execute(&mut self, op: &Op) -> PersistOp {
        match op {
            Op::Promise(more) => {
                self.promised.round.0 += more;
                self.promised.epoch = Epoch::FIRST;
                PersistOp::Promise(self.promised)
            }
            Op::Accept {
                back,
                payloads,
                kind,
                ballot,
            } => {
                let last = self.rows.keys().last().copied().unwrap_or(Slot::GENESIS);
                let first = Slot((last.0 + 1 - back.min(&(last.0 - self.decided().0))).max(1024));
                let ballot = Ballot {
                    epoch: Epoch(1),
                    round: Round(ballot.0),
                    node: NodeId(ballot.1),
                };
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
                self.promised = self.promised.max(ballot);
                self.rows
                    .extend(rows.iter().map(|row| (row.slot, row.clone())));
                PersistOp::Accept(rows)
            }
            Op::Decide(more) => {
                for _ in 0..*more {
                    // A row left over from before the ones below it were replaced is of another
                    // history: no acceptor learns it.
                    let next = self.rows.get(&self.decided().next());
                    let chain = self.chain(self.decided());
                    self.decided += u64::from(next.is_some_and(|row| row.follows(chain)));
                }
                PersistOp::Decided {
                    slot: self.decided(),
                    chain: self.chain(self.decided()),
                }
            }
        }
    }

    /// Compares everything that can be read back.
    fn check(&self, wal: &mut Wal) {
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!(restored.promised, self.promised);
        assert_eq!(restored.decided, self.decided());
        assert_eq!(restored.chain, self.chain(self.decided()));
        let mut rows: Vec<Entry> = wal
            .replay(&Base::EMPTY, restored.decided)
            .flat_map(Result::unwrap)
            .collect();
        rows.extend(restored.undecided);
        assert!(rows.iter().eq(self.rows.values()), "the rows");
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
                    let ops: Vec<PersistOp> = ops.iter().map(|op| model.execute(op)).collect();
                    let committed = wal.commit(&ops).unwrap();
                    prop_assert_eq!(committed.disk_seq.0, disk_seq.0 + 1);
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
