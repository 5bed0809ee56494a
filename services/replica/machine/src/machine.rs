//! The one writer of state.db: entries in, answers and effects out.
//!
//! Must hold: `applied` is stored in the transaction that has the effects (trap 10 of
//! DESIGN.md); an error leaves the file as it was. Tests: tests/properties.rs, tests/crash.rs.

use std::path::{Path, PathBuf};

use paxos::config::Configuration;
use paxos::entry::{Chain, Entry};
use paxos::ids::{NodeId, Slot, Timestamp};
use proto::v1::{Effect, Outcome};
use rusqlite::{Connection, TransactionBehavior};

use crate::apply::apply_entry;
use crate::cache::Cache;
use crate::error::Fault;
use crate::hash::{self, StateHash};
use crate::ids::EventId;
use crate::{Error, Reader, Registration, epochs, notices, schema, snapshot};

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
    /// What the file says, as of the last transaction of this process.
    applied: Applied,
    /// Rows of the file as of `applied`.
    cache: Cache,
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
            applied,
            cache: Cache::default(),
            failed: false,
        })
    }

    /// How far the log is applied.
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

    /// Applies entries that continue the applied prefix, all in one transaction. The result has
    /// one element per entry, in order.
    ///
    /// # Errors
    ///
    /// Any error means that the replica must stop: the entries do not continue the prefix
    /// ([`Error::Gap`], [`Error::Diverged`], [`Error::EpochOutOfOrder`]), contain what this program does not understand, or
    /// the disk failed. Nothing of the call is applied; only after a failure of the disk it may
    /// be the whole call, and the file tells. After [`Error::Damaged`] the file is not opened again
    /// ([`snapshot::condemn`]).
    pub fn apply(&mut self, entries: &[Entry]) -> Result<Vec<AppliedEntry>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        if self.failed {
            self.cache = Cache::default();
            self.applied = read_applied(&self.connection, &self.path)?;
        }
        // Cleared by success alone, so that an early return of any kind leaves it set.
        self.failed = true;
        let (applied, results) = self.transact(entries).map_err(|fault| {
            let error = fault.at("write", &self.path);
            self.note_damage(&error);
            error
        })?;
        self.failed = false;
        self.applied = applied;
        self.cache.trim();
        Ok(results)
    }

    /// Makes everything that is applied survive a loss of power, and returns how far that is.
    /// Needed before log rows are deleted; takes a sync of the disk or two.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn checkpoint_durable(&mut self) -> Result<Applied, Error> {
        let failed = |source| Error::sqlite("sync", &self.path, source);
        // In WAL mode a FULL commit syncs the whole WAL, and what has left the WAL was synced by
        // the checkpoint that moved it. The counter makes the transaction write something:
        // SQLite skips a write that changes nothing, and then the sync as well.
        self.connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        let flushed = self
            .connection
            .execute("UPDATE applied SET flushes = flushes + 1 WHERE id = 1", []);
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(failed)?;
        flushed.map_err(failed)?;
        read_applied(&self.connection, &self.path)
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
    /// tests and for comparing replicas at leisure.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn state_hash(&self) -> Result<StateHash, Error> {
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

    fn transact(&mut self, entries: &[Entry]) -> Result<(Applied, Vec<AppliedEntry>), Fault> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = schema::read_applied(&transaction)?;
        if found != self.applied {
            // The cache would be of another state.
            let (path, expected) = (self.path.clone(), self.applied.slot);
            return Err(Error::ForeignWriter {
                path,
                expected,
                found: found.slot,
            }
            .into());
        }
        let mut applied = self.applied.clone();
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            require_continues(&applied, entry)?;
            let configuration = epochs::after(applied.configuration.as_ref(), entry)?;
            results.push(apply_entry(
                &transaction,
                &mut self.cache,
                entry,
                configuration.as_ref(),
            )?);
            applied = Applied {
                slot: entry.slot,
                chain: entry.chain,
                timestamp: entry.timestamp,
                configuration,
            };
        }
        self.cache.flush(&transaction)?;
        schema::write_applied(&transaction, &applied)?;
        transaction.commit()?;
        Ok((applied, results))
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
