//! State files of the formats before this one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::path::Path;

use machine::{Machine, StateHash, snapshot};
use paxos::entry::EntryKind;
use support::{Fixture, Log, edit, elected, leave, mark_read, post, reply, seal, sign_up, silent};

/// A log that a program of format 2 could have applied.
fn older_log() -> Log {
    let mut log = Log::new();
    log.batch(vec![sign_up(1, "Ann", 1), sign_up(2, "Bob", 2)]);
    log.push(EntryKind::Seal, seal(2, &[1, 2, 1030]).encode());
    log.batch(vec![post(3, 1, 1, "hi"), sign_up(5, "Cid Lee", 5)]);
    log.batch(vec![
        reply(4, 2, 1, "hi @ann and @Cid Lee, @Eve", 4),
        reply(6, 3, 1, "@room", 4),
        sign_up(7, "Eve", 7),
        leave(8, 2, 1),
    ]);
    log
}

/// What formats up to 3 lack.
const NO_MESSAGES: &str = "DROP TABLE message_states; DROP TABLE reactions; DROP TABLE mentions;
    DROP TABLE read_markers; DROP INDEX events_by_target;";

/// What formats up to 5 lack.
const NO_PEOPLE: &str = "DROP TABLE profiles; DROP TABLE former_names; DROP TABLE session_devices;
    DROP TABLE settings; DROP TABLE invitations;";

/// What formats up to 6 lack.
const NO_WISHES: &str = "DROP TABLE room_wishes; DROP TABLE taken_away;";

/// Makes the file what a program of that format left: without the tables, with its number.
fn age(path: &Path, format: i32) {
    let watched = if format == 2 {
        "DROP TABLE watched;"
    } else {
        ""
    };
    let people = if format <= 5 { NO_PEOPLE } else { "" };
    let messages = if format <= 4 { NO_MESSAGES } else { "" };
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(&format!(
            "{NO_WISHES} {people} {messages} {watched} PRAGMA user_version = {format}"
        ))
        .unwrap();
}

fn aged(log: &Log, format: i32) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.machine.apply(&log.entries).unwrap();
    let path = fixture.path();
    // The WAL goes into the file when the last connection is closed.
    fixture.machine = Machine::open(tempfile::tempdir().unwrap().path().join("other")).unwrap();
    age(&path, format);
    fixture
}

fn hash_after(mut machine: Machine, log: &Log) -> StateHash {
    let applied = machine.applied().slot;
    let rest: Vec<_> = log
        .entries
        .iter()
        .filter(|entry| entry.slot > applied)
        .cloned()
        .collect();
    machine.apply(&rest).unwrap();
    machine.state_hash().unwrap()
}

/// Property: an older file becomes the state that this program makes of the same log, and goes on
/// like it, notices included; whoever opens it again finds it done.
#[test]
fn an_older_file_is_brought_forward() {
    for format in [2, 3, 5, 6] {
        let mut log = older_log();
        let fixture = aged(&log, format);
        let machine = Machine::open(fixture.path()).unwrap();
        drop(machine);
        let machine = Machine::open(fixture.path()).unwrap();
        machine.reader().unwrap().check().unwrap();
        let mut anew = Fixture::new().machine;
        anew.apply(&log.entries).unwrap();
        assert_eq!(machine.state_hash().unwrap(), anew.state_hash().unwrap());
        log.batch(vec![
            elected(4, 2),
            silent(3, 2_000),
            edit(9, 1, 1, 4, "hi there"),
            mark_read(10, 1, 1, 5),
        ]);
        log.push(EntryKind::Seal, seal(3, &[2, 3, 1030]).encode());
        assert_eq!(hash_after(machine, &log), hash_after(anew, &log));
    }
}

/// Property: an older snapshot, which a replica of the version before offers, is taken, and is
/// brought forward when it is opened.
#[test]
fn an_older_snapshot_is_taken() {
    for format in [2, 3, 5, 6] {
        snapshot_is_taken(format);
    }
}

fn snapshot_is_taken(format: i32) {
    let log = older_log();
    let whole = {
        let mut fixture = Fixture::new();
        fixture.machine.apply(&log.entries).unwrap();
        fixture.machine.state_hash().unwrap()
    };
    let fixture = aged(&log, 2);
    let made = tempfile::tempdir().unwrap();
    let snapshot = snapshot::make(&fixture.path(), made.path()).unwrap();
    let mut manifest = snapshot.manifest().clone();
    manifest.state_format = format.cast_unsigned();
    let manifest = snapshot::Manifest::from_wire(&manifest.to_wire()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let state = target.path().join("state.db");
    let copy = target.path().join("state.db.part");
    let file = std::fs::read_dir(made.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    std::fs::copy(file, &copy).unwrap();
    let verified = snapshot::verify(&copy, &manifest).unwrap();
    snapshot::install(verified, &state).unwrap();
    assert_eq!(Machine::open(&state).unwrap().state_hash().unwrap(), whole);
}
