//! A snapshot takes the place of rows.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::path::Path;

use paxos::entry::{Chain, Entry};
use paxos::ids::Slot;
use paxos::output::PersistOp;
use support::{activate, ballot, base, decided, entries, named_by, seal, voter};
use wal::{Base, Error, Wal};

/// Ten rows, four of them decided, and what a snapshot by another replica is made of: more rows
/// after the first six.
fn behind(dir: &Path) -> (Wal, Vec<Entry>, Vec<Entry>) {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, 10, ballot(3, 2));
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(&rows[3])])
        .unwrap();
    let others = entries(rows[5].chain, rows[6].slot, 20, ballot(7, 1));
    (wal, rows, others)
}

/// Property: after the installation the log goes on above the snapshot, under the old promise;
/// doing it again changes nothing.
#[test]
fn a_snapshot_above_all_rows_takes_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, _, others) = behind(dir.path());
    wal.commit(&[PersistOp::Promise(ballot(9, 3))]).unwrap();
    let snapshot = base(&others[14]);
    wal.announce_snapshot(&snapshot).unwrap();
    assert!(wal.awaits_snapshot(&snapshot));
    for _ in 0..2 {
        wal.install_snapshot(&snapshot).unwrap();
        assert!(!wal.awaits_snapshot(&snapshot));
        assert_eq!(
            (wal.decided(), wal.compacted_to()),
            (snapshot.slot, snapshot.slot)
        );
        let restored = wal.restore(&snapshot).unwrap().restored;
        assert_eq!(
            (restored.decided, restored.chain, restored.timestamp),
            (snapshot.slot, snapshot.chain, snapshot.timestamp)
        );
        assert_eq!(restored.promised, ballot(9, 3));
        assert!(restored.undecided.is_empty());
        drop(wal);
        wal = Wal::open(dir.path()).unwrap();
    }
    wal.commit(&[PersistOp::Accept(others[15..].to_vec())])
        .unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let restored = wal.restore(&snapshot).unwrap().restored;
    assert_eq!(restored.undecided, others[15..]);
}

/// Property: what was accepted above a snapshot is kept, for this acceptor's vote may count.
#[test]
fn accepted_rows_above_a_snapshot_of_the_same_epoch_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows, _) = behind(dir.path());
    let snapshot = base(&rows[6]);
    wal.announce_snapshot(&snapshot).unwrap();
    wal.install_snapshot(&snapshot).unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let restored = wal.restore(&snapshot).unwrap().restored;
    assert_eq!(restored.decided, rows[6].slot);
    assert_eq!(restored.undecided, rows[7..]);
}

/// Property (R4): a snapshot of a later epoch makes that one the active epoch, however many lie
/// between, and rows of earlier ones end.
#[test]
fn a_snapshot_of_a_later_epoch_begins_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows, _) = behind(dir.path());
    let end = seal(&support::base(&rows[6]), ballot(3, 2), 4, &[5, 6, 7]);
    let mut snapshot = base(&end);
    snapshot.configuration = Some(named_by(&end));
    wal.announce_snapshot(&snapshot).unwrap();
    wal.install_snapshot(&snapshot).unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.configuration(), Some(&named_by(&end)));
    let restored = wal.restore(&snapshot).unwrap().restored;
    assert!(restored.undecided.is_empty());
    assert_eq!(restored.decided, end.slot);
    let next = seal(&support::base(&end), ballot(3, 2), 5, &[5, 6]);
    wal.commit(&[PersistOp::Accept(vec![next.clone()]), activate(&next)])
        .unwrap();
    // An older snapshot is of no use any more.
    let mut older = base(&entries(next.chain, next.slot.next(), 1, ballot(3, 2))[0]);
    older.configuration = Some(named_by(&end));
    wal.announce_snapshot(&older).unwrap();
    let refused = wal.install_snapshot(&older);
    assert!(
        matches!(refused, Err(Error::Contract { .. })),
        "{refused:?}"
    );
}

