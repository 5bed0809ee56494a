//! What makes the state durable beside its writer.

#![allow(clippy::unwrap_used, reason = "tests: a panic is the report")]

mod support;

use std::path::Path;

use machine::limits::{CHECKPOINT_PAGES, SQLITE_PAGE_BYTES};
use machine::{Machine, Reader};
use support::{Fixture, post};

/// Pages of the WAL, from its start to the last commit.
fn wal_pages(path: &Path) -> u64 {
    let counts = rusqlite::Connection::open(path).unwrap();
    let pages: i64 = counts
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
        .unwrap();
    pages.try_into().unwrap()
}

/// Applies batches of long messages until so many pages are in the WAL.
fn fill(fixture: &mut Fixture, pages: u64, from: u64) -> u64 {
    let text = "text ".repeat(1000);
    let mut cid = from;
    while wal_pages(&fixture.path()) < pages {
        let batch = (0..16).map(|n| post(cid + n, 1, 1, &text)).collect();
        let entry = fixture.log.batch(batch);
        fixture.machine.apply(&[entry]).unwrap();
        cid += 16;
    }
    cid
}

/// Property: a WAL that has become long is copied into the file beside an open transaction of the
/// writer, and begins anew when the writer has copied the rest; a short one is left alone.
#[test]
fn a_long_wal_begins_anew() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let flusher = fixture.machine.flusher().unwrap();
    let many = u64::from(CHECKPOINT_PAGES);
    let cid = fill(&mut fixture, many / 2, 1000);
    let before = wal_pages(&fixture.path());
    assert!(!flusher.checkpoint().unwrap());
    let path = fixture.path();
    let file = || std::fs::metadata(&path).unwrap().len();
    assert!(
        file() < before * u64::from(SQLITE_PAGE_BYTES) / 2,
        "left alone"
    );

    let cid = fill(&mut fixture, many, cid);
    let entry = fixture.log.batch(vec![post(cid, 1, 1, "in the open one")]);
    fixture.machine.advance(&[entry]).unwrap();
    assert!(flusher.checkpoint().unwrap());
    assert!(file() > many * u64::from(SQLITE_PAGE_BYTES) / 2, "copied");
    let mut reader = fixture.machine.reader().unwrap();
    assert!(reader.applied().unwrap() < fixture.machine.applied().slot);
    drop(reader);
    fixture.machine.finish_checkpoint().unwrap();
    let entry = fixture.log.batch(vec![post(cid + 1, 1, 1, "the next one")]);
    fixture.machine.apply(&[entry]).unwrap();
    assert!(wal_pages(&fixture.path()) < 100, "it begins anew");
}

/// Property: while somebody reads an older state, the WAL is not overwritten and the call returns;
/// what is read stays as it was.
#[test]
fn a_reader_is_not_disturbed() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let flusher = fixture.machine.flusher().unwrap();
    let old = rusqlite::Connection::open(fixture.path()).unwrap();
    old.execute_batch("BEGIN").unwrap();
    let count = || -> i64 {
        old.query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .unwrap()
    };
    let seen = count();
    let many = u64::from(CHECKPOINT_PAGES);
    let cid = fill(&mut fixture, many, 1000);
    assert!(!flusher.checkpoint().unwrap());
    fixture.machine.finish_checkpoint().unwrap();
    fill(&mut fixture, many + 100, cid);
    assert_eq!(count(), seen);
    old.execute_batch("ROLLBACK").unwrap();
    assert!(flusher.checkpoint().unwrap());
    fill(&mut fixture, 1, cid + 100_000);
    assert!(count() > seen);
}

/// Property: a copy of the files as they are after [`machine::Flusher::sync`] has everything that was
/// committed before it, with or without a checkpoint after it.
#[test]
fn what_was_committed_is_in_the_files() {
    for is_copied in [false, true] {
        let mut fixture = Fixture::with_people(&["Ann"]);
        let flusher = fixture.machine.flusher().unwrap();
        fill(&mut fixture, u64::from(CHECKPOINT_PAGES), 1000);
        let slot = fixture.machine.applied().slot;
        flusher.sync().unwrap();
        if is_copied {
            flusher.checkpoint().unwrap();
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["state.db", "state.db-wal"] {
            let from = fixture.path().with_file_name(name);
            std::fs::copy(from, copy.path().join(name)).unwrap();
        }
        let machine = Machine::open(copy.path().join("state.db")).unwrap();
        assert_eq!(machine.applied().slot, slot);
        assert_eq!(
            machine.state_hash().unwrap(),
            fixture.machine.state_hash().unwrap()
        );
        let mut reader = Reader::open(copy.path().join("state.db")).unwrap();
        assert_eq!(reader.applied().unwrap(), slot);
    }
}
