//! The background check of rows: what it finds, where it ends, and that commits go on meanwhile.

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
use support::{ballot, decided, entries, voter};
use wal::{Completion, Error, Handle, Scrubbed, Wal, Writer};

/// So many rows, all but the last two decided, the first `compacted` of them compacted away.
fn log(dir: &Path, count: u64, compacted: usize) -> Vec<Entry> {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, count, ballot(3, 2));
    let last = &rows[rows.len() - 3];
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(last)])
        .unwrap();
    if let Some(last) = compacted.checked_sub(1) {
        let upto = rows[last].slot;
        wal.commit(&[PersistOp::Compact { upto }]).unwrap();
    }
    rows
}

fn spawn(dir: &Path) -> (Writer, Handle, Receiver<Completion>) {
    let (sender, completions) = channel();
    let report = move |completion| {
        // The test may have ended.
        let _ = sender.send(completion);
    };
    let writer = Wal::open(dir).unwrap().spawn(Box::new(report)).unwrap();
    let handle = writer.handle();
    (writer, handle, completions)
}

fn scrub(handle: &Handle, from: Slot, slots: u64) -> Receiver<Result<Scrubbed, Error>> {
    let (sender, found) = channel();
    let reply = move |result| sender.send(result).unwrap();
    handle.scrub(from, slots, Box::new(reply)).unwrap();
    found
}

fn scrubbed(handle: &Handle, from: Slot, slots: u64) -> Scrubbed {
    scrub(handle, from, slots)
        .recv_timeout(Duration::from_secs(20))
        .unwrap()
        .unwrap()
}

/// Property: a sound log is checked to the commit index, in the steps that were asked for, from
/// the first row that is left.
#[test]
fn a_sound_log_is_checked_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let rows = log(dir.path(), 1000, 100);
    let (writer, handle, _completions) = spawn(dir.path());
    let (mut from, mut checked, mut steps) = (Slot::FIRST, 0, 0);
    loop {
        let found = scrubbed(&handle, from, 250);
        assert!(found.damaged.is_empty());
        checked += found.checked;
        steps += 1;
        match found.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!((checked, steps), (898, 4), "without the undecided rows");
    let beyond = scrubbed(&handle, rows[999].slot, 10);
    assert_eq!((beyond.checked, beyond.next), (0, None));
    writer.stop();
}

/// Property: a damaged, a missing and an older row are found, undecided ones are not looked at.
#[test]
fn damage_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let rows = log(dir.path(), 100, 0);
    let slot = |at: usize| rows[at].slot.0;
    let other = entries(Chain([9; 32]), rows[70].slot, 1, ballot(3, 2));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    support::tamper(
        dir.path(),
        &format!(
            "UPDATE log SET crc = crc + 1 WHERE slot IN ({}, {}, {});
             DELETE FROM log WHERE slot IN ({}, {}, {});
             UPDATE log SET timestamp = {}, payload = x'{}', chain = x'{}', crc = {}
             WHERE slot = {};",
            slot(10),
            slot(97),
            slot(99),
            slot(30),
            slot(31),
            slot(97),
            other[0].timestamp.0,
            hex(&other[0].payload),
            hex(&other[0].chain.0),
            other[0].crc,
            slot(70),
        ),
    );
    let (writer, handle, _completions) = spawn(dir.path());
    let found = scrubbed(&handle, Slot::FIRST, 1000);
    // Of two rows that do not follow each other either may be the older one.
    let expected = [10, 30, 31, 69, 70, 71, 97].map(|at| rows[at].slot);
    assert_eq!(found.damaged, expected);
    assert_eq!((found.checked, found.next), (98, None));
    let found = scrubbed(&handle, rows[31].slot, 3);
    assert_eq!(found.damaged, [rows[31].slot]);
    assert_eq!((found.checked, found.next), (3, Some(rows[34].slot)));
    writer.stop();
}

/// Property: a dying disk is reported in bounded portions.
#[test]
fn a_report_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let rows = log(dir.path(), 500, 0);
    support::tamper(dir.path(), "UPDATE log SET crc = crc + 1");
    let (writer, handle, _completions) = spawn(dir.path());
    let found = scrubbed(&handle, Slot::FIRST, 1000);
    assert_eq!(found.damaged.len(), wal::limits::SCRUB_DAMAGED_MAX);
    assert_eq!(found.next, Some(rows[found.damaged.len()].slot));
    writer.stop();
}

/// Properties: a long check gives way to each commit; there is one at a time; the end of the
/// writer ends it.
#[test]
fn a_check_gives_way_to_commits() {
    let dir = tempfile::tempdir().unwrap();
    let rows = log(dir.path(), 30_000, 0);
    // After each commit the thread waits for the next request: no race.
    let (sender, completions) = channel();
    let (release, held) = channel::<()>();
    let report = move |completion| {
        sender.send(completion).unwrap();
        // The end of the test releases it as well.
        let _ = held.recv();
    };
    let writer = Wal::open(dir.path())
        .unwrap()
        .spawn(Box::new(report))
        .unwrap();
    let handle = writer.handle();
    let promise = |number| {
        let promise = PersistOp::Promise(ballot(3 + number, 1));
        handle.persist(PersistSeq(number), vec![promise]).unwrap();
    };
    promise(1);
    completions.recv_timeout(Duration::from_secs(20)).unwrap();
    let long = scrub(&handle, Slot::FIRST, u64::MAX);
    let second = scrub(&handle, Slot::FIRST, 1);
    for number in 2..=6 {
        promise(number);
        release.send(()).unwrap();
        completions.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(long.try_recv().is_err(), "a slice per commit, no more");
    }
    assert!(matches!(second.recv().unwrap(), Err(Error::Busy)));
    drop(release);
    let found = long.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!((found.checked, found.next), (rows.len() as u64 - 2, None));
    let long = scrub(&handle, Slot::FIRST, u64::MAX);
    writer.stop();
    assert!(long.recv().is_err(), "no answer after the end");
}
