//! The rows in memory: accepted, decided but not applied, and a recent cache; and the marks
//! that move over them.
//!
//! Reads: nothing. Emits: nothing; `accept`, `lead` and `learn` move the marks.
//! Invariants: applied ≤ handed ≤ durable ≤ decided; a slot ≤ decided is never overwritten.
//! Tests: below and tests/simulator

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::entry::{Chain, Entry};
use crate::ids::{PersistSeq, Slot, Timestamp};
use crate::limits::{
    APPLY_LAG_BYTES_MAX, APPLY_LAG_SLOTS_MAX, CACHE_BYTES_MAX, CHAINS_MAX, PAGE_BYTES,
};
use crate::restored::Restored;

/// One row and the persist request that makes it durable.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Row {
    entry: Entry,
    /// The request of the last write to this slot. Compared with what is done, so that the
    /// completion of an earlier write to the same slot is not taken for this one's.
    seq: PersistSeq,
}

/// The rows of one replica.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Log {
    /// Undecided rows, rows not yet applied, and the cache. Rows above `decided` need not be
    /// contiguous: a ballot may begin above what this replica knows to be decided.
    rows: BTreeMap<Slot, Row>,
    /// The commit index.
    decided: Slot,
    /// The timestamp of the entry at `decided`.
    timestamp: Timestamp,
    /// The chains of the last slots up to `decided`, which is the last one.
    chains: VecDeque<Chain>,
    /// Everything up to here is decided and durable in this replica's log.
    durable: Slot,
    /// Everything up to here was handed out to be applied.
    handed: Slot,
    /// Everything up to here is applied.
    applied: Slot,
    /// The log on disk begins after this slot.
    compacted_to: Slot,
    /// Weight of the rows above `decided`.
    undecided_bytes: usize,
    /// Weight of the rows in `(applied, decided]`.
    unapplied_bytes: usize,
    /// Weight of the rows up to `applied`.
    cached_bytes: usize,
}

impl Log {
    /// The log after a start. The driver has applied everything up to `decided`.
    pub(crate) fn new(restored: Restored) -> Self {
        assert!(
            restored.decided >= Slot::GENESIS,
            "the log starts at genesis"
        );
        let mut log = Self {
            rows: BTreeMap::new(),
            decided: restored.decided,
            timestamp: restored.timestamp,
            chains: VecDeque::from([restored.chain]),
            durable: restored.decided,
            handed: restored.decided,
            applied: restored.decided,
            compacted_to: restored.compacted_to,
            undecided_bytes: 0,
            unapplied_bytes: 0,
            cached_bytes: 0,
        };
        for entry in restored.undecided {
            assert!(entry.slot > log.decided, "restored rows are undecided");
            assert!(
                entry.ballot <= restored.promised,
                "a row is never above the promise"
            );
            log.put(entry, PersistSeq(0));
        }
        log
    }

    pub(crate) const fn decided(&self) -> Slot {
        self.decided
    }

    pub(crate) const fn durable(&self) -> Slot {
        self.durable
    }

    pub(crate) const fn handed(&self) -> Slot {
        self.handed
    }

    pub(crate) const fn applied(&self) -> Slot {
        self.applied
    }

    pub(crate) const fn compacted_to(&self) -> Slot {
        self.compacted_to
    }

    pub(crate) const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    pub(crate) const fn undecided_bytes(&self) -> usize {
        self.undecided_bytes
    }

    /// The chain at the commit index.
    pub(crate) fn chain(&self) -> Chain {
        assert!(
            !self.chains.is_empty(),
            "the chain at the commit index is always known"
        );
        self.chains.back().copied().unwrap_or(Chain::GENESIS)
    }

    /// The chain at a decided slot, if it is recent enough to be remembered.
    pub(crate) fn chain_at(&self, slot: Slot) -> Option<Chain> {
        if slot > self.decided {
            return None;
        }
        let back = usize::try_from(self.decided.distance_above(slot)).ok()?;
        let index = self.chains.len().checked_sub(back.checked_add(1)?)?;
        self.chains.get(index).copied()
    }

