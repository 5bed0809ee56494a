//! Node ids: one per disk, for ever.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use machine::{Error, Machine, NodeRefused, Reader, Registered, Registration};
use paxos::entry::EntryKind;
use paxos::ids::NodeId;
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::RegisterNode;
use support::{Fixture, Log, disk, post, register};

fn apply(fixture: &mut Fixture, payload: Bytes) -> Registration {
    let entry = fixture.log.push(EntryKind::RegisterNode, payload);
    let mut applied = fixture.machine.apply(&[entry]).unwrap();
    assert_eq!((applied.len(), applied[0].effects.len()), (1, 0));
    applied.remove(0).registration.unwrap()
}

fn reader(fixture: &Fixture) -> Reader {
    fixture.machine.reader().unwrap()
}

/// Property: the id is the slot of the first registration; a repetition answers it again and
/// notes the new address; another disk at the same address is another node.
#[test]
fn an_id_is_the_first_slot_of_a_disk() {
    let mut f = Fixture::with_people(&["Ann"]);
    let first = apply(&mut f, register(7, "a:1"));
    let node = NodeId(f.machine.applied().slot.0);
    assert_eq!(&first.disk_id[..], disk(7).as_bytes());
    assert_eq!(first.result, Ok(Registered { node, is_new: true }));
    f.fresh(|cid| post(cid, 1, 1, "between"));
    let again = apply(&mut f, register(7, "b:2"));
    let is_new = false;
    assert_eq!(again.result, Ok(Registered { node, is_new }));

    let found = reader(&f).node_by_disk(disk(7)).unwrap();
    assert_eq!(found.applied, f.machine.applied().slot);
    let found = found.value.unwrap();
    assert_eq!((found.node, found.address.as_str()), (node, "b:2"));
    assert_eq!(found.updated, f.machine.applied().slot);

    let other = apply(&mut f, register(8, "b:2")).result.unwrap();
    assert!(other.is_new && other.node > node);
    assert_eq!(reader(&f).node_by_disk(disk(9)).unwrap().value, None);
    let nodes = reader(&f).nodes().unwrap().value;
    let ids: Vec<NodeId> = nodes.iter().map(|node| node.node).collect();
    assert_eq!(ids, [node, other.node]);
}

/// Property: what is out of bounds is refused, the same at every repetition, and changes
/// nothing; it stops no replica.
#[test]
fn bad_registrations_are_refused() {
    let mut f = Fixture::new();
    let payload = |disk_id: Vec<u8>, address: &str| {
        let address = address.to_owned();
        let version = 1;
        let payload = RegisterNode {
            version,
            disk_id,
            address,
        };
        Bytes::from(payload.encode_to_vec())
    };
    let longest = "h".repeat(machine::limits::NODE_ADDRESS_BYTES_MAX);
    let too_long = format!("{longest}h");
    let cases = [
        (payload(vec![1; 15], "a:1"), NodeRefused::DiskId),
        (payload(vec![1; 17], "a:1"), NodeRefused::DiskId),
        (payload(Vec::new(), "a:1"), NodeRefused::DiskId),
        (payload(vec![1; 16], ""), NodeRefused::Address),
        (payload(vec![1; 16], &too_long), NodeRefused::Address),
    ];
    for (payload, expected) in cases {
        for _ in 0..2 {
            let refused = apply(&mut f, payload.clone());
            assert_eq!(refused.result, Err(expected));
            assert!(!expected.to_string().is_empty());
        }
    }
    assert_eq!(reader(&f).nodes().unwrap().value, []);
    assert!(apply(&mut f, payload(vec![1; 16], &longest)).result.is_ok());
}

/// Property: a payload that this program does not understand stops the replica.
#[test]
fn unknown_payloads_stop_the_replica() {
    let mut f = Fixture::new();
    let mut follow = |payload: Bytes| {
        let entry = f.log.clone().push(EntryKind::RegisterNode, payload);
        f.machine.apply(&[entry]).unwrap_err()
    };
    for version in [0, 2] {
        let disk_id = vec![1; 16];
        let address = "a:1".to_owned();
        let payload = RegisterNode {
            version,
            disk_id,
            address,
        };
        let error = follow(payload.encode_to_vec().into());
        assert!(
            matches!(error, Error::UnknownVersion { found, .. } if found == version),
            "{error}"
        );
    }
    let error = follow(Bytes::from_static(&[0xff; 9]));
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

/// Property: the table is bounded; a known disk is still answered when it is full.
#[test]
fn the_number_of_nodes_is_bounded() {
    let mut f = Fixture::new();
    let known = apply(&mut f, register(1, "a:1")).result.unwrap().node;
    let file = rusqlite::Connection::open(f.path()).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                INSERT INTO nodes SELECT 100000 + i, randomblob(16), 'x:1', 1, 1 FROM n";
    let others = machine::limits::NODES_MAX as i64 - 1;
    file.execute(fill, [others]).unwrap();
    drop(file);
    assert_eq!(
        apply(&mut f, register(2, "a:1")).result,
        Err(NodeRefused::TooMany)
    );
    let again = apply(&mut f, register(1, "b:1")).result.unwrap();
    assert_eq!(again.node, known);
    let nodes = reader(&f).nodes().unwrap().value;
    assert_eq!(nodes.len(), machine::limits::NODES_MAX);
}

/// Property: what a leader must not name in a seal is told apart from first voters and from
/// registered nodes.
#[test]
fn unknown_voters_are_told() {
    let mut f = Fixture::new();
    let node = apply(&mut f, register(1, "a:1")).result.unwrap().node;
    let wanted: BTreeSet<NodeId> =
        [NodeId(1), NodeId::GENESIS_MAX, node, NodeId(node.0 + 1)].into();
    let unknown = reader(&f).unknown_nodes(&wanted).unwrap().value;
    assert_eq!(unknown, [NodeId(node.0 + 1)].into());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Property: in any order of registrations and repetitions each disk has one id, no two disks
    /// share one, and a rebuilt state says the same.
    #[test]
    fn ids_are_unique_for_ever(numbers in prop::collection::vec(0..6_u64, 1..30)) {
        let mut log = Log::new();
        for (index, number) in numbers.iter().enumerate() {
            log.push(EntryKind::RegisterNode, register(*number, &format!("h{index}:1")));
        }
        let mut hashes = Vec::new();
        for call in [1, log.entries.len()] {
            let directory = tempfile::tempdir().unwrap();
            let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
            let mut ids: BTreeMap<Bytes, NodeId> = BTreeMap::new();
            for entries in log.entries.chunks(call) {
                for applied in machine.apply(entries).unwrap() {
                    let Registration { disk_id, result } = applied.registration.unwrap();
                    let Registered { node, is_new } = result.unwrap();
                    prop_assert_eq!(is_new, node == NodeId(applied.slot.0));
                    prop_assert_eq!(is_new, !ids.contains_key(&disk_id));
                    prop_assert_eq!(*ids.entry(disk_id).or_insert(node), node);
                }
            }
            let distinct: BTreeSet<NodeId> = ids.values().copied().collect();
            prop_assert_eq!(distinct.len(), ids.len());
            hashes.push(machine.state_hash().unwrap());
        }
        prop_assert_eq!(hashes[0], hashes[1]);
    }
}
