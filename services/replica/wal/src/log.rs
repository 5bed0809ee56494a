//! The open log, used by one thread: first the one that sets it up, then the writer.
//!
//! Must hold: D1 and D2 (a promise never falls, a row's ballot is promised in its transaction),
//! a decided slot keeps its value, nothing is written after a failed write.
//! Tested in: `tests/log.rs`, `tests/log_prop.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use paxos::config::Configuration;
use paxos::entry::Entry;
use paxos::ids::{DiskSeq, NodeId, Slot};
use paxos::output::PersistOp;
use rusqlite::Connection;

use crate::damage;
use crate::database;
use crate::error::Error;
use crate::identity::{self, Genesis, Identity, Meta};
use crate::limits;
use crate::lock;
use crate::progress;
use crate::replay::Replay;
use crate::restore::Base;
use crate::rows::{self, Found, Reader};
use crate::space;
use crate::transaction::{self, State};
use crate::witness;

/// Where the other replicas were last seen.
pub type Peers = BTreeMap<NodeId, String>;

/// A transaction that is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Its number.
    pub disk_seq: DiskSeq,
    /// Rows written.
    pub rows: usize,
}

/// The open log of one replica.
#[derive(Debug)]
pub struct Wal {
    /// `None` after a failed write. It was leaked then, not closed: closing would checkpoint,
    /// and so write and fsync again, what the failed fsync may have dropped.
    connection: Option<Connection>,
    /// log.db.
    path: PathBuf,
    /// As on disk.
    state: State,
    /// The last transaction before this process.
    opened_at: DiskSeq,
    /// Keeps other processes out. Declared last: dropped after the connection is closed.
    _lock: File,
}

