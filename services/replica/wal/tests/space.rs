//! A disk that fills up: when rows are refused, and that small writes still succeed then. Needs
//! the right to mount a small file system; `disk_full_tests.rs` and `crash.rs` show what happens
//! when nobody refuses anything.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, PersistSeq, Slot, Timestamp};
use paxos::output::PersistOp;
use support::{SmallDisk, activate, ballot, base, decided, seal, voter, wait_for_rows};
use wal::limits::{BALLAST_BYTES, FREE_BYTES_LAST, FREE_BYTES_LOW, FREE_BYTES_OK};
use wal::{Base, Completion, Handle, Space, SpaceWatch, Wal};

const MIB: u64 = 1024 * 1024;

/// Takes space away, as another program would, until so much is left.
fn leave(dir: &Path, watch: &mut SpaceWatch, left: u64) {
    let path = dir.join("of another program");
    let taken = fs::metadata(&path).map_or(0, |file| file.len());
    let free = watch.look().unwrap().free_bytes;
    let length = (taken + free).saturating_sub(left);
    fs::write(&path, vec![1; usize::try_from(length).unwrap()]).unwrap();
}

/// Properties: the marks; no wandering between them; the ballast goes last and comes back first.
#[test]
fn the_ballast_goes_last_and_comes_back_first() {
    let Some(disk) = SmallDisk::mount(128) else {
        println!("not shown here: no right to mount a small file system");
        return;
    };
    let dir = disk.path();
    let mut watch = SpaceWatch::new(dir);
    let has = |space: Space, low: bool, ballast: bool| {
        assert_eq!((space.low, space.ballast), (low, ballast), "{space:?}");
    };
    has(watch.look().unwrap(), false, true);
    assert_eq!(watch.look().unwrap().free_bytes, 128 * MIB - BALLAST_BYTES);
    for (left, low, ballast) in [
        (FREE_BYTES_LOW + MIB, false, true),
        (FREE_BYTES_LOW - MIB, true, true),
        (FREE_BYTES_OK - MIB, true, true),
        (FREE_BYTES_OK + MIB, false, true),
        (FREE_BYTES_LAST + MIB, true, true),
        (FREE_BYTES_LAST - MIB, true, false),
    ] {
        leave(dir, &mut watch, left);
        has(watch.look().unwrap(), low, ballast);
    }
    assert_eq!(
        watch.look().unwrap().free_bytes,
        FREE_BYTES_LAST - MIB + BALLAST_BYTES,
        "its blocks are free"
    );
    // The other program gives back a little, then enough.
    leave(dir, &mut watch, FREE_BYTES_OK + MIB);
    has(watch.look().unwrap(), true, false);
    // A process that starts now knows nothing of it, and does without a ballast.
    has(SpaceWatch::new(dir).look().unwrap(), false, false);
    leave(dir, &mut watch, FREE_BYTES_OK + BALLAST_BYTES + MIB);
    has(watch.look().unwrap(), false, true);
    has(SpaceWatch::new(dir).look().unwrap(), false, true);
}

/// A log with its writer, and a leader that obeys the watch.
struct Replica {
    handle: Handle,
    completions: Receiver<Completion>,
    seq: PersistSeq,
}

impl Replica {
    fn persist(&mut self, ops: Vec<PersistOp>) {
        self.seq.0 += 1;
        self.handle.persist(self.seq, ops).unwrap();
        match self
            .completions
            .recv_timeout(Duration::from_secs(60))
            .unwrap()
        {
            Completion::Persisted { seq, .. } => assert_eq!(seq, self.seq),
            Completion::Fatal(error) => panic!("{error}"),
        }
    }
}

/// Writes rows until the watch says that the disk is low.
fn fill_with_rows(replica: &mut Replica, watch: &mut SpaceWatch) -> Vec<Entry> {
    let mut rows: Vec<Entry> = Vec::new();
    while !watch.look().unwrap().low {
        let (chain, slot) = match rows.last() {
            Some(row) => (row.chain, row.slot.next()),
            None => (Chain::GENESIS, Slot::FIRST),
        };
        let row = Entry::new(
            chain,
            slot,
            ballot(1, 1),
            EntryKind::Batch,
            Timestamp(slot.0),
            vec![slot.0.to_le_bytes()[0]; 100_000].into(),
        );
        rows.push(row.clone());
        replica.persist(vec![PersistOp::Accept(vec![row])]);
    }
    rows
}

/// Property: once rows are refused, and another program takes the rest of the disk, thousands of
/// promises, the end of epochs, witnesses and a compaction of everything are still written.
#[test]
fn small_writes_succeed_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount(160) else {
        println!("not shown here: no right to mount a small file system");
        return;
    };
    let dir = disk.path();
    let mut watch = SpaceWatch::new(dir);
    watch.look().unwrap();
    let (sender, completions) = channel();
    let report = move |completion| {
        // The test may have ended.
        let _ = sender.send(completion);
    };
    let writer = voter(dir).spawn(Box::new(report)).unwrap();
    let mut replica = Replica {
        handle: writer.handle(),
        completions,
        seq: PersistSeq(0),
    };
    let rows = fill_with_rows(&mut replica, &mut watch);
    assert!(rows.len() > 100, "{}", rows.len());
    leave(dir, &mut watch, FREE_BYTES_LAST - MIB);
    assert!(!watch.look().unwrap().ballast, "given up");
    // Of what that gave, the other program takes most as well.
    leave(dir, &mut watch, BALLAST_BYTES / 2);

    let mut last = rows.last().unwrap().clone();
    replica.persist(vec![decided(&last)]);
    for round in 2..3000 {
        replica.persist(vec![
            PersistOp::Promise(Ballot {
                epoch: Epoch(last.ballot.epoch.0),
                ..ballot(round, 1)
            }),
            PersistOp::Witness {
                node: NodeId(2),
                disk_seq: DiskSeq(round),
            },
        ]);
        if round % 500 == 0 {
            let epoch = round / 500 + 1;
            let under = Ballot {
                epoch: Epoch(epoch - 1),
                ..ballot(round, 2)
            };
            last = seal(&base(&last), under, epoch, &[1, 2, 3]);
            replica.persist(vec![PersistOp::Accept(vec![last.clone()]), activate(&last)]);
        }
    }
    replica.persist(vec![PersistOp::Compact {
        upto: rows.last().unwrap().slot,
    }]);
    // They are deleted as well, which writes to the WAL. Only the ends of epochs are left.
    wait_for_rows(dir, last.slot.0 - rows.last().unwrap().slot.0);
    let free = watch.look().unwrap().free_bytes;
    assert!(free > MIB, "{free}");

    fs::remove_file(dir.join("of another program")).unwrap();
    watch.look().unwrap();
    writer.stop();
    let mut wal = Wal::open(dir).unwrap();
    let compacted = base(rows.last().unwrap());
    let restored = wal.restore(&compacted).unwrap().restored;
    assert_eq!(restored.decided, last.slot);
    assert_eq!(wal.configuration().unwrap().start, last.slot);
    assert!(matches!(
        wal.restore(&Base::EMPTY),
        Err(wal::Error::SnapshotNeeded { .. })
    ));
}
