//! The one writer of state.db: entries in, answers and effects out.
//!
//! A transaction may stay open over several calls ([`Machine::advance`]), because what a commit
//! costs does not depend on how much is in it: the pages of some trees.
//!
//! Must hold: `applied` is stored in the transaction that has the effects (trap 10 of
//! DESIGN.md); an error leaves the file as it was; how entries are put into transactions changes
//! nothing in the state. Tests: tests/properties.rs, tests/crash.rs, tests/transactions.rs.

use std::path::{Path, PathBuf};

use paxos::config::Configuration;
use paxos::entry::{Chain, Entry};
use paxos::ids::{NodeId, Slot, Timestamp};
use proto::v1::{Effect, Outcome};
use rusqlite::Connection;

use crate::apply::apply_entry;
use crate::cache::Cache;
use crate::error::Fault;
use crate::hash::{self, StateHash};
use crate::ids::EventId;
use crate::{Error, Flusher, Reader, Registration, epochs, flusher, notices, schema, snapshot};

/// How far the log is applied: all that the prefix leaves behind beside its effects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The last applied slot; [`Slot::GENESIS`] in a new file.
    pub slot: Slot,
    /// The chain of the prefix up to and including it.
    pub chain: Chain,
    /// The leader's clock in that entry, milliseconds since 1970; 0 in a new file.
    pub timestamp: Timestamp,
    /// The configuration that the latest `Seal` of the prefix began, with the slot of that seal.
    /// `None` before the first one: then the genesis' configuration is the active one, which the
    /// log does not hold.
    pub configuration: Option<Configuration>,
}

impl Applied {
    /// A state to which nothing was applied.
    pub const GENESIS: Self = Self {
        slot: Slot::GENESIS,
        chain: Chain::GENESIS,
        timestamp: Timestamp(0),
        configuration: None,
    };
}

/// What the application of one entry did.
#[derive(Clone, PartialEq, Debug)]
pub struct AppliedEntry {
    /// The entry.
    pub slot: Slot,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// One per command of the batch, in its order; none for other kinds of entries.
    pub outcomes: Vec<Outcome>,
    /// What changed, in order. A command that was refused or applied before has none.
    pub effects: Vec<Effect>,
    /// What a `RegisterNode` entry did; `None` for other kinds of entries.
    pub registration: Option<Registration>,
}

/// The state machine of one replica.
#[derive(Debug)]
pub struct Machine {
    /// The only connection that writes.
    connection: Connection,
    path: PathBuf,
    /// As of the last entry that was applied, whether its transaction is still open or not.
    applied: Applied,
    /// As the file says, as of the last transaction of this process.
    committed: Applied,
    /// Rows of the file as of `applied`.
    cache: Cache,
    /// Entries were applied that no reader sees yet.
    open: bool,
    /// The last call failed: whether its transaction was committed is read from the file before
    /// the next one (SQLite may report an error of a checkpoint after the commit).
    failed: bool,
}

