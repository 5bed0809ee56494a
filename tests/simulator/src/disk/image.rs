//! What is durable in one replica's `log.db`, and what a start makes of it.
//!
//! The same rules as crate `wal` has for the real file, on a model of it: transactions are
//! whole or absent; a row whose checksum is wrong is known to be damaged; the number of rows
//! is stored, so that a row that is missing is noticed. Faults of bytes: a flipped row
//! (damaged), a row that is lost, or written in another's place (the file is refused).

use std::collections::{BTreeMap, BTreeSet};

use paxos::limits::PAGE_BYTES;
use paxos::{Ballot, Configuration, DiskSeq, Entry, NodeId, PersistOp, Restored, Slot};

use crate::state::State;

/// Transactions that a start may make before the node says `Hello`.
const BOOT_COUNTS: u64 = 2;

/// The durable log.
#[derive(Clone, Debug)]
pub struct Image {
    /// The node whose log this is; `None` before the disk is registered.
    pub node: Option<NodeId>,
    /// The highest ballot promised.
    pub promised: Ballot,
    /// The active epoch and its voters.
    pub configuration: Configuration,
    /// The commit index that was marked; the true one may be higher.
    pub decided: Slot,
    /// Accepted and decided rows.
    pub rows: BTreeMap<Slot, Entry>,
    /// Those of them whose checksums are wrong.
    pub damaged: BTreeSet<Slot>,
    /// The log no longer holds slots up to this one.
    pub compacted_to: Slot,
    /// Transactions so far.
    pub disk_seq: DiskSeq,
    /// The highest counts seen in votes of other disks.
    pub witnessed: BTreeMap<NodeId, DiskSeq>,
    /// The slot of a snapshot that is going to be in the place of the state.
    pub incoming: Option<Slot>,
    /// A row is lost or in another's place, or the file itself is damaged: it is refused.
    pub refused: bool,
}

impl Image {
    /// The log of a disk without a past, in a cluster of these first voters.
    #[must_use]
    pub const fn new(configuration: Configuration) -> Self {
        Self {
            node: None,
            promised: Ballot::ZERO,
            configuration,
            decided: Slot::GENESIS,
            rows: BTreeMap::new(),
            damaged: BTreeSet::new(),
            compacted_to: Slot::GENESIS,
            disk_seq: DiskSeq(0),
            witnessed: BTreeMap::new(),
            incoming: None,
            refused: false,
        }
    }

    /// Whether this log knows that the disk of a voter has been further than a start from this
    /// count would take it.
    #[must_use]
    pub fn has_seen(&self, voter: NodeId, count: DiskSeq) -> bool {
        let seen = self.witnessed.get(&voter);
        seen.is_some_and(|seen| seen.0 > count.0 + BOOT_COUNTS)
    }

    /// Makes one change. What it may be is checked by the invariants, before.
    pub fn write(&mut self, op: PersistOp) {
        match op {
            PersistOp::Promise(ballot) => self.promised = ballot,
            PersistOp::Accept(rows) => {
                for row in rows {
                    self.damaged.remove(&row.slot);
                    self.rows.insert(row.slot, row);
                }
            }
            // It may be lower than before after a start that found rows to be damaged. What
            // was decided stays so.
            PersistOp::Decided { slot, .. } => self.decided = self.decided.max(slot),
            PersistOp::Activate { configuration, .. } => self.activate(configuration),
            PersistOp::Compact { upto } => self.compact(upto),
            PersistOp::Witness { node, disk_seq } => {
                let seen = self.witnessed.entry(node).or_default();
                *seen = (*seen).max(disk_seq);
            }
        }
    }

    /// An epoch begins: one transaction (R4).
    fn activate(&mut self, configuration: Configuration) {
        let start = configuration.start;
        self.decided = self.decided.max(start);
        self.rows.split_off(&start.next());
        self.damaged.split_off(&start.next());
        self.configuration = configuration;
    }

