//! What survives a crash of one node: its `log.db` and its `state.db`, as the contract of
//! `paxos::Output` demands them.
//!
//! In: the writes of a core. Out: what the next core is started with. Invariants: a write is
//! one transaction; a promise never falls; a decided row is never overwritten. Tests: below,
//! and every script

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use paxos::{
    Ballot, Chain, Configuration, DiskSeq, Entry, EntryKind, NodeId, PersistOp, Restored, Seal,
    Slot, Timestamp,
};

/// The state machine, as far as the protocol is concerned.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) applied: Slot,
    chain: Chain,
    timestamp: Timestamp,
    configuration: Configuration,
}

impl State {
    pub(crate) fn apply(&mut self, entry: &Entry) {
        assert!(entry.slot == self.applied.next(), "applied in order");
        (self.applied, self.chain) = (entry.slot, entry.chain);
        self.timestamp = entry.timestamp;
        if entry.kind == EntryKind::Seal
            && let Some(seal) = Seal::decode(&entry.payload)
        {
            self.configuration = seal.configuration(entry.slot);
        }
    }
}

/// The durable state of one node.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) promised: Ballot,
    pub(crate) configuration: Configuration,
    /// The commit index as it was last marked.
    pub(crate) decided: Slot,
    pub(crate) rows: BTreeMap<Slot, Entry>,
    /// Slots whose rows cannot be read.
    pub(crate) damaged: BTreeSet<Slot>,
    pub(crate) compacted_to: Slot,
    pub(crate) disk_seq: DiskSeq,
    pub(crate) witnessed: BTreeMap<NodeId, DiskSeq>,
    pub(crate) state: State,
}

impl Disk {
    /// A new disk that holds the genesis.
    pub(crate) fn new(genesis: &BTreeSet<NodeId>) -> Self {
        let configuration = Configuration::first(genesis.clone());
        Self {
            promised: Ballot::ZERO,
            configuration: configuration.clone(),
            decided: Slot::GENESIS,
            rows: BTreeMap::new(),
            damaged: BTreeSet::new(),
            compacted_to: Slot::GENESIS,
            disk_seq: DiskSeq(0),
            witnessed: BTreeMap::new(),
            state: State {
                applied: Slot::GENESIS,
                chain: Chain::GENESIS,
                timestamp: Timestamp(0),
                configuration,
            },
        }
    }