impl Wal {
    /// Opens the log in `dir`; makes both if they are not there. Refuses, and leaves
    /// untouched, what is damaged, foreign, newer, or in use.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        // For its owner alone: all that people write is in it.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| Error::Io {
                doing: "create",
                path: dir.to_path_buf(),
                source,
            })?;
        let lock = lock::take(dir)?;
        space::check(dir, limits::FREE_BYTES_MIN)?;
        let connection = database::open(dir)?;
        let path = dir.join(database::FILE);
        let (meta, repair_meta) = identity::load(&connection, &path)?;
        let compacted_to = meta.compacted_to;
        let (progress, repair_progress) = progress::load(&connection, &path, compacted_to)?;
        let last = rows::last(&connection, &path)?;
        let first = rows::first(&connection, &path)?;
        let witnessed = witness::load(&connection, &path)?;
        let damaged = damage::load(&connection, &path)?;
        let mut wal = Self {
            connection: Some(connection),
            path,
            opened_at: progress.disk_seq,
            state: State {
                last: last.max(progress.decided).max(compacted_to),
                garbage: first.is_some_and(|first| first <= compacted_to),
                meta,
                progress,
                damaged,
                witnessed,
            },
            _lock: lock,
        };
        wal.empty_wal()?;
        if repair_meta || repair_progress {
            wal.update_meta(|_| {})?;
        }
        tracing::info!(
            path = %wal.path.display(), disk_id = %wal.state.meta.identity.disk_id,
            promised = %wal.state.meta.promised, decided = %wal.state.progress.decided,
            disk_seq = %wal.state.progress.disk_seq, "log opened"
        );
        Ok(wal)
    }

    /// Who this disk is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.state.meta.identity
    }

    /// The number of the last durable transaction.
    #[must_use]
    pub fn disk_seq(&self) -> DiskSeq {
        self.state.progress.disk_seq
    }

    /// The configuration of the active epoch (rule D7). `None`: no epoch has ended here yet, so
    /// it is the genesis' one.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        self.state.meta.configuration.as_ref()
    }

    /// The commit index as stored, which may lag (rule D4).
    #[must_use]
    pub fn decided(&self) -> Slot {
        self.state.progress.decided
    }

    /// The log holds no row up to this slot.
    #[must_use]
    pub fn compacted_to(&self) -> Slot {
        self.state.meta.compacted_to
    }

    /// log.db, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a directory that belongs to another cluster than the configured one.
    pub fn require_cluster(&self, name: &str) -> Result<(), Error> {
        match &self.state.meta.identity.genesis {
            Some(genesis) if genesis.cluster_name != name => Err(Error::ForeignCluster {
                path: self.path.clone(),
                found: genesis.cluster_name.clone(),
                expected: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Stores the genesis, for ever. The same one again is fine; another one is refused.
    pub fn install_genesis(&mut self, genesis: &Genesis) -> Result<(), Error> {
        if genesis.bytes.len() > limits::GENESIS_BYTES_MAX
            || genesis.cluster_name.len() > limits::CLUSTER_NAME_BYTES_MAX
        {
            return Err(self.contract("the genesis is over its limit"));
        }
        match &self.state.meta.identity.genesis {
            Some(found) if found == genesis => Ok(()),
            Some(found) => Err(Error::OtherGenesis {
                path: self.path.clone(),
                found_cluster: found.cluster_id,
                found_node: found.node_id,
                offered_cluster: genesis.cluster_id,
                offered_node: genesis.node_id,
            }),
            None => self.update_meta(|meta| meta.identity.genesis = Some(genesis.clone())),
        }
    }

    /// All founders hold the genesis: from here on this node may vote, in each epoch whose
    /// configuration names it.
    pub fn confirm_genesis(&mut self) -> Result<(), Error> {
        if self.state.meta.identity.genesis.is_none() {
            return Err(self.no_identity("genesis"));
        }
        if self.state.meta.identity.confirmed {
            return Ok(());
        }
        self.update_meta(|meta| meta.identity.confirmed = true)
    }

    /// Replaces the cached addresses.
    pub fn remember_peers(&mut self, peers: &Peers) -> Result<(), Error> {
        self.transact("store peers in", |transaction| {
            transaction.remember_peers(peers)
        })
        .map(drop)
    }

    /// The cached addresses.
    pub fn peers(&self) -> Result<Peers, Error> {
        let failed = |source| Error::sqlite("read peers from", &self.path, source);
        let mut statement = self
            .connection()?
            .prepare("SELECT node, address FROM peers")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok((
                    NodeId(row.get::<_, i64>(0)?.cast_unsigned()),
                    row.get::<_, String>(1)?,
                ))
            })
            .map_err(failed)?;
        rows.collect::<Result<Peers, _>>().map_err(failed)
    }

    /// The rows above `base` up to `decided` in pages, for the state machine to catch up.
    #[must_use]
    pub fn replay(&self, base: &Base, decided: Slot) -> Replay<'_> {
        Replay::new(self, base, decided)
    }

    /// The decided rows from `from` to `upto` until they weigh `bytes_max`; at least one.
    /// A hole is an error: a decided row does not go away.
    pub fn read_rows(&self, from: Slot, upto: Slot, bytes_max: usize) -> Result<Vec<Entry>, Error> {
        if from <= self.state.meta.compacted_to {
            return Err(Error::Compacted {
                from,
                compacted_to: self.state.meta.compacted_to,
            });
        }
        if from > upto {
            return Ok(Vec::new());
        }
        let entries = self.reader(upto)?.range(from, upto, bytes_max)?;
        let mut expected = from;
        for entry in &entries {
            if entry.slot != expected {
                return Err(self.row_missing(expected));
            }
            expected = expected.next();
        }
        if entries.is_empty() {
            Err(self.row_missing(from))
        } else {
            Ok(entries)
        }
    }

    /// Executes `ops` in order in one transaction and makes it durable. After an error the log
    /// takes nothing any more.
    pub fn commit<'a>(
        &mut self,
        ops: impl IntoIterator<Item = &'a PersistOp>,
    ) -> Result<Committed, Error> {
        self.transact("write to", |transaction| {
            ops.into_iter().try_for_each(|op| transaction.execute(op))
        })
    }

    /// Runs `work` in one transaction. Any error ends the log: see [`Wal::abandon`].
    pub(crate) fn transact(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut transaction::Transaction<'_>) -> Result<(), transaction::Failure>,
    ) -> Result<Committed, Error> {
        let connection = self.connection.as_ref().ok_or(Error::Stopped)?;
        match transaction::run(connection, &self.state, work) {
            Ok((state, rows)) => {
                self.state = state;
                Ok(Committed {
                    disk_seq: self.state.progress.disk_seq,
                    rows,
                })
            }
            Err(failure) => {
                self.abandon();
                Err(match failure {
                    transaction::Failure::Sqlite(source) => {
                        Error::sqlite(doing, &self.path, source)
                    }
                    transaction::Failure::Contract(what) => self.contract(what),
                })
            }
        }
    }

    /// Leaves the file as it is: no rollback, no checkpoint, no further fsync. The memory and
    /// the descriptor stay until the process ends, which it is about to do.
    pub(crate) fn abandon(&mut self) {
        if let Some(connection) = self.connection.take() {
            std::mem::forget(connection);
        }
    }

    /// Fails unless this node may vote.
    pub(crate) fn require_confirmed(&self) -> Result<(), Error> {
        match &self.state.meta.identity {
            Identity { genesis: None, .. } => Err(self.no_identity("genesis")),
            Identity {
                confirmed: false, ..
            } => Err(self.no_identity("confirmed genesis")),
            _ => Ok(()),
        }
    }

    /// The connection, while it may be used.
    pub(crate) fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or(Error::Stopped)
    }

    /// The number of the last transaction that was durable when the log was opened.
    pub(crate) fn opened_at(&self) -> DiskSeq {
        self.opened_at
    }

    /// What is on disk, but for the rows.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// To take over what was found on disk, not to change it.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// One row as it is, if there is one.
    pub(crate) fn find(&self, slot: Slot) -> Result<Option<Found>, Error> {
        let mut row = None;
        self.reader(slot)?.scan(slot, slot, |_, found| {
            row = Some(found);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(row)
    }

    pub(crate) fn reader(&self, decided: Slot) -> Result<Reader<'_>, Error> {
        Ok(Reader {
            connection: self.connection()?,
            path: &self.path,
            decided,
        })
    }

    pub(crate) fn update_meta(&mut self, change: impl FnOnce(&mut Meta)) -> Result<(), Error> {
        let committed = self.transact("write the identity to", |transaction| {
            transaction.update_meta(change);
            Ok(())
        });
        committed.map(drop)
    }

    fn no_identity(&self, missing: &'static str) -> Error {
        Error::NoIdentity {
            path: self.path.clone(),
            missing,
        }
    }

    pub(crate) fn row_missing(&self, slot: Slot) -> Error {
        Error::RowMissing {
            path: self.path.clone(),
            slot,
        }
    }

    pub(crate) fn contract(&self, what: impl Into<String>) -> Error {
        Error::Contract {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}
