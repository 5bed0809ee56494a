//! What a process starts from: one pass over the rows above the state machine's slot.
//!
//! In: the state machine's durable slot ([`Base`]) and the log. Out: [`Recovery`]. Must hold:
//! everything that was ever accepted above the commit index comes back, or its slot does, as
//! damaged; the commit index ends before the first row that cannot be trusted; what is not known
//! is not guessed. Tested in: `tests/recovery.rs`, `tests/damage.rs`.
//!
//! Two kinds of damage are told apart, because they prove different things:
//!
//! - A row whose checksum is wrong was hit by itself. The rows around it stand.
//! - A row that is missing although its slot was counted, or rows that are whole but do not
//!   follow each other up to the stored commit index: the disk *lost a write*, and brought back
//!   an older page. Its other rows may be of an older ballot, with nothing to show it. So only
//!   what the chain at the stored commit index proves is kept, and every other slot above the
//!   state machine's is taken for damaged.
//!
//! What was found is written down (`damage.rs`) and holds until the row is written again: so a
//! missing row is evidence once only. An older page whose rows are all above the commit index,
//! none of them missing, cannot be told from a sound one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use paxos::config::{Configuration, Seal};
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Slot, Timestamp};
use paxos::limits::ACCEPT_AHEAD_SLOTS_MAX;
use paxos::restored::Restored;

use crate::database;
use crate::error::Error;
use crate::limits::RESTORED_BYTES_MAX;
use crate::log::Wal;
use crate::progress::Progress;
use crate::rows;

/// What the state machine holds durably: it describes itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// The last slot applied; [`Slot::GENESIS`] at first.
    pub slot: Slot,
    /// The chain at it.
    pub chain: Chain,
    /// The timestamp of the entry at it; 0 at first.
    pub timestamp: Timestamp,
    /// The configuration that the last `Seal` up to it named; `None` before the first.
    pub configuration: Option<Configuration>,
}

impl Base {
    /// Nothing applied.
    pub const EMPTY: Self = Self {
        slot: Slot::GENESIS,
        chain: Chain::GENESIS,
        timestamp: Timestamp(0),
        configuration: None,
    };
}

/// What the log gives back at start.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// What the core starts from, once the state machine was brought up to its `decided`.
    pub restored: Restored,
    /// The row at the state machine's slot is damaged. Nothing depends on it but serving it to
    /// others: compact up to this slot.
    pub unreadable: Option<Slot>,
}

/// The prefix that was verified row by row.
#[derive(Clone, Debug)]
struct Prefix {
    decided: Slot,
    chain: Chain,
    timestamp: Timestamp,
    /// What the last `Seal` in it named.
    configuration: Option<Configuration>,
}

impl Prefix {
    fn of(base: &Base) -> Self {
        Self {
            decided: base.slot,
            chain: base.chain,
            timestamp: base.timestamp,
            configuration: base.configuration.clone(),
        }
    }

    fn extend(&mut self, entry: &Entry) {
        self.decided = entry.slot;
        self.chain = entry.chain;
        self.timestamp = entry.timestamp;
        if let Some(configuration) = sealed(entry) {
            self.configuration = Some(configuration);
        }
    }
}

/// The configuration that an entry names, if it is a `Seal`.
fn sealed(entry: &Entry) -> Option<Configuration> {
    let seal = (entry.kind == EntryKind::Seal).then(|| Seal::decode(&entry.payload))??;
    Some(seal.configuration(entry.slot))
}

/// The row at the state machine's slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meeting {
    /// There, and of the same history; or compacted away.
    Whole,
    /// There and damaged.
    Damaged,
    /// Not there, although it was counted.
    Missing,
}

/// Why the verified prefix ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// Where it should.
    Complete,
    /// Before a row whose checksum is wrong.
    Damaged,
    /// Before a row that is missing or of another history.
    LostWrite,
}

/// Rows above the verified prefix.
#[derive(Default, Debug)]
struct Rest {
    kept: Vec<Entry>,
    damaged: BTreeSet<Slot>,
    /// Whether the disk is known to have lost a write.
    lost_write: bool,
}

