//! A hash of the state, for comparing replicas.
//!
//! Over the rows of every table in the order of its primary key, so it depends on what the
//! tables say and not on how SQLite has laid them out.

use std::fmt;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::error::Fault;
use crate::limits;

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

/// Each table's name and its rows in a fixed order. The columns are named, so that a new one
/// is left out until it is added here on purpose; a test knows when one is missing.
const TABLES: [(&str, &str); 9] = [
    (
        "applied",
        "SELECT id, slot, chain, timestamp, configuration FROM applied ORDER BY id",
    ),
    (
        "nodes",
        "SELECT node, disk_id, address, updated_slot, created_ms FROM nodes ORDER BY node",
    ),
    (
        "accounts",
        "SELECT id, name, name_folded, role, useq, created_slot, created_ms FROM accounts
         ORDER BY id",
    ),
    (
        "sessions",
        "SELECT token_hash, user, created_slot, created_ms FROM sessions ORDER BY token_hash",
    ),
    (
        "rooms",
        "SELECT id, name, name_folded, kind, topic, archived, created_by, created_slot,
                created_ms, head, messages, members FROM rooms ORDER BY id",
    ),
    (
        "members",
        "SELECT room, user, joined_seq, joined_ms FROM members ORDER BY room, user",
    ),
    (
        "events",
        "SELECT eid, room, seq, kind, author, ts, msg_no, cid, body, reply_to FROM events
         ORDER BY eid",
    ),
    (
        "user_events",
        "SELECT eid, user, useq, kind, room, room_name, head, members, token_hash
         FROM user_events ORDER BY eid",
    ),
    (
        "dedupe",
        "SELECT cid, author, kind, place, number FROM dedupe ORDER BY cid, author",
    ),
];

pub(crate) fn state_hash(connection: &Connection) -> Result<StateHash, Fault> {
    let mut hash = Sha256::new();
    hash.update(limits::FORMAT_VERSION.to_le_bytes());
    for (table, query) in TABLES {
        update_bytes(&mut hash, table.as_bytes());
        let mut statement = connection.prepare_cached(query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut rows_count: u64 = 0;
        while let Some(row) = rows.next()? {
            rows_count += 1;
            for column in 0..columns {
                update_value(&mut hash, row.get_ref(column)?)?;
            }
        }
        // After the rows: the count tells where one table ends and the next begins.
        hash.update(rows_count.to_le_bytes());
    }
    Ok(StateHash(hash.finalize().into()))
}

fn update_value(hash: &mut Sha256, value: ValueRef<'_>) -> Result<(), Fault> {
    match value {
        ValueRef::Null => hash.update([0]),
        ValueRef::Integer(number) => {
            hash.update([1]);
            hash.update(number.to_le_bytes());
        }
        ValueRef::Real(_) => {
            return Err(Fault::Damaged(
                "a floating-point number, which no table has".to_owned(),
            ));
        }
        ValueRef::Text(text) => {
            hash.update([2]);
            update_bytes(hash, text);
        }
        ValueRef::Blob(bytes) => {
            hash.update([3]);
            update_bytes(hash, bytes);
        }
    }
    Ok(())
}

fn update_bytes(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: the hash covers every column of every table but the one that is not state.
    #[test]
    fn covers_the_whole_schema() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("schema.sql"))
            .unwrap();
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
        for (table, query) in TABLES {
            let statement = connection.prepare(query).unwrap();
            let names = statement.column_names();
            in_hash.extend(
                names
                    .iter()
                    .map(|column| (table.to_owned(), (*column).to_owned())),
            );
        }
        assert_eq!(in_hash, in_schema);
    }
}