    fn compact(&mut self, upto: Slot) {
        self.compacted_to = self.compacted_to.max(upto);
        self.rows = self.rows.split_off(&self.compacted_to.next());
        self.damaged = self.damaged.split_off(&self.compacted_to.next());
    }

    /// Notes which snapshot is going to be in the place of the state: without that, a state
    /// ahead of the log is that of a log which lost what it had.
    pub fn announce(&mut self, snapshot: Slot) {
        self.incoming = Some(snapshot);
        self.disk_seq.0 += 1;
    }

    /// A snapshot is in the place of the state: the log's part of it, one transaction.
    pub fn install(&mut self, snapshot: &State) {
        if snapshot.configuration.epoch > self.configuration.epoch {
            self.rows.clear();
            self.damaged.clear();
            self.configuration = snapshot.configuration.clone();
        }
        self.decided = self.decided.max(snapshot.slot);
        self.compact(snapshot.slot);
        self.incoming = None;
        self.disk_seq.0 += 1;
    }

    /// Makes the log agree with a state that is ahead of it: a process died between the swap
    /// of the state and the log's part, or before an activation was durable. A state that is
    /// ahead for no such reason shows that the log was turned back: it is refused.
    pub fn reconcile(&mut self, state: &State) {
        let known = self.rows.contains_key(&state.slot) || state.slot <= self.compacted_to;
        if self.incoming == Some(state.slot) {
            self.install(state);
        } else if !known && state.slot > Slot::GENESIS {
            self.refused = true;
        } else if state.configuration.epoch > self.configuration.epoch {
            self.activate(state.configuration.clone());
            self.disk_seq.0 += 1;
        }
    }

    /// Compacts away damaged rows whose effects the state holds. Answers how many there were.
    pub fn drop_damaged(&mut self, applied: Slot) -> usize {
        let below = self.damaged.range(..=applied);
        let (count, last) = (below.clone().count(), below.last().copied());
        if let Some(last) = last {
            self.compact(last);
            self.disk_seq.0 += 1;
        }
        count
    }

    /// The commit index after a start: what was marked or applied, but nothing from the first
    /// damaged row on.
    #[must_use]
    pub fn commit_index(&self, applied: Slot) -> Slot {
        let decided = self.decided.max(applied);
        let damaged = self.damaged.first().map_or(decided, |slot| slot.prev());
        decided.min(damaged).max(applied)
    }

    /// What the core is given. The state has been brought to the commit index.
    #[must_use]
    pub fn restored(&self, state: &State) -> Restored {
        let above = state.slot.next();
        let intact = |(slot, _): &(&Slot, &Entry)| !self.damaged.contains(slot);
        let undecided = self.rows.range(above..).filter(intact);
        Restored {
            promised: self.promised,
            decided: state.slot,
            chain: state.chain,
            timestamp: state.timestamp,
            undecided: undecided.map(|(_, row)| row.clone()).collect(),
            compacted_to: self.compacted_to,
            damaged: self.damaged.range(above..).copied().collect(),
            disk_seq: self.disk_seq,
            witnessed: self.witnessed.clone(),
        }
    }