impl Wal {
    /// What the core starts from. `base` is what the state machine holds durably.
    ///
    /// The commit index is the highest of its slot, the stored mark and the start of the active
    /// epoch (rule D4), but ends before a row that is damaged or missing. The slot of such a row,
    /// and of each damaged one above, is in `Restored::damaged`. If the verified prefix ends an
    /// epoch and that was not stored any more, it is stored here (R4): ask for the
    /// configuration afterwards.
    ///
    /// # Errors
    /// [`Error::SnapshotNeeded`] when the state machine is too far behind for what is left of the
    /// log; [`Error::RowMissing`] when it is ahead of the log, which therefore lost what it had
    /// (complete an interrupted installation first: [`Wal::awaits_snapshot`]);
    /// [`Error::RowsLost`] when undecided rows vanished; [`Error::Diverged`] when the two are of
    /// different histories; [`Error::Corrupt`]. All of them leave the files as they are.
    pub fn restore(&mut self, base: &Base) -> Result<Recovery, Error> {
        let meeting = self.meet(base)?;
        let end = base
            .slot
            .max(self.state().progress.decided)
            .max(self.active_start());
        self.count_rows(end)?;
        let lost_write = meeting == Meeting::Missing;
        let (prefix, mut rest) = self.read_decided(base, end, lost_write)?;
        self.read_undecided(end, &mut rest)?;
        if meeting != Meeting::Whole || !rest.damaged.is_empty() {
            database::check_structure(self.connection()?, self.path())?;
            tracing::error!(
                path = %self.path().display(), applied = %base.slot, decided = %prefix.decided,
                damaged = rest.damaged.len(), lost_write = rest.lost_write, ?meeting,
                "rows of the log are damaged; they are fetched from the other replicas, and this \
                 one gives no promise until then; check the disk"
            );
        }
        let unreadable = (meeting != Meeting::Whole).then_some(base.slot);
        self.adopt(&prefix, end, &mut rest, unreadable)?;
        let state = self.state();
        Ok(Recovery {
            restored: Restored {
                promised: state.meta.promised,
                decided: prefix.decided,
                chain: prefix.chain,
                timestamp: prefix.timestamp,
                undecided: rest.kept,
                compacted_to: state.meta.compacted_to,
                damaged: rest.damaged,
                // Not what this process has written since: it would hide that much of what a
                // disk that was turned back has lost.
                disk_seq: self.opened_at(),
                witnessed: state.witnessed.clone(),
            },
            unreadable,
        })
    }

    /// Compares the state machine's slot with the log's row.
    fn meet(&self, base: &Base) -> Result<Meeting, Error> {
        let marked = self.state().progress;
        let compacted_to = self.state().meta.compacted_to;
        if base.slot < compacted_to {
            let why = format!("the rows up to {compacted_to} were deleted");
            return Err(self.snapshot_needed(base.slot, compacted_to, why));
        }
        let diverged = |found| Error::Diverged {
            path: self.path().to_path_buf(),
            slot: base.slot,
            found,
            other: "state.db",
            expected: base.chain,
        };
        if base.slot == marked.decided && base.chain != marked.chain {
            return Err(diverged(marked.chain));
        }
        if base.slot == compacted_to {
            return Ok(Meeting::Whole);
        }
        match self.find(base.slot)? {
            Some(Ok(entry)) if entry.chain == base.chain => Ok(Meeting::Whole),
            Some(Ok(entry)) => Err(diverged(entry.chain)),
            Some(Err(_)) => Ok(Meeting::Damaged),
            None if self.state().damaged.contains(&base.slot) => Ok(Meeting::Damaged),
            None if base.slot <= marked.decided => Ok(Meeting::Missing),
            None => Err(self.row_missing(base.slot)),
        }
    }

