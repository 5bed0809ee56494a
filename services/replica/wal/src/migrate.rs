//! Format 1 to format 2: the active configuration in place of the bare epoch, the announced
//! snapshot, the witnesses.
//!
//! In: an open log of format 1, its WAL applied. Out: format 2, in one transaction. Must hold:
//! identity, promise, rows and counts come over as they are, or the log is refused as format 1
//! would have been. Tested in: `tests/migration.rs`.

use std::path::Path;

use paxos::ids::Epoch;
use rusqlite::Connection;

use crate::database::SCHEMA;
use crate::error::Error;
use crate::identity::{self, Meta};
use crate::limits::FORMAT_VERSION;

/// The format that is brought forward.
const FORMAT: i32 = 1;

/// Brings an older log forward; nothing is done to one of this program's format.
pub(crate) fn migrate(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::sqlite("bring forward", path, source);
    let found: i32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if found != FORMAT {
        return Ok(());
    }
    let copies = ["meta_a", "meta_b"].map(|table| read_copy(connection, table));
    let (mut meta, _) = identity::choose(copies, path)?;
    meta.revision += 1;
    let rewrite = || -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN IMMEDIATE; DROP TABLE meta_a; DROP TABLE meta_b;")?;
        connection.execute_batch(SCHEMA)?;
        identity::store(connection, &meta)?;
        connection.pragma_update(None, "user_version", FORMAT_VERSION)?;
        connection.execute_batch("COMMIT")
    };
    rewrite().map_err(failed)?;
    tracing::info!(path = %path.display(), from = FORMAT, to = FORMAT_VERSION, "format changed");
    Ok(())
}

/// Reads one copy of the identity; the text says why it cannot be trusted.
fn read_copy(connection: &Connection, table: &str) -> Result<Meta, String> {
    let sql = format!(
        "SELECT revision, disk_id, cluster_id, cluster_name, node_id, genesis, confirmed, \
         promised_epoch, promised_round, promised_node, compacted_to, active_epoch, crc \
         FROM {table} WHERE id = 1"
    );
    let mut active = 0;
    let read = connection.query_row(&sql, [], |row| {
        active = row.get::<_, i64>(11)?.cast_unsigned();
        Ok((identity::decode_common(row)?, row.get::<_, u32>(12)?))
    });
    let meta = identity::checked(read, |meta| {
        meta.crc_with(|field| {
            field(&active.to_le_bytes());
            field(&meta.compacted_to.0.to_le_bytes());
        })
    })?;
    // No program of format 1 could end an epoch.
    if active > Epoch::FIRST.0 {
        return Err(format!("its epoch is {active}, without a configuration"));
    }
    Ok(meta)
}
