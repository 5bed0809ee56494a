//! Crashes around the end of an epoch, a compaction and a snapshot: each is there as a whole or
//! not at all.
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
use paxos::config::Configuration;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, PersistSeq, Slot, Timestamp};
use paxos::output::PersistOp;
use support::{activate, child, child_dir, decided, entries, named_by, seal, voter};
use tempfile::TempDir;
use wal::{Base, Completion, Wal};

/// What a crash must preserve.
#[derive(Clone)]
struct Image {
    promised: Ballot,
    /// Rows above `low`.
    rows: Vec<Entry>,
    /// The oldest state that the log allows, at the slot up to which it was compacted.
    low: Base,
    /// The newest one, at the commit index.
    high: Base,
    /// The snapshot that was announced.
    incoming: Option<Base>,
}

impl Image {
    fn epoch(&self) -> u64 {
        let active = self.high.configuration.as_ref();
        active.map_or(1, |configuration| configuration.epoch.0)
    }

    fn end(&self) -> (Chain, Slot) {
        match self.rows.last() {
            Some(row) => (row.chain, row.slot.next()),
            None => (self.low.chain, self.low.slot.next()),
        }
    }

    fn ballot(&self) -> Ballot {
        Ballot {
            epoch: Epoch(self.epoch()),
            ..support::ballot(1, 2)
        }
    }

    /// The state after these rows.
    fn advance(base: &mut Base, row: &Entry) {
        let configuration = match row.kind {
            EntryKind::Seal => Some(named_by(row)),
            _ => base.configuration.clone(),
        };
        *base = Base {
            configuration,
            ..support::base(row)
        };
    }

    /// The last of so many rows above the commit index.
    fn undecided(&self, count: usize) -> Entry {
        let above = self.rows.iter().filter(|row| row.slot > self.high.slot);
        above.take(count).last().unwrap().clone()
    }

    fn decide(&mut self, upto: Slot) {
        for row in &self.rows {
            if (self.high.slot.next()..=upto).contains(&row.slot) {
                Self::advance(&mut self.high, row);
            }
        }
    }

    fn accept(&mut self, count: u64) -> PersistOp {
        let (chain, next) = self.end();
        let rows = entries(chain, next, count, self.ballot());
        self.promised = self.promised.max(self.ballot());
        self.rows.extend(rows.clone());
        PersistOp::Accept(rows)
    }

    /// Everything is decided, a `Seal` as well, and two rows of the old epoch lie above it.
    fn end_epoch(&mut self) -> Vec<PersistOp> {
        let accept = self.accept(1);
        let last = self.rows.last().unwrap().clone();
        let end = seal(
            &support::base(&last),
            self.ballot(),
            self.epoch() + 1,
            &[2, 3, 1024 + self.epoch()],
        );
        self.rows.push(end.clone());
        let (chain, next) = self.end();
        let above = entries(chain, next, 2, self.ballot());
        self.decide(end.slot);
        let sealed = PersistOp::Accept([&end].into_iter().chain(&above).cloned().collect());
        vec![accept, sealed, activate(&end)]
    }

    fn compact(&mut self, upto: Slot) -> PersistOp {
        for row in self.rows.iter().filter(|row| row.slot <= upto) {
            Self::advance(&mut self.low, row);
        }
        self.rows.retain(|row| row.slot > upto);
        PersistOp::Compact { upto }
    }

    /// A snapshot by another replica, so many slots above the end, of a later epoch or not.
    fn snapshot(&self, ahead: u64, later: bool) -> Base {
        let (chain, next) = self.end();
        let others = entries(chain, next, ahead, self.ballot());
        let last = others.last().unwrap();
        let mut base = Base {
            configuration: self.high.configuration.clone(),
            ..support::base(last)
        };
        if later {
            Self::advance(
                &mut base,
                &seal(
                    &support::base(last),
                    self.ballot(),
                    self.epoch() + 2,
                    &[3, 4],
                ),
            );
        }
        base
    }

    fn install(&mut self, base: &Base) {
        self.rows.clear();
        (self.low, self.high) = (base.clone(), base.clone());
        self.incoming = None;
    }

