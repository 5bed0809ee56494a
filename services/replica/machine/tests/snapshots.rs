//! Snapshots: what is made, what is verified, and that the copy is the state.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use machine::snapshot::{self, Manifest, Snapshot};
use machine::{Error, Machine, Reader};
use paxos::entry::EntryKind;
use proptest::prelude::*;
use support::{Fixture, Log, create_room, join, post, register, seal, sign_up};

/// A log that touches every table.
fn log(slots: u64) -> Log {
    let mut log = Log::new();
    for n in 0..slots {
        let (cid, user) = (n * 10, n / 2 + 1);
        log.batch(vec![
            sign_up(cid, &format!("person {n}"), n),
            create_room(cid + 1, user, &format!("room-{n}")),
            join(cid + 2, user, n % 5 + 1),
            post(cid + 3, user, n % 5 + 1, &"text ".repeat(80)),
        ]);
        if n % 3 == 1 {
            log.push(EntryKind::RegisterNode, register(n, "host:1"));
            log.push(EntryKind::Seal, seal(n / 3 + 2, &[1, 2, 3]).encode());
            log.push(EntryKind::Ready, Bytes::new());
        }
    }
    log
}

/// A machine that has applied the log in calls of `size` entries, restarted after each.
fn machine_of(directory: &Path, log: &Log, size: usize) -> Machine {
    for entries in log.entries.chunks(size) {
        let mut machine = Machine::open(directory.join("state.db")).unwrap();
        machine.apply(entries).unwrap();
        machine.checkpoint_durable().unwrap();
    }
    Machine::open(directory.join("state.db")).unwrap()
}

fn make(fixture: &Fixture) -> Snapshot {
    snapshot::make(&fixture.path(), &fixture.directory.path().join("snapshots")).unwrap()
}

/// All bytes of a snapshot, in chunks of this size.
fn download(snapshot: &Snapshot, chunk_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = snapshot.chunk(bytes.len() as u64, chunk_bytes).unwrap() {
        assert_eq!(chunk.offset, bytes.len() as u64);
        assert!((1..=chunk_bytes).contains(&chunk.bytes.len()));
        bytes.extend_from_slice(&chunk.bytes);
    }
    bytes
}

/// Property: a snapshot has the state at the slot that its manifest names, while the machine goes
/// on; installed elsewhere it is that state, and the log goes on from there.
#[test]
fn a_snapshot_is_the_state_at_its_slot() {
    let log = log(12);
    let (before, after) = log.entries.split_at(14);
    let mut source = Fixture::new();
    source.machine.apply(before).unwrap();
    let (stand, hash) = (
        source.machine.applied().clone(),
        source.machine.state_hash().unwrap(),
    );
    let made = make(&source);
    source.machine.apply(after).unwrap();
    assert_eq!(made.manifest().applied, stand);
    assert!(stand.configuration.is_some());
    let wire = Manifest::from_wire(&made.manifest().to_wire()).unwrap();
    assert_eq!(&wire, made.manifest());

    let target = tempfile::tempdir().unwrap();
    let part = target.path().join("part");
    fs::write(&part, download(&made, 10_000)).unwrap();
    let state = target.path().join("state.db");
    let mut stale = Machine::open(&state).unwrap();
    stale.apply(&before[..5]).unwrap();
    drop(stale);
    snapshot::install(snapshot::verify(&part, &wire).unwrap(), &state).unwrap();
    let mut machine = Machine::open(&state).unwrap();
    assert_eq!(machine.applied(), &stand);
    assert_eq!(machine.state_hash().unwrap(), hash);
    machine.apply(after).unwrap();
    assert_eq!(
        machine.state_hash().unwrap(),
        source.machine.state_hash().unwrap()
    );
}

/// Property: verifying leaves the file as it is and nothing beside it.
#[test]
fn verifying_changes_nothing() {
    let source = Fixture::with_people(&["Ann"]);
    let made = make(&source);
    let before = fs::read(made.path()).unwrap();
    assert_eq!(before[18..20], [1, 1], "not in WAL mode");
    for _ in 0..2 {
        let verified = snapshot::verify(made.path(), made.manifest()).unwrap();
        assert_eq!(verified.manifest(), made.manifest());
    }
    assert_eq!(fs::read(made.path()).unwrap(), before);
    let directory = made.path().parent().unwrap();
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["snapshot.db", "snapshot.manifest"]);
}

