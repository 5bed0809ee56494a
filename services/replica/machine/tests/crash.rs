//! What a crash, a failed call or a wrong entry leaves behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::path::Path;

use bytes::Bytes;
use machine::{Applied, Error, Machine, StateHash};
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Slot, Timestamp};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::{Batch, Command};
use support::{
    Log, applied_crc, close, create_room, in_turn, join, leave, open, post, register, revoke, seal,
    sign_up,
};

/// A log in which every table and every counter changes in nearly every slot.
fn busy_log(slots: u64) -> Log {
    let (mut log, mut sessions) = (Log::new(), Vec::new());
    for n in 0..slots {
        let (cid, user) = (n * 10, n / 2 + 1);
        // The sender session that the eighth command below opens.
        let session = (Slot::FIRST.0 + log.entries.len() as u64) << 16 | 8;
        sessions.push(session);
        let older = sessions[sessions.len().saturating_sub(3)];
        log.batch(vec![
            sign_up(cid, &format!("person {n}"), n),
            create_room(cid + 1, user, &format!("room-{n}")),
            join(cid + 2, user, n % 5 + 1),
            post(cid + 3, user, n % 5 + 1, &"text ".repeat(40)),
            leave(cid + 4, user, n % 3 + 2),
            post(cid + 5, user, 1, "in general"),
            revoke(cid + 6, user, n / 3),
            post(cid + 3, user, 1, "again"),
            open(cid + 7, user),
            in_turn(session, 1, post(cid + 8, user, 1, "in turn")),
            close(cid + 9, user, older),
        ]);
        if n % 2 == 1 {
            let address = format!("host-{n}:1");
            log.push(EntryKind::RegisterNode, register(n / 4, &address));
        }
        if n % 4 == 2 {
            log.push(EntryKind::Seal, seal(2 + n / 4, &[1, 2, 3 + n]).encode());
            log.push(EntryKind::Ready, Bytes::new());
        }
    }
    log
}

fn clean_hash(log: &Log) -> StateHash {
    let directory = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
    machine.apply(&log.entries).unwrap();
    machine.state_hash().unwrap()
}

fn rest_after(log: &Log, slot: Slot) -> &[Entry] {
    &log.entries[usize::try_from(slot.0 - Slot::GENESIS.0).unwrap()..]
}

/// Entries that must not be applied, each after `last` of the log.
fn bad_entries(log: &Log) -> Vec<(&'static str, Entry)> {
    let bad = |payload: Vec<u8>| log.clone().push(EntryKind::Batch, Bytes::from(payload));
    let version = |version| {
        Batch {
            version,
            commands: vec![post(1, 1, 1, "x")],
        }
        .encode_to_vec()
    };
    let unknown = Batch {
        version: 1,
        commands: vec![
            sign_up(900_001, "must vanish", 900_001),
            create_room(900_002, 1, "must-vanish"),
            post(900_003, 1, 1, "must vanish"),
            Command {
                cid: support::cid(900_004),
                author: 1,
                body: None,
                ..Command::default()
            },
        ],
    };
    let mut other_log = Log::of(vec![vec![]; log.entries.len()]);
    let mut skipping = log.clone();
    skipping.batch(vec![]);
    let mut tampered = log.clone().batch(vec![post(900_005, 1, 1, "x")]);
    tampered.timestamp = Timestamp(tampered.timestamp.0 + 1);
    vec![
        ("diverged", other_log.batch(vec![])),
        ("diverged", tampered),
        ("gap", skipping.batch(vec![])),
        ("gap", log.entries[0].clone()),
        ("unreadable", bad(vec![0xff; 9])),
        ("version", bad(version(0))),
        ("version", bad(version(machine::limits::BATCH_VERSION + 1))),
        ("unknown", bad(unknown.encode_to_vec())),
    ]
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Diverged { .. } => "diverged",
        Error::Gap { .. } => "gap",
        Error::Unreadable { .. } => "unreadable",
        Error::UnknownVersion { .. } => "version",
        Error::UnknownCommand { .. } => "unknown",
        _ => "other",
    }
}

