//! The state of one cluster as the beginning of another one.
//!
//! What people said and who they are stays. What says of which cluster it is goes: the nodes that
//! registered, whose disks must not be known in the new cluster, and the configuration, in whose
//! place the genesis of the new cluster stands. Node ids are not given twice for all that: they
//! are slots, and the slots go on. Tests: tests/snapshots.rs.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::durable;
use super::made::describe;
use super::manifest::Manifest;
use super::verify::{Verified, verify};
use crate::error::Fault;
use crate::{Applied, Error, schema};

/// Changes the copy of a snapshot in place, after it was checked against its manifest. Slot,
/// chain and time stay: the log of the new cluster goes on behind them. The result is on the disk.
///
/// # Errors
///
/// [`Error::BadSnapshot`] when the file is not what the manifest says; it is unchanged then.
/// Others when the disk fails: make the copy anew.
pub fn begin_anew(copy: &Path, manifest: &Manifest) -> Result<Verified, Error> {
    verify(copy, manifest)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(copy, flags)
        .map_err(|source| Error::sqlite("open", copy, source))?;
    forget_cluster(&mut connection).map_err(|fault| fault.at("write", copy))?;
    connection
        .close()
        .map_err(|(_, source)| Error::sqlite("close", copy, source))?;
    durable::sync_file(copy)?;
    verify(copy, &describe(copy)?)
}

fn forget_cluster(connection: &mut Connection) -> Result<(), Fault> {
    // What the rows were must not stay in the pages.
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    let applied = Applied {
        configuration: None,
        ..schema::read_applied(&transaction)?
    };
    schema::write_applied(&transaction, &applied)?;
    transaction.execute("DELETE FROM nodes", [])?;
    Ok(transaction.commit()?)
}