    /// Compares the count of rows above `end` with the one stored. Each slot up to there was
    /// decided here and has a row; a missing one is found when it is read.
    pub(crate) fn count_rows(&self, end: Slot) -> Result<(), Error> {
        let state = self.state();
        let found = rows::count_above(self.connection()?, self.path(), end)?;
        let below = end.distance_above(state.meta.compacted_to);
        if below.saturating_add(found) == state.progress.rows {
            return Ok(());
        }
        Err(Error::RowsLost {
            path: self.path().to_path_buf(),
            decided: end,
            found,
            expected: state.progress.rows.saturating_sub(below),
        })
    }

    /// Verifies the rows above the state machine's slot up to `end`, and sorts what lies behind
    /// the first one that cannot be trusted.
    fn read_decided(
        &self,
        base: &Base,
        end: Slot,
        lost_write: bool,
    ) -> Result<(Prefix, Rest), Error> {
        let mut prefix = Prefix::of(base);
        let mut rest = Rest {
            lost_write,
            ..Rest::default()
        };
        match self.follow(&mut prefix, end)? {
            Stop::Complete => return Ok((prefix, rest)),
            Stop::Damaged => {}
            Stop::LostWrite => rest.lost_write = true,
        }
        if !rest.lost_write {
            self.require_reach(base, &prefix, end)?;
            rest = self.sort(base, prefix.decided, end, false)?;
        }
        if rest.lost_write {
            // What follows the state machine's prefix is not proved by that: it may be what was
            // there before a row was overwritten.
            prefix = Prefix::of(base);
            self.require_reach(base, &prefix, end)?;
            rest = self.sort(base, base.slot, end, true)?;
        }
        Ok((prefix, rest))
    }

    /// Extends the prefix row by row up to `end`, or to the first row that is not as it must be.
    fn follow(&self, prefix: &mut Prefix, end: Slot) -> Result<Stop, Error> {
        let known = &self.state().damaged;
        let mut stop = Stop::Complete;
        self.reader(end)?
            .scan(prefix.decided.next(), end, |slot, found| {
                let next = prefix.decided.next();
                stop = match found {
                    _ if known.contains(&next) => Stop::Damaged,
                    _ if slot != next => Stop::LostWrite,
                    Err(_) => Stop::Damaged,
                    Ok(entry) if entry.follows(prefix.chain) && !self.contradicts(&entry) => {
                        prefix.extend(&entry);
                        return Ok(ControlFlow::Continue(()));
                    }
                    Ok(_) => Stop::LostWrite,
                };
                Ok(ControlFlow::Break(()))
            })?;
        if stop == Stop::Complete && prefix.decided < end {
            stop = if known.contains(&prefix.decided.next()) {
                Stop::Damaged
            } else {
                Stop::LostWrite
            };
        }
        Ok(stop)
    }

    /// Whether a whole row is not the one that the stored mark, or the active epoch, names.
    fn contradicts(&self, entry: &Entry) -> bool {
        let state = self.state();
        let unmarked = entry.slot == state.progress.decided && entry.chain != state.progress.chain;
        let unsealed =
            entry.slot == self.active_start() && sealed(entry) != state.meta.configuration;
        unmarked || unsealed
    }

