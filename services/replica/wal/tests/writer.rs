//! The thread: order, groups, reads between commits, one report per commit, and its end.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use paxos::entry::{Chain, Entry};
use paxos::ids::{NodeId, PersistSeq, Slot};
use paxos::output::PersistOp;
use support::{ballot, entries, voter};
use wal::{Base, Completion, Error, Handle, Peers, Wal, Writer};

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

fn next(completions: &Receiver<Completion>) -> Completion {
    completions.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// Whether this reports the request with that number.
fn is_persisted(completion: &Completion, number: u64) -> bool {
    matches!(completion, Completion::Persisted { seq, .. } if seq.0 == number)
}

/// Rows read through the handle.
fn read(handle: &Handle, from: Slot, upto: Slot) -> Result<Vec<Entry>, Error> {
    let (sender, rows) = channel();
    let reply = move |found| sender.send(found).unwrap();
    handle
        .read(from, upto, usize::MAX, Box::new(reply))
        .unwrap();
    rows.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// Properties: what is queued while a commit runs shares the next one; completions are
/// cumulative and in order; a read sees everything queued before it.
#[test]
fn requests_are_grouped_and_reads_see_them() {
    let dir = tempfile::tempdir().unwrap();
    let wal = voter(dir.path());
    // The first completion holds the thread until everything else is queued: no race.
    let (sender, completions) = channel();
    let (release, held) = channel::<()>();
    let report = move |completion| {
        let first = matches!(
            completion,
            Completion::Persisted {
                seq: PersistSeq(1),
                ..
            }
        );
        sender.send(completion).unwrap();
        if first {
            held.recv().unwrap();
        }
    };
    let writer = wal.spawn(Box::new(report)).unwrap();
    let handle = writer.handle();
    let rows = entries(Chain::GENESIS, Slot::FIRST, 101, ballot(1, 1));
    for (row, number) in rows.iter().zip(1..) {
        handle
            .persist(
                PersistSeq(number),
                vec![PersistOp::Accept(vec![row.clone()])],
            )
            .unwrap();
        if number == 1 {
            assert!(matches!(
                next(&completions),
                Completion::Persisted { rows: 1, .. }
            ));
        }
    }
    release.send(()).unwrap();
    let Completion::Persisted {
        seq,
        disk_seq,
        requests,
        rows: written,
        ..
    } = next(&completions)
    else {
        panic!("a commit")
    };
    assert_eq!(
        (seq, requests, written),
        (PersistSeq(101), 100, 100),
        "one commit for 100"
    );
    assert_eq!(read(&handle, Slot::FIRST, rows[100].slot).unwrap(), rows);
    assert_eq!(handle.queued(), 0);
    writer.stop();
    let mut wal = Wal::open(dir.path()).unwrap();
    assert!(wal.disk_seq() >= disk_seq);
    assert_eq!(wal.restore(&Base::EMPTY).unwrap().restored.undecided, rows);
}

/// Property: a read that finds no row is an error of that read, and the writer goes on.
#[test]
fn a_failed_read_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle, completions) = spawn(voter(dir.path()));
    assert!(matches!(
        read(&handle, Slot::FIRST, Slot(2000)),
        Err(Error::RowMissing { .. })
    ));
    handle
        .persist(PersistSeq(1), vec![PersistOp::Promise(ballot(1, 1))])
        .unwrap();
    assert!(matches!(next(&completions), Completion::Persisted { .. }));
    writer.stop();
}

/// Property: stopping executes what was queued before, and lets go of the directory.
#[test]
fn stopping_drains_and_closes() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle, _completions) = spawn(voter(dir.path()));
    for number in 1..=50 {
        let promise = PersistOp::Promise(ballot(number, 1));
        handle.persist(PersistSeq(number), vec![promise]).unwrap();
    }
    let peers = Peers::from([(NodeId(3), "c:3".to_owned())]);
    handle.remember_peers(peers.clone()).unwrap();
    writer.stop();
    assert!(matches!(
        handle.persist(PersistSeq(51), Vec::new()),
        Err(Error::Stopped)
    ));
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(
        wal.restore(&Base::EMPTY).unwrap().restored.promised,
        ballot(50, 1)
    );
    assert_eq!(wal.peers().unwrap(), peers);
}