    /// One page of rows, as the driver reads them for `ServeRows`: up to the first that is not
    /// here or damaged.
    #[must_use]
    pub fn page(&self, from: Slot, upto: Slot) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for slot in (from.0..=upto.0).map(Slot) {
            let Some(row) = self
                .rows
                .get(&slot)
                .filter(|_| !self.damaged.contains(&slot))
            else {
                break;
            };
            bytes += row.weight_bytes();
            if !entries.is_empty() && bytes > PAGE_BYTES {
                break;
            }
            entries.push(row.clone());
        }
        entries
    }

    /// Whether a row is here and can be read.
    #[must_use]
    pub fn holds(&self, slot: Slot) -> bool {
        self.rows.contains_key(&slot) && !self.damaged.contains(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::Image;
    use crate::state::State;
    use bytes::Bytes;
    use paxos::{
        Ballot, Chain, Configuration, Entry, EntryKind, Epoch, NodeId, PersistOp, Round, Slot,
        Timestamp,
    };

    fn rows(count: u64) -> Vec<Entry> {
        let ballot = Ballot {
            epoch: Epoch::FIRST,
            round: Round(1),
            node: NodeId(1),
        };
        let mut chain = Chain::GENESIS;
        let make = |number| {
            let slot = Slot(Slot::GENESIS.0 + number);
            let (kind, time) = (EntryKind::Batch, Timestamp(number));
            let entry = Entry::new(chain, slot, ballot, kind, time, Bytes::new());
            chain = entry.chain;
            entry
        };
        (1..=count).map(make).collect()
    }

    fn image(count: u64, decided: u64) -> (Image, State) {
        let first = Configuration::first([NodeId(1), NodeId(2), NodeId(3)].into());
        let mut image = Image::new(first.clone());
        image.write(PersistOp::Accept(rows(count)));
        image.decided = Slot(Slot::GENESIS.0 + decided);
        (image, State::new(first))
    }

    fn at(number: u64) -> Slot {
        Slot(Slot::GENESIS.0 + number)
    }

    /// Goal: what a damaged row held is neither forgotten nor trusted (PAR). Method: one below
    /// the mark, one above; the core is told of both and decides nothing from the first on.
    #[test]
    fn damaged_rows_end_the_commit_index_and_are_named() {
        let (mut image, mut state) = image(8, 5);
        image.damaged.extend([at(4), at(7)]);
        assert_eq!(image.commit_index(state.slot), at(3));
        for row in rows(3) {
            state.apply(&row);
        }
        let restored = image.restored(&state);
        assert_eq!(restored.decided, at(3));
        assert_eq!(restored.damaged, [at(4), at(7)].into());
        let kept: Vec<Slot> = restored.undecided.iter().map(|row| row.slot).collect();
        assert_eq!(kept, [at(5), at(6), at(8)]);
        image.write(PersistOp::Accept(rows(4)[3..].to_vec()));
        assert_eq!(
            image.damaged,
            [at(7)].into(),
            "a row that is written again is whole"
        );
    }

    #[test]
    fn damaged_rows_that_were_applied_are_compacted_away() {
        let (mut image, mut state) = image(8, 5);
        for row in rows(5) {
            state.apply(&row);
        }
        image.damaged.insert(at(2));
        assert_eq!(image.drop_damaged(state.slot), 1);
        assert_eq!(
            (image.compacted_to, image.commit_index(state.slot)),
            (at(2), at(5))
        );
        assert!(!image.holds(at(2)) && image.holds(at(3)));
    }

    /// Goal: a process that dies between the swap of the state and the log's part of a
    /// snapshot finds it complete. Method: a state ahead of a log that has none of its rows.
    #[test]
    fn a_state_ahead_of_the_log_completes_the_installation() {
        let (mut image, mut state) = image(3, 2);
        for row in rows(6) {
            state.apply(&row);
        }
        let promised = image.promised;
        image.announce(at(6));
        image.reconcile(&state);
        assert_eq!((image.compacted_to, image.decided), (at(6), at(6)));
        assert_eq!(
            image.promised, promised,
            "a snapshot never lowers a promise"
        );
        assert!(!image.refused);
    }

    #[test]
    fn a_state_ahead_of_the_log_without_an_announcement_is_refused() {
        let (mut image, mut state) = image(3, 2);
        for row in rows(6) {
            state.apply(&row);
        }
        image.reconcile(&state);
        assert!(image.refused, "the log was turned back");
    }

    #[test]
    fn an_activation_deletes_what_lies_above_the_seal() {
        let (mut image, _) = image(8, 3);
        let configuration = Configuration {
            epoch: Epoch(2),
            start: at(5),
            voters: [NodeId(1)].into(),
        };
        let chain = rows(5)[4].chain;
        image.write(PersistOp::Activate {
            configuration,
            chain,
        });
        assert_eq!(image.decided, at(5));
        assert!(image.holds(at(5)) && !image.holds(at(6)));
    }
}
