//! Damaged, foreign, newer and half-missing files: each is refused with an error of its own, a
//! message that names file and remedy, and no change to the files.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::fs;
use std::path::Path;

use paxos::entry::Chain;
use paxos::ids::Slot;
use paxos::output::PersistOp;
use rusqlite::Connection;
use support::{ballot, entries, files, voter};
use wal::{Error, Wal};

/// A log with five rows, three of them decided, closed properly.
fn closed_log(dir: &Path) -> Vec<paxos::entry::Entry> {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, 5, ballot(3, 2));
    let decided = PersistOp::Decided {
        slot: rows[2].slot,
        chain: rows[2].chain,
    };
    wal.commit(&[PersistOp::Accept(rows.clone()), decided])
        .unwrap();
    rows
}

/// Changes the closed log as no program of ours would.
fn tamper(dir: &Path, sql: &str) {
    let connection = Connection::open(dir.join("log.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// The error of opening, after checking that it changed nothing and says which file.
fn refusal(dir: &Path) -> Error {
    let before = files(dir);
    let error = Wal::open(dir).unwrap_err();
    assert_eq!(
        files(dir),
        before,
        "a refused directory is left as it was: {error}"
    );
    let name = dir.file_name().unwrap().to_str().unwrap();
    assert!(
        error.to_string().contains(name),
        "the message names the file: {error}"
    );
    error
}

/// Property: what is no log of ours is not touched.
#[test]
fn a_foreign_file_is_refused() {
    for content in [
        &b""[..],
        b"short",
        &[0; 8192],
        &b"not a database at all. ".repeat(400),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log.db"), content).unwrap();
        let error = refusal(dir.path());
        assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    tamper(dir.path(), "PRAGMA application_id = 7; CREATE TABLE t (x)");
    let error = refusal(dir.path());
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
}

/// Property: a log of a later format is left to the later program.
#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    closed_log(dir.path());
    tamper(dir.path(), "PRAGMA user_version = 2");
    let error = refusal(dir.path());
    assert!(
        matches!(
            error,
            Error::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

/// Property (2.10): a log that vanished is not replaced by a new one under the same roof.
#[test]
fn a_wal_without_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    wal.commit(&[PersistOp::Promise(ballot(1, 1))]).unwrap();
    let copy = support::copy(dir.path());
    fs::remove_file(copy.path().join("log.db")).unwrap();
    let error = refusal(copy.path());
    assert!(matches!(error, Error::LogMissing { .. }), "{error}");
}

/// Property: a creation that was interrupted is done again, and leaves nothing behind.
#[test]
fn an_interrupted_creation_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log.db.new"), [7; 5000]).unwrap();
    fs::write(dir.path().join("log.db.new-journal"), [7; 500]).unwrap();
    drop(Wal::open(dir.path()).unwrap());
    let names: Vec<_> = files(dir.path()).into_keys().collect();
    assert_eq!(names, ["log.db"]);
}

/// Property: two replicas never share a directory, and the second learns who has it.
#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = voter(dir.path());
    let error = Wal::open(dir.path()).unwrap_err();
    let pid = format!("process {}", std::process::id());
    assert!(
        matches!(&error, Error::InUse { holder, .. } if *holder == pid),
        "{error}"
    );
    // Also when the lock file was deleted: SQLite's own lock holds. (Asked from a process of its
    // own, for these locks are the process's.)
    fs::remove_file(dir.path().join("log.lock")).unwrap();
    let error = support::open_in_child(dir.path());
    assert!(error.contains("is in use by"), "{error}");
}

/// Property: a damaged row stops the start, whether it is decided or not, and says which.
#[test]
fn a_damaged_row_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path());
    let flip = |slot: Slot| {
        let sql = format!(
            "UPDATE log SET payload = CAST('x' AS BLOB) WHERE slot = {}",
            slot.0
        );
        tamper(dir.path(), &sql);
    };
    flip(rows[4].slot);
    let error = Wal::open(dir.path())
        .unwrap()
        .restore(Slot::GENESIS)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { slot, decided: false, .. } if *slot == rows[4].slot),
        "{error}"
    );
    flip(rows[1].slot);
    let wal = Wal::open(dir.path()).unwrap();
    let error = wal
        .replay(Slot::GENESIS, rows[2].slot)
        .unwrap()
        .last()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { slot, decided: true, .. } if *slot == rows[1].slot),
        "{error}"
    );
}

/// Property: rows that are whole but of another history are found by their chain.
#[test]
fn a_row_of_another_history_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path());
    let other = entries(Chain([9; 32]), Slot::FIRST, 3, ballot(3, 2));
    let replace = |index: usize| {
        let connection = Connection::open(dir.path().join("log.db")).unwrap();
        let entry = &other[index];
        connection
            .execute(
                "UPDATE log SET chain = ?2, crc = ?3 WHERE slot = ?1",
                rusqlite::params![entry.slot.0.cast_signed(), entry.chain.0, entry.crc],
            )
            .unwrap();
    };
    replace(1);
    let wal = Wal::open(dir.path()).unwrap();
    let error = wal
        .replay(Slot::GENESIS, rows[2].slot)
        .unwrap()
        .last()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { slot, .. } if *slot == rows[1].slot),
        "{error}"
    );
    drop(wal);
    replace(2);
    let error = Wal::open(dir.path())
        .unwrap()
        .restore(Slot::GENESIS)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { slot, .. } if *slot == rows[2].slot),
        "{error}"
    );
}

