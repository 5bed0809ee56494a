//! What the tests of this crate share.

#![allow(dead_code, reason = "every test binary uses another part")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use paxos::config::{Configuration, Seal};
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use tempfile::TempDir;
use uuid::Uuid;
use wal::{Base, Genesis, Wal};

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

/// The end of the epoch before `epoch`, which these nodes vote in.
pub(crate) fn seal(previous: &Base, ballot: Ballot, epoch: u64, voters: &[u64]) -> Entry {
    let payload = Seal {
        epoch: Epoch(epoch),
        starter: NodeId(voters[0]),
        voters: voters.iter().copied().map(NodeId).collect(),
    }
    .encode();
    Entry::new(
        previous.chain,
        previous.slot.next(),
        ballot,
        EntryKind::Seal,
        Timestamp(previous.timestamp.0 + 1),
        payload,
    )
}

/// The configuration that a `Seal` names.
pub(crate) fn named_by(seal: &Entry) -> Configuration {
    Seal::decode(&seal.payload)
        .unwrap()
        .configuration(seal.slot)
}

/// What a state machine is that has applied everything up to this entry, in the first epoch.
pub(crate) fn base(entry: &Entry) -> Base {
    Base {
        slot: entry.slot,
        chain: entry.chain,
        timestamp: entry.timestamp,
        configuration: None,
    }
}

/// The request to remember that everything up to this entry is decided.
pub(crate) fn decided(entry: &Entry) -> PersistOp {
    PersistOp::Decided {
        slot: entry.slot,
        chain: entry.chain,
    }
}

/// The request to begin the epoch that a `Seal` names.
pub(crate) fn activate(seal: &Entry) -> PersistOp {
    PersistOp::Activate {
        configuration: named_by(seal),
        chain: seal.chain,
    }
}

/// Changes a closed log as no program of ours would.
pub(crate) fn tamper(dir: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(dir.join("log.db")).unwrap();
    connection.execute_batch(sql).unwrap();
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
///
/// Closing a file drops SQLite's locks on it in this process. Harmless here: no other process
/// is about.
pub(crate) fn copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// Every file of a directory with its content; the lock file without.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name != "log.lock")
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

/// Names the directory that a child process of a test is to open.
const CHILD_DIR: &str = "WAL_TEST_CHILD_DIR";

/// Opens a log in a process of its own and returns what that printed.
pub(crate) fn open_in_child(dir: &Path) -> String {
    let output = child("support::child_opens", dir).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// This test binary again, running one of its tests as the child.
pub(crate) fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD_DIR, dir);
    command
}

/// The directory to work on, if this process is a child.
pub(crate) fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD_DIR).map(PathBuf::from)
}

/// No test of its own: what [`open_in_child`] runs.
#[test]
fn child_opens() {
    if let Some(dir) = child_dir() {
        match Wal::open(&dir) {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}"),
        }
    }
}

/// A small file system in memory, unmounted at the end.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    pub(crate) fn mount(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// How many rows the table holds, counted or not, after a crash at this moment.
pub(crate) fn rows_on_disk(dir: &Path) -> u64 {
    let copy = copy(dir);
    let connection = rusqlite::Connection::open(copy.path().join("log.db")).unwrap();
    connection
        .query_row("SELECT count(*) FROM log", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned()
}

/// Waits until the table holds so many rows.
pub(crate) fn wait_for_rows(dir: &Path, count: u64) {
    let arrived = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        rows_on_disk(dir) == count
    });
    assert!(arrived, "{} rows instead of {count}", rows_on_disk(dir));
}
