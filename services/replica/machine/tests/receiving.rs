//! Snapshots on their way: chunks, interruptions, and what is not taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::fs;
use std::path::Path;

use machine::limits::{CHUNK_BYTES_MAX, RECEIVED_SYNC_BYTES};
use machine::snapshot::{self, Chunk, Manifest, Receiver, Snapshot};
use machine::{Error, Machine};
use proptest::prelude::*;
use support::{Fixture, post};

/// A snapshot of a state with some messages.
fn made(messages: usize) -> (Fixture, Snapshot) {
    let mut source = Fixture::with_people(&["Ann"]);
    let batch = (0..messages)
        .map(|_| {
            let cid = source.fresh_cid();
            post(cid, 1, 1, &"x".repeat(15_000))
        })
        .collect();
    source.apply(batch);
    let directory = source.directory.path().join("snapshots");
    let made = snapshot::make(&source.path(), &directory).unwrap();
    (source, made)
}

fn next(snapshot: &Snapshot, receiver: &Receiver, bytes: usize) -> Chunk {
    snapshot.chunk(receiver.offset(), bytes).unwrap().unwrap()
}

fn install(receiver: Receiver, directory: &Path) -> Machine {
    let state = directory.join("state.db");
    snapshot::install(receiver.finish().unwrap(), &state).unwrap();
    Machine::open(&state).unwrap()
}

/// Property: chunks that are not the next one, not whole or beyond the end are refused and change
/// nothing; the right ones make up the snapshot.
#[test]
fn only_the_next_chunk_is_taken() {
    let (source, snapshot) = made(60);
    let target = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::begin(target.path(), snapshot.manifest()).unwrap();
    let size = 40_000;
    while !receiver.is_complete() {
        let good = next(&snapshot, &receiver, size);
        let offset = receiver.offset();
        let mut spoiled = vec![
            Chunk {
                offset: offset + 1,
                ..good.clone()
            },
            Chunk {
                offset: offset.wrapping_sub(1),
                ..good.clone()
            },
            Chunk {
                crc: good.crc ^ 1,
                ..good.clone()
            },
            Chunk {
                bytes: good.bytes.slice(1..),
                ..good.clone()
            },
            Chunk {
                bytes: bytes::Bytes::new(),
                crc: 0,
                offset,
            },
        ];
        let beyond = vec![0; usize::try_from(snapshot.manifest().length - offset).unwrap() + 1];
        let too_large = vec![0; CHUNK_BYTES_MAX + 1];
        for bytes in [beyond, too_large] {
            let crc = crc32fast::hash(&bytes);
            let bytes = bytes.into();
            spoiled.push(Chunk { offset, bytes, crc });
        }
        for bad in spoiled {
            let error = receiver.append(&bad).unwrap_err();
            assert!(matches!(error, Error::BadChunk { .. }), "{error}");
            assert_eq!(receiver.offset(), offset);
        }
        receiver.append(&good).unwrap();
        assert_eq!(receiver.offset(), offset + good.bytes.len() as u64);
    }
    let machine = install(receiver, target.path());
    assert_eq!(machine.applied(), source.machine.applied());
    assert_eq!(
        machine.state_hash().unwrap(),
        source.machine.state_hash().unwrap()
    );
    drop(machine);
    let names: Vec<_> = fs::read_dir(target.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "state.db alone: {names:?}");
}

/// Property: a download cannot be finished before its end, and goes on afterwards.
#[test]
fn half_a_snapshot_is_none() {
    let (_source, snapshot) = made(60);
    let target = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::begin(target.path(), snapshot.manifest()).unwrap();
    receiver.append(&next(&snapshot, &receiver, 5_000)).unwrap();
    let error = receiver.finish().unwrap_err();
    assert!(error.to_string().contains("have arrived"), "{error}");
    assert!(Receiver::resume(target.path()).unwrap().is_some());
}

