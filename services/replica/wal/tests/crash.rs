//! Crashes and what they leave: torn tails, damage in the middle of the WAL, `kill -9`.
//!
//! A crash is a copy of the files at some moment; a torn tail is a WAL cut off at any byte.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, PersistSeq, Slot, Timestamp};
use paxos::output::PersistOp;
use proptest::prelude::*;
use support::{SmallDisk, ballot, child, child_dir, entries, voter};
use tempfile::TempDir;
use wal::{Base, Completion, Error, Wal};

/// A run of commits and what a crash after each of them must preserve.
struct Run {
    /// The files after the last commit.
    files: TempDir,
    /// Per commit: the length of the WAL, the promise, the rows.
    commits: Vec<(usize, Ballot, Vec<Entry>)>,
}

/// Commits of one to three rows, each under a higher ballot than the one before, and a promise
/// of a ballot above that.
fn run(count: u64) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let wal_length = || {
        let length = fs::metadata(dir.path().join("log.db-wal")).unwrap().len();
        usize::try_from(length).unwrap()
    };
    let mut rows: Vec<Entry> = Vec::new();
    let mut commits = vec![(wal_length(), Ballot::ZERO, Vec::new())];
    for number in 1..=count {
        let (chain, first) = rows.last().map_or((Chain::GENESIS, Slot::FIRST), |row| {
            (row.chain, row.slot.next())
        });
        let new = entries(chain, first, number % 3 + 1, ballot(2 * number, 1));
        rows.extend(new.clone());
        let promised = ballot(2 * number + 1, 3);
        wal.commit(&[PersistOp::Accept(new), PersistOp::Promise(promised)])
            .unwrap();
        commits.push((wal_length(), promised, rows.clone()));
    }
    let files = support::copy(dir.path());
    Run { files, commits }
}

impl Run {
    /// Opens a copy of the files whose WAL was changed.
    fn open_with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<(Ballot, Vec<Entry>), Error> {
        let copy = support::copy(self.files.path());
        let path = copy.path().join("log.db-wal");
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let restored = Wal::open(copy.path())?.restore(&Base::EMPTY)?.restored;
        Ok((restored.promised, restored.undecided))
    }

    /// What must be there when the first `length` bytes of the WAL are.
    fn expected(&self, length: usize) -> (Ballot, Vec<Entry>) {
        let (_, promised, rows) = self
            .commits
            .iter()
            .rev()
            .find(|(end, ..)| *end <= length)
            .unwrap();
        (*promised, rows.clone())
    }
}

/// Property (D1, D2): wherever the WAL is cut off, exactly the commits before the cut are
/// there, and the torn rest is dropped without a word.
#[test]
fn a_torn_tail_loses_nothing_that_was_persisted() {
    let run = run(12);
    let (first, last) = (run.commits[0].0, run.commits.last().unwrap().0);
    let near_commits = run
        .commits
        .iter()
        .flat_map(|(end, ..)| end.saturating_sub(2)..end + 3);
    for cut in near_commits
        .chain((first..last).step_by(2003))
        .filter(|cut| (first..=last).contains(cut))
    {
        let found = run.open_with(|bytes| bytes.truncate(cut)).unwrap();
        assert_eq!(found, run.expected(cut), "cut at {cut}");
    }
}

/// Property (trap 14): damage before the last commit is no torn tail. SQLite alone would drop
/// everything after it without an error.
#[test]
fn damage_in_the_middle_is_refused() {
    let run = run(12);
    let commits = run.commits.len();
    // Before the start of the last transaction, header of the file included.
    let last_begin = run.commits[commits - 2].0;
    for at in (0..32).chain((32..last_begin).step_by(499)) {
        let error = run.open_with(|bytes| bytes[at] ^= 0x04).unwrap_err();
        assert!(
            matches!(error, Error::WalDamaged { .. }),
            "byte {at}: {error}"
        );
    }
    // A frame that the disk never wrote, with the old content in its place.
    let error = run
        .open_with(|bytes| bytes[last_begin - 4120..last_begin].fill(0))
        .unwrap_err();
    assert!(matches!(error, Error::WalDamaged { .. }), "{error}");
}