/// Property: after an error there is one report, and nothing is written or reported any more,
/// not even what was queued in the same group before the bad request.
#[test]
fn an_error_is_reported_once_and_ends_everything() {
    for bad in [(PersistSeq(2), ballot(1, 1)), (PersistSeq(1), ballot(9, 1))] {
        let dir = tempfile::tempdir().unwrap();
        let (writer, handle, completions) = spawn(voter(dir.path()));
        handle
            .persist(PersistSeq(1), vec![PersistOp::Promise(ballot(5, 1))])
            .unwrap();
        assert!(matches!(next(&completions), Completion::Persisted { .. }));
        handle
            .persist(bad.0, vec![PersistOp::Promise(bad.1)])
            .unwrap();
        let fatal = next(&completions);
        assert!(
            matches!(fatal, Completion::Fatal(Error::Contract { .. })),
            "{fatal:?}"
        );
        assert!(
            completions.recv_timeout(Duration::from_secs(20)).is_err(),
            "the last report"
        );
        while handle.persist(PersistSeq(3), Vec::new()).is_ok() {}
        writer.stop();
        let copy = support::copy(dir.path());
        let restored = Wal::open(copy.path())
            .unwrap()
            .restore(&Base::EMPTY)
            .unwrap()
            .restored;
        assert_eq!(restored.promised, ballot(5, 1));
    }
}

/// Property: before a pause an empty transaction follows the last one, so that damage in the
/// last one is recognised (section 2.9) instead of being taken for a torn tail.
#[test]
fn a_pause_seals_the_wal() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle, completions) = spawn(voter(dir.path()));
    let path = dir.path().join("log.db-wal");
    handle
        .persist(PersistSeq(1), vec![PersistOp::Promise(ballot(5, 1))])
        .unwrap();
    next(&completions);
    let length = std::fs::metadata(&path).unwrap().len();
    let sealed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        std::fs::metadata(&path).unwrap().len() > length
    });
    assert!(sealed, "a frame follows");
    let copy = support::copy(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let last_frame_with_content = usize::try_from(length).unwrap() - 100;
    bytes[last_frame_with_content] ^= 1;
    std::fs::write(copy.path().join("log.db-wal"), bytes).unwrap();
    assert!(matches!(
        Wal::open(copy.path()),
        Err(Error::WalDamaged { .. })
    ));
    // Sealed once, not over and over.
    let length = std::fs::metadata(&path).unwrap().len();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
    writer.stop();
}

/// Properties: the WAL is checkpointed and reused under load, so it does not grow with the log;
/// and what earlier rounds left in it is not taken for damage.
#[test]
fn the_wal_stays_bounded_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle, completions) = spawn(voter(dir.path()));
    let mut chain = Chain::GENESIS;
    let megabyte = 1024 * 1024;
    let mut largest = 0;
    for number in 1..=300 {
        let slot = Slot(Slot::GENESIS.0 + number);
        let payload = vec![7; 200 * 1024].into();
        let kind = paxos::entry::EntryKind::Batch;
        let at = paxos::ids::Timestamp(number);
        let row = Entry::new(chain, slot, ballot(1, 1), kind, at, payload);
        chain = row.chain;
        handle
            .persist(PersistSeq(number), vec![PersistOp::Accept(vec![row])])
            .unwrap();
        if number % 10 == 0 {
            while !is_persisted(&next(&completions), number) {}
            let length = std::fs::metadata(dir.path().join("log.db-wal"))
                .unwrap()
                .len();
            largest = largest.max(length);
        }
    }
    assert!(
        largest <= 9 * megabyte,
        "{} MiB after 60 MiB of rows",
        largest / megabyte
    );
    // A crash now: behind the frames of this round lie those of earlier ones, no damage.
    let copy = support::copy(dir.path());
    let mut wal = Wal::open(copy.path()).unwrap();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!(restored.undecided.len(), 300);
    writer.stop();
}