    /// Compares everything that a log gives back, from this state on.
    fn check(&self, wal: &mut Wal, base: &Base, context: &str) {
        let restored = wal.restore(base).unwrap().restored;
        assert_eq!(restored.promised, self.promised, "{context}");
        assert_eq!(
            (restored.decided, restored.chain, restored.compacted_to),
            (self.high.slot, self.high.chain, self.low.slot),
            "{context}"
        );
        assert!(restored.damaged.is_empty(), "{context}");
        let active: Option<&Configuration> = wal.configuration();
        assert_eq!(active, self.high.configuration.as_ref(), "{context}");
        let mut rows: Vec<Entry> = wal
            .replay(base, restored.decided)
            .flat_map(Result::unwrap)
            .collect();
        rows.extend(restored.undecided);
        let expected = self.rows.iter().filter(|row| row.slot > base.slot);
        assert!(rows.iter().eq(expected), "{context}: the rows");
    }
}

/// A run of commits and what a crash after each of them must preserve.
struct Run {
    /// The files after the last commit.
    files: TempDir,
    /// Per commit: the length of the WAL, and what must be there.
    commits: Vec<(usize, Image)>,
}

fn run() -> Run {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let mut image = Image {
        promised: Ballot::ZERO,
        rows: Vec::new(),
        low: Base::EMPTY,
        high: Base::EMPTY,
        incoming: None,
    };
    let mut commits = Vec::new();
    let mut note = |image: &Image| {
        let length = fs::metadata(dir.path().join("log.db-wal")).unwrap().len();
        commits.push((usize::try_from(length).unwrap(), image.clone()));
    };
    note(&image);
    for round in 0..3 {
        let ops = [image.accept(5)];
        wal.commit(&ops).unwrap();
        note(&image);
        let upto = image.undecided(3);
        image.decide(upto.slot);
        wal.commit(&[decided(&upto)]).unwrap();
        note(&image);
        let ops = image.end_epoch();
        wal.commit(&ops).unwrap();
        note(&image);
        let middle = image.rows[image.rows.len() / 2].slot;
        let ops = [image.compact(middle), image.accept(2)];
        wal.commit(&ops).unwrap();
        note(&image);
        let snapshot = image.snapshot(7 + round, round == 1);
        image.incoming = Some(snapshot.clone());
        wal.announce_snapshot(&snapshot).unwrap();
        note(&image);
        image.install(&snapshot);
        wal.install_snapshot(&snapshot).unwrap();
        note(&image);
    }
    let files = support::copy(dir.path());
    Run { files, commits }
}

/// Property (R4, D1, D2): wherever the WAL is cut off, exactly the commits before the cut are
/// there, whatever they did, and from whatever state the state machine comes back. An
/// installation that was cut off is completed.
#[test]
fn what_is_torn_is_there_as_a_whole_or_not_at_all() {
    let run = run();
    let (first, last) = (run.commits[0].0, run.commits.last().unwrap().0);
    let near_commits = run
        .commits
        .iter()
        .flat_map(|(end, ..)| end.saturating_sub(2)..end + 3);
    let mut completed = 0;
    for cut in near_commits
        .chain((first..last).step_by(3001))
        .filter(|cut| (first..=last).contains(cut))
    {
        let at = run.commits.iter().rposition(|(end, ..)| *end <= cut);
        let (_, image) = &run.commits[at.unwrap()];
        let copy = support::copy(run.files.path());
        let path = copy.path().join("log.db-wal");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut wal = Wal::open(copy.path()).unwrap();
        for base in [&image.low, &image.high] {
            assert!(!wal.awaits_snapshot(base), "cut at {cut}");
            image.check(&mut wal, base, &format!("cut at {cut}"));
        }
        if let Some(snapshot) = &image.incoming {
            assert!(wal.awaits_snapshot(snapshot), "cut at {cut}");
            wal.install_snapshot(snapshot).unwrap();
            let (_, after) = &run.commits[at.unwrap() + 1];
            after.check(&mut wal, snapshot, &format!("cut at {cut}, completed"));
            completed += 1;
        }
    }
    assert!(completed > 10, "{completed}");
}

/// Rows in one epoch of the child.
const EPOCH_ROWS: u64 = 40;

