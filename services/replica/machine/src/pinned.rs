//! The state as it was right after one slot, while the machine goes on.

use std::path::PathBuf;

use rusqlite::Connection;

use crate::hash::{self, StateHash};
use crate::{Applied, Error, schema};

/// A connection that sees one state for as long as it lives. Meanwhile the WAL of the file cannot
/// start over, so it grows by what is written: keep it for seconds, not for hours.
#[derive(Debug)]
pub struct Pinned {
    connection: Connection,
    path: PathBuf,
    applied: Applied,
}

impl Pinned {
    /// Fixes what the connection sees.
    pub(crate) fn new(connection: Connection, path: PathBuf) -> Result<Self, Error> {
        connection
            .execute_batch("BEGIN")
            .map_err(|source| Error::sqlite("read", &path, source))?;
        // The first read fixes the state that all others of the transaction see.
        let applied = schema::read_applied(&connection).map_err(|fault| fault.at("read", &path))?;
        Ok(Self {
            connection,
            path,
            applied,
        })
    }

    /// Which state it is.
    #[must_use]
    pub const fn applied(&self) -> &Applied {
        &self.applied
    }

    /// A hash over every row, equal on all replicas at the same slot. Reads the whole state once:
    /// about a second per million messages.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is damaged.
    pub fn state_hash(&self) -> Result<StateHash, Error> {
        hash::state_hash(&self.connection).map_err(|fault| fault.at("read", &self.path))
    }
}