/// Property: one bad copy of the identity is repaired from the other, whichever it is and
/// whatever happened to it.
#[test]
fn one_damaged_copy_of_the_identity_is_repaired() {
    for table in ["meta_a", "meta_b"] {
        for damage in [
            format!("UPDATE {table} SET promised_round = promised_round - 1"),
            format!("UPDATE {table} SET crc = crc + 1"),
            format!("UPDATE {table} SET disk_id = 'nobody'"),
            format!("UPDATE {table} SET genesis = NULL"),
            format!("DELETE FROM {table}"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            closed_log(dir.path());
            let identity = Wal::open(dir.path()).unwrap().identity().clone();
            tamper(dir.path(), &damage);
            let wal = Wal::open(dir.path()).unwrap();
            assert_eq!(wal.identity(), &identity, "{damage}");
            assert_eq!(
                wal.restore(Slot::GENESIS).unwrap().promised,
                ballot(3, 2),
                "{damage}"
            );
            drop(wal);
            // Repaired on disk: now the other copy may go.
            let other = if table == "meta_a" {
                "meta_b"
            } else {
                "meta_a"
            };
            tamper(dir.path(), &format!("DELETE FROM {other}"));
            let wal = Wal::open(dir.path()).unwrap();
            assert_eq!(
                wal.restore(Slot::GENESIS).unwrap().promised,
                ballot(3, 2),
                "{damage}"
            );
        }
    }
}

/// Property: of two whole copies the later one counts, for the disk lost a write of the other.
#[test]
fn an_outdated_copy_of_the_identity_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    closed_log(dir.path());
    tamper(dir.path(), "CREATE TABLE old AS SELECT * FROM meta_a");
    Wal::open(dir.path())
        .unwrap()
        .commit(&[PersistOp::Promise(ballot(7, 1))])
        .unwrap();
    tamper(
        dir.path(),
        "DELETE FROM meta_a; INSERT INTO meta_a SELECT * FROM old; DROP TABLE old",
    );
    let wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.restore(Slot::GENESIS).unwrap().promised, ballot(7, 1));
}

/// Property (2.9): without a trustworthy copy nobody votes as this node.
#[test]
fn two_damaged_copies_of_the_identity_kill_it() {
    for damage in [
        "DELETE FROM meta_a; UPDATE meta_b SET promised_round = 1",
        "UPDATE meta_a SET crc = 0; UPDATE meta_b SET crc = 0",
        "DROP TABLE meta_a; DROP TABLE meta_b",
        "DELETE FROM progress",
    ] {
        let dir = tempfile::tempdir().unwrap();
        closed_log(dir.path());
        tamper(dir.path(), damage);
        let error = Wal::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, Error::IdentityDead { .. }),
            "{damage}: {error}"
        );
    }
}

/// Property: a damaged progress row is survived, and `disk_seq` does not fall below what peers
/// may have seen.
#[test]
fn one_damaged_progress_row_is_survived() {
    for copy in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        closed_log(dir.path());
        let seen = Wal::open(dir.path()).unwrap().disk_seq();
        tamper(
            dir.path(),
            &format!("UPDATE progress SET decided = 1 WHERE copy = {copy}"),
        );
        let wal = Wal::open(dir.path()).unwrap();
        assert!(wal.disk_seq() >= seen, "{} after {seen}", wal.disk_seq());
        drop(wal);
        assert!(
            Wal::open(dir.path())
                .unwrap()
                .restore(Slot::GENESIS)
                .is_ok()
        );
    }
}

/// Property: a row that vanishes without a wrong checksum is missed, also an undecided one.
#[test]
fn a_vanished_row_is_missed() {
    for vanished in [1, 3, 4] {
        let dir = tempfile::tempdir().unwrap();
        let rows = closed_log(dir.path());
        tamper(
            dir.path(),
            &format!("DELETE FROM log WHERE slot = {}", rows[vanished].slot.0),
        );
        let wal = Wal::open(dir.path()).unwrap();
        let lost = match wal.restore(Slot::GENESIS) {
            Ok(restored) => wal
                .replay(Slot::GENESIS, restored.decided)
                .unwrap()
                .find_map(Result::err),
            Err(error) => Some(error),
        };
        let lost = lost.unwrap();
        let missed = matches!(lost, Error::RowsLost { .. } | Error::RowMissing { .. });
        assert!(missed, "{lost}");
    }
}

/// Property: no byte of log.db can be flipped without being noticed or being harmless: either
/// an error, or the same state.
#[test]
fn a_flipped_byte_never_changes_what_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path());
    let sound = fs::read(dir.path().join("log.db")).unwrap();
    let mut refused = 0;
    for at in (0..sound.len()).step_by(29) {
        let copy = tempfile::tempdir().unwrap();
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("log.db"), bytes).unwrap();
        let outcome = (|| {
            let wal = Wal::open(copy.path())?;
            let restored = wal.restore(Slot::GENESIS)?;
            let mut all = Vec::new();
            for page in wal.replay(Slot::GENESIS, restored.decided)? {
                all.extend(page?);
            }
            all.extend(restored.undecided);
            Ok::<_, Error>((restored.promised, all))
        })();
        match outcome {
            // A damaged progress row may lower the commit index, never the rows.
            Ok((promised, all)) => {
                assert_eq!(promised, ballot(3, 2), "flipped byte {at}");
                assert_eq!(all, rows, "flipped byte {at}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "some byte matters");
}
