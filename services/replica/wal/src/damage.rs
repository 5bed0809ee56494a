//! Slots whose rows are known to be damaged, until they are written again.
//!
//! Reads and writes: table `damaged`. Must hold: what was suspected once stays suspected. Of a
//! disk that lost a write, one missing row may be the only evidence, and the first to be
//! repaired; the rows that it made suspicious must not pass for sound after the next start.
//! Tested in: `tests/recovery.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use paxos::ids::Slot;
use rusqlite::Connection;

use crate::error::Error;

/// Writes what changed, inside the caller's transaction.
pub(crate) fn store(
    connection: &Connection,
    damaged: &BTreeSet<Slot>,
    changed: &BTreeSet<Slot>,
) -> rusqlite::Result<()> {
    for slot in changed {
        let sql = if damaged.contains(slot) {
            "INSERT OR IGNORE INTO damaged (slot) VALUES (?1)"
        } else {
            "DELETE FROM damaged WHERE slot = ?1"
        };
        connection
            .prepare_cached(sql)?
            .execute([slot.0.cast_signed()])?;
    }
    Ok(())
}

/// Reads the slots.
pub(crate) fn load(connection: &Connection, path: &Path) -> Result<BTreeSet<Slot>, Error> {
    let read = || -> rusqlite::Result<BTreeSet<Slot>> {
        let mut statement = connection.prepare("SELECT slot FROM damaged")?;
        let slots = statement.query_map([], |row| row.get::<_, i64>(0))?;
        slots
            .map(|slot| slot.map(|slot| Slot(slot.cast_unsigned())))
            .collect()
    };
    read().map_err(|source| Error::sqlite("read the damaged slots of", path, source))
}
