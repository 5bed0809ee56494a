//! Rows that the state machine covers go: at once for readers, in portions on the disk.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use paxos::entry::{Chain, Entry};
use paxos::ids::{PersistSeq, Slot};
use paxos::output::PersistOp;
use support::{ballot, base, decided, entries, rows_on_disk, voter, wait_for_rows};
use wal::{Base, Completion, Error, Handle, Wal, Writer};

/// So many rows, all but the last two decided.
fn decided_log(dir: &Path, count: u64) -> (Wal, Vec<Entry>) {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, count, ballot(3, 2));
    let last = &rows[rows.len() - 3];
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(last)])
        .unwrap();
    (wal, rows)
}

fn compact(entry: &Entry) -> PersistOp {
    PersistOp::Compact { upto: entry.slot }
}

fn spawn(wal: Wal) -> (Writer, Handle, Receiver<Completion>) {
    let (sender, completions) = channel();
    let report = move |completion| {
        // The test may have ended.
        let _ = sender.send(completion);
    };
    let writer = wal.spawn(Box::new(report)).unwrap();
    let handle = writer.handle();
    (writer, handle, completions)
}

/// Properties: compacted rows are gone for readers at once and for good; everything above them
/// stays; the state machine may be exactly there, but not below.
#[test]
fn compacted_rows_do_not_count_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows) = decided_log(dir.path(), 20);
    wal.commit(&[compact(&rows[9])]).unwrap();
    for _ in 0..2 {
        assert_eq!(wal.compacted_to(), rows[9].slot);
        let gone = wal.read_rows(rows[9].slot, rows[17].slot, usize::MAX);
        assert!(matches!(gone, Err(Error::Compacted { .. })), "{gone:?}");
        let left = wal.read_rows(rows[10].slot, rows[17].slot, usize::MAX);
        assert_eq!(left.unwrap(), rows[10..18]);
        let restored = wal.restore(&base(&rows[9])).unwrap().restored;
        assert_eq!(
            (restored.decided, restored.compacted_to),
            (rows[17].slot, rows[9].slot)
        );
        assert_eq!(restored.undecided, rows[18..]);
        let replayed = wal.replay(&base(&rows[9]), restored.decided);
        let replayed: Vec<Entry> = replayed.flat_map(Result::unwrap).collect();
        assert_eq!(replayed, rows[10..18]);
        let behind = wal.restore(&base(&rows[8]));
        assert!(
            matches!(behind, Err(Error::SnapshotNeeded { applied, at_least, .. })
                if applied == rows[8].slot && at_least == rows[9].slot),
            "{behind:?}"
        );
        let again = PersistOp::Accept(vec![rows[9].clone()]);
        let copy = support::copy(dir.path());
        let refused = Wal::open(copy.path()).unwrap().commit(&[again]);
        assert!(
            matches!(refused, Err(Error::Contract { .. })),
            "{refused:?}"
        );
        drop(wal);
        wal = Wal::open(dir.path()).unwrap();
    }
}

/// Property: nothing above the commit index goes; the row at it may.
#[test]
fn compaction_ends_at_the_commit_index() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows) = decided_log(dir.path(), 10);
    // Decided and compacted in the same transaction, in this order.
    wal.commit(&[decided(&rows[8]), compact(&rows[9])]).unwrap();
    assert_eq!(wal.compacted_to(), rows[8].slot);
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let restored = wal.restore(&base(&rows[8])).unwrap().restored;
    assert_eq!(
        (restored.decided, restored.chain, restored.timestamp),
        (rows[8].slot, rows[8].chain, rows[8].timestamp)
    );
    assert_eq!(restored.undecided, rows[9..]);
    wal.commit(&[compact(&rows[2])]).unwrap();
    assert_eq!(wal.compacted_to(), rows[8].slot, "never back");
    // What is asserted before the row goes: that the commit index is what the row says.
    let more = entries(rows[9].chain, rows[9].slot.next(), 1, ballot(3, 2));
    let wrong = PersistOp::Decided {
        slot: rows[9].slot,
        chain: Chain([1; 32]),
    };
    let refused = wal.commit(&[PersistOp::Accept(more), wrong, compact(&rows[9])]);
    assert!(
        matches!(refused, Err(Error::Contract { .. })),
        "{refused:?}"
    );
}

