//! Backups, and what is made of them.

#![allow(clippy::unwrap_used, reason = "tests: a panic is the report")]

mod support;

use std::fs;
use std::path::Path;

use archive::{Backup, Draft, Error, Manifest, Source, found, next_client_epoch};
use machine::{Machine, Reader};
use paxos::entry::EntryKind;
use paxos::ids::NodeId;
use prost::Message as _;
use proto::v1::Genesis;
use support::{audit, backup, entries, pieces, plan, stray};
use wal::{Base, Wal};

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Property: what is said of a backup is what was sent, and it comes back from the disk so.
#[test]
fn a_backup_says_what_it_is_of() {
    let root = tempfile::tempdir().unwrap();
    let made = backup(&root.path().join("b"), 20);
    let opened = Backup::open(made.directory()).unwrap();
    assert_eq!(opened.manifest(), made.manifest());
    opened.check().unwrap();
    let manifest = opened.manifest();
    assert_eq!(manifest.snapshot.applied.slot, entries(20)[19].slot);
    assert_eq!((manifest.client_epoch, manifest.node), (5, 2));
    let names = fs::read_dir(made.directory()).unwrap();
    assert_eq!(names.count(), 3, "nothing is left over");
}

/// Property: nothing is overwritten, and what did not arrive whole gets no name.
#[test]
fn a_backup_is_whole_or_not_there() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("b");
    let source = tempfile::tempdir().unwrap();
    drop(Machine::open(source.path().join("state.db")).unwrap());
    let (header, mut chunks) = pieces(source.path());
    let manifest = Manifest::from_wire(&header, 1).unwrap();
    let mut draft = Draft::begin(&target, manifest.clone()).unwrap();
    let second = Draft::begin(&target, manifest.clone());
    assert!(matches!(second, Err(Error::Exists { .. })), "two at once");
    let mut bad = chunks[0].clone();
    bad.crc ^= 1;
    assert!(draft.append(bad).is_err());
    let last = chunks.pop().unwrap();
    for chunk in &chunks {
        draft.append(chunk.clone()).unwrap();
    }
    assert!(draft.finish().is_err(), "a piece is missing");
    assert!(!target.exists() && !root.path().join("b.partial").exists());
    let mut draft = Draft::begin(&target, manifest.clone()).unwrap();
    for chunk in chunks.into_iter().chain([last]) {
        draft.append(chunk).unwrap();
    }
    draft.finish().unwrap();
    let again = Draft::begin(&target, manifest);
    assert!(
        matches!(again, Err(Error::Exists { .. })),
        "not overwritten"
    );
}