/// Property: a snapshot at or below the commit index is a compaction to its slot.
#[test]
fn a_snapshot_of_what_is_decided_compacts() {
    for at in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, rows, _) = behind(dir.path());
        wal.install_snapshot(&base(&rows[at])).unwrap();
        assert_eq!(
            (wal.decided(), wal.compacted_to()),
            (rows[3].slot, rows[at].slot)
        );
        wal.install_snapshot(&base(&rows[0])).unwrap();
        assert_eq!(wal.compacted_to(), rows[at].slot, "never back");
        drop(wal);
        let mut wal = Wal::open(dir.path()).unwrap();
        let restored = wal.restore(&base(&rows[at])).unwrap().restored;
        assert_eq!(restored.decided, rows[3].slot);
        assert_eq!(restored.undecided, rows[4..]);
    }
}

/// Property: a snapshot of another history is refused, and nothing changes.
#[test]
fn a_snapshot_of_another_history_is_refused() {
    for at in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, rows, _) = behind(dir.path());
        let mut other = base(&rows[at]);
        other.chain = Chain([7; 32]);
        wal.announce_snapshot(&other).unwrap();
        let refused = wal.install_snapshot(&other);
        assert!(
            matches!(refused, Err(Error::Diverged { .. })),
            "{refused:?}"
        );
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!(restored.undecided, rows[4..]);
    }
}

/// Property: state.db ahead of the log is either the announced installation, interrupted, which
/// is completed; or a log that lost what it had, which is refused.
#[test]
fn an_interrupted_installation_is_told_from_a_log_that_lost_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows, others) = behind(dir.path());
    let (snapshot, other) = (base(&others[14]), base(&others[15]));
    assert!(!wal.awaits_snapshot(&snapshot));
    let refused = wal.restore(&snapshot);
    assert!(
        matches!(refused, Err(Error::RowMissing { .. })),
        "{refused:?}"
    );

    wal.announce_snapshot(&snapshot).unwrap();
    // The swap did not happen: the old state goes on as ever.
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    assert!(!wal.awaits_snapshot(&base(&rows[2])));
    let restored = wal.restore(&base(&rows[2])).unwrap().restored;
    assert_eq!(restored.undecided, rows[4..]);
    // It did: this snapshot and no other one.
    assert!(wal.awaits_snapshot(&snapshot) && !wal.awaits_snapshot(&other));
    let refused = wal.restore(&other);
    assert!(
        matches!(refused, Err(Error::RowMissing { .. })),
        "{refused:?}"
    );
    wal.install_snapshot(&snapshot).unwrap();
    assert_eq!(
        wal.restore(&snapshot).unwrap().restored.decided,
        snapshot.slot
    );
    let refused = wal.install_snapshot(&other);
    assert!(
        matches!(refused, Err(Error::Contract { .. })),
        "{refused:?}"
    );
}

/// Property: an installation repairs what is damaged up to its slot, and reports what is above.
#[test]
fn a_snapshot_repairs_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, rows, _) = behind(dir.path());
    drop(wal);
    for at in [2, 5, 8] {
        support::tamper(
            dir.path(),
            &format!(
                "UPDATE log SET crc = crc + 1 WHERE slot = {}",
                rows[at].slot.0
            ),
        );
    }
    let mut wal = Wal::open(dir.path()).unwrap();
    let damaged = wal.restore(&Base::EMPTY).unwrap().restored.damaged;
    assert!(damaged.into_iter().eq([2, 5, 8].map(|at| rows[at].slot)));
    let snapshot = base(&rows[6]);
    wal.announce_snapshot(&snapshot).unwrap();
    wal.install_snapshot(&snapshot).unwrap();
    for _ in 0..2 {
        let restored = wal.restore(&snapshot).unwrap().restored;
        assert!(restored.damaged.into_iter().eq([rows[8].slot]));
        assert_eq!(restored.undecided, [rows[7].clone(), rows[9].clone()]);
        drop(wal);
        wal = Wal::open(dir.path()).unwrap();
    }
}
