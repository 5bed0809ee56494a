//! The configuration that a prefix of the log ends in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use bytes::Bytes;
use machine::{Error, Machine};
use paxos::config::Configuration;
use paxos::entry::EntryKind;
use paxos::ids::{Epoch, NodeId, Slot};
use support::{Fixture, Log, applied_crc, post, seal, sign_up};

/// Property: the state is in no configuration before the first seal, and then in that of the
/// latest one, with its slot; it survives a restart, and reader and writer agree on it.
#[test]
fn a_seal_begins_its_configuration() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    assert_eq!(fixture.machine.applied().configuration, None);
    for (epoch, voters) in [(2, vec![1, 2, 1030]), (3, vec![2, 1030, 1031])] {
        let seal = seal(epoch, &voters);
        let entry = fixture.log.push(EntryKind::Seal, seal.encode());
        let ready = fixture.log.push(EntryKind::Ready, Bytes::new());
        let slot = entry.slot;
        fixture.machine.apply(&[entry, ready]).unwrap();
        let expected = Configuration {
            epoch: Epoch(epoch),
            start: slot,
            voters: voters.into_iter().map(NodeId).collect(),
        };
        let applied = fixture.machine.applied();
        assert_eq!(applied.configuration.as_ref(), Some(&expected));
        assert_eq!(applied.slot, slot.next(), "`Ready` is applied as well");
        let reopened = Machine::open(fixture.path()).unwrap();
        assert_eq!(reopened.applied(), applied);
        let view = reopened.reader().unwrap().configuration().unwrap();
        assert_eq!((view.applied, view.value), (slot.next(), Some(expected)));
    }
}

/// Property: entries of other kinds leave the configuration as it is, and the chat goes on above
/// a seal.
#[test]
fn other_entries_keep_the_configuration() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let entry = fixture
        .log
        .push(EntryKind::Seal, seal(2, &[1, 2, 3]).encode());
    fixture.machine.apply(&[entry]).unwrap();
    let before = fixture.machine.applied().configuration.clone();
    assert!(before.is_some());
    fixture.fresh(|cid| post(cid, 1, 1, "above the seal"));
    let noop = fixture.log.push(EntryKind::Noop, Bytes::new());
    fixture.machine.apply(&[noop]).unwrap();
    assert_eq!(fixture.machine.applied().configuration, before);
}

/// Property: two logs that differ in a seal's voters have different states.
#[test]
fn the_configuration_is_hashed() {
    let hash = |voters: &[u64]| {
        let mut fixture = Fixture::new();
        let entry = fixture.log.push(EntryKind::Seal, seal(2, voters).encode());
        fixture.machine.apply(&[entry]).unwrap();
        // Without the chain, which differs in any case.
        let path = fixture.path();
        let applied = fixture.machine.applied();
        let configuration = applied.configuration.clone().unwrap().encode();
        let crc = applied_crc(
            applied.slot.0,
            &[0; 32],
            applied.timestamp.0,
            Some(&configuration),
        );
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute("UPDATE applied SET chain = zeroblob(32), crc = ?1", [crc])
            .unwrap();
        Machine::open(&path).unwrap().state_hash().unwrap()
    };
    assert_eq!(hash(&[1, 2, 3]), hash(&[1, 2, 3]));
    assert_ne!(hash(&[1, 2, 3]), hash(&[1, 2, 4]));
}

/// Property: a seal that cannot be read, or that does not begin the next epoch, stops the replica
/// and changes nothing.
#[test]
fn seals_of_another_history_stop_the_replica() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let mut follow = |payload: Bytes| {
        let before = fixture.machine.state_hash().unwrap();
        let entry = fixture.log.clone().push(EntryKind::Seal, payload);
        let error = fixture.machine.apply(&[entry]).unwrap_err();
        assert_eq!(fixture.machine.state_hash().unwrap(), before);
        assert!(!error.is_replaceable(), "the log is in doubt: {error}");
        error
    };
    for epoch in [0, 1, 3, u64::MAX] {
        let error = follow(seal(epoch, &[1, 2, 3]).encode());
        assert!(
            matches!(
                error,
                Error::EpochOutOfOrder { active: Epoch::FIRST, found, .. } if found.0 == epoch
            ),
            "{error}"
        );
        assert!(error.to_string().contains("two histories"), "{error}");
    }
    for payload in [&b""[..], b"seal", &seal(2, &[1]).encode()[1..]] {
        let error = follow(Bytes::copy_from_slice(payload));
        assert!(matches!(error, Error::UnreadableSeal { .. }), "{error}");
    }
    let right = seal(2, &[1, 2, 3]);
    let entry = fixture.log.push(EntryKind::Seal, right.encode());
    fixture.machine.apply(&[entry]).unwrap();
    // Within one call, too: the second seal follows the first.
    let again = fixture.log.clone().push(EntryKind::Seal, right.encode());
    let error = fixture.machine.apply(&[again]).unwrap_err();
    assert!(
        matches!(error, Error::EpochOutOfOrder { active, .. } if active == Epoch(2)),
        "{error}"
    );
}

/// Property: a configuration that nothing could have written is damage, at open already.
#[test]
fn a_damaged_configuration_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut machine = Machine::open(&path).unwrap();
    let mut log = Log::of(vec![vec![sign_up(1, "Ann", 1)]]);
    log.push(EntryKind::Seal, seal(2, &[1, 2, 3]).encode());
    machine.apply(&log.entries).unwrap();
    assert_eq!(machine.applied().slot, Slot::FIRST.next());
    drop(machine);
    let applied = Machine::open(&path).unwrap().applied().clone();
    let right = |bytes: &[u8]| {
        let (slot, timestamp) = (applied.slot.0, applied.timestamp.0);
        applied_crc(slot, &applied.chain.0, timestamp, Some(bytes))
    };
    let spoil = |crc: i32| {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute(
                "UPDATE applied SET configuration = x'ff00', crc = ?1",
                [crc],
            )
            .unwrap();
        let error = Machine::open(&path).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        error.to_string()
    };
    assert!(spoil(0).contains("not as it was written"));
    assert!(spoil(right(&[0xff, 0])).contains("configuration in `applied` cannot be read"));
}
