//! Makes state.db survive a loss of power, beside its one writer.
//!
//! The writer's commits are in the write-ahead log (WAL) of the file, and not synced. Here they are synced,
//! and the WAL is copied into the file when it has become long. Both take the disk for some
//! milliseconds, for which nobody who waits for an answer should wait: `SQLite` lets another connection
//! do it while the writer goes on.
//!
//! Must hold: what was committed before [`Flusher::sync`] survives it. Tests: tests/flusher.rs; with
//! power that is really lost: `make chaos FAULTS=power-all`

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::snapshot::{beside, sync_file};
use crate::{Error, limits, schema};

/// The WAL as `SQLite` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frames {
    /// In the WAL, a page each.
    written: u32,
    /// Of these, in the file already. If that is all of them and nobody reads from the WAL, the next
    /// transaction writes it from its start again. One that is open reads from it.
    copied: u32,
}

/// A connection that writes nothing of its own.
#[derive(Debug)]
pub struct Flusher {
    connection: Connection,
    path: PathBuf,
}

impl Flusher {
    /// Opens the file that a [`crate::Machine`] has open.
    ///
    /// # Errors
    ///
    /// When it cannot be opened once more, or is not ours.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_path_buf();
        Ok(Self {
            connection: schema::open_flusher(&path)?,
            path,
        })
    }

    /// Makes everything that was committed before the call survive a loss of power. Takes one sync of
    /// the disk.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), Error> {
        sync(&self.path)
    }

    /// Copies the WAL into the file, if it has [`limits::CHECKPOINT_PAGES`] or more, and then what was
    /// committed meanwhile, as long as that helps: a reader may hold on to an older state. Returns whether
    /// the writer is to copy the rest ([`crate::Machine::finish_checkpoint`]).
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn checkpoint(&self) -> Result<bool, Error> {
        let mut before = self.count()?;
        if before.written < limits::CHECKPOINT_PAGES {
            return Ok(false);
        }
        for _ in 0..limits::CHECKPOINT_ROUNDS_MAX {
            if before.copied >= before.written {
                return Ok(true);
            }
            checkpoint(&self.connection, &self.path, PASSIVE)?;
            let after = self.count()?;
            if after.copied == before.copied {
                return Ok(false);
            }
            before = after;
        }
        Ok(true)
    }

    fn count(&self) -> Result<Frames, Error> {
        checkpoint(&self.connection, &self.path, "PRAGMA wal_checkpoint(NOOP)")
    }
}

/// The statement that copies what it can without waiting for anybody.
pub(crate) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// A checkpoint in the mode that the statement says; NOOP only counts.
pub(crate) fn checkpoint(
    connection: &Connection,
    path: &Path,
    statement: &'static str,
) -> Result<Frames, Error> {
    let count = |value: i64| u32::try_from(value).unwrap_or(0);
    connection
        .prepare_cached(statement)
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                Ok(Frames {
                    written: count(row.get(1)?),
                    copied: count(row.get(2)?),
                })
            })
        })
        .map_err(|source| Error::sqlite("checkpoint", path, source))
}

/// Syncs the WAL of the file. What has left the WAL was synced by the checkpoint that moved it, and
/// the name of the WAL by the first commit. The file is opened anew: `SQLite` keeps no lock on it that closing
/// it could drop.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    sync_file(&beside(path, "-wal"))
}
