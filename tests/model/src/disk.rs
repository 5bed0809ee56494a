//! The modelled disk of one node: what `wal` and `state.db` keep, without bytes.
//!
//! In: the core's requests, one after the other. Out: what a process finds when it starts.
//! Invariants: I3; a decided row never changes; a row is never replaced by one of a lower
//! ballot; an epoch is activated on a whole prefix (R4). Tested by: tests/worlds.rs, and by the
//! patches in `removed/` that change it.

use std::collections::{BTreeMap, BTreeSet};

use paxos::{
    Ballot, Chain, Configuration, DiskSeq, Entry, EntryKind, NodeId, PersistOp, Restored, Seal,
    Slot, Timestamp,
};

use crate::fault::{Fault, Rule};

/// What the state machine holds: everything up to a slot has taken effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Applied {
    /// The last slot applied.
    pub slot: Slot,
    /// The chain at it.
    pub chain: Chain,
    /// The timestamp of the entry at it.
    pub timestamp: Timestamp,
    /// The configuration that follows from the prefix up to it.
    pub configuration: Configuration,
}

impl Applied {
    /// Nothing has been applied.
    #[must_use]
    pub const fn nothing(genesis: Configuration) -> Self {
        Self {
            slot: Slot::GENESIS,
            chain: Chain::GENESIS,
            timestamp: Timestamp(0),
            configuration: genesis,
        }
    }

    /// The next entry takes effect. What breaks I9 is added to `faults`.
    pub fn apply(&mut self, entry: &Entry, faults: &mut Vec<Fault>) {
        if entry.slot != self.slot.next() || !entry.follows(self.chain) {
            let text = format!("{} is applied after {}", entry.slot, self.slot);
            faults.push(Fault::new(Rule::Applied, text));
        }
        self.slot = entry.slot;
        self.chain = entry.chain;
        self.timestamp = entry.timestamp;
        if entry.kind == EntryKind::Seal
            && let Some(seal) = Seal::decode(&entry.payload)
        {
            self.configuration = seal.configuration(entry.slot);
        }
    }
}

/// What is durable on one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Disk {
    /// The highest ballot promised.
    pub promised: Ballot,
    /// The commit index, as last marked.
    pub decided: Slot,
    /// The rows of the log.
    pub rows: BTreeMap<Slot, Entry>,
    /// Slots whose rows are there and cannot be read.
    pub damaged: BTreeSet<Slot>,
    /// The log begins after this slot.
    pub compacted_to: Slot,
    /// The active epoch.
    pub configuration: Configuration,
    /// How many transactions there were.
    pub disk_seq: DiskSeq,
    /// What was seen of other disks.
    pub witnessed: BTreeMap<NodeId, DiskSeq>,
    /// The part of `state.db` that no power loss takes away.
    pub state: Applied,
}

impl Disk {
    /// A disk without a past.
    #[must_use]
    pub fn empty(genesis: Configuration) -> Self {
        Self {
            promised: Ballot::ZERO,
            decided: Slot::GENESIS,
            rows: BTreeMap::new(),
            damaged: BTreeSet::new(),
            compacted_to: Slot::GENESIS,
            configuration: genesis.clone(),
            disk_seq: DiskSeq(0),
            witnessed: BTreeMap::new(),
            state: Applied::nothing(genesis),
        }
    }

    /// One request of the core, in one transaction. What the core must never ask for is added to
    /// `faults`, and done.
    pub fn commit(&mut self, ops: &[PersistOp], faults: &mut Vec<Fault>) {
        for op in ops {
            match op {
                PersistOp::Promise(ballot) => self.promise(*ballot, faults),
                PersistOp::Accept(entries) => {
                    for entry in entries {
                        self.write(entry, faults);
                    }
                }
                PersistOp::Decided { slot, chain } => self.mark(*slot, *chain, faults),
                PersistOp::Activate {
                    configuration,
                    chain,
                } => self.activate(configuration, *chain, faults),
                PersistOp::Compact { upto } => self.compact(*upto, faults),
                PersistOp::Witness { node, disk_seq } => {
                    self.witnessed.insert(*node, *disk_seq);
                }
            }
        }
        self.disk_seq.0 = self.disk_seq.0.saturating_add(1);
    }

    fn promise(&mut self, ballot: Ballot, faults: &mut Vec<Fault>) {
        if ballot < self.promised {
            let text = format!("the promise falls from {} to {ballot}", self.promised);
            faults.push(Fault::new(Rule::Promise, text));
        }
        self.promised = ballot;
    }

