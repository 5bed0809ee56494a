//! One transaction: the operations of a group, in order, then promise and progress.
//!
//! Must hold: D1, D2, D4. What the caller may never ask for is found here, before the commit.

use std::path::Path;

use paxos::entry::Entry;
use paxos::ids::{Ballot, Slot};
use paxos::output::PersistOp;
use rusqlite::Connection;

use crate::error::Error;
use crate::identity::{self, Meta};
use crate::limits;
use crate::log::Peers;
use crate::progress::{self, Progress};
use crate::rows::{self, Reader};

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

/// The transaction in the making. Identity, promise and progress change in memory and are
/// written once at its end, however many operations touch them.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    path: &'a Path,
    meta: Meta,
    meta_changed: bool,
    progress: Progress,
    rows: usize,
}

/// Begins, works, commits. No rollback: an error is the end of this connection.
pub(crate) fn run(
    connection: &Connection,
    path: &Path,
    meta: &Meta,
    progress: Progress,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<(), Failure>,
) -> Result<(Meta, Progress, usize), Failure> {
    let meta = meta.clone();
    let mut transaction = Transaction {
        connection,
        path,
        meta,
        meta_changed: false,
        progress,
        rows: 0,
    };
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    work(&mut transaction)?;
    transaction.finish()?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok((transaction.meta, transaction.progress, transaction.rows))
}

impl Transaction<'_> {
    /// Executes one operation of the core.
    pub(crate) fn execute(&mut self, op: &PersistOp) -> Result<(), Failure> {
        match op {
            PersistOp::Promise(ballot) => self.promise(*ballot),
            PersistOp::Accept(entries) => self.accept(entries),
            PersistOp::Decided { slot, chain } => {
                if *slot == self.progress.decided && *chain != self.progress.chain {
                    return Err(Failure::Contract(format!(
                        "{slot} was decided with chain {}, not with {chain}",
                        self.progress.chain
                    )));
                }
                if *slot > self.progress.decided {
                    self.progress.decided = *slot;
                    self.progress.chain = *chain;
                }
                Ok(())
            }
        }
    }

    /// Changes the doubled row.
    pub(crate) fn update_meta(&mut self, change: impl FnOnce(&mut Meta)) {
        change(&mut self.meta);
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
        if ballot < self.meta.promised {
            return Err(Failure::Contract(format!(
                "the promise would fall from {} to {ballot}",
                self.meta.promised
            )));
        }
        self.raise_promise(ballot);
        Ok(())
    }

    fn raise_promise(&mut self, ballot: Ballot) {
        if ballot > self.meta.promised {
            self.update_meta(|meta| meta.promised = ballot);
        }
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
            self.rows += 1;
        }
        Ok(())
    }

    /// The pair of the checks at reading.
    fn check(&self, entry: &Entry) -> Result<(), Failure> {
        let slot = entry.slot;
        if slot <= self.meta.compacted_to || slot.0 > i64::MAX.cast_unsigned() {
            return Err(Failure::Contract(format!(
                "a row at {slot}, outside the log"
            )));
        }
        if !entry.is_intact() {
            return Err(Failure::Contract(format!(
                "a row at {slot} whose checksum is wrong"
            )));
        }
        if slot > self.progress.decided {
            return Ok(());
        }
        // Rare: a decided row comes again, with its value or as the repair of a damaged one.
        match self.row(slot) {
            Ok(Some(held)) if held.chain != entry.chain => Err(Failure::Contract(format!(
                "another value for {slot}, which is decided: {} instead of {}",
                entry.chain, held.chain
            ))),
            Err(Error::Sqlite { source, .. }) => Err(Failure::Sqlite(source)),
            _ => Ok(()),
        }
    }

    fn row(&self, slot: Slot) -> Result<Option<Entry>, Error> {
        let decided = self.progress.decided;
        Reader {
            connection: self.connection,
            path: self.path,
            decided,
        }
        .one(slot)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.meta_changed {
            self.meta.revision += 1;
            identity::store(self.connection, &self.meta)?;
        }
        self.progress.disk_seq.0 += 1;
        progress::store(self.connection, &self.progress)?;
        Ok(())
    }
}
