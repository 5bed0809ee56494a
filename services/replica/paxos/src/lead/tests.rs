//! What a leader may count and take: D3, I4, I17.

use alloc::vec::Vec;

use crate::ids::{DiskSeq, NodeId, ProposalToken, Slot, Timestamp};
use crate::limits::{BATCH_BYTES_MAX, WINDOW_BYTES_MAX, WINDOW_SLOTS_MAX};
use crate::message::{Accepted, Message, Promise};
use crate::output::{Output, RejectReason};
use crate::testing::{Bench, ballot, entries, sent, slot};

fn promise(round: u64, rows: Vec<crate::Entry>) -> Message {
    Message::Promise(Promise {
        ballot: ballot(round, 1),
        decided: Slot::GENESIS,
        compacted_to: Slot::GENESIS,
        page: 0,
        pages: 1,
        entries: rows,
        disk_seq: DiskSeq(0),
    })
}

fn leader() -> Bench {
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    bench.receive(2, promise(1, Vec::new()));
    assert!(bench.core.status().accepts_proposals);
    bench
}

fn rejected(outputs: &[Output]) -> Option<RejectReason> {
    outputs.iter().find_map(|output| match output {
        Output::Rejected { reason, .. } => Some(*reason),
        _ => None,
    })
}

fn accepted(upto: u64) -> Message {
    Message::Accepted(Accepted {
        ballot: ballot(1, 1),
        upto: slot(upto),
        disk_seq: DiskSeq(0),
    })
}

/// Goal: D3 (trap 2). Method: one acknowledgement, then the leader's own disk.
#[test]
fn a_leader_counts_itself_when_its_own_row_is_durable() {
    let mut bench = leader();
    bench.propose(1, 10);
    bench.persisted();
    assert_eq!(
        bench.core.status().decided,
        Slot::GENESIS,
        "alone it is no quorum"
    );
    bench.receive(2, accepted(1));
    assert_eq!(bench.core.status().decided, slot(1));
    bench.propose(2, 10);
    bench.receive(2, accepted(2));
    assert_eq!(
        bench.core.status().decided,
        slot(1),
        "its own row is not durable"
    );
    bench.receive(2, accepted(2));
    assert_eq!(
        bench.core.status().decided,
        slot(1),
        "one peer is counted once"
    );
    bench.receive(3, accepted(2));
    assert_eq!(
        bench.core.status().decided,
        slot(2),
        "the others are a quorum"
    );
}

#[test]
fn what_was_reported_is_proposed_again_before_anything_new() {
    let mut bench = Bench::new(3);
    bench.receive(
        2,
        Message::Nack(crate::message::Nack {
            ballot: ballot(1, 2),
            promised: ballot(4, 3),
        }),
    );
    bench.campaign(&[2, 3]);
    let old = entries(ballot(3, 2), 2, 5);
    let out = bench.receive(3, promise(5, old.clone()));
    let first = sent(&out).into_iter().find(|(to, _)| *to == 2);
    let Some((_, Message::Accept(accept))) = first else {
        panic!("an Accept: {out:?}")
    };
    let again: Vec<_> = accept
        .entries
        .iter()
        .map(|entry| (entry.slot, entry.chain))
        .collect();
    let before: Vec<_> = old.iter().map(|entry| (entry.slot, entry.chain)).collect();
    assert_eq!(again, before);
    assert!(
        accept
            .entries
            .iter()
            .all(|entry| entry.ballot == ballot(5, 1))
    );
    let out = bench.propose(1, 3);
    let placed = out
        .iter()
        .any(|o| matches!(o, Output::Proposed { slot: s, .. } if *s == slot(3)));
    assert!(placed, "a new batch comes after them: {out:?}");
}

