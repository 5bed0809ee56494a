//! The simulated disk of one node. Faults: at a crash every request that was not answered is
//! lost or not, in order; slow commits.

use std::collections::{BTreeMap, VecDeque};

use paxos::{Ballot, Chain, DiskSeq, Entry, NodeId, PersistOp, PersistSeq, Slot, Timestamp};

use crate::network::Micros;
use crate::random::Random;

/// What survives a power loss.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) promised: Ballot,
    pub(crate) decided: Slot,
    pub(crate) rows: BTreeMap<Slot, Entry>,
    /// The slot that the state machine holds durably: an older consistent state.
    pub(crate) applied: Slot,
    pub(crate) disk_seq: DiskSeq,
    pub(crate) witnessed: BTreeMap<NodeId, DiskSeq>,
}

impl Image {
    /// The chain and the timestamp at a decided slot.
    pub(crate) fn prefix(&self, slot: Slot) -> (Chain, Timestamp) {
        if slot == Slot::GENESIS {
            return (Chain::GENESIS, Timestamp(0));
        }
        let row = self.rows.get(&slot).expect("a decided row is in the log");
        (row.chain, row.timestamp)
    }

    /// One page of rows, as the driver reads them for `ServeRows`.
    pub(crate) fn page(&self, from: Slot, upto: Slot) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for slot in from.0..=upto.0 {
            let row = self
                .rows
                .get(&Slot(slot))
                .expect("a decided row is in the log");
            bytes += row.weight_bytes();
            if !entries.is_empty() && bytes > paxos::limits::PAGE_BYTES {
                break;
            }
            entries.push(row.clone());
        }
        entries
    }

    fn write(&mut self, op: &PersistOp) {
        match op {
            PersistOp::Promise(ballot) => {
                assert!(
                    *ballot >= self.promised,
                    "I3: the durable promise never falls"
                );
                self.promised = *ballot;
            }
            PersistOp::Accept(rows) => {
                for row in rows {
                    assert!(
                        row.ballot <= self.promised,
                        "D2: no row above the durable promise"
                    );
                    if let Some(old) = self.rows.insert(row.slot, row.clone()) {
                        assert!(row.ballot >= old.ballot, "a row's ballot never falls");
                        assert!(
                            row.slot > self.decided,
                            "a decided row is never overwritten"
                        );
                    }
                }
            }
            PersistOp::Witness { node, disk_seq } => {
                self.witnessed.insert(*node, *disk_seq);
            }
            PersistOp::Activate { .. } | PersistOp::Compact { .. } => panic!("not here: {op:?}"),
            PersistOp::Decided { slot, chain } => {
                assert!(*slot >= self.decided, "the mark never falls");
                assert_eq!(
                    self.prefix(*slot).0,
                    *chain,
                    "the mark names the row's chain"
                );
                self.decided = *slot;
            }
        }
    }
}

/// A disk that commits in groups: what arrives during a commit joins the next one.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) image: Image,
    queue: VecDeque<(PersistSeq, Vec<PersistOp>)>,
    /// How many requests of the queue are in the running commit.
    committing: usize,
    pub(crate) latency_us: (Micros, Micros),
}

impl Disk {
    pub(crate) fn new(latency_us: (Micros, Micros)) -> Self {
        let image = Image {
            promised: Ballot::ZERO,
            decided: Slot::GENESIS,
            rows: BTreeMap::new(),
            applied: Slot::GENESIS,
            disk_seq: DiskSeq(0),
            witnessed: BTreeMap::new(),
        };
        Self {
            image,
            queue: VecDeque::new(),
            committing: 0,
            latency_us,
        }
    }

    /// Takes a request. Answers how long the commit takes that starts with it, if none runs.
    pub(crate) fn submit(
        &mut self,
        random: &mut Random,
        seq: PersistSeq,
        ops: Vec<PersistOp>,
    ) -> Option<Micros> {
        if let Some((last, _)) = self.queue.back() {
            assert!(*last < seq, "requests are numbered in order");
        }
        self.queue.push_back((seq, ops));
        self.start(random)
    }

    fn start(&mut self, random: &mut Random) -> Option<Micros> {
        if self.committing > 0 || self.queue.is_empty() {
            return None;
        }
        self.committing = self.queue.len();
        Some(random.between(self.latency_us.0, self.latency_us.1))
    }

    /// The running commit is done. Answers what was written, and how long the next one takes.
    pub(crate) fn complete(
        &mut self,
        random: &mut Random,
    ) -> (PersistSeq, Vec<Entry>, Option<Micros>) {
        assert!(self.committing > 0, "a commit runs");
        let mut last = PersistSeq(0);
        let mut rows = Vec::new();
        for _ in 0..std::mem::take(&mut self.committing) {
            let (seq, ops) = self.queue.pop_front().expect("the group is in the queue");
            rows.extend(self.write(&ops));
            last = seq;
        }
        (last, rows, self.start(random))
    }

    fn write(&mut self, ops: &[PersistOp]) -> Vec<Entry> {
        let mut rows = Vec::new();
        self.image.disk_seq.0 += 1;
        for op in ops {
            self.image.write(op);
            if let PersistOp::Accept(entries) = op {
                rows.extend(entries.iter().cloned());
            }
        }
        rows
    }

    /// The process ends: of the running commit any prefix may have reached the disk.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Vec<Entry> {
        let survivors = random.index(self.committing + 1);
        let mut rows = Vec::new();
        for _ in 0..survivors {
            let (_, ops) = self.queue.pop_front().expect("the group is in the queue");
            rows.extend(self.write(&ops));
        }
        self.queue.clear();
        self.committing = 0;
        rows
    }
}