    /// The row of a slot, if it is in memory.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.rows.get(&slot).map(|row| &row.entry)
    }

    /// The undecided rows from a slot on.
    pub(crate) fn undecided(&self, from: Slot) -> impl Iterator<Item = &Entry> {
        let first = from.max(self.decided.next());
        self.rows.range(first..).map(|(_, row)| &row.entry)
    }

    /// Whether a row of this slot is in memory.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.rows.contains_key(&slot)
    }

    /// One page of contiguous rows from `from` to at most `upto`; empty if `from` is not in
    /// memory.
    pub(crate) fn page(&self, from: Slot, upto: Slot) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0_usize;
        let mut expected = from;
        if upto < from {
            return entries;
        }
        for (slot, row) in self.rows.range(from..=upto) {
            let weight = row.entry.weight_bytes();
            let full = !entries.is_empty() && bytes.saturating_add(weight) > PAGE_BYTES;
            if *slot != expected || full {
                break;
            }
            bytes = bytes.saturating_add(weight);
            entries.push(row.entry.clone());
            expected = expected.next();
        }
        entries
    }

    /// Writes an undecided row, replacing what its slot held. `seq` makes it durable.
    pub(crate) fn put(&mut self, entry: Entry, seq: PersistSeq) {
        assert!(
            entry.slot > self.decided,
            "a decided slot is never overwritten"
        );
        self.undecided_bytes = self.undecided_bytes.saturating_add(entry.weight_bytes());
        let slot = entry.slot;
        if let Some(old) = self.rows.insert(slot, Row { entry, seq }) {
            assert!(
                old.seq <= seq,
                "writes to a slot are in the order of their requests"
            );
            self.undecided_bytes = self
                .undecided_bytes
                .saturating_sub(old.entry.weight_bytes());
        }
    }

    /// Raises the commit index by one. Its row is in memory and follows the chain.
    pub(crate) fn decide_next(&mut self) {
        let slot = self.decided.next();
        let Some(row) = self.rows.get(&slot) else {
            assert!(self.holds(slot), "a slot is decided when its row is here");
            return;
        };
        assert!(row.entry.slot == slot, "a row is filed under its slot");
        assert!(
            row.entry.timestamp > self.timestamp,
            "time rises along the log"
        );
        let weight = row.entry.weight_bytes();
        self.timestamp = row.entry.timestamp;
        self.chains.push_back(row.entry.chain);
        if self.chains.len() > CHAINS_MAX {
            self.chains.pop_front();
        }
        self.decided = slot;
        self.undecided_bytes = self.undecided_bytes.saturating_sub(weight);
        self.unapplied_bytes = self.unapplied_bytes.saturating_add(weight);
    }

    /// Forgets all rows above the commit index: the epoch that they belong to is over.
    pub(crate) fn truncate_undecided(&mut self) {
        let first = self.decided.next();
        drop(self.rows.split_off(&first));
        self.undecided_bytes = 0;
    }

    /// The log on disk begins after `upto`, which is applied; so does the cache.
    pub(crate) fn compact(&mut self, upto: Slot) {
        assert!(upto <= self.applied, "only what is applied is forgotten");
        self.compacted_to = self.compacted_to.max(upto);
        while let Some((slot, row)) = self.rows.first_key_value() {
            if *slot > upto {
                break;
            }
            self.cached_bytes = self.cached_bytes.saturating_sub(row.entry.weight_bytes());
            self.rows.pop_first();
        }
    }

    /// Hands out what is decided and durable, once all requests up to `done` are, up to `last`.
    pub(crate) fn hand_out(&mut self, done: PersistSeq, last: Slot) -> Vec<Entry> {
        assert!(
            self.handed <= self.durable,
            "only durable rows are handed out"
        );
        while self.durable < self.decided {
            let slot = self.durable.next();
            match self.rows.get(&slot) {
                Some(row) if row.seq <= done => self.durable = slot,
                Some(_) => break,
                None => {
                    assert!(
                        self.holds(slot),
                        "a row stays in memory until it is applied"
                    );
                    break;
                }
            }
        }
        let mut entries = Vec::new();
        let last = self.durable.min(last);
        if self.handed < last {
            let first = self.handed.next();
            entries.extend(
                self.rows
                    .range(first..=last)
                    .map(|(_, row)| row.entry.clone()),
            );
            let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            assert!(
                count == last.distance_above(self.handed),
                "applied without a gap"
            );
            self.handed = last;
        }
        entries
    }

    /// Notes what the state machine has applied, and forgets the oldest rows past the cache.
    pub(crate) fn note_applied(&mut self, slot: Slot) {
        assert!(slot <= self.handed, "only what was handed out is applied");
        while self.applied < slot {
            self.applied = self.applied.next();
            let weight = self.get(self.applied).map_or(0, Entry::weight_bytes);
            self.unapplied_bytes = self.unapplied_bytes.saturating_sub(weight);
            self.cached_bytes = self.cached_bytes.saturating_add(weight);
        }
        while self.cached_bytes > CACHE_BYTES_MAX {
            let Some((oldest, row)) = self.rows.pop_first() else {
                break;
            };
            assert!(oldest <= self.applied, "only applied rows are forgotten");
            self.cached_bytes = self.cached_bytes.saturating_sub(row.entry.weight_bytes());
        }
    }

    /// For `model`: requests are counted from `done`, the last one that is done.
    #[cfg(feature = "model")]
    pub(crate) fn renumber(&mut self, done: PersistSeq) {
        for row in self.rows.values_mut() {
            row.seq = PersistSeq(row.seq.0.saturating_sub(done.0));
        }
    }

    /// Whether the state machine keeps up, so that more may be decided.
    pub(crate) fn has_room(&self) -> bool {
        assert!(self.applied <= self.decided, "nothing undecided is applied");
        self.decided.distance_above(self.applied) <= APPLY_LAG_SLOTS_MAX
            && self.unapplied_bytes <= APPLY_LAG_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::Log;
    use crate::entry::{Chain, Entry, EntryKind};
    use crate::ids::{Ballot, Epoch, NodeId, PersistSeq, Round, Slot, Timestamp};
    use crate::limits::{
        APPLY_LAG_BYTES_MAX, APPLY_LAG_SLOTS_MAX, CACHE_BYTES_MAX, CHAINS_MAX,
        ENTRY_OVERHEAD_BYTES, PAGE_BYTES,
    };
    use crate::restored::Restored;

    const BALLOT: Ballot = Ballot {
        epoch: Epoch(1),
        round: Round(1),
        node: NodeId(1),
    };

    fn empty() -> Log {
        Log::new(Restored {
            promised: BALLOT,
            ..Restored::empty()
        })
    }

    fn append(log: &mut Log, previous: Chain, slot: Slot, bytes: usize, seq: u64) -> Chain {
        let payload = Bytes::from(alloc::vec![7; bytes]);
        let stamp = Timestamp(slot.0);
        let entry = Entry::new(previous, slot, BALLOT, EntryKind::Batch, stamp, payload);
        let chain = entry.chain;
        log.put(entry, PersistSeq(seq));
        chain
    }

    /// Property: what is undecided is counted in bytes, and no longer once it is decided.
    #[test]
    fn undecided_bytes_are_those_of_the_rows() {
        let mut log = empty();
        assert_eq!(log.undecided_bytes(), 0);
        let chain = append(&mut log, Chain::GENESIS, Slot::FIRST, 10, 1);
        let first = log.get(Slot::FIRST).map_or(0, Entry::weight_bytes);
        append(&mut log, chain, Slot::FIRST.next(), 20, 1);
        let second = log.get(Slot::FIRST.next()).map_or(0, Entry::weight_bytes);
        assert_eq!(log.undecided_bytes(), first + second);
        log.decide_next();
        assert_eq!(log.undecided_bytes(), second);
    }

    #[test]
    fn hands_out_decided_and_durable_rows_only() {
        let mut log = empty();
        let mut chain = Chain::GENESIS;
        for offset in 0..3 {
            chain = append(&mut log, chain, Slot(Slot::FIRST.0 + offset), 1, offset + 1);
        }
        assert!(
            log.hand_out(PersistSeq(3), Slot(u64::MAX)).is_empty(),
            "nothing is decided"
        );
        log.decide_next();
        log.decide_next();
        assert_eq!(
            log.hand_out(PersistSeq(1), Slot(u64::MAX)).len(),
            1,
            "the second is not durable"
        );
        assert_eq!(
            log.hand_out(PersistSeq(3), Slot(u64::MAX)).len(),
            1,
            "the third is not decided"
        );
        assert_eq!(log.handed(), Slot(Slot::FIRST.0 + 1));
    }

    #[test]
    fn a_completion_of_an_older_write_is_not_taken_for_the_newer_one() {
        let mut log = empty();
        append(&mut log, Chain::GENESIS, Slot::FIRST, 1, 1);
        append(&mut log, Chain::GENESIS, Slot::FIRST, 2, 2);
        log.decide_next();
        assert!(log.hand_out(PersistSeq(1), Slot(u64::MAX)).is_empty());
        assert_eq!(log.hand_out(PersistSeq(2), Slot(u64::MAX)).len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_rows_go_first() {
        let mut log = empty();
        let mut chain = Chain::GENESIS;
        let size = 64 * 1024 - ENTRY_OVERHEAD_BYTES;
        let rows = 2 * (CACHE_BYTES_MAX / (64 * 1024)) as u64;
        for offset in 0..rows {
            chain = append(&mut log, chain, Slot(Slot::FIRST.0 + offset), size, 1);
            log.decide_next();
        }
        let entries = log.hand_out(PersistSeq(1), Slot(u64::MAX));
        log.note_applied(log.handed());
        assert_eq!(entries.len() as u64, rows);
        assert!(!log.holds(Slot::FIRST) && log.holds(log.decided()));
        let page = log.page(log.decided().prev(), log.decided());
        assert_eq!(page.len(), 2);
        let page = log.page(Slot(log.decided().0 - 50), log.decided());
        assert_eq!(page.len(), PAGE_BYTES / (64 * 1024));
        assert!(
            log.page(Slot::FIRST, log.decided()).is_empty(),
            "forgotten rows are not served"
        );
    }

    #[test]
    fn recent_chains_are_remembered() {
        let mut log = empty();
        let mut chain = Chain::GENESIS;
        for offset in 0..CHAINS_MAX as u64 + 10 {
            chain = append(&mut log, chain, Slot(Slot::FIRST.0 + offset), 1, 1);
            log.decide_next();
        }
        assert_eq!(log.chain_at(log.decided()), Some(chain));
        assert_eq!(log.chain_at(log.decided().next()), None);
        assert_eq!(log.chain_at(Slot::FIRST), None);
        let oldest = Slot(log.decided().0 - CHAINS_MAX as u64 + 1);
        assert!(log.chain_at(oldest).is_some(), "so many");
        assert_eq!(log.chain_at(oldest.prev()), None, "and no more");
        let previous = log.chain_at(log.decided().prev()).unwrap();
        assert!(log.get(log.decided()).unwrap().follows(previous));
    }

    /// `count` rows of so many bytes each, decided and durable.
    fn decided(count: u64, weight: usize) -> Log {
        let mut log = empty();
        let mut chain = Chain::GENESIS;
        for offset in 0..count {
            let slot = Slot(Slot::FIRST.0 + offset);
            chain = append(&mut log, chain, slot, weight - ENTRY_OVERHEAD_BYTES, 1);
            log.decide_next();
        }
        log
    }

    fn apply(log: &mut Log, upto: Slot) {
        log.hand_out(PersistSeq(1), Slot(u64::MAX));
        log.note_applied(upto);
    }

    /// Property: compaction forgets what it names and nothing above it.
    #[test]
    fn compaction_forgets_up_to_its_slot() {
        let mut log = decided(4, 200);
        let last = log.decided();
        apply(&mut log, last);
        log.compact(Slot::FIRST.next());
        let held: Vec<bool> = (0..4)
            .map(|offset| log.holds(Slot(Slot::FIRST.0 + offset)))
            .collect();
        assert_eq!(held, [false, false, true, true]);
        assert_eq!(log.compacted_to(), Slot::FIRST.next());
    }

    /// Property: a cache that is exactly full is kept whole.
    #[test]
    fn a_full_cache_forgets_nothing() {
        let mut log = decided((CACHE_BYTES_MAX / (64 * 1024)) as u64, 64 * 1024);
        let last = log.decided();
        apply(&mut log, last);
        assert!(log.holds(Slot::FIRST));
    }

    /// Property: either bound by itself, slots or bytes, stops what is decided and not applied,
    /// one past the limit.
    #[test]
    fn a_slow_state_machine_stops_the_log_by_slots_or_by_bytes() {
        let mut log = decided(APPLY_LAG_SLOTS_MAX, ENTRY_OVERHEAD_BYTES + 1);
        assert!(log.has_room(), "as many as may be");
        let (chain, next) = (log.chain(), log.decided().next());
        append(&mut log, chain, next, 1, 1);
        log.decide_next();
        assert!(!log.has_room(), "one slot too many");
        apply(&mut log, Slot::FIRST);
        assert!(log.has_room());

        let large = 64 * 1024;
        let mut log = decided((APPLY_LAG_BYTES_MAX / large) as u64, large);
        assert!(log.has_room(), "as much as may be");
        let (chain, next) = (log.chain(), log.decided().next());
        append(&mut log, chain, next, 1, 1);
        log.decide_next();
        assert!(!log.has_room(), "too many bytes");
    }
}
