//! Format 2 to format 3: the table of the watched voters, empty.
//!
//! In: an open file of format 2, its WAL applied. Out: format 3, in one transaction, so that a
//! crash leaves one or the other. Must hold: it is the state that this program makes of the same
//! log. It is, because no log up to there has a notice, and without one the room of the cluster does
//! not exist and nobody is watched (notices.rs). Tests: tests/migration.rs.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Fault;
use crate::{Error, limits, schema};

/// Brings an older file forward; nothing is done to one of this program's format.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let found = schema::format(connection, path)?;
    if found != limits::FORMAT_VERSION_OLDEST {
        return Ok(());
    }
    let mut rewrite = || -> Result<(), Fault> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(schema::WATCHED)?;
        transaction.pragma_update(None, "user_version", limits::FORMAT_VERSION)?;
        transaction.commit()?;
        Ok(())
    };
    rewrite().map_err(|fault| fault.at("bring forward", path))?;
    let to = limits::FORMAT_VERSION;
    tracing::info!(path = %path.display(), from = found, to, "format of the state changed");
    Ok(())
}

const _: () = assert!(
    limits::FORMAT_VERSION_OLDEST + 1 == limits::FORMAT_VERSION,
    "one step is written here"
);
