//! A log of format 1 is brought forward when it is opened.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::path::Path;

use paxos::entry::{Chain, Entry};
use paxos::ids::Slot;
use paxos::output::PersistOp;
use rusqlite::{Connection, params};
use support::{activate, ballot, decided, entries, seal, tamper, voter};
use uuid::Uuid;
use wal::{Base, Error, Wal};

/// The tables of format 1 that are different now.
const OLD_META: &str = "
    id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, disk_id TEXT NOT NULL,
    cluster_id TEXT, cluster_name TEXT, node_id INTEGER, genesis BLOB,
    confirmed INTEGER NOT NULL, promised_epoch INTEGER NOT NULL, promised_round INTEGER NOT NULL,
    promised_node INTEGER NOT NULL, active_epoch INTEGER NOT NULL, compacted_to INTEGER NOT NULL,
    crc INTEGER NOT NULL";

/// The identity's checksum as format 1 made it.
fn old_crc(row: &rusqlite::Row<'_>) -> rusqlite::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let number = |column: &str| row.get::<_, i64>(column).map(i64::to_le_bytes);
    let id = |column: &str| row.get::<_, String>(column).map(|id| Uuid::parse_str(&id));
    field(&number("revision")?);
    field(id("disk_id")?.unwrap().as_bytes());
    field(id("cluster_id")?.unwrap().as_bytes());
    field(row.get::<_, String>("cluster_name")?.as_bytes());
    field(&number("node_id")?);
    field(&row.get::<_, Vec<u8>>("genesis")?);
    field(&[1]);
    for column in ["promised_epoch", "promised_round", "promised_node"] {
        field(&number(column)?);
    }
    field(&1_u64.to_le_bytes());
    field(&number("compacted_to")?);
    Ok(hasher.finalize())
}

/// A log as a program of format 1 left it: five rows, three of them decided.
fn old_log(dir: &Path) -> (Vec<Entry>, wal::Identity) {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, 5, ballot(3, 2));
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(&rows[2])])
        .unwrap();
    let identity = wal.identity().clone();
    drop(wal);
    let connection = Connection::open(dir.join("log.db")).unwrap();
    for table in ["meta_a", "meta_b"] {
        let crc = connection
            .query_row(&format!("SELECT * FROM {table}"), [], old_crc)
            .unwrap();
        connection
            .execute_batch(&format!(
                "ALTER TABLE {table} RENAME TO new; CREATE TABLE {table} ({OLD_META}) STRICT"
            ))
            .unwrap();
        connection
            .execute(
                &format!(
                    "INSERT INTO {table} SELECT id, revision, disk_id, cluster_id, cluster_name, \
                     node_id, genesis, confirmed, promised_epoch, promised_round, promised_node, \
                     1, compacted_to, ?1 FROM new"
                ),
                params![crc],
            )
            .unwrap();
        connection.execute_batch("DROP TABLE new").unwrap();
    }
    connection
        .execute_batch("DROP TABLE witnesses; DROP TABLE damaged; PRAGMA user_version = 1")
        .unwrap();
    (rows, identity)
}

fn format_version(dir: &Path) -> i32 {
    let connection = Connection::open(dir.join("log.db")).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// Property: identity, promise, commit index and rows come over, and the log can do what is new.
#[test]
fn a_log_of_format_1_is_brought_forward() {
    for damage in [
        "",
        "DELETE FROM meta_a",
        "UPDATE meta_b SET promised_round = 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (rows, identity) = old_log(dir.path());
        tamper(dir.path(), damage);
        assert_eq!(format_version(dir.path()), 1);
        let mut wal = Wal::open(dir.path()).unwrap();
        assert_eq!(wal.identity(), &identity);
        assert_eq!(wal.configuration(), None);
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!(restored.promised, ballot(3, 2));
        assert_eq!(restored.decided, rows[2].slot);
        assert_eq!(restored.undecided, rows[3..]);
        let end = seal(&support::base(&rows[4]), ballot(3, 2), 2, &[2, 3]);
        wal.commit(&[PersistOp::Accept(vec![end.clone()]), activate(&end)])
            .unwrap();
        drop(wal);
        assert_eq!(format_version(dir.path()), 2);
        let wal = Wal::open(dir.path()).unwrap();
        assert_eq!(wal.configuration().unwrap().start, end.slot);
    }
}

/// Property: an interrupted change of the format is done again.
#[test]
fn an_interrupted_change_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, _) = old_log(dir.path());
    let wal = Wal::open(dir.path()).unwrap();
    let files = support::copy(dir.path());
    drop(wal);
    let path = files.path().join("log.db-wal");
    let whole = std::fs::read(&path).unwrap();
    let mut changed = 0;
    for cut in (0..=whole.len()).step_by(1999).chain([whole.len()]) {
        let copy = support::copy(files.path());
        std::fs::write(copy.path().join("log.db-wal"), &whole[..cut]).unwrap();
        let crashed = support::copy(copy.path());
        changed += i32::from(format_version(crashed.path()) == 2);
        let mut wal = Wal::open(copy.path()).unwrap();
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!(restored.promised, ballot(3, 2), "cut at {cut}");
        assert_eq!(restored.undecided, rows[3..], "cut at {cut}");
    }
    assert!(changed > 0, "once it was complete");
}

/// Property: what format 1 would have refused is refused, and not brought forward.
#[test]
fn a_damaged_log_of_format_1_is_refused() {
    for damage in [
        "DELETE FROM meta_a; DELETE FROM meta_b",
        "UPDATE meta_a SET active_epoch = 2; UPDATE meta_b SET active_epoch = 2",
    ] {
        let dir = tempfile::tempdir().unwrap();
        old_log(dir.path());
        tamper(dir.path(), damage);
        let refused = Wal::open(dir.path());
        assert!(
            matches!(refused, Err(Error::IdentityDead { .. })),
            "{damage}"
        );
        assert_eq!(format_version(dir.path()), 1);
    }
}
