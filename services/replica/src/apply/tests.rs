//! The thread with a real state machine, and what readers of it see.

use std::time::Duration;

use bytes::Bytes;
use machine::Reader;
use paxos::entry::Chain;
use paxos::ids::{Ballot, NodeId, Slot, Timestamp};
use tokio::time::timeout;

use super::*;
use crate::genesis::{Cluster, tests::genesis};
use crate::reads::Reads;

struct Stage {
    directory: tempfile::TempDir,
    listeners: Listeners,
    reads: Reads,
    queue: Queue,
    thread: JoinHandle<()>,
    chain: Chain,
    slot: Slot,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let state = directory.path().join("state.db");
        let machine = Machine::open(&state).expect("opens");
        let signals = Signals::new(Slot::GENESIS);
        let disks = [Uuid::from_u128(1)];
        let cluster = Cluster::of(genesis(&disks), disks[0]).expect("valid");
        let known = Directory::new(&cluster, &[], &wal::Peers::new());
        let readers = vec![machine.reader().expect("opens")];
        let listeners = Listeners {
            signals: Arc::clone(&signals),
            hub: Arc::new(Hub::new(Slot::GENESIS)),
            waiters: Arc::new(Waiters::default()),
            directory: Arc::new(known),
            watched: Arc::new(Watched::new(machine.watched().expect("read"))),
            pins: Pins::new(state, Arc::clone(&signals)),
            traces: Arc::new(Traces::new(NodeId(1), Slot::GENESIS)),
        };
        let flusher = machine.flusher().expect("opens");
        let (queue, thread) = start(machine, flusher, listeners.clone()).expect("starts");
        Self {
            directory,
            reads: Reads::new(readers, signals),
            listeners,
            queue,
            thread,
            chain: Chain::GENESIS,
            slot: Slot::GENESIS,
        }
    }

    /// Hands over one more entry.
    fn push(&mut self) -> Slot {
        self.slot = self.slot.next();
        let (kind, stamp) = (EntryKind::Noop, Timestamp(self.slot.0));
        let entry = Entry::new(
            self.chain,
            self.slot,
            Ballot::ZERO,
            kind,
            stamp,
            Bytes::new(),
        );
        self.chain = entry.chain;
        self.queue.push(vec![entry]);
        self.slot
    }
}

/// Property: what is told is told before the state is committed, and a read that begins afterwards
/// sees it all the same, whatever slot it asks for.
#[tokio::test]
async fn a_read_sees_what_was_told_before() {
    let mut stage = Stage::new();
    let mut live = stage.listeners.hub.subscribe().expect("room");
    let mut ahead = 0;
    for _ in 0..50 {
        let slot = stage.push();
        let told = live.next().await.expect("in time").expect("live");
        assert_eq!(told.last().map(|answer| answer.slot), Some(slot.0));
        ahead += u32::from(stage.listeners.signals.applied() < slot);
        let read = stage.reads.read(0, Reader::applied).await.expect("read");
        assert!(read >= slot, "{read} was read after {slot} was told");
    }
    assert!(ahead > 0, "nothing was ever told before its commit");
}

/// Property: without any reader the state is committed by itself, soon, and later made durable.
#[tokio::test]
async fn what_nobody_reads_is_committed_all_the_same() {
    let mut stage = Stage::new();
    let slot = stage.push();
    let mut applied = stage.listeners.signals.watch_applied();
    let committed = applied.wait_for(|applied| *applied >= slot);
    timeout(Duration::from_secs(10), committed)
        .await
        .expect("by itself")
        .expect("runs");
    while stage.listeners.signals.state_durable() < slot {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Property: a thread that is to end commits what it has told.
#[tokio::test]
async fn the_end_commits_what_is_open() {
    let mut stage = Stage::new();
    let mut live = stage.listeners.hub.subscribe().expect("room");
    let slot = stage.push();
    let _told = live.next().await.expect("in time");
    drop(stage.queue);
    stage.thread.join().expect("no panic");
    let mut reader = Reader::open(stage.directory.path().join("state.db")).expect("opens");
    assert_eq!(reader.applied().expect("read"), slot);
}
