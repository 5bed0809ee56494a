//! A full disk. In the crate, because SQLite's page limit stands in for the disk.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::mpsc::channel;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, PersistSeq, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use uuid::Uuid;

use crate::{Base, Completion, Error, Genesis, Wal, space};

const BALLOT: Ballot = Ballot {
    epoch: Epoch::FIRST,
    round: Round(1),
    node: NodeId(1),
};

/// A log that may vote and may grow to about 1 MiB.
fn small(dir: &Path) -> Wal {
    let mut wal = Wal::open(dir).unwrap();
    wal.install_genesis(&Genesis {
        cluster_id: Uuid::new_v4(),
        cluster_name: "test".to_owned(),
        node_id: NodeId(1),
        bytes: Bytes::new(),
    })
    .unwrap();
    wal.confirm_genesis().unwrap();
    wal.connection()
        .unwrap()
        .execute_batch("PRAGMA max_page_count = 256")
        .unwrap();
    wal
}

fn row(previous: Chain, slot: Slot) -> Entry {
    let payload = vec![slot.0.to_le_bytes()[0]; 50_000].into();
    Entry::new(
        previous,
        slot,
        BALLOT,
        EntryKind::Batch,
        Timestamp(slot.0),
        payload,
    )
}

/// Property: a full disk is reported once, by its name; nothing is written after it; everything
/// acknowledged before is there after a restart, and the rest is not.
#[test]
fn a_full_disk_stops_the_writer_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, completions) = channel();
    let writer = small(dir.path())
        .spawn(Box::new(move |completion| sender.send(completion).unwrap()))
        .unwrap();
    let handle = writer.handle();
    let mut rows: Vec<Entry> = Vec::new();
    let error = loop {
        let (chain, slot) = rows.last().map_or((Chain::GENESIS, Slot::FIRST), |row| {
            (row.chain, row.slot.next())
        });
        let next = row(chain, slot);
        let seq = PersistSeq(slot.0);
        handle
            .persist(seq, vec![PersistOp::Accept(vec![next.clone()])])
            .unwrap();
        match completions.recv().unwrap() {
            Completion::Persisted { .. } => rows.push(next),
            Completion::Fatal(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(rows.len() > 10, "{}", rows.len());
    assert!(completions.recv().is_err(), "the last report");
    writer.stop();

    let copy = tempfile::tempdir().unwrap();
    for name in ["log.db", "log.db-wal"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let mut wal = Wal::open(copy.path()).unwrap();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!((restored.promised, &restored.undecided), (BALLOT, &rows));
    // With space again, it goes on.
    let last = rows.last().unwrap();
    wal.commit(&[PersistOp::Accept(vec![row(last.chain, last.slot.next())])])
        .unwrap();
}

/// Property: no start without room for the first checkpoint.
#[test]
fn too_little_space_is_refused_at_start() {
    let dir = tempfile::tempdir().unwrap();
    space::check(dir.path(), 1).unwrap();
    let error = space::check(dir.path(), u64::MAX).unwrap_err();
    assert!(matches!(error, Error::LowSpace { .. }), "{error}");
}
