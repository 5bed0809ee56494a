//! What a leader may do with a `Seal`: R2, R3, and the compare-and-swap of `Reconfigure`.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::ids::{Epoch, NodeId, Slot};
use crate::limits::VOTERS_MAX;
use crate::message::{Message, Prepare};
use crate::output::{Event, Output, PersistOp, RejectReason};
use crate::testing::{
    Bench, accepted, after, ballot, entries, promise, rejected, seal, sent, slot, traced, written,
};
use crate::{Ballot, EntryKind, Input, ReadToken};

fn prepare(ballot: Ballot, from: u64) -> Message {
    let from = slot(from);
    Message::Prepare(Prepare { ballot, from })
}

/// R2, R3: a `Seal` is the last thing that its leader proposes.
#[test]
fn nothing_is_proposed_above_a_seal() {
    let mut bench = Bench::leader(3);
    bench.propose(1, 1);
    let decide = accepted(ballot(1, 1), 1);
    bench.receive(2, decide.clone());
    bench.receive(3, decide);
    bench.propose(2, 1);
    let out = bench.reconfigure(1, &[1, 2, 3, 4]);
    let placed = |o: &Output| matches!(o, Output::Proposed { slot: s, .. } if *s == slot(3));
    assert!(
        out.iter().any(placed),
        "above all that was proposed: {out:?}"
    );
    assert!(traced(&out, Event::Sealing(slot(3))));
    let unsettled = Some(RejectReason::Unsettled);
    assert_eq!(rejected(&bench.propose(3, 1)), unsettled);
    assert_eq!(
        rejected(&bench.reconfigure(1, &[1, 2])),
        unsettled,
        "one is enough"
    );
    assert!(bench.core.status().unsettled);
}

/// The compare-and-swap: two controllers cannot both act on what they knew.
#[test]
fn a_reconfiguration_names_the_epoch_that_it_ends() {
    let mut bench = Bench::leader(3);
    let changed = RejectReason::EpochChanged {
        epoch: Epoch::FIRST,
    };
    for expected in [0, 2] {
        let out = bench.reconfigure(expected, &[1, 2]);
        assert_eq!(rejected(&out), Some(changed), "{expected}");
    }
    let many: Vec<u64> = (1..=VOTERS_MAX as u64 + 1).collect();
    for voters in [&[][..], &[1, 2, 3], &many] {
        let out = bench.reconfigure(1, voters);
        assert_eq!(rejected(&out), Some(RejectReason::BadVoters), "{voters:?}");
    }
    assert_eq!(rejected(&bench.reconfigure(1, &many[..VOTERS_MAX])), None);
    let mut follower = Bench::new(3);
    let elsewhere = RejectReason::NotLeader { leader: None };
    assert_eq!(rejected(&follower.reconfigure(1, &[1, 2])), Some(elsewhere));
}

/// A change waits until what earlier leaders may have acknowledged is decided.
#[test]
fn a_reconfiguration_waits_for_what_was_proposed_again() {
    let mut bench = Bench::new(3);
    bench.receive(2, prepare(ballot(1, 2), 1));
    bench.campaign(&[2, 3]);
    bench.receive(3, promise(ballot(2, 1), entries(ballot(1, 2), 1, 0)));
    let out = bench.reconfigure(1, &[1, 2]);
    assert_eq!(rejected(&out), Some(RejectReason::Unsettled));
    bench.persisted();
    bench.receive(2, accepted(ballot(2, 1), 1));
    assert_eq!(rejected(&bench.reconfigure(1, &[1, 2])), None);
}

/// R3: what phase 1 reports above a `Seal` is dropped, and nothing is proposed there.
#[test]
fn a_selected_seal_ends_what_is_proposed_again() {
    let (mut bench, old) = (Bench::new(3), ballot(1, 2));
    bench.receive(2, prepare(old, 1));
    bench.campaign(&[2, 3]);
    let mut reported = entries(old, 1, 0);
    reported.push(seal(&reported, old, 2, 2, &[1, 2, 3, 4]));
    let above = after(&reported, old, EntryKind::Batch, Bytes::from_static(b"x"));
    reported.push(above);
    let out = bench.receive(3, promise(ballot(2, 1), reported));
    let again = |(_, message): &(u64, Message)| match message {
        Message::Accept(accept) => accept.entries.iter().map(|e| e.slot).collect(),
        _ => Vec::new(),
    };
    let slots: Vec<Vec<Slot>> = sent(&out).iter().map(again).collect();
    let expected = Vec::from([slot(1), slot(2)]);
    assert!(
        !slots.is_empty() && slots.iter().all(|s| *s == expected),
        "{slots:?}"
    );
    assert!(traced(&out, Event::Sealing(slot(2))));
    assert_eq!(
        rejected(&bench.propose(1, 1)),
        Some(RejectReason::Unsettled)
    );
    let token = ReadToken(1);
    let reason = RejectReason::Unsettled;
    let read = bench.give(Input::Read { token });
    assert_eq!(read, [Output::ReadRejected { token, reason }]);
}

/// Of those that stay, the one that has the most begins: it need not catch up first.
#[test]
fn the_voter_that_has_the_most_starts() {
    let mut bench = Bench::leader(3);
    bench.propose(1, 1);
    bench.propose(2, 1);
    bench.receive(2, accepted(ballot(1, 1), 1));
    bench.receive(3, accepted(ballot(1, 1), 2));
    let out = bench.reconfigure(1, &[2, 3]);
    let seal = written(&out).iter().find_map(|op| match op {
        PersistOp::Accept(rows) => rows.last().and_then(|e| crate::Seal::decode(&e.payload)),
        _ => None,
    });
    assert_eq!(seal.map(|seal| seal.starter), Some(NodeId(3)));
}
