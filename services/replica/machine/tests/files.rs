//! Files that are not ours, not whole, or not of this version.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::path::{Path, PathBuf};

use machine::{Error, Machine, Reader};
use support::{Log, post, sign_up};

struct File {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn file() -> File {
    let directory = tempfile::tempdir().unwrap();
    File {
        path: directory.path().join("state.db"),
        _directory: directory,
    }
}

/// A closed state file with a few hundred messages.
fn filled() -> File {
    let file = file();
    let mut machine = Machine::open(&file.path).unwrap();
    let mut log = Log::new();
    log.batch(vec![sign_up(1, "Ann", 1)]);
    for n in 0..20 {
        log.batch(
            (0..20)
                .map(|m| post(100 + n * 20 + m, 1, 1, &"text ".repeat(50)))
                .collect(),
        );
    }
    machine.apply(&log.entries).unwrap();
    file
}

fn sql(path: &Path, statements: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(statements)
        .unwrap();
}

/// Property: another program's file is named as such and not touched.
#[test]
fn foreign_files_are_left_alone() {
    let text = file();
    std::fs::write(&text.path, "this is a letter, not a database. ".repeat(100)).unwrap();
    let other = file();
    sql(&other.path, "CREATE TABLE t (x)");
    let log = file();
    sql(
        &log.path,
        "PRAGMA application_id = 0x4342584c; CREATE TABLE log (slot)",
    );
    let marked = file();
    sql(
        &marked.path,
        "PRAGMA application_id = 7; PRAGMA user_version = 1;",
    );
    for file in [text, other, log, marked] {
        let before = std::fs::read(&file.path).unwrap();
        let error = Machine::open(&file.path).unwrap_err();
        assert!(matches!(error, Error::NotOurs { .. }), "{error}");
        let error = Reader::open(&file.path).unwrap_err();
        assert!(matches!(error, Error::NotOurs { .. }), "{error}");
        assert_eq!(std::fs::read(&file.path).unwrap(), before);
    }
}

/// Property: a file of a later program is refused with both versions in the message.
#[test]
fn newer_files_are_refused() {
    let file = filled();
    sql(&file.path, "PRAGMA user_version = 8");
    for error in [
        Machine::open(&file.path).unwrap_err(),
        Reader::open(&file.path).unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                Error::NewerFormat {
                    found: 8,
                    known: 7,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("has format 8, this program knows formats up to 7")
        );
    }
}

/// Property: a file of an earlier program is refused with the remedy, and may be replaced; one of
/// a later program or of another kind may not.
#[test]
fn older_files_are_replaceable() {
    let older = filled();
    sql(&older.path, "PRAGMA user_version = 1");
    let error = Machine::open(&older.path).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OlderFormat {
                found: 1,
                needed: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("move state.db"), "{error}");
    assert!(error.is_replaceable());
    let newer = filled();
    sql(&newer.path, "PRAGMA user_version = 8");
    assert!(!Machine::open(&newer.path).unwrap_err().is_replaceable());
    let other = file();
    sql(&other.path, "CREATE TABLE t (x)");
    assert!(!Machine::open(&other.path).unwrap_err().is_replaceable());
}

/// Property: a missing or empty file is a new state; a reader makes none.
#[test]
fn new_files() {
    let file = file();
    assert!(matches!(
        Reader::open(&file.path),
        Err(Error::Sqlite { .. })
    ));
    assert!(!file.path.exists());
    std::fs::write(&file.path, "").unwrap();
    let machine = Machine::open(&file.path).unwrap();
    let applied = machine.applied();
    assert_eq!(applied.slot, paxos::ids::Slot::GENESIS);
    assert_eq!(applied.chain, paxos::entry::Chain::GENESIS);
    assert_eq!(machine.reader().unwrap().applied().unwrap(), applied.slot);
}

/// Property: damage of a page is an error that says so, never a panic and never an answer.
#[test]
fn damaged_pages_are_reported() {
    let whole = filled();
    let image = std::fs::read(&whole.path).unwrap();
    let hash = Machine::open(&whole.path).unwrap().state_hash().unwrap();
    let pages = image.len() / 8192;
    assert!(pages > 10);
    let mut reported = 0;
    for page in 0..pages {
        let damaged = file();
        let mut bytes = image.clone();
        // The page's header: its kind and the number of its cells.
        let start = if page == 0 { 100 } else { page * 8192 };
        bytes[start..start + 8].fill(0xa5);
        std::fs::write(&damaged.path, &bytes).unwrap();
        match Machine::open(&damaged.path).and_then(|machine| machine.state_hash()) {
            Err(error) => {
                assert!(
                    matches!(error, Error::Damaged { .. }),
                    "page {page}: {error}"
                );
                assert!(error.to_string().contains("move state.db"), "{error}");
                reported += 1;
            }
            // The pages of indexes are not part of the content; a free one matters to nobody.
            Ok(found) => assert_eq!(found, hash, "page {page}"),
        }
    }
    assert!(reported > pages / 2, "{reported} of {pages}");
}

/// Property: a file that lost its end is damaged.
#[test]
fn truncated_files_are_reported() {
    let whole = filled();
    let image = std::fs::read(&whole.path).unwrap();
    let damaged = file();
    std::fs::write(&damaged.path, &image[..image.len() / 2]).unwrap();
    let error = Machine::open(&damaged.path)
        .and_then(|machine| machine.state_hash())
        .expect_err("half the messages are gone");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

/// Property: rows that contradict each other stop the replica instead of being answered.
#[test]
fn contradicting_rows_are_reported() {
    for damage in [
        "DELETE FROM applied",
        "UPDATE applied SET slot = slot + 1",
        "DELETE FROM accounts",
        "DELETE FROM events WHERE seq = 5",
        "UPDATE dedupe SET kind = 9",
        "UPDATE dedupe SET kind = 5, number = 99",
        // The seq that comes next is taken.
        "UPDATE rooms SET head = head - 1",
    ] {
        let file = filled();
        let mut log = Log::new();
        log.batch(vec![sign_up(1, "Ann", 1)]);
        for n in 0..20 {
            log.batch(
                (0..20)
                    .map(|m| post(100 + n * 20 + m, 1, 1, &"text ".repeat(50)))
                    .collect(),
            );
        }
        // A repetition of the first three messages and of the sign-up, and a new message.
        let again = (100..103).map(|cid| post(cid, 1, 1, "x"));
        let commands = again
            .chain([sign_up(1, "Ann", 1), post(9, 1, 1, "new")])
            .collect();
        let entry = log.batch(commands);
        sql(&file.path, damage);
        let error = Machine::open(&file.path)
            .and_then(|mut machine| machine.apply(&[entry]))
            .expect_err(damage);
        assert!(
            matches!(error, Error::Damaged { .. } | Error::Gap { .. }),
            "{damage}: {error}"
        );
    }
}

/// Property: the hash is of what the tables say, not of how the file is laid out.
#[test]
fn layout_is_no_state() {
    let file = filled();
    let before = Machine::open(&file.path).unwrap().state_hash().unwrap();
    sql(
        &file.path,
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = 1024; VACUUM; REINDEX;
         PRAGMA journal_mode = WAL;",
    );
    assert_eq!(
        Machine::open(&file.path).unwrap().state_hash().unwrap(),
        before
    );
    sql(&file.path, "UPDATE members SET joined_ms = joined_ms + 1");
    assert_ne!(
        Machine::open(&file.path).unwrap().state_hash().unwrap(),
        before
    );
}