/// Property: a file that differs from what its manifest says in any respect is refused.
#[test]
fn only_the_announced_file_is_taken() {
    let source = Fixture::with_people(&["Ann", "Bob"]);
    let made = make(&source);
    let (manifest, bytes) = (made.manifest().clone(), fs::read(made.path()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let refused = |bytes: &[u8], manifest: &Manifest| {
        fs::write(&path, bytes).unwrap();
        let error = snapshot::verify(&path, manifest).unwrap_err();
        assert!(matches!(error, Error::BadSnapshot { .. }), "{error}");
        error.to_string()
    };
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    assert!(refused(&flipped, &manifest).contains("SHA-256"));
    assert!(refused(&bytes[..bytes.len() - 1], &manifest).contains("bytes instead of"));

    // The maker itself was wrong: the sum is right, the content is not.
    let of = |bytes: &[u8]| {
        use sha2::Digest as _;
        Manifest {
            length: bytes.len() as u64,
            sha256: sha2::Sha256::digest(bytes).into(),
            ..manifest.clone()
        }
    };
    let mut torn = bytes.clone();
    torn[8192..8192 + 8].fill(0xa5);
    assert!(refused(&torn, &of(&torn)).contains("damaged"));
    let text = b"this is a letter, not a database. ".repeat(100);
    assert!(refused(&text, &of(&text)).contains("not a Chatterbox state file"));
    let mut elsewhere = manifest.clone();
    elsewhere.applied.slot = elsewhere.applied.slot.next();
    assert!(refused(&bytes, &elsewhere).contains("it stands at slot"));
    elsewhere = manifest.clone();
    elsewhere.applied.chain.0[0] ^= 1;
    assert!(refused(&bytes, &elsewhere).contains("chains differ"));

    fs::remove_file(&path).unwrap();
    let error = snapshot::verify(&path, &manifest).unwrap_err();
    assert!(matches!(error, Error::BadSnapshot { .. }), "{error}");
    fs::write(&path, &bytes).unwrap();
    snapshot::verify(&path, &manifest).unwrap();
}

/// Property: one finished snapshot is kept; a download of the one before can be finished; one
/// that is not whole is not offered after a restart.
#[test]
fn one_snapshot_is_kept() {
    let mut source = Fixture::with_people(&["Ann"]);
    let directory = source.directory.path().join("snapshots");
    assert!(Snapshot::open(&directory).unwrap().is_none());
    let first = make(&source);
    let first_bytes = download(&first, 1 << 20);
    source.fresh(|cid| post(cid, 1, 1, "more"));
    let second = make(&source);
    assert!(second.manifest().applied.slot > first.manifest().applied.slot);
    assert_eq!(download(&first, 5_000), first_bytes);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);

    let found = Snapshot::open(&directory).unwrap().unwrap();
    assert_eq!(found.manifest(), second.manifest());
    assert_eq!(found.chunk(0, 0).unwrap().unwrap().bytes.len(), 1);
    assert_eq!(found.chunk(found.manifest().length, 1).unwrap(), None);
    assert_eq!(found.chunk(u64::MAX, 1).unwrap(), None);
    let largest = found.chunk(0, usize::MAX).unwrap().unwrap().bytes.len();
    assert!(largest <= machine::limits::CHUNK_BYTES_MAX);

    // A crash in the middle of making one, and damage of the finished one.
    fs::write(directory.join("snapshot.db.new"), "half").unwrap();
    let mut bytes = fs::read(found.path()).unwrap();
    bytes[9000] ^= 1;
    fs::write(found.path(), bytes).unwrap();
    assert!(Snapshot::open(&directory).unwrap().is_none());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

/// Property: damage in the structure of the state ends the copy, and nothing of it stays.
#[test]
fn damage_is_not_handed_on() {
    let log = log(40);
    let directory = tempfile::tempdir().unwrap();
    drop(machine_of(directory.path(), &log, 100));
    let state = directory.path().join("state.db");
    let image = fs::read(&state).unwrap();
    let snapshots = directory.path().join("snapshots");
    let hash = Machine::open(&state).unwrap().state_hash().unwrap();
    let (pages, mut ended) = (image.len() / 8192, 0);
    for page in 0..pages {
        let mut bytes = image.clone();
        // The page's header: its kind and the number of its cells.
        let start = if page == 0 { 100 } else { page * 8192 };
        bytes[start..start + 8].fill(0xa5);
        fs::write(&state, &bytes).unwrap();
        match snapshot::make(&state, &snapshots) {
            Err(error) => {
                assert!(error.is_replaceable(), "page {page}: {error}");
                assert!(!snapshots.join("snapshot.db.new").exists());
                ended += 1;
            }
            // The index of an empty table: the copy has a new one.
            Ok(made) => {
                let mut copy = Reader::open(made.path()).unwrap();
                assert_eq!(copy.state_hash().unwrap().value, hash);
            }
        }
    }
    assert!(pages > 15 && ended >= pages - 2, "{ended} of {pages}");
}

/// Property: an index that says something else than its table is not handed on.
#[test]
fn wrong_indexes_are_not_handed_on() {
    let directory = tempfile::tempdir().unwrap();
    drop(machine_of(directory.path(), &log(40), 100));
    let state = directory.path().join("state.db");
    let snapshots = directory.path().join("snapshots");
    snapshot::make(&state, &snapshots).unwrap();
    let image = fs::read(&state).unwrap();
    let name = b"person 17";
    let places: Vec<usize> = (0..image.len() - name.len())
        .filter(|&at| &image[at..at + name.len()] == name)
        .collect();
    // The name, its folding, and the index on the folding: one bit of one of them.
    assert!(places.len() >= 3, "{places:?}");
    let mut noticed = 0;
    for at in &places {
        let mut bytes = image.clone();
        bytes[at + 8] ^= 1;
        fs::write(&state, &bytes).unwrap();
        match snapshot::make(&state, &snapshots) {
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_replaceable(), "{error}");
                noticed += 1;
            }
        }
    }
    assert!(
        noticed >= 2,
        "the folding and its index: {noticed} of {}",
        places.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Property: the bytes of a snapshot are a function of the log, whatever the past of the file
    /// (calls, restarts, flushes): two replicas at one slot offer the same SHA-256.
    #[test]
    fn equal_states_make_equal_snapshots(slots in 1..25_u64, sizes in (1..9_usize, 1..9_usize)) {
        let log = log(slots);
        let manifests = [sizes.0, sizes.1].map(|size| {
            let directory = tempfile::tempdir().unwrap();
            let machine = machine_of(directory.path(), &log, size);
            let state = directory.path().join("state.db");
            let made = snapshot::make(&state, directory.path()).unwrap();
            assert_eq!(&made.manifest().applied, machine.applied());
            made.manifest().clone()
        });
        prop_assert_eq!(&manifests[0], &manifests[1]);
    }
}

/// Property: copies that are made beside a busy machine stand at the end of some call, whole.
#[test]
fn copies_beside_a_writer_are_whole() {
    let log = log(120);
    let mut source = Fixture::new();
    let (state, snapshots) = (source.path(), source.directory.path().join("snapshots"));
    let mut hashes = std::collections::BTreeMap::new();
    let copies = std::thread::scope(|scope| {
        let maker = scope.spawn(|| {
            let mut copies = Vec::new();
            for _ in 0..8 {
                let made = snapshot::make(&state, &snapshots).unwrap();
                let hash = Reader::open(made.path()).unwrap().state_hash().unwrap();
                copies.push((made.manifest().applied.slot, hash.value));
            }
            copies
        });
        for entry in &log.entries {
            source.machine.apply(std::slice::from_ref(entry)).unwrap();
            let hash = source.machine.state_hash().unwrap();
            hashes.insert(entry.slot, hash);
        }
        maker.join().unwrap()
    });
    let started = copies
        .iter()
        .filter(|(slot, _)| *slot >= log.entries[0].slot);
    let mut distinct = std::collections::BTreeSet::new();
    for (slot, hash) in started {
        assert_eq!(hashes.get(slot), Some(hash), "{slot}");
        distinct.insert(*slot);
    }
    assert!(distinct.len() >= 2, "the machine went on: {copies:?}");
}

/// Property: the state begins anew in another cluster: what people have is there at the same slot
/// and chain, no node of the old cluster is known, and the log goes on in the first epoch. What
/// is not the snapshot that its manifest says is refused.
#[test]
fn a_snapshot_begins_another_cluster() {
    let mut log = log(12);
    let mut source = Fixture::new();
    source.machine.apply(&log.entries).unwrap();
    let made = make(&source);
    let manifest = made.manifest();
    assert!(manifest.applied.configuration.is_some(), "epochs had ended");
    let target = tempfile::tempdir().unwrap();
    let copy = target.path().join("copy.db");
    fs::copy(made.path(), &copy).unwrap();
    let anew = snapshot::begin_anew(&copy, manifest).unwrap();
    let applied = &anew.manifest().applied;
    assert_eq!(
        (applied.slot, applied.chain, applied.timestamp),
        (
            manifest.applied.slot,
            manifest.applied.chain,
            manifest.applied.timestamp
        )
    );
    assert_eq!(applied.configuration, None);
    let again = snapshot::begin_anew(&copy, manifest).unwrap_err();
    assert!(matches!(again, Error::BadSnapshot { .. }), "{again}");
    let state = target.path().join("state.db");
    snapshot::install(anew, &state).unwrap();
    let mut reader = Reader::open(&state).unwrap();
    assert!(reader.nodes().unwrap().value.is_empty());
    let mut before = Reader::open(source.path()).unwrap();
    assert!(!before.nodes().unwrap().value.is_empty());
    for user in [machine::UserId(1), machine::UserId(3)] {
        let (old, new) = (before.user_state(user), reader.user_state(user));
        assert_eq!(old.unwrap().value, new.unwrap().value);
    }
    // The first seal of the new cluster.
    let mut machine = Machine::open(&state).unwrap();
    let next = log.push(EntryKind::Seal, seal(2, &[1, 2]).encode());
    machine.apply(&[next]).unwrap();
}

/// Property: a pinned state stays what it was while the machine goes on, and its hash is the
/// machine's at that slot.
#[test]
fn a_pinned_state_stays() {
    let log = log(6);
    let (before, after) = log.entries.split_at(5);
    let mut fixture = Fixture::new();
    fixture.machine.apply(before).unwrap();
    let (stand, hash) = (
        fixture.machine.applied().clone(),
        fixture.machine.state_hash().unwrap(),
    );
    let pinned = fixture.machine.reader().unwrap().pin().unwrap();
    fixture.machine.apply(after).unwrap();
    assert_eq!(
        (pinned.applied(), pinned.state_hash().unwrap()),
        (&stand, hash)
    );
    assert_ne!(fixture.machine.state_hash().unwrap(), hash);
}