/// Property: a call that meets an entry which cannot be applied changes nothing, neither in the
/// file nor in memory, however much of it had been applied before; the right entries can follow.
#[test]
fn a_failed_call_changes_nothing() {
    let log = busy_log(12);
    let clean = clean_hash(&log);
    let mut first = Log::new();
    let directory = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
    for entry in &log.entries {
        for ahead in [0, 3] {
            // The bad entry comes after some good ones in the same call.
            let upto = (first.entries.len() + ahead).min(log.entries.len());
            let mut prefix = Log::new();
            for entry in &log.entries[..upto] {
                prefix.push(entry.kind, entry.payload.clone());
            }
            if upto == 0 {
                continue;
            }
            for (expected, bad) in bad_entries(&prefix) {
                let before = (machine.applied().clone(), machine.state_hash().unwrap());
                let mut call = prefix.entries[first.entries.len()..].to_vec();
                call.push(bad);
                let error = machine.apply(&call).unwrap_err();
                assert_eq!(kind(&error), expected, "{error}");
                assert_eq!(
                    (machine.applied().clone(), machine.state_hash().unwrap()),
                    before
                );
            }
        }
        machine.apply(std::slice::from_ref(entry)).unwrap();
        first.push(entry.kind, entry.payload.clone());
    }
    assert_eq!(machine.state_hash().unwrap(), clean);
}

/// Property: the errors that make an operator act name the slot and both chains or versions.
#[test]
fn errors_are_clear() {
    let log = busy_log(1);
    let directory = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
    machine.apply(&log.entries).unwrap();
    let texts: Vec<String> = bad_entries(&log)
        .into_iter()
        .map(|(_, bad)| machine.apply(&[bad]).unwrap_err().to_string())
        .collect();
    assert!(
        texts[0].starts_with("divergence at slot s1025: the entry's chain "),
        "{}",
        texts[0]
    );
    assert_eq!(
        texts[2],
        "entry s1026 was handed over for application where s1025 comes next"
    );
    assert!(
        texts[6].contains("has version 8, this program knows versions 1 to 7"),
        "{}",
        texts[6]
    );
    assert!(
        texts[7].starts_with("command 3 of the batch at slot s1025 "),
        "{}",
        texts[7]
    );
}

/// Property: slots that event keys cannot number are an error and no overflow.
#[test]
fn slots_beyond_the_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(Machine::open(&path).unwrap());
    let last = Slot((1 << 47) - 1);
    let file = rusqlite::Connection::open(&path).unwrap();
    let crc = applied_crc(last.0 - 1, &[0; 32], 0, None);
    file.execute(
        "UPDATE applied SET slot = ?1, crc = ?2",
        [last.0.cast_signed() - 1, crc.into()],
    )
    .unwrap();
    drop(file);
    let mut machine = Machine::open(&path).unwrap();
    let entry = |slot, previous| {
        let payload = machine::encode_batch(vec![sign_up(slot, &format!("p{slot}"), slot)]);
        Entry::new(
            previous,
            Slot(slot),
            Ballot::ZERO,
            EntryKind::Batch,
            Timestamp(1),
            payload,
        )
    };
    let at_last = entry(last.0, Chain::GENESIS);
    let beyond = entry(last.0 + 1, at_last.chain);
    machine.apply(&[at_last]).unwrap();
    assert!(matches!(
        machine.apply(&[beyond]),
        Err(Error::Unnumberable { .. })
    ));
}

/// Property: a second writer on the same file is noticed before its state is mixed with ours.
#[test]
fn a_foreign_writer_is_noticed() {
    let log = busy_log(3);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let (mut ours, mut theirs) = (Machine::open(&path).unwrap(), Machine::open(&path).unwrap());
    ours.apply(&log.entries[..1]).unwrap();
    let error = theirs.apply(&log.entries[..1]).unwrap_err();
    assert!(matches!(error, Error::ForeignWriter { .. }), "{error}");
}

/// Property: making the state durable changes nothing of it and reports where it stands.
#[test]
fn durable_checkpoints_are_no_state() {
    let log = busy_log(6);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut machine = Machine::open(&path).unwrap();
    for entry in &log.entries {
        machine.apply(std::slice::from_ref(entry)).unwrap();
        let durable = machine.checkpoint_durable().unwrap().clone();
        assert_eq!(durable, *machine.applied());
        assert_eq!(machine.applied().slot, entry.slot);
    }
    assert_eq!(machine.state_hash().unwrap(), clean_hash(&log));
}