    fn write(&mut self, entry: &Entry, faults: &mut Vec<Fault>) {
        self.promised = self.promised.max(entry.ballot);
        if entry.slot <= self.compacted_to {
            let text = format!("a row at {}, below the log", entry.slot);
            faults.push(Fault::new(Rule::Rows, text));
        }
        if let Some(old) = self.rows.get(&entry.slot) {
            if entry.slot <= self.decided && old.chain != entry.chain {
                let text = format!("decided {} is overwritten", entry.slot);
                faults.push(Fault::new(Rule::Rows, text));
            }
            if entry.ballot < old.ballot {
                let text = format!("the row at {} is lowered to {}", entry.slot, entry.ballot);
                faults.push(Fault::new(Rule::Rows, text));
            }
        }
        self.damaged.remove(&entry.slot);
        self.rows.insert(entry.slot, entry.clone());
    }

    fn mark(&mut self, slot: Slot, chain: Chain, faults: &mut Vec<Fault>) {
        if !self.holds(slot, chain) {
            let text = format!("{slot} is marked as decided and is not here");
            faults.push(Fault::new(Rule::Rows, text));
        }
        self.decided = self.decided.max(slot);
    }

    fn activate(&mut self, configuration: &Configuration, chain: Chain, faults: &mut Vec<Fault>) {
        let start = configuration.start;
        let mut slots = self.compacted_to.max(self.state.slot).0.saturating_add(1)..=start.0;
        let whole = slots.all(|slot| self.rows.contains_key(&Slot(slot)));
        if !whole || !self.holds(start, chain) {
            let text = format!("{} begins on a log with holes", configuration.epoch);
            faults.push(Fault::new(Rule::Epochs, text));
        }
        if configuration.epoch != self.configuration.epoch.next() {
            let text = format!(
                "{} is followed by {}",
                self.configuration.epoch, configuration.epoch
            );
            faults.push(Fault::new(Rule::Epochs, text));
        }
        self.configuration = configuration.clone();
        self.decided = self.decided.max(start);
        self.rows.retain(|slot, _| *slot <= start);
        self.damaged.retain(|slot| *slot <= start);
    }

    fn compact(&mut self, upto: Slot, faults: &mut Vec<Fault>) {
        if upto > self.state.slot {
            let text = format!("{upto} is forgotten before state.db holds it");
            faults.push(Fault::new(Rule::Rows, text));
        }
        let upto = upto.min(self.decided);
        self.compacted_to = self.compacted_to.max(upto);
        self.rows.retain(|slot, _| *slot > upto);
    }

    /// Another node's `state.db` takes the place of this one's, and the log follows it
    /// (`Wal::install_snapshot`).
    pub fn install(&mut self, base: &Applied) {
        self.state = base.clone();
        self.decided = self.decided.max(base.slot);
        self.compacted_to = self.compacted_to.max(base.slot);
        self.rows.retain(|slot, _| *slot > base.slot);
        if base.configuration.epoch > self.configuration.epoch {
            self.configuration = base.configuration.clone();
            self.rows.clear();
        }
        self.disk_seq.0 = self.disk_seq.0.saturating_add(1);
    }

    /// A row above what `state.db` holds becomes unreadable. Answers whether there is one.
    pub fn damage(&mut self, slot: Slot) -> bool {
        let above = slot > self.state.slot;
        above && self.rows.remove(&slot).is_some() && self.damaged.insert(slot)
    }

    /// Whether this disk holds the prefix with this chain at a slot, as a row or in `state.db`.
    #[must_use]
    pub fn holds(&self, slot: Slot, chain: Chain) -> bool {
        let row = self.rows.get(&slot).map(|row| row.chain);
        let state = (self.state.slot == slot).then_some(self.state.chain);
        row.or(state) == Some(chain)
    }

    /// What a process finds. The driver has applied everything up to the commit index (D4), which
    /// the log takes over from `state.db`. What is decided and lost is added to `faults`.
    pub fn restore(&mut self, faults: &mut Vec<Fault>) -> (Restored, Applied) {
        self.decided = self.decided.max(self.state.slot);
        let mut applied = self.state.clone();
        // A damaged row ends what is known to be decided.
        while applied.slot < self.decided && !self.damaged.contains(&applied.slot.next()) {
            let Some(row) = self.rows.get(&applied.slot.next()) else {
                let text = format!("{} is decided and lost", applied.slot.next());
                faults.push(Fault::new(Rule::Rows, text));
                break;
            };
            applied.apply(row, faults);
        }
        let undecided = self.rows.range(applied.slot.next()..);
        let restored = Restored {
            promised: self.promised,
            decided: applied.slot,
            chain: applied.chain,
            timestamp: applied.timestamp,
            undecided: undecided.map(|(_, row)| row.clone()).collect(),
            compacted_to: self.compacted_to,
            damaged: self.damaged.clone(),
            disk_seq: self.disk_seq,
            witnessed: self.witnessed.clone(),
        };
        (restored, applied)
    }
}
