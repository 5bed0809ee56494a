//! Damaged, foreign, newer and half-missing files: each is refused with an error of its own, a
//! message that names file and remedy, and no change to the files. What can be survived is. Damage
//! of rows that leaves the file's structure sound: `recovery.rs`.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, NodeId, Slot};
use paxos::output::PersistOp;
use support::{ballot, entries, files, tamper, voter};
use wal::{Base, Error, Wal};

/// A log with five rows, one of them large, three of them decided, closed properly.
fn closed_log(dir: &Path) -> Vec<Entry> {
    let mut wal = voter(dir);
    let mut rows = entries(Chain::GENESIS, Slot::FIRST, 5, ballot(3, 2));
    // One that takes pages of its own.
    rows[3] = Entry::new(
        rows[2].chain,
        rows[3].slot,
        ballot(3, 2),
        EntryKind::Batch,
        rows[3].timestamp,
        vec![7; 20_000].into(),
    );
    rows[4] = rows[4].reproposed(rows[3].chain, ballot(3, 2));
    let decided = PersistOp::Decided {
        slot: rows[2].slot,
        chain: rows[2].chain,
    };
    wal.commit(&[PersistOp::Accept(rows.clone()), decided])
        .unwrap();
    rows
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
    tamper(dir.path(), "PRAGMA user_version = 3");
    let error = refusal(dir.path());
    assert!(
        matches!(
            error,
            Error::NewerFormat {
                found: 3,
                known: 2,
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
            let mut wal = Wal::open(dir.path()).unwrap();
            assert_eq!(wal.identity(), &identity, "{damage}");
            assert_eq!(
                wal.restore(&Base::EMPTY).unwrap().restored.promised,
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
            let mut wal = Wal::open(dir.path()).unwrap();
            assert_eq!(
                wal.restore(&Base::EMPTY).unwrap().restored.promised,
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
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(
        wal.restore(&Base::EMPTY).unwrap().restored.promised,
        ballot(7, 1)
    );
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
        assert!(Wal::open(dir.path()).unwrap().restore(&Base::EMPTY).is_ok());
    }
}

/// Property: no byte of log.db can be flipped without being noticed or being harmless: either
/// an error, or each row comes back as it was or is known to be damaged; and what is known to be
/// damaged can be repaired.
#[test]
fn a_flipped_byte_never_changes_what_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path());
    let sound = fs::read(dir.path().join("log.db")).unwrap();
    let (mut refused, mut repaired) = (0, 0);
    for at in (0..sound.len()).step_by(97) {
        let copy = tempfile::tempdir().unwrap();
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("log.db"), bytes).unwrap();
        let found = match come_back(copy.path()) {
            Ok(found) => found,
            Err(_) => {
                refused += 1;
                continue;
            }
        };
        // A damaged progress row may lower the commit index, never the rows.
        assert_eq!(found.promised, ballot(3, 2), "flipped byte {at}");
        for row in &rows {
            let held = found.rows.iter().find(|held| held.slot == row.slot);
            match held {
                Some(held) => assert_eq!(held, row, "flipped byte {at}"),
                None => assert!(found.damaged.contains(&row.slot), "flipped byte {at}"),
            }
        }
        if found.damaged.is_empty() {
            continue;
        }
        let mut wal = Wal::open(copy.path()).unwrap();
        wal.restore(&Base::EMPTY).unwrap();
        let lost = rows.iter().filter(|row| found.damaged.contains(&row.slot));
        wal.commit(&[PersistOp::Accept(lost.cloned().collect())])
            .unwrap();
        drop(wal);
        let found = come_back(copy.path()).unwrap();
        assert_eq!((found.rows, found.damaged.len()), (rows.clone(), 0), "{at}");
        repaired += 1;
    }
    assert!(
        refused > 0 && repaired > 0,
        "{refused} refused, {repaired} repaired"
    );
}

/// Everything that a log gives back.
struct Found {
    promised: Ballot,
    rows: Vec<Entry>,
    damaged: BTreeSet<Slot>,
}

fn come_back(dir: &Path) -> Result<Found, Error> {
    let mut wal = Wal::open(dir)?;
    let restored = wal.restore(&Base::EMPTY)?.restored;
    let mut rows = Vec::new();
    for page in wal.replay(&Base::EMPTY, restored.decided) {
        rows.extend(page?);
    }
    rows.extend(restored.undecided);
    Ok(Found {
        promised: restored.promised,
        rows,
        damaged: restored.damaged,
    })
}

/// Property: what was seen of other disks is forgotten when it cannot be trusted: a count that
/// is too high would condemn a sound disk.
#[test]
fn a_damaged_witness_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    closed_log(dir.path());
    let seen = |node, disk_seq| PersistOp::Witness {
        node: NodeId(node),
        disk_seq: DiskSeq(disk_seq),
    };
    Wal::open(dir.path())
        .unwrap()
        .commit(&[seen(1, 7), seen(3, 9)])
        .unwrap();
    tamper(
        dir.path(),
        "UPDATE witnesses SET disk_seq = disk_seq + 1000 WHERE node = 3",
    );
    let mut wal = Wal::open(dir.path()).unwrap();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!(
        restored.witnessed,
        BTreeMap::from([(NodeId(1), DiskSeq(7))])
    );
}