/// Property: no flipped bit in any of a backup's files becomes the state of a cluster; the words
/// name the file.
#[test]
fn a_damaged_backup_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for (number, name) in ["state.db", "backup.json", "SHA256SUMS"].iter().enumerate() {
        let made = backup(&root.path().join(format!("b{number}")), 40);
        let path = made.directory().join(name);
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        for at in [length / 3, length / 2] {
            flip(&path, at);
            let refused = Backup::open(made.directory()).and_then(|found| found.check());
            let error = refused.expect_err(name).to_string();
            assert!(
                error.contains(made.directory().to_str().unwrap()),
                "{error}"
            );
            flip(&path, at);
        }
        Backup::open(made.directory()).unwrap().check().unwrap();
        fs::remove_file(&path).unwrap();
        let error = Backup::open(made.directory()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let made = backup(&root.path().join("late"), 40);
    flip(&made.directory().join("state.db"), 30_000);
    let target = root.path().join("new");
    let refused = found(&made.source(), &plan(&target, 3), &audit());
    assert!(matches!(refused, Err(Error::State(_))), "{refused:?}");
    assert!(!target.join("r1/log.db").exists());
}

/// Property: the directories are those of one new cluster that waits to be formed, each with the
/// state and a log that begins behind it, and take the rows that come next.
#[test]
fn a_new_cluster_begins_behind_the_backup() {
    let root = tempfile::tempdir().unwrap();
    let made = backup(&root.path().join("b"), 20);
    let target = root.path().join("new");
    let cluster = found(&made.source(), &plan(&target, 3), &audit()).unwrap();
    let last = entries(20).pop().unwrap();
    let mut hashes = Vec::new();
    for (index, disk) in cluster.disks.iter().enumerate() {
        let directory = target.join(format!("r{}", index + 1));
        let mut wal = Wal::open(&directory).unwrap();
        let identity = wal.identity().clone();
        let held = identity.genesis.unwrap();
        assert_eq!((identity.disk_id, identity.confirmed), (*disk, false));
        assert_eq!(held.cluster_id, cluster.cluster_id);
        assert_eq!(held.node_id, NodeId(index as u64 + 1));
        let genesis = Genesis::decode(held.bytes.as_ref()).unwrap();
        assert_eq!((genesis.client_epoch, genesis.voters.len()), (6, 3));
        let state = directory.join("state.db");
        let mut machine = Machine::open(&state).unwrap();
        let applied = machine.applied().clone();
        assert_eq!((applied.slot, applied.chain), (last.slot, last.chain));
        assert_eq!(applied.configuration, None);
        assert!(
            Reader::open(&state)
                .unwrap()
                .nodes()
                .unwrap()
                .value
                .is_empty()
        );
        hashes.push(machine.state_hash().unwrap());
        let base = Base {
            slot: applied.slot,
            chain: applied.chain,
            timestamp: applied.timestamp,
            configuration: None,
        };
        let restored = wal.restore(&base).unwrap().restored;
        assert_eq!(
            (restored.decided, restored.compacted_to),
            (last.slot, last.slot)
        );
        assert!(restored.undecided.is_empty());
        let mut next = stray(last.slot.next());
        next = paxos::entry::Entry::new(
            last.chain,
            next.slot,
            next.ballot,
            EntryKind::Noop,
            next.timestamp,
            next.payload,
        );
        machine.apply(&[next]).unwrap();
        assert!(directory.join("origin.json").exists() && !directory.join(".new").exists());
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// Property: two clusters made of one backup are not one, and nobody's directory is touched.
#[test]
fn each_restore_is_another_cluster_in_empty_directories() {
    let root = tempfile::tempdir().unwrap();
    let made = backup(&root.path().join("b"), 3);
    let one = found(&made.source(), &plan(&root.path().join("1"), 1), &audit()).unwrap();
    let two = found(&made.source(), &plan(&root.path().join("2"), 1), &audit()).unwrap();
    assert_ne!(one.cluster_id, two.cluster_id);
    assert_ne!(one.disks, two.disks);
    let over = found(&made.source(), &plan(&root.path().join("1"), 3), &audit());
    assert!(matches!(over, Err(Error::Exists { .. })), "{over:?}");
    assert!(!root.path().join("1/r2").exists(), "nothing was begun");
    // A volume that was just made.
    let volume = root.path().join("3/r1");
    fs::create_dir_all(volume.join("lost+found")).unwrap();
    found(&made.source(), &plan(&root.path().join("3"), 1), &audit()).unwrap();
    assert!(volume.join("log.db").exists());
    for voters in [0, 8] {
        let bad = found(
            &made.source(),
            &plan(&root.path().join("4"), voters),
            &audit(),
        );
        assert!(matches!(bad, Err(Error::BadPlan(_))), "{bad:?}");
    }
    assert!(next_client_epoch(5, 0) > 5);
    assert_eq!(next_client_epoch(5, 1_764_000_000_123), 1_764_000_000);
}

/// Property: a restore that ends on its way leaves nothing that a replica would start on: a
/// cluster cannot form without its state.
#[test]
fn a_restore_that_fails_leaves_no_replica() {
    let root = tempfile::tempdir().unwrap();
    let made = backup(&root.path().join("b"), 3);
    let source = Source {
        state: root.path().join("no such file"),
        ..made.source()
    };
    let target = root.path().join("new");
    assert!(found(&source, &plan(&target, 2), &audit()).is_err());
    assert!(!target.join("r1/log.db").exists() && !target.join("r2/log.db").exists());
    let again = found(&made.source(), &plan(&target, 2), &audit());
    assert!(
        matches!(again, Err(Error::Exists { .. })),
        "the draft is named: {again:?}"
    );
}