    /// Sorts the rows in `(from, end]`. From the stored mark downwards the chain proves rows as
    /// far as it reaches. The others are kept as they are, unless the disk lost a write.
    fn sort(&self, base: &Base, from: Slot, end: Slot, lost_write: bool) -> Result<Rest, Error> {
        let known = &self.state().damaged;
        let mut whole: BTreeMap<Slot, Entry> = BTreeMap::new();
        let mut missing: BTreeSet<Slot> = (from.next().0..=end.0).map(Slot).collect();
        missing.retain(|slot| !known.contains(slot));
        let mut bytes = 0_usize;
        self.reader(end)?.scan(from.next(), end, |slot, found| {
            missing.remove(&slot);
            if let Ok(entry) = found
                && !known.contains(&slot)
            {
                bytes = bytes.saturating_add(entry.weight_bytes());
                whole.insert(slot, entry);
            }
            if bytes > RESTORED_BYTES_MAX {
                let why = format!("rows above {from} are damaged, and too much lies behind them");
                return Err(self.snapshot_needed(base.slot, end, why));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut rest = Rest {
            lost_write: lost_write || !missing.is_empty(),
            ..Rest::default()
        };
        let marked = self.state().progress;
        // What the row above says of this one, if it is whole; whether that one is proved.
        let mut above: Option<(&Entry, bool)> = None;
        let mut unproved: BTreeSet<Slot> = BTreeSet::new();
        for slot in (from.next().0..=end.0).rev().map(Slot) {
            let Some(entry) = whole.get(&slot) else {
                rest.damaged.insert(slot);
                above = None;
                continue;
            };
            let (fits, proved) = if slot == marked.decided {
                (entry.chain == marked.chain, true)
            } else {
                above.map_or((true, false), |(next, proved)| {
                    (next.follows(entry.chain), proved)
                })
            };
            if fits && !proved {
                unproved.insert(slot);
            } else if !fits {
                rest.lost_write = true;
                rest.damaged.insert(slot);
            }
            above = fits.then_some((entry, proved));
        }
        if rest.lost_write {
            rest.damaged.append(&mut unproved);
        }
        whole.retain(|slot, _| !rest.damaged.contains(slot));
        rest.kept = whole.into_values().collect();
        Ok(rest)
    }

    /// Adds the rows above `end`.
    fn read_undecided(&self, end: Slot, rest: &mut Rest) -> Result<(), Error> {
        let known = &self.state().damaged;
        let reader = self.reader(end)?;
        reader.scan(end.next(), Slot(u64::MAX), |slot, found| {
            match found {
                Ok(entry) if !rest.lost_write && !known.contains(&slot) => rest.kept.push(entry),
                _ => {
                    rest.damaged.insert(slot);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Refuses when the verified prefix ends too early: below the start of the active epoch,
    /// whose voters have to hold all before it (R4), or so far below what was decided here that
    /// the core could not hold the rows between.
    fn require_reach(&self, base: &Base, prefix: &Prefix, end: Slot) -> Result<(), Error> {
        let decided = prefix.decided;
        let start = self.active_start();
        let why = format!("the row after {decided} is damaged or missing");
        if decided < start {
            return Err(self.snapshot_needed(base.slot, start, why));
        }
        if end.distance_above(decided) > ACCEPT_AHEAD_SLOTS_MAX {
            return Err(self.snapshot_needed(base.slot, end, why));
        }
        Ok(())
    }

    /// Takes over what was found, and writes down what has to last.
    fn adopt(
        &mut self,
        prefix: &Prefix,
        end: Slot,
        rest: &mut Rest,
        unreadable: Option<Slot>,
    ) -> Result<(), Error> {
        let state = self.state_mut();
        if prefix.decided > state.progress.decided {
            state.progress.decided = prefix.decided;
            state.progress.chain = prefix.chain;
        }
        state.last = state.last.max(end);
        let mut damaged = rest.damaged.clone();
        damaged.extend(unreadable);
        if damaged != state.damaged {
            self.transact("note damage in", |transaction| {
                transaction.note_damage(damaged);
                Ok(())
            })?;
        }
        let active = self.state().active_epoch();
        let next = prefix.configuration.as_ref();
        let Some(next) = next.filter(|next| next.epoch > active) else {
            return Ok(());
        };
        // The process ended between the `Seal` becoming durable and its activation.
        self.transact("begin an epoch in", |transaction| {
            transaction.begin_epoch(next)
        })?;
        let Progress { decided, .. } = self.state().progress;
        rest.kept.retain(|entry| entry.slot <= decided);
        rest.damaged.split_off(&decided.next());
        Ok(())
    }

    /// Where the active epoch began.
    fn active_start(&self) -> Slot {
        let active = self.state().meta.configuration.as_ref();
        active.map_or(Slot::GENESIS, |configuration| configuration.start)
    }

    fn snapshot_needed(&self, applied: Slot, at_least: Slot, why: String) -> Error {
        Error::SnapshotNeeded {
            path: self.path().to_path_buf(),
            applied,
            at_least,
            why,
        }
    }
}
