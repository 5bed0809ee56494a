//! What the tests of this crate share.

#![allow(dead_code, reason = "every test binary uses another part")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

use std::path::Path;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;
use wal::{Genesis, Wal};

/// A ballot of the first epoch.
pub(crate) fn ballot(round: u64, node: u64) -> Ballot {
    Ballot {
        epoch: Epoch::FIRST,
        round: Round(round),
        node: NodeId(node),
    }
}

/// Rows that follow the prefix `previous`, from `first` on, all different.
pub(crate) fn entries(previous: Chain, first: Slot, count: u64, ballot: Ballot) -> Vec<Entry> {
    let mut chain = previous;
    (first.0..first.0 + count)
        .map(|slot| {
            let payload = Bytes::from(format!("{slot} under {ballot} ").repeat(5));
            let timestamp = Timestamp(1_700_000_000_000 + slot);
            let entry = Entry::new(
                chain,
                Slot(slot),
                ballot,
                EntryKind::Batch,
                timestamp,
                payload,
            );
            chain = entry.chain;
            entry
        })
        .collect()
}

/// Some genesis; every call another cluster.
pub(crate) fn genesis() -> Genesis {
    Genesis {
        cluster_id: Uuid::new_v4(),
        cluster_name: "test".to_owned(),
        node_id: NodeId(2),
        bytes: Bytes::from_static(b"who founded it"),
    }
}

/// A log that may vote.
pub(crate) fn voter(dir: &Path) -> Wal {
    let mut wal = Wal::open(dir).unwrap();
    if wal.identity().genesis.is_none() {
        wal.install_genesis(&genesis()).unwrap();
        wal.confirm_genesis().unwrap();
    }
    wal
}

/// The files as a crash would leave them now.
pub(crate) fn copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}
