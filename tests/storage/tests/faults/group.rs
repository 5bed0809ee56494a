//! The log's writer thread under power losses: group commit, checkpoints, a WAL that starts
//! over.
//!
//! The layer holds up a sync until more requests are queued, so groups form as they do on a slow
//! disk, and the same way in every run.

use std::sync::{Arc, Condvar, Mutex};

use paxos::ids::PersistSeq;
use storage::{Disk, Event};
use wal::{Base, Completion, Handle, Wal};

use crate::counters::Counters;
use crate::crash::CrashPoints;
use crate::model::{History, Request};
use crate::recording::execute;
use crate::verdict;
use crate::workload::{Payloads, Workload};

/// What was asked and acknowledged, as the test and the writer's thread share it.
#[derive(Debug, Default)]
struct Counts {
    asked: usize,
    acked: usize,
    groups: Vec<(usize, wal::DiskSeq)>,
    largest: usize,
    failed: Option<String>,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    counts: Mutex<Counts>,
    changed: Condvar,
}

/// The writer on a recorded disk.
struct Group {
    shared: Arc<Shared>,
    handle: Handle,
    history: History,
    workload: Workload,
    /// Requests before the writer was started.
    first: usize,
}

impl Group {
    /// Queues a request. The count of requests rises before the writer can see it.
    fn ask(&mut self) {
        let acked = self.shared.counts.lock().unwrap().acked;
        // Addresses have no completion, and a snapshot is installed before the writer starts.
        let request = self.workload.ask(&mut self.history, acked);
        let Request::Ops(ops) = request else {
            self.history.forget_last();
            return self.ask();
        };
        let mut counts = self.shared.counts.lock().unwrap();
        counts.asked = self.history.asked();
        self.shared.disk.mark(counts.asked, counts.acked);
        drop(counts);
        let seq = PersistSeq((self.history.asked() - self.first) as u64);
        self.handle.persist(seq, ops).unwrap();
    }

    /// A request, and while it is being synced, others.
    fn burst(&mut self, others: usize) {
        self.shared.disk.close_gate();
        self.ask();
        self.shared.disk.await_sync();
        for _ in 0..others {
            self.ask();
        }
        self.shared.disk.open_gate();
        let counts = self.shared.counts.lock().unwrap();
        let waits = |counts: &mut Counts| counts.acked < counts.asked && counts.failed.is_none();
        let counts = self.shared.changed.wait_while(counts, waits).unwrap();
        assert_eq!(counts.failed, None);
    }

    /// Waits until the writer has nothing to do: it reads after commits and checkpoints before
    /// it takes more work.
    fn settle(&self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |rows: Result<Vec<_>, wal::Error>| {
            let _ = sender.send(rows.map(|rows| rows.len()));
        });
        let first = self.history.last().compacted_to.next();
        self.handle.read(first, first, 1, reply).unwrap();
        // Whether the row is there does not matter.
        let _ = receiver.recv().unwrap();
    }
}

/// Runs bursts through the writer and stops it.
fn run(seed: u64, bursts: usize) -> (Arc<Shared>, History) {
    let disk = Disk::empty().unwrap();
    let mut wal = Wal::open(disk.path()).unwrap();
    let found = verdict::start(&mut wal, &Base::EMPTY).unwrap();
    disk.mark(0, 0);
    let mut history = History::new(found.state, &Base::EMPTY);
    let mut workload = Workload::new(seed, Payloads::Large, &Base::EMPTY);
    for number in 0..2 {
        let request = workload.ask(&mut history, number);
        disk.mark(number + 1, number);
        execute(&mut wal, &request).unwrap();
    }
    let shared = Arc::new(Shared {
        disk,
        counts: Mutex::new(Counts {
            asked: 2,
            acked: 2,
            groups: vec![(2, wal.disk_seq())],
            ..Counts::default()
        }),
        changed: Condvar::new(),
    });
    shared.disk.mark(2, 2);
    let reports = Arc::clone(&shared);
    let writer = wal
        .spawn(Box::new(move |completion| reports.take(completion)))
        .unwrap();
    let mut group = Group {
        shared: Arc::clone(&shared),
        handle: writer.handle(),
        history,
        workload,
        first: 2,
    };
    for number in 0..bursts {
        group.burst(number % 4);
        group.settle();
    }
    writer.stop();
    shared.disk.verify().unwrap();
    let mut history = group.history;
    history.groups = Some(shared.counts.lock().unwrap().groups.clone());
    (shared, history)
}

impl Shared {
    fn take(&self, completion: Completion) {
        let mut counts = self.counts.lock().unwrap();
        match completion {
            Completion::Persisted {
                seq,
                disk_seq,
                requests,
                ..
            } => {
                let acked = 2 + usize::try_from(seq.0).unwrap();
                counts.acked = acked;
                counts.groups.push((acked, disk_seq));
                counts.largest = counts.largest.max(requests);
                self.disk.mark(counts.asked, acked);
            }
            Completion::Fatal(error) => counts.failed = Some(error.to_string()),
        }
        self.changed.notify_all();
    }
}

/// How often the WAL started over: its header was written again.
fn restarts_of_the_wal(events: &[Event]) -> usize {
    let headers = events.iter().filter(
        |event| matches!(event, Event::Wrote { offset: 0, bytes, .. } if bytes.len() == 32),
    );
    headers.count().saturating_sub(1)
}

/// Property (D1, D2): group commit, checkpoints and a WAL that is used again change nothing of
/// what a power loss must leave.
#[test]
fn group_commit_and_checkpoints_keep_every_promise() {
    let mut counters = Counters::default();
    for seed in crate::seeds(0..2) {
        let (shared, history) = run(seed, 9);
        let events = shared.disk.events();
        counters.add(
            "times the WAL started over",
            restarts_of_the_wal(&events) as u64,
        );
        let largest = shared.counts.lock().unwrap().largest;
        assert!(largest > 1, "several requests share a transaction");
        let points = CrashPoints {
            draws: 1,
            every: 71,
            ..CrashPoints::every(&shared.disk, &events, &history, seed)
        };
        points.check(&mut counters).unwrap();
    }
    counters.report(
        "group commit",
        &["times the WAL started over", "lost", "torn", "reordered"],
    );
}