/// Property: damage in the last transaction is refused, or it is taken for torn and exactly
/// that one is dropped; never anything else. (It cannot be told from a crash in the middle of
/// writing it: hence the seal, see `writer.rs`.)
#[test]
fn damage_in_the_last_transaction_loses_no_other() {
    let run = run(12);
    let [.., (begin, ..), (end, ..)] = run.commits[..] else {
        panic!("at least two commits")
    };
    let mut dropped = 0;
    for at in (begin..end).step_by(97) {
        match run.open_with(|bytes| bytes[at] ^= 0x04) {
            Ok(found) => {
                assert_eq!(found, run.expected(begin), "byte {at}");
                dropped += 1;
            }
            Err(Error::WalDamaged { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(dropped > 0, "the frame with the commit mark");
}

/// Property: a refused WAL is left as it was, and refused again.
#[test]
fn a_refused_wal_is_not_touched() {
    let run = run(5);
    let path = run.files.path().join("log.db-wal");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = support::files(run.files.path());
    for _ in 0..2 {
        let error = Wal::open(run.files.path()).unwrap_err();
        assert!(error.to_string().contains("log.db-wal"), "{error}");
        assert!(support::files(run.files.path()) == before, "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Property: after a crash at any moment the log goes on, and what is written then survives
    /// the next crash, although the WAL still holds the torn rest.
    #[test]
    fn life_goes_on_after_a_torn_tail(count in 1_u64..8, cut in 0.0_f64..1.0) {
        let run = run(count);
        let (first, last) = (run.commits[0].0, run.commits.last().unwrap().0);
        let cut = first + ((last - first) as f64 * cut) as usize;
        let path = run.files.path().join("log.db-wal");
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(cut);
        fs::write(&path, bytes).unwrap();

        let mut wal = Wal::open(run.files.path()).unwrap();
        let (promised, mut rows) = run.expected(cut);
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        prop_assert_eq!((restored.promised, &restored.undecided), (promised, &rows));
        let (chain, next) =
            rows.last().map_or((Chain::GENESIS, Slot::FIRST), |row| (row.chain, row.slot.next()));
        let new = entries(chain, next, 1, ballot(99, 1));
        wal.commit(&[PersistOp::Accept(new.clone())]).unwrap();
        rows.extend(new);
        let crashed = support::copy(run.files.path());
        let restored = Wal::open(crashed.path()).unwrap().restore(&Base::EMPTY).unwrap().restored;
        prop_assert_eq!((restored.promised, restored.undecided), (ballot(99, 1), rows));
    }
}

/// The row that the child writes as number `number`; large enough for checkpoints to happen.
fn child_row(previous: Chain, number: u64) -> Entry {
    let payload = Bytes::from(vec![
        number.to_le_bytes()[0];
        (number as usize * 7919) % 60_000
    ]);
    let slot = Slot(Slot::FIRST.0 + number);
    Entry::new(
        previous,
        slot,
        ballot(1, 1),
        EntryKind::Batch,
        Timestamp(number),
        payload,
    )
}

/// No test of its own: writes rows through the writer until it is killed, and prints how many
/// are durable whenever it learns it.
#[test]
fn child_writes() {
    let Some(dir) = child_dir() else { return };
    let mut wal = voter(&dir);
    let held = wal.restore(&Base::EMPTY).unwrap().restored;
    let mut chain = held.undecided.last().map_or(held.chain, |row| row.chain);
    let first = held.decided.distance_above(Slot::GENESIS) + held.undecided.len() as u64;
    let (sender, completions) = channel();
    let writer = wal
        .spawn(Box::new(move |completion| sender.send(completion).unwrap()))
        .unwrap();
    let handle = writer.handle();
    let mut sent = 0;
    loop {
        for _ in 0..3 {
            let entry = child_row(chain, first + sent);
            // The hint lags by one row, as the hints of a replica do.
            let hint = PersistOp::Decided {
                slot: entry.slot.prev(),
                chain,
            };
            chain = entry.chain;
            sent += 1;
            let accept = PersistOp::Accept(vec![entry]);
            let ops = if first + sent > 1 {
                vec![accept, hint]
            } else {
                vec![accept]
            };
            // A stopped writer has said why: the report is among the completions.
            let _ = handle.persist(PersistSeq(sent), ops);
        }
        match completions.recv().unwrap() {
            Completion::Persisted { seq, .. } => println!("durable {}", first + seq.0),
            Completion::Fatal(error) => panic!("{error}"),
        }
    }
}

/// How many rows a line of the child reports durable.
fn durable_rows(line: &str) -> Option<u64> {
    line.strip_prefix("durable ")?.parse().ok()
}

/// Everything in the log, checked row by row against what the child must have written.
fn check_childs_rows(dir: &Path, durable: u64) -> u64 {
    let mut wal = Wal::open(dir).unwrap();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    let decided = wal
        .replay(&Base::EMPTY, restored.decided)
        .flat_map(Result::unwrap);
    let (mut chain, mut count) = (Chain::GENESIS, 0);
    for row in decided.chain(restored.undecided) {
        assert_eq!(row, child_row(chain, count));
        chain = row.chain;
        count += 1;
    }
    assert!(
        count >= durable,
        "{durable} rows were reported durable, {count} are there"
    );
    assert!(durable == 0 || restored.promised == ballot(1, 1));
    count
}

/// Property: `kill -9` at any moment loses nothing that was reported, time and again on the same
/// files, across checkpoints and reuse of the WAL.
#[test]
fn kill_9_loses_nothing_that_was_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for cycle in 0..8_u64 {
        let mut process = child("child_writes", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let reports = 1 + (cycle * 37) % 90;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let numbers = lines.by_ref().map_while(Result::ok);
        let durable = numbers
            .filter_map(|line| durable_rows(&line))
            .nth(reports.try_into().unwrap())
            .unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        // What it could still say before it died counts as well.
        let rest = lines.map_while(Result::ok);
        let durable = rest
            .filter_map(|line| durable_rows(&line))
            .last()
            .unwrap_or(durable);
        let count = check_childs_rows(dir.path(), durable);
        assert!(count > total, "cycle {cycle} got on");
        total = count;
    }
}

/// Property: when a real file system fills up, under the WAL or in the middle of a checkpoint,
/// the writer stops by the right name and nothing that was reported is lost. Needs the right to
/// mount; `disk_full_tests.rs` shows the same with SQLite's own limit everywhere.
#[test]
fn a_full_file_system_loses_nothing_that_was_reported() {
    let Some(disk) = SmallDisk::mount(72) else {
        println!("not shown here: no right to mount a small file system");
        return;
    };
    let output = child("child_writes", disk.path()).output().unwrap();
    assert!(!output.status.success(), "it ends by itself");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("no space left for the log"), "{told}");
    let durable = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(durable_rows)
        .next_back()
        .unwrap();
    let refused = Wal::open(disk.path()).unwrap_err();
    assert!(matches!(refused, Error::LowSpace { .. }), "{refused}");
    // The volume is enlarged.
    let copy = support::copy(disk.path());
    assert!(check_childs_rows(copy.path(), durable) > 1000);
}