/// Copies what a crash would leave: the file, and the WAL up to some byte.
fn crash_image(from: &Path, to: &Path, wal_bytes: usize) {
    std::fs::copy(from.join("state.db"), to.join("state.db")).unwrap();
    let wal = std::fs::read(from.join("state.db-wal")).unwrap();
    std::fs::write(to.join("state.db-wal"), &wal[..wal_bytes]).unwrap();
    let _ = std::fs::remove_file(to.join("state.db-shm"));
}

/// Where a machine stood after a call, and with what state.
type Boundary = (Applied, StateHash);

/// Applies the log in calls of these sizes. After one of them the file is closed and opened,
/// which moves the WAL into it: what came before is no longer at stake.
fn boundaries(directory: &Path, log: &Log, sizes: &[usize], restart: usize) -> Vec<Boundary> {
    let open = || Machine::open(directory.join("state.db")).unwrap();
    let stand = |machine: &Machine| (machine.applied().clone(), machine.state_hash().unwrap());
    let mut machine = open();
    let mut found = vec![stand(&machine)];
    let mut rest = log.entries.as_slice();
    for (call, size) in sizes.iter().enumerate() {
        let (now, later) = rest.split_at((*size).min(rest.len()));
        machine.apply(now).unwrap();
        found.push(stand(&machine));
        rest = later;
        if call == restart {
            drop(machine);
            machine = open();
            found = vec![stand(&machine)];
        }
    }
    // Alive while the image is taken: closing would remove the WAL.
    std::mem::forget(machine);
    found
}

/// Opens an image of a crash: it must stand exactly where some call had left it.
fn check_image(path: &Path, boundaries: &[Boundary]) -> Machine {
    let machine = Machine::open(path).unwrap();
    let found = (machine.applied().clone(), machine.state_hash().unwrap());
    assert!(
        boundaries.contains(&found),
        "{found:?} is none of {boundaries:?}"
    );
    machine
}

/// Property: a crash after any page that a transaction writes leaves the whole transaction or
/// nothing of it; `applied` never moves without the effects, nor they without it.
#[test]
fn a_crash_after_any_page_leaves_whole_calls() {
    // The WAL's header, and a frame: its header and a page.
    const HEADER_BYTES: usize = 32;
    const FRAME_BYTES: usize = 24 + machine::limits::SQLITE_PAGE_BYTES as usize;
    let log = busy_log(6);
    let directory = tempfile::tempdir().unwrap();
    let boundaries = boundaries(directory.path(), &log, &[1, 2, 1, 2], usize::MAX);
    let wal_bytes = std::fs::read(directory.path().join("state.db-wal"))
        .unwrap()
        .len();
    let frames = (wal_bytes - HEADER_BYTES) / FRAME_BYTES;
    assert!(frames > 40, "{frames}");
    let mut stands = std::collections::BTreeSet::new();
    for frame in 0..=frames {
        let crashed = tempfile::tempdir().unwrap();
        crash_image(
            directory.path(),
            crashed.path(),
            HEADER_BYTES + frame * FRAME_BYTES,
        );
        let machine = check_image(&crashed.path().join("state.db"), &boundaries);
        stands.insert(machine.applied().slot);
    }
    assert_eq!(stands.len(), boundaries.len(), "every call's end was met");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Property: after a crash in the middle of a transaction, or a loss of power that drops the
    /// end of the WAL, the file stands exactly after some call, and applying the log from there
    /// gives the same state as if nothing had happened.
    #[test]
    fn a_crash_leaves_an_older_state(
        sizes in prop::collection::vec(1..6_usize, 1..6),
        wal_permille in 0..=1000_usize,
        restart in 0..6_usize,
    ) {
        let log = busy_log(16);
        let directory = tempfile::tempdir().unwrap();
        let boundaries = boundaries(directory.path(), &log, &sizes, restart);
        let crashed = tempfile::tempdir().unwrap();
        // Right after a restart there is no WAL.
        let wal = std::fs::read(directory.path().join("state.db-wal")).unwrap_or_default();
        std::fs::write(directory.path().join("state.db-wal"), &wal).unwrap();
        crash_image(directory.path(), crashed.path(), wal.len() * wal_permille / 1000);
        let mut machine = check_image(&crashed.path().join("state.db"), &boundaries);
        machine.apply(rest_after(&log, machine.applied().slot)).unwrap();
        prop_assert_eq!(machine.state_hash().unwrap(), clean_hash(&log));
    }
}
