//! One transaction: the operations of a group, in order, then promise and progress.
//!
//! Must hold: D1, D2, D4, R4. What the caller may never ask for is found here, before the commit.
//! Tested in: `tests/log.rs`, `tests/epochs.rs`, `tests/log_prop.rs`.

use std::collections::{BTreeMap, BTreeSet};

use paxos::config::Configuration;
use paxos::entry::{Chain, Entry};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Slot};
use paxos::output::PersistOp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::damage;
use crate::identity::{self, Meta};
use crate::limits;
use crate::log::Peers;
use crate::progress::{self, Progress};
use crate::rows;
use crate::witness;

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The disk, or SQLite.
    Sqlite(rusqlite::Error),
    /// The caller.
    Contract(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What is on disk, but for the rows.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The doubled row.
    pub(crate) meta: Meta,
    /// The rows written in turn.
    pub(crate) progress: Progress,
    /// The highest slot that ever had a row which still counts. Above it every row is a new one,
    /// which is the usual case.
    pub(crate) last: Slot,
    /// Slots whose rows were found damaged or missing when a process started, until they are
    /// written again: there the value on disk binds nobody.
    pub(crate) damaged: BTreeSet<Slot>,
    /// Whether rows up to `compacted_to` may be left to delete.
    pub(crate) garbage: bool,
    /// The highest transaction counts seen of other disks.
    pub(crate) witnessed: BTreeMap<NodeId, DiskSeq>,
}

impl State {
    /// The epoch in which this node takes part, or may (rule D7).
    pub(crate) fn active_epoch(&self) -> Epoch {
        let active = self.meta.configuration.as_ref();
        active.map_or(Epoch::FIRST, |configuration| configuration.epoch)
    }
}

/// The transaction in the making. Identity, promise and progress change in memory and are
/// written once at its end, however many operations touch them.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    state: State,
    meta_changed: bool,
    /// Whether the commit index rose and was not compared with its row yet.
    decided_changed: bool,
    /// The commit index before this transaction: each slot up to it is counted.
    decided_before: Slot,
    witnesses_changed: BTreeSet<NodeId>,
    damage_changed: BTreeSet<Slot>,
    rows_written: usize,
}

/// Begins, works, commits. No rollback: an error is the end of this connection.
pub(crate) fn run(
    connection: &Connection,
    state: &State,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<(), Failure>,
) -> Result<(State, usize), Failure> {
    let mut transaction = Transaction {
        connection,
        state: state.clone(),
        meta_changed: false,
        decided_changed: false,
        decided_before: state.progress.decided,
        witnesses_changed: BTreeSet::new(),
        damage_changed: BTreeSet::new(),
        rows_written: 0,
    };
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    work(&mut transaction)?;
    transaction.finish()?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok((transaction.state, transaction.rows_written))
}

