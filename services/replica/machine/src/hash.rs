//! A hash of the state, for comparing replicas.
//!
//! Over the rows of every table in the order of its primary key, so it depends on what the
//! tables say and not on how SQLite has laid them out.

use std::fmt;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::error::Fault;
use crate::tables::TABLES;
use crate::{checksum, limits};

/// SHA-256 over the logical content of state.db.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash(pub [u8; 32]);

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn state_hash(connection: &Connection) -> Result<StateHash, Fault> {
    let mut hash = Sha256::new();
    hash.update(limits::FORMAT_VERSION.to_le_bytes());
    for table in TABLES {
        checksum::feed(ValueRef::Text(table.name.as_bytes()), |bytes| {
            hash.update(bytes)
        })?;
        let mut statement = connection.prepare_cached(&table.rows())?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut rows_count: u64 = 0;
        while let Some(row) = rows.next()? {
            rows_count += 1;
            for column in 0..columns {
                checksum::feed(row.get_ref(column)?, |bytes| hash.update(bytes))?;
            }
        }
        // After the rows: the count tells where one table ends and the next begins.
        hash.update(rows_count.to_le_bytes());
    }
    Ok(StateHash(hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: the hash covers every column of every table but the one that is not state.
    #[test]
    fn covers_the_whole_schema() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::schema::SCHEMA).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT s.name, c.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c
                 WHERE s.type = 'table' ORDER BY s.rootpage, c.cid",
            )
            .unwrap();
        let in_schema: Vec<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .filter(|(_, column)| column != "flushes")
            .collect();
        let mut in_hash = Vec::new();
        for table in TABLES {
            let statement = connection.prepare(&table.rows()).unwrap();
            let names = statement.column_names();
            in_hash.extend(
                names
                    .iter()
                    .map(|column| (table.name.to_owned(), (*column).to_owned())),
            );
        }
        assert_eq!(in_hash, in_schema);
    }
}