    /// One transaction.
    pub(crate) fn commit<'a>(&mut self, ops: impl Iterator<Item = &'a PersistOp>) {
        self.disk_seq = DiskSeq(self.disk_seq.0.saturating_add(1));
        ops.for_each(|op| self.write(op));
    }

    fn write(&mut self, op: &PersistOp) {
        match op {
            PersistOp::Promise(ballot) => {
                assert!(
                    *ballot >= self.promised,
                    "the durable promise never falls (I3)"
                );
                self.promised = *ballot;
            }
            PersistOp::Accept(rows) => {
                for row in rows {
                    assert!(
                        row.ballot <= self.promised,
                        "no row is above the promise (D2)"
                    );
                    assert!(
                        row.slot > self.state.applied,
                        "no decided row is overwritten"
                    );
                    self.damaged.remove(&row.slot);
                    self.rows.insert(row.slot, row.clone());
                }
            }
            PersistOp::Decided { slot, .. } => self.decided = self.decided.max(*slot),
            PersistOp::Activate { configuration, .. } => {
                let start = configuration.start;
                self.decided = self.decided.max(start);
                drop(self.rows.split_off(&start.next()));
                drop(self.damaged.split_off(&start.next()));
                self.configuration = configuration.clone();
            }
            PersistOp::Compact { upto } => self.compact(*upto),
            PersistOp::Witness { node, disk_seq } => {
                self.witnessed.insert(*node, *disk_seq);
            }
        }
    }

    fn compact(&mut self, upto: Slot) {
        assert!(
            upto <= self.state.applied,
            "only what is applied is deleted"
        );
        self.compacted_to = self.compacted_to.max(upto);
        self.rows = self.rows.split_off(&upto.next());
        self.damaged = self.damaged.split_off(&upto.next());
    }

    /// What a core is started with. As the driver does it: bad rows that are applied are
    /// compacted away, what is marked as decided is applied as far as it can be read.
    pub(crate) fn boot(&mut self) -> Restored {
        let bad = self.damaged.range(..=self.state.applied).next_back();
        if let Some(bad) = bad.copied() {
            self.compact(bad);
        }
        while self.state.applied < self.decided {
            let next = self.state.applied.next();
            let Some(row) = self
                .rows
                .get(&next)
                .filter(|_| !self.damaged.contains(&next))
            else {
                break;
            };
            self.state.apply(row);
        }
        let decided = self.state.applied;
        let readable = |row: &&Entry| !self.damaged.contains(&row.slot);
        let undecided = self.rows.range(decided.next()..).map(|(_, row)| row);
        Restored {
            promised: self.promised,
            decided,
            chain: self.state.chain,
            timestamp: self.state.timestamp,
            undecided: undecided.filter(readable).cloned().collect(),
            compacted_to: self.compacted_to,
            damaged: self.damaged.clone(),
            disk_seq: self.disk_seq,
            witnessed: self.witnessed.clone(),
        }
    }

    /// Takes over the state of another node. The promise stays: it was made here.
    pub(crate) fn install(&mut self, state: &State) -> Result<()> {
        let at = state.applied;
        ensure!(at > self.state.applied, "the snapshot holds nothing new");
        let keeps_epoch = state.configuration.epoch == self.configuration.epoch;
        if state.configuration.epoch > self.configuration.epoch {
            self.configuration = state.configuration.clone();
        }
        self.state = state.clone();
        self.decided = self.decided.max(at);
        self.compact(at);
        if !keeps_epoch {
            self.rows.clear();
            self.damaged.clear();
        }
        self.disk_seq = DiskSeq(self.disk_seq.0.saturating_add(1));
        Ok(())
    }

    /// The rows of some slots, as the driver reads them for another node.
    pub(crate) fn read(&self, from: Slot, upto: Slot) -> Vec<Entry> {
        self.rows
            .range(from..=upto)
            .map(|(_, row)| row.clone())
            .collect()
    }

    /// Makes a row unreadable.
    pub(crate) fn damage(&mut self, slot: Slot) -> Result<()> {
        ensure!(self.rows.contains_key(&slot), "there is no row at {slot}");
        self.damaged.insert(slot);
        Ok(())
    }

    /// Another value in a row, with everything above it made to follow.
    pub(crate) fn rewrite(&mut self, slot: Slot, value: &str) -> Result<()> {
        let row = self
            .rows
            .get_mut(&slot)
            .with_context(|| format!("no row at {slot}"))?;
        row.payload = Bytes::copy_from_slice(value.as_bytes());
        let below = self.rows.range(..slot).next_back();
        let mut chain = below.map_or(Chain::GENESIS, |(_, row)| row.chain);
        for (at, row) in self.rows.range_mut(slot..) {
            *row = row.reproposed(chain, row.ballot);
            chain = row.chain;
            if *at == self.state.applied {
                self.state.chain = chain;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Disk;
    use bytes::Bytes;
    use paxos::{
        Ballot, Chain, Entry, EntryKind, Epoch, NodeId, PersistOp, Round, Slot, Timestamp,
    };

    fn disk_with(count: u64, decided: u64) -> Disk {
        let mut disk = Disk::new(&[NodeId(1)].into());
        let (epoch, round, node) = (Epoch::FIRST, Round(1), NodeId(1));
        let ballot = Ballot { epoch, round, node };
        let mut chain = Chain::GENESIS;
        let rows = (0..count).map(|number| {
            let (slot, time) = (Slot(Slot::FIRST.0 + number), Timestamp(number + 1));
            let row = Entry::new(chain, slot, ballot, EntryKind::Batch, time, Bytes::new());
            chain = row.chain;
            row
        });
        let rows = PersistOp::Accept(rows.collect());
        let slot = Slot(Slot::GENESIS.0 + decided);
        let mark = PersistOp::Decided { slot, chain };
        disk.commit([PersistOp::Promise(ballot), rows, mark].iter());
        disk
    }

    #[test]
    fn a_start_applies_what_is_decided_and_keeps_the_rest() {
        let restored = disk_with(5, 3).boot();
        assert_eq!(restored.decided, Slot(1026));
        let kept: Vec<Slot> = restored.undecided.iter().map(|row| row.slot).collect();
        assert_eq!(kept, [Slot(1027), Slot(1028)]);
    }

    #[test]
    fn a_damaged_row_ends_what_is_decided_or_is_compacted_away() {
        let mut disk = disk_with(5, 3);
        disk.damage(Slot(1025)).expect("there is a row");
        let restored = disk.boot();
        assert_eq!(restored.decided, Slot(1024));
        assert!(restored.damaged.contains(&Slot(1025)));
        let mut disk = disk_with(5, 3);
        disk.boot();
        disk.damage(Slot(1025)).expect("there is a row");
        let restored = disk.boot();
        assert_eq!(
            (restored.decided, restored.compacted_to),
            (Slot(1026), Slot(1025))
        );
        assert!(restored.damaged.is_empty());
    }
}