#[test]
fn the_window_bounds_slots_and_bytes() {
    let mut bench = leader();
    for token in 0..WINDOW_SLOTS_MAX {
        assert_eq!(rejected(&bench.propose(token, 1)), None);
    }
    assert_eq!(
        rejected(&bench.propose(9_999, 1)),
        Some(RejectReason::WindowFull)
    );
    let mut bench = leader();
    let fits = (WINDOW_BYTES_MAX / BATCH_BYTES_MAX) as u64;
    let taken = (0..2 * fits).filter(|t| rejected(&bench.propose(*t, BATCH_BYTES_MAX)).is_none());
    assert!((fits - 1..=fits).contains(&(taken.count() as u64)));
    let too_large = bench.propose(0, BATCH_BYTES_MAX + 1);
    assert_eq!(rejected(&too_large), Some(RejectReason::TooLarge));
}

#[test]
fn a_leader_without_a_quorum_takes_nothing_and_resumes() {
    let mut bench = leader();
    for _ in 0..4 {
        bench.round(&[]);
    }
    assert_eq!(rejected(&bench.propose(1, 1)), Some(RejectReason::NoQuorum));
    bench.round(&[2, 3]);
    bench.round(&[2, 3]);
    assert_eq!(rejected(&bench.propose(2, 1)), None);
}

#[test]
fn a_follower_names_the_leader() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let none = RejectReason::NotLeader { leader: None };
    assert_eq!(rejected(&bench.propose(1, 1)), Some(none));
    bench.receive(2, crate::testing::accept(b, &[], 0));
    let known = RejectReason::NotLeader {
        leader: Some(NodeId(2)),
    };
    assert_eq!(rejected(&bench.propose(2, 1)), Some(known));
}

#[test]
fn one_voter_is_a_quorum() {
    let mut bench = Bench::new(1);
    for _ in 0..5 {
        bench.round(&[]);
        bench.persisted();
    }
    bench.propose(1, 10);
    assert_eq!(
        bench.core.status().decided,
        Slot::GENESIS,
        "not before it is durable"
    );
    bench.persisted();
    assert_eq!(bench.core.status().decided, slot(1));
}

/// R5: votes are matched by the full ballot. Method: a leader leads again, at a higher ballot,
/// and a vote of its first one arrives late.
#[test]
fn a_vote_of_an_older_ballot_is_not_counted() {
    let mut bench = leader();
    bench.propose(1, 10);
    bench.persisted();
    let nack = crate::message::Nack {
        ballot: ballot(1, 1),
        promised: ballot(2, 3),
    };
    bench.receive(3, Message::Nack(nack));
    bench.campaign(&[2, 3]);
    bench.receive(3, promise(3, Vec::new()));
    bench.persisted();
    bench.receive(2, accepted(1));
    assert_eq!(bench.core.status().decided, Slot::GENESIS, "at 1.1@r1 only");
    let vote = Accepted {
        ballot: ballot(3, 1),
        upto: slot(1),
        disk_seq: DiskSeq(0),
    };
    bench.receive(2, Message::Accepted(vote));
    assert_eq!(bench.core.status().decided, slot(1));
}

/// An acceptor cannot have accepted what was never proposed; a stranger has no vote.
#[test]
fn only_what_was_proposed_is_counted_and_only_from_voters() {
    let mut bench = leader();
    bench.propose(1, 10);
    bench.persisted();
    bench.receive(2, accepted(2));
    bench.receive(9, accepted(1));
    assert_eq!(bench.core.status().decided, Slot::GENESIS);
}

/// The leader's clock rises along the log, whatever the machine's does (trap 28).
#[test]
fn time_rises_along_the_log() {
    let mut bench = leader();
    let mut last = None;
    for (token, clock) in [(1, 50), (2, 7), (3, 50), (4, 90)] {
        let out = bench.give(crate::Input::Propose {
            token: ProposalToken(token),
            kind: crate::EntryKind::Batch,
            payload: bytes::Bytes::new(),
            wall_clock: Timestamp(clock),
        });
        let rows = crate::testing::written(&out);
        let Some(crate::PersistOp::Accept(rows)) = rows.first() else {
            panic!("a row: {out:?}")
        };
        assert!(Some(rows[0].timestamp) > last && rows[0].timestamp >= Timestamp(clock));
        last = Some(rows[0].timestamp);
    }
}