/// The row that the child writes as number `number`: every so many of them ends an epoch.
fn child_row(previous: Chain, number: u64) -> Entry {
    let epoch = number / EPOCH_ROWS + 1;
    let slot = Slot(Slot::FIRST.0 + number);
    let ballot = Ballot {
        epoch: Epoch(epoch),
        ..support::ballot(1, 1)
    };
    let mut kind = EntryKind::Batch;
    let length = (number as usize * 7919) % 20_000;
    let mut payload = Bytes::from(vec![number.to_le_bytes()[0]; length]);
    if number % EPOCH_ROWS == EPOCH_ROWS - 1 {
        kind = EntryKind::Seal;
        payload = paxos::Seal {
            epoch: Epoch(epoch + 1),
            starter: paxos::NodeId(2),
            voters: [2, 3, 1024 + epoch].map(paxos::NodeId).into(),
        }
        .encode();
    }
    let at = Timestamp(number + 1);
    Entry::new(previous, slot, ballot, kind, at, payload)
}

/// The child's state machine: it is where the log was compacted to.
fn childs_base(wal: &Wal) -> Base {
    let mut base = Base::EMPTY;
    while base.slot < wal.compacted_to() {
        let number = base.slot.next().0 - Slot::FIRST.0;
        let row = child_row(base.chain, number);
        Image::advance(&mut base, &row);
    }
    base
}

/// No test of its own: writes rows, ends epochs and compacts until it is killed, and prints how
/// many rows are durable whenever it learns it.
#[test]
fn child_writes() {
    let Some(dir) = child_dir() else { return };
    let mut wal = voter(&dir);
    let base = childs_base(&wal);
    let restored = wal.restore(&base).unwrap().restored;
    let mut chain = restored
        .undecided
        .last()
        .map_or(restored.chain, |row| row.chain);
    let mut last = restored.undecided.last().cloned();
    let end = last.as_ref().map_or(restored.decided, |row| row.slot);
    let mut number = end.next().0 - Slot::FIRST.0;
    let (sender, completions) = channel();
    let writer = wal
        .spawn(Box::new(move |completion| sender.send(completion).unwrap()))
        .unwrap();
    let handle = writer.handle();
    let mut seq = 0;
    loop {
        let mut ops = Vec::new();
        if let Some(last) = last.take() {
            // The previous row is decided; it may have ended an epoch.
            ops.push(match last.kind {
                EntryKind::Seal => activate(&last),
                _ => decided(&last),
            });
        }
        if number % 25 == 24 {
            let upto = Slot(Slot::FIRST.0 + number - 15);
            ops.push(PersistOp::Compact { upto });
        }
        let entry = child_row(chain, number);
        chain = entry.chain;
        last = Some(entry.clone());
        ops.push(PersistOp::Accept(vec![entry]));
        number += 1;
        seq += 1;
        // A stopped writer has said why: the report is among the completions.
        let _ = handle.persist(PersistSeq(seq), ops);
        if seq % 3 == 0 {
            match completions.recv().unwrap() {
                Completion::Persisted { seq: done, .. } => {
                    println!("durable {}", number - (seq - done.0));
                }
                Completion::Fatal(error) => panic!("{error}"),
            }
        }
    }
}

fn durable_rows(line: &str) -> Option<u64> {
    line.strip_prefix("durable ")?.parse().ok()
}

/// Everything in the log, checked row by row against what the child must have written.
fn check_childs_log(dir: &Path, durable: u64) -> u64 {
    let mut wal = Wal::open(dir).unwrap();
    let base = childs_base(&wal);
    let restored = wal.restore(&base).unwrap().restored;
    assert!(restored.damaged.is_empty());
    let mut state = base.clone();
    let replayed = wal.replay(&base, restored.decided);
    for row in replayed.flat_map(Result::unwrap) {
        let number = row.slot.0 - Slot::FIRST.0;
        assert_eq!(row, child_row(state.chain, number));
        Image::advance(&mut state, &row);
    }
    assert_eq!(wal.configuration(), state.configuration.as_ref());
    let (mut chain, mut count) = (state.chain, state.slot.next().0 - Slot::FIRST.0);
    for row in restored.undecided {
        assert_eq!(row, child_row(chain, count));
        (chain, count) = (row.chain, count + 1);
    }
    assert!(
        count >= durable,
        "{durable} rows were reported durable, {count} are there"
    );
    count
}

/// Property: `kill -9` at any moment loses nothing that was reported, while epochs end and rows
/// are compacted and deleted, time and again on the same files.
#[test]
fn kill_9_loses_nothing_across_epochs_and_compactions() {
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
        let count = check_childs_log(dir.path(), durable);
        assert!(count > total, "cycle {cycle} got on");
        total = count;
    }
    let wal = Wal::open(dir.path()).unwrap();
    assert!(wal.configuration().is_some() && wal.compacted_to() > Slot::FIRST);
}
