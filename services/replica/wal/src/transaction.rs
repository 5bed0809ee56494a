//! One transaction: the operations of a group, in order, then promise and progress.
//!
//! Must hold: D1, D2, D4. What the caller may never ask for is found here, before the commit.

use paxos::entry::{Chain, Entry};
use paxos::ids::{Ballot, Slot};
use paxos::output::PersistOp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::identity::{self, Meta};
use crate::limits;
use crate::log::Peers;
use crate::progress::{self, Progress};
use crate::rows;

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
    /// The highest slot in the log. Above it every row is a new one, which is the usual case.
    pub(crate) last: Slot,
}

/// The transaction in the making. Identity, promise and progress change in memory and are
/// written once at its end, however many operations touch them.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    state: State,
    meta_changed: bool,
    decided_changed: bool,
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
        }
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
        // The slot may hold a row: re-proposed by a new leader, or caught up. A decided one may
        // come again only with its value, or as the repair of a damaged one.
        match self.chain(slot)? {
            None => self.state.progress.rows += 1,
            Some(held) if slot <= self.state.progress.decided && held != entry.chain => {
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
            .query_row([slot.0.cast_signed()], |row| row.get(0).map(Chain))
            .optional()
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let Progress { decided, chain, .. } = self.state.progress;
        if self.decided_changed && self.chain(decided)? != Some(chain) {
            return Err(Failure::Contract(format!(
                "{decided} would be decided with {chain}, and no row here says so"
            )));
        }
        if self.meta_changed {
            self.state.meta.revision += 1;
            identity::store(self.connection, &self.state.meta)?;
        }
        self.state.progress.disk_seq.0 += 1;
        progress::store(self.connection, &self.state.progress)?;
        Ok(())
    }
}