/// Property: a snapshot whose every chunk was right but whose whole is not is removed, so that it
/// is not found complete for ever.
#[test]
fn a_bad_whole_is_removed() {
    let (_source, snapshot) = made(10);
    let target = tempfile::tempdir().unwrap();
    let mut manifest = snapshot.manifest().clone();
    manifest.sha256[5] ^= 1;
    let mut receiver = Receiver::begin(target.path(), &manifest).unwrap();
    while !receiver.is_complete() {
        receiver
            .append(&next(&snapshot, &receiver, 1 << 20))
            .unwrap();
    }
    let error = receiver.finish().unwrap_err();
    assert!(matches!(error, Error::BadSnapshot { .. }), "{error}");
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

/// Property: after a crash a download goes on with what was synced, for the same manifest only;
/// another manifest begins anew.
#[test]
fn a_download_goes_on_after_a_crash() {
    let (source, snapshot) = made(1_400);
    let manifest = snapshot.manifest();
    assert!(manifest.length > RECEIVED_SYNC_BYTES + 4 * CHUNK_BYTES_MAX as u64);
    let target = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::begin(target.path(), manifest).unwrap();
    while receiver.offset() < RECEIVED_SYNC_BYTES + 2 * CHUNK_BYTES_MAX as u64 {
        let chunk = next(&snapshot, &receiver, usize::MAX);
        receiver.append(&chunk).unwrap();
    }
    drop(receiver);

    let resumed = Receiver::resume(target.path()).unwrap().unwrap();
    assert_eq!(resumed.manifest(), manifest);
    assert_eq!(resumed.offset(), RECEIVED_SYNC_BYTES, "what was synced");
    drop(resumed);
    // The power went: what was not synced is anything.
    let part = target.path().join("state.db.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes.extend_from_slice(&[0xee; 3000]);
    fs::write(&part, bytes).unwrap();

    let mut receiver = Receiver::begin(target.path(), manifest).unwrap();
    assert_eq!(receiver.offset(), RECEIVED_SYNC_BYTES);
    while !receiver.is_complete() {
        let chunk = next(&snapshot, &receiver, usize::MAX);
        receiver.append(&chunk).unwrap();
    }
    // Once more, right at the end.
    drop(receiver);
    let receiver = Receiver::begin(target.path(), manifest).unwrap();
    assert!(receiver.is_complete());
    let machine = install(receiver, target.path());
    assert_eq!(
        machine.state_hash().unwrap(),
        source.machine.state_hash().unwrap()
    );
    assert!(Receiver::resume(target.path()).unwrap().is_none());
}

/// Property: another snapshot takes the place of an unfinished one: at most one is kept.
#[test]
fn another_manifest_begins_anew() {
    let (mut source, first) = made(10);
    source.fresh(|cid| post(cid, 1, 1, "more"));
    let directory = source.directory.path().join("snapshots");
    let second = snapshot::make(&source.path(), &directory).unwrap();
    let target = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::begin(target.path(), first.manifest()).unwrap();
    receiver.append(&next(&first, &receiver, 100_000)).unwrap();
    while !receiver.is_complete() {
        receiver.append(&next(&first, &receiver, 100_000)).unwrap();
    }
    drop(receiver);
    let receiver = Receiver::begin(target.path(), second.manifest()).unwrap();
    assert_eq!(receiver.offset(), 0);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 2);
    receiver.discard().unwrap();
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

/// Property: a side file that says too much, or nothing readable, or has no file beside it, is
/// dropped together with what it speaks of.
#[test]
fn what_cannot_be_continued_is_removed() {
    let (_source, snapshot) = made(10);
    let complete = |target: &Path| {
        let mut receiver = Receiver::begin(target, snapshot.manifest()).unwrap();
        while !receiver.is_complete() {
            receiver
                .append(&next(&snapshot, &receiver, 1 << 20))
                .unwrap();
        }
    };
    let spoil: [fn(&Path); 5] = [
        |part| fs::write(part, "short").unwrap(),
        |part| fs::remove_file(part).unwrap(),
        |part| {
            let manifest = part.with_extension("part.manifest");
            let mut bytes = fs::read(&manifest).unwrap();
            bytes[10] ^= 1;
            fs::write(&manifest, bytes).unwrap();
        },
        |part| fs::write(part.with_extension("part.manifest"), "").unwrap(),
        |part| fs::remove_file(part.with_extension("part.manifest")).unwrap(),
    ];
    for spoil in spoil {
        let target = tempfile::tempdir().unwrap();
        complete(target.path());
        spoil(&target.path().join("state.db.part"));
        assert!(Receiver::resume(target.path()).unwrap().is_none());
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    }
    // A snapshot of another program's format.
    let mut wire = snapshot.manifest().to_wire();
    wire.state_format += 1;
    let error = Manifest::from_wire(&wire).unwrap_err();
    assert!(
        error.to_string().contains("this program reads formats"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Property: chunks of any sizes, with interruptions anywhere, give the same file.
    #[test]
    fn any_chunks_and_interruptions_give_the_snapshot(
        sizes in prop::collection::vec((1..200_000_usize, any::<bool>()), 1..12),
    ) {
        let (source, snapshot) = made(30);
        let target = tempfile::tempdir().unwrap();
        let mut receiver = Receiver::begin(target.path(), snapshot.manifest()).unwrap();
        let mut interruptions = 0;
        for (size, interrupt) in sizes.iter().cycle() {
            if receiver.is_complete() {
                break;
            }
            receiver.append(&next(&snapshot, &receiver, *size)).unwrap();
            // Each one may cost all that was not synced.
            if *interrupt && interruptions < 4 {
                interruptions += 1;
                drop(receiver);
                receiver = Receiver::begin(target.path(), snapshot.manifest()).unwrap();
            }
        }
        let machine = install(receiver, target.path());
        prop_assert_eq!(
            machine.state_hash().unwrap(),
            source.machine.state_hash().unwrap()
        );
    }
}