/// Property: a damaged row that is applied is compacted away.
#[test]
fn a_damaged_applied_row_is_compacted_away() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, rows) = decided_log(dir.path(), 10);
    drop(wal);
    let slot = rows[5].slot;
    support::tamper(
        dir.path(),
        &format!("UPDATE log SET crc = crc + 1 WHERE slot = {}", slot.0),
    );
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.restore(&base(&rows[5])).unwrap().unreadable, Some(slot));
    wal.commit(&[PersistOp::Compact { upto: slot }]).unwrap();
    assert_eq!(wal.restore(&base(&rows[5])).unwrap().unreadable, None);
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.restore(&base(&rows[5])).unwrap().unreadable, None);
}

/// Property: when nothing else is to be done the rows leave the disk, also those that an earlier
/// process left behind; the rest stays.
#[test]
fn an_idle_writer_deletes_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows) = decided_log(dir.path(), 5000);
    wal.commit(&[compact(&rows[999])]).unwrap();
    drop(wal);
    assert_eq!(rows_on_disk(dir.path()), 5000, "left to the writer");
    let (writer, handle, completions) = spawn(Wal::open(dir.path()).unwrap());
    wait_for_rows(dir.path(), 4000);
    handle
        .persist(PersistSeq(1), vec![compact(&rows[4499])])
        .unwrap();
    completions.recv_timeout(Duration::from_secs(20)).unwrap();
    wait_for_rows(dir.path(), 500);
    writer.stop();
    let mut wal = Wal::open(dir.path()).unwrap();
    let restored = wal.restore(&base(&rows[4499])).unwrap().restored;
    assert_eq!(restored.undecided, rows[4998..]);
}

/// Property: the log shrinks also while it is written without a pause: each commit deletes more
/// than it writes.
#[test]
fn a_busy_writer_deletes_more_than_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows) = decided_log(dir.path(), 6000);
    wal.commit(&[compact(&rows[5899])]).unwrap();
    let (writer, handle, completions) = spawn(wal);
    let mut chain = rows[5999].chain;
    let mut next = rows[5999].slot.next();
    let commits = 60;
    for number in 1..=commits {
        let more = entries(chain, next, 20, ballot(3, 2));
        (chain, next) = (more[19].chain, more[19].slot.next());
        handle
            .persist(PersistSeq(number), vec![PersistOp::Accept(more)])
            .unwrap();
    }
    loop {
        let completion = completions.recv_timeout(Duration::from_secs(20)).unwrap();
        if matches!(completion, Completion::Persisted { seq, .. } if seq.0 == commits) {
            break;
        }
    }
    let left = rows_on_disk(dir.path());
    assert!(left < 6000, "{left} rows after {} more", 20 * commits);
    writer.stop();
}

/// Property: a crash in the middle of the deletion loses nothing that counts, and the next
/// process goes on with it.
#[test]
fn a_crash_during_the_deletion_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows) = decided_log(dir.path(), 4000);
    wal.commit(&[compact(&rows[3499])]).unwrap();
    let (writer, _handle, _completions) = spawn(wal);
    let mut crashes = 0;
    loop {
        let crashed = support::copy(dir.path());
        let left = rows_on_disk(crashed.path());
        let mut wal = Wal::open(crashed.path()).unwrap();
        let restored = wal.restore(&base(&rows[3499])).unwrap().restored;
        assert_eq!(restored.decided, rows[3997].slot, "{left} rows left");
        assert_eq!(restored.undecided, rows[3998..]);
        assert_eq!(
            wal.read_rows(rows[3500].slot, rows[3997].slot, usize::MAX)
                .unwrap(),
            rows[3500..3998]
        );
        crashes += 1;
        if left == 500 {
            break;
        }
        let (second, ..) = spawn(wal);
        wait_for_rows(crashed.path(), 500);
        second.stop();
    }
    assert!(crashes > 0);
    writer.stop();
    assert!(matches!(
        Wal::open(dir.path()).unwrap().restore(&Base::EMPTY),
        Err(Error::SnapshotNeeded { .. })
    ));
}