impl Transaction<'_> {
    /// Executes one operation of the core.
    pub(crate) fn execute(&mut self, op: &PersistOp) -> Result<(), Failure> {
        match op {
            PersistOp::Promise(ballot) => self.promise(*ballot),
            PersistOp::Accept(entries) => self.accept(entries),
            PersistOp::Decided { slot, chain } => self.decide(*slot, *chain),
            PersistOp::Activate {
                configuration,
                chain,
            } => self.activate(configuration, *chain),
            PersistOp::Compact { upto } => self.compact(*upto),
            PersistOp::Witness { node, disk_seq } => {
                self.witness(*node, *disk_seq);
                Ok(())
            }
        }
    }

    /// The open log.
    pub(crate) const fn connection(&self) -> &Connection {
        self.connection
    }

    /// What is on disk when this transaction commits.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Changes the doubled row.
    pub(crate) fn update_meta(&mut self, change: impl FnOnce(&mut Meta)) {
        change(&mut self.state.meta);
        self.meta_changed = true;
    }

    /// Replaces the cached addresses. What exceeds the limits is left out: it is a cache.
    pub(crate) fn remember_peers(&mut self, peers: &Peers) -> Result<(), Failure> {
        self.connection
            .prepare_cached("DELETE FROM peers")?
            .execute([])?;
        let mut statement = self
            .connection
            .prepare_cached("INSERT INTO peers (node, address) VALUES (?1, ?2)")?;
        let fitting = peers
            .iter()
            .filter(|(_, address)| address.len() <= limits::ADDRESS_BYTES_MAX);
        for (node, address) in fitting.take(limits::PEERS_MAX) {
            statement.execute((node.0.cast_signed(), address))?;
        }
        Ok(())
    }

    fn promise(&mut self, ballot: Ballot) -> Result<(), Failure> {
        if ballot < self.state.meta.promised {
            return Err(Failure::Contract(format!(
                "the promise would fall from {} to {ballot}",
                self.state.meta.promised
            )));
        }
        self.raise_promise(ballot);
        Ok(())
    }

    fn raise_promise(&mut self, ballot: Ballot) {
        if ballot > self.state.meta.promised {
            self.update_meta(|meta| meta.promised = ballot);
        }
    }

    fn decide(&mut self, slot: Slot, chain: Chain) -> Result<(), Failure> {
        let held = &mut self.state.progress;
        if slot == held.decided && chain != held.chain {
            let held = held.chain;
            return Err(Failure::Contract(format!(
                "{slot} was decided with {held}, not {chain}"
            )));
        }
        if slot > held.decided {
            held.decided = slot;
            held.chain = chain;
            self.decided_changed = true;
        }
        Ok(())
    }

    fn accept(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        let connection = self.connection;
        let mut statement = rows::prepare_write(connection)?;
        for entry in entries {
            self.check(entry)?;
            // D2: in the same transaction. Rows caught up from others keep their ballot, which
            // may be lower than the promise or higher.
            self.raise_promise(entry.ballot);
            rows::write(&mut statement, entry)?;
            self.rows_written += 1;
        }
        Ok(())
    }

    /// The pair of the checks at reading; counts the row if its slot was empty.
    fn check(&mut self, entry: &Entry) -> Result<(), Failure> {
        let slot = entry.slot;
        if slot <= self.state.meta.compacted_to || slot.0 > i64::MAX.cast_unsigned() {
            return Err(Failure::Contract(format!(
                "a row at {slot}, outside the log"
            )));
        }
        if !entry.is_intact() {
            return Err(Failure::Contract(format!(
                "a row at {slot} whose checksum is wrong"
            )));
        }
        if slot > self.state.last {
            self.state.last = slot;
            self.state.progress.rows += 1;
            return Ok(());
        }
        let repaired = self.state.damaged.remove(&slot);
        if repaired {
            self.damage_changed.insert(slot);
        }
        // The slot may hold a row: re-proposed by a new leader, or caught up. A decided one may
        // come again only with its value, or as the repair of a damaged one.
        match self.chain(slot)? {
            // A decided row that is missing was counted all the time.
            None if slot <= self.decided_before => {}
            None => self.state.progress.rows += 1,
            Some(held)
                if slot <= self.state.progress.decided && held != entry.chain && !repaired =>
            {
                return Err(Failure::Contract(format!(
                    "another value for {slot}, which is decided: {} instead of {held}",
                    entry.chain
                )));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The chain that the row of a slot holds.
    fn chain(&self, slot: Slot) -> rusqlite::Result<Option<Chain>> {
        self.connection
            .prepare_cached("SELECT chain FROM log WHERE slot = ?1")?
            .query_row([slot.0.cast_signed()], |row| {
                // A damaged row may hold anything. No entry has the chain of the empty prefix.
                Ok(row.get(0).map_or(Chain::GENESIS, Chain))
            })
            .optional()
    }

    /// R4: the epoch that the `Seal` at `start` names begins.
    fn activate(&mut self, configuration: &Configuration, chain: Chain) -> Result<(), Failure> {
        let start = configuration.start;
        let expected = self.state.active_epoch().next();
        if configuration.epoch != expected {
            return Err(Failure::Contract(format!(
                "epoch {} would begin, but the next one is {expected}",
                configuration.epoch
            )));
        }
        let decided = self.state.progress.decided;
        if start < decided {
            return Err(Failure::Contract(format!(
                "epoch {expected} would begin at {start}, but {decided} is decided before it"
            )));
        }
        self.decide(start, chain)?;
        self.begin_epoch(configuration)
    }

    /// Takes part in the epoch from here on. Its `Seal` is decided and durable; what lies above
    /// the commit index is of earlier epochs.
    pub(crate) fn begin_epoch(&mut self, configuration: &Configuration) -> Result<(), Failure> {
        self.settle()?;
        // What cannot be read back would be taken for damage at the next start.
        if Configuration::decode(&configuration.encode()).as_ref() != Some(configuration) {
            return Err(Failure::Contract(format!(
                "epoch {} with {} voters",
                configuration.epoch,
                configuration.voters.len()
            )));
        }
        let decided = self.state.progress.decided;
        self.connection
            .prepare_cached("DELETE FROM log WHERE slot > ?1")?
            .execute([decided.0.cast_signed()])?;
        let state = &mut self.state;
        state.progress.rows = decided.distance_above(state.meta.compacted_to);
        state.last = decided;
        self.damage_changed
            .append(&mut state.damaged.split_off(&decided.next()));
        let left = state.witnessed.keys();
        self.witnesses_changed
            .extend(left.filter(|node| !configuration.voters.contains(node)));
        state
            .witnessed
            .retain(|node, _| configuration.voters.contains(node));
        self.update_meta(|meta| meta.configuration = Some(configuration.clone()));
        Ok(())
    }

    /// Rows up to `upto` do not count any more. They are deleted later, in portions
    /// ([`Transaction::sweep`]): a large deletion in one piece would keep votes waiting.
    fn compact(&mut self, upto: Slot) -> Result<(), Failure> {
        self.settle()?;
        // The commit index of the disk may lag behind the core's: the rest comes next time.
        self.forget_upto(upto.min(self.state.progress.decided));
        Ok(())
    }

    /// Drops the decided rows up to `upto`.
    pub(crate) fn forget_upto(&mut self, upto: Slot) {
        let gone = upto.distance_above(self.state.meta.compacted_to);
        if gone == 0 {
            return;
        }
        let state = &mut self.state;
        state.progress.rows = state.progress.rows.saturating_sub(gone);
        state.last = state.last.max(upto);
        let above = state.damaged.split_off(&upto.next());
        self.damage_changed
            .append(&mut std::mem::replace(&mut state.damaged, above));
        state.garbage = true;
        self.update_meta(|meta| meta.compacted_to = upto);
    }

    /// Takes down which rows are damaged, as the process found them when it started.
    pub(crate) fn note_damage(&mut self, damaged: BTreeSet<Slot>) {
        let before = std::mem::replace(&mut self.state.damaged, damaged);
        self.damage_changed = before
            .symmetric_difference(&self.state.damaged)
            .copied()
            .collect();
    }

    /// Keeps the highest count of a disk. A new disk beyond the bound is not taken: a defence
    /// in depth may have a hole, a table may not grow for ever.
    fn witness(&mut self, node: NodeId, disk_seq: DiskSeq) {
        let witnessed = &mut self.state.witnessed;
        let seen = witnessed.get(&node);
        let is_full = seen.is_none() && witnessed.len() >= limits::WITNESSES_MAX;
        if is_full || seen.is_some_and(|seen| *seen >= disk_seq) {
            return;
        }
        witnessed.insert(node, disk_seq);
        self.witnesses_changed.insert(node);
    }

    /// Compares a new commit index with its row, before the row may be deleted and at the end.
    fn settle(&mut self) -> Result<(), Failure> {
        let Progress { decided, chain, .. } = self.state.progress;
        if self.decided_changed && self.chain(decided)? != Some(chain) {
            return Err(Failure::Contract(format!(
                "{decided} would be decided with {chain}, and no row here says so"
            )));
        }
        self.decided_changed = false;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.settle()?;
        if self.meta_changed {
            self.state.meta.revision += 1;
            identity::store(self.connection, &self.state.meta)?;
        }
        witness::store(
            self.connection,
            &self.state.witnessed,
            &self.witnesses_changed,
        )?;
        damage::store(self.connection, &self.state.damaged, &self.damage_changed)?;
        self.state.progress.disk_seq.0 += 1;
        progress::store(self.connection, &self.state.progress)?;
        Ok(())
    }
}