impl Machine {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// When the file is foreign, damaged, of a later program, or cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_path_buf();
        let connection = schema::open_writer(&path)?;
        let applied = read_applied(&connection, &path)?;
        tracing::info!(path = %path.display(), slot = %applied.slot, "state opened");
        Ok(Self {
            connection,
            path,
            committed: applied.clone(),
            applied,
            cache: Cache::default(),
            open: false,
            failed: false,
        })
    }

    /// How far the log is applied, including what [`Machine::advance`] has left open.
    #[must_use]
    pub const fn applied(&self) -> &Applied {
        &self.applied
    }

    /// A new connection for reading.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened once more.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }

    /// Applies entries that continue the applied prefix, all in one transaction, together with what
    /// [`Machine::advance`] has left open. The result has one element per entry, in order.
    ///
    /// # Errors
    ///
    /// Any error means that the replica must stop: the entries do not continue the prefix
    /// ([`Error::Gap`], [`Error::Diverged`], [`Error::EpochOutOfOrder`]), contain what this program does not understand, or
    /// the disk failed. Nothing of the transaction is applied; only after a failure of the disk it may
    /// be the whole one, and the file tells. After [`Error::Damaged`] the file is not opened again
    /// ([`snapshot::condemn`]).
    pub fn apply(&mut self, entries: &[Entry]) -> Result<Vec<AppliedEntry>, Error> {
        let results = self.advance(entries)?;
        self.commit()?;
        Ok(results)
    }

    /// As [`Machine::apply`], but the transaction stays open: the results hold, because the entries
    /// are decided and durable in the log, but no [`Reader`] sees them before
    /// [`Machine::commit`]. If the process ends before that, the log has them once more.
    ///
    /// # Errors
    ///
    /// As [`Machine::apply`].
    pub fn advance(&mut self, entries: &[Entry]) -> Result<Vec<AppliedEntry>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        if self.failed {
            self.cache = Cache::default();
            self.committed = read_applied(&self.connection, &self.path)?;
            self.applied = self.committed.clone();
        }
        self.guarded(|machine| machine.carry_out(entries))
    }

    /// Ends the open transaction, so that readers see everything that is applied. Does nothing when
    /// none is open.
    ///
    /// # Errors
    ///
    /// When the disk fails: as after [`Machine::apply`], the file tells what is applied.
    pub fn commit(&mut self) -> Result<(), Error> {
        if !self.open {
            return Ok(());
        }
        self.guarded(|machine| {
            machine.cache.flush(&machine.connection)?;
            schema::write_applied(&machine.connection, &machine.applied)?;
            machine.connection.execute_batch("COMMIT")?;
            machine.open = false;
            Ok(())
        })?;
        self.committed = self.applied.clone();
        self.cache.trim();
        Ok(())
    }

    /// Makes everything that is applied survive a loss of power, and returns how far that is. Takes
    /// a sync of the disk; a [`Flusher`] does the same beside the writer.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn checkpoint_durable(&mut self) -> Result<&Applied, Error> {
        self.commit()?;
        flusher::sync(&self.path)?;
        Ok(&self.committed)
    }

    /// Copies what a [`Flusher`] has left of the WAL: what was committed while it copied. There must be a
    /// moment between two transactions in which nothing is left, or the WAL never begins anew.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn finish_checkpoint(&mut self) -> Result<(), Error> {
        self.commit()?;
        flusher::checkpoint(&self.connection, &self.path, flusher::PASSIVE).map(drop)
    }

    /// A connection that makes it durable, for another thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened once more.
    pub fn flusher(&self) -> Result<Flusher, Error> {
        Flusher::open(&self.path)
    }

    /// The voters as the notices know them, by id, each with the slot at which its silence was
    /// announced, if it is silent. Empty before the first notice.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn watched(&self) -> Result<Vec<(NodeId, Option<Slot>)>, Error> {
        let watched = notices::watched(&self.connection);
        watched.map_err(|source| Error::sqlite("read", &self.path, source))
    }

    /// A hash of the whole state, equal on all replicas at the same slot. Reads everything: for
    /// tests and for comparing replicas at leisure. Not while a transaction is open: some rows are
    /// written when it ends.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn state_hash(&self) -> Result<StateHash, Error> {
        assert!(!self.open, "the transaction is committed before a hash");
        hash::state_hash(&self.connection).map_err(|fault| fault.at("read", &self.path))
    }

    /// What is met here may not show at the next start, and then be met here again. The process
    /// stops in any case, with the error that it has.
    fn note_damage(&self, error: &Error) {
        if !error.is_replaceable() {
            return;
        }
        if let Err(failed) = snapshot::condemn(&self.path, error) {
            tracing::warn!(%failed, "the damage of the state cannot be noted");
        }
    }

    /// Does something in the transaction, which is rolled back when that fails.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Error> {
        // Cleared by success alone, so that an early return of any kind leaves it set.
        self.failed = true;
        let done = work(self).map_err(|fault| {
            self.roll_back();
            let error = fault.at("write", &self.path);
            self.note_damage(&error);
            error
        })?;
        self.failed = false;
        Ok(done)
    }

    fn roll_back(&mut self) {
        self.open = false;
        self.applied = self.committed.clone();
        // SQLite has done it by itself after some errors of the disk.
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(failed) = self.connection.execute_batch("ROLLBACK") {
            tracing::warn!(%failed, "a transaction of the state cannot be rolled back");
        }
    }

    fn carry_out(&mut self, entries: &[Entry]) -> Result<Vec<AppliedEntry>, Fault> {
        if !self.open {
            self.begin()?;
        }
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            require_continues(&self.applied, entry)?;
            let configuration = epochs::after(self.applied.configuration.as_ref(), entry)?;
            results.push(apply_entry(
                &self.connection,
                &mut self.cache,
                entry,
                configuration.as_ref(),
            )?);
            self.applied = Applied {
                slot: entry.slot,
                chain: entry.chain,
                timestamp: entry.timestamp,
                configuration,
            };
        }
        Ok(results)
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.open = true;
        let found = schema::read_applied(&self.connection)?;
        if found == self.applied {
            return Ok(());
        }
        // The cache would be of another state.
        let (path, expected) = (self.path.clone(), self.applied.slot);
        Err(Error::ForeignWriter {
            path,
            expected,
            found: found.slot,
        }
        .into())
    }
}

fn require_continues(applied: &Applied, entry: &Entry) -> Result<(), Error> {
    let slot = entry.slot;
    let expected = applied.slot.next();
    if slot != expected {
        return Err(Error::Gap {
            expected,
            found: slot,
        });
    }
    if slot > EventId::SLOT_MAX {
        return Err(Error::Unnumberable { slot });
    }
    if !entry.follows(applied.chain) {
        return Err(Error::Diverged {
            slot,
            found: entry.chain,
            applied: applied.chain,
        });
    }
    Ok(())
}

fn read_applied(connection: &Connection, path: &Path) -> Result<Applied, Error> {
    schema::read_applied(connection).map_err(|fault| fault.at("read", path))
}
