//! What a leader may count and take: D3, I4, I17.

use alloc::vec::Vec;

use crate::RoleName;
use crate::ids::{DiskSeq, NodeId, ProposalToken, Slot, Timestamp};
use crate::input::Input;
use crate::limits::{
    APPLY_LAG_SLOTS_MAX, BATCH_BYTES_MAX, ENTRY_OVERHEAD_BYTES, STUCK_MS, WINDOW_BYTES_MAX,
    WINDOW_SLOTS_MAX,
};
use crate::message::{Accepted, Gap, Message, Promise};
use crate::output::{Output, RejectReason};
use crate::testing::{Bench, ballot, entries, rejected, rows_to, sent, slot};

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
    let status = bench.core.status();
    assert!(!status.accepts_proposals && !status.unsettled, "{status:?}");
    bench.round(&[2, 3]);
    bench.round(&[2, 3]);
    assert_eq!(rejected(&bench.propose(2, 1)), None);
    assert!(bench.core.status().accepts_proposals);
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

/// Property: the window is full at its last byte, not before.
#[test]
fn the_window_takes_its_last_byte() {
    const WEIGHT: usize = BATCH_BYTES_MAX + ENTRY_OVERHEAD_BYTES;
    let rows = WINDOW_BYTES_MAX / WEIGHT;
    let left = WINDOW_BYTES_MAX - rows * WEIGHT;
    for (bytes, fits) in [(left + 1, false), (left, true)] {
        let mut bench = leader();
        for token in 0..rows as u64 {
            assert_eq!(rejected(&bench.propose(token, BATCH_BYTES_MAX)), None);
        }
        assert_eq!(
            rejected(&bench.propose(99, bytes)).is_none(),
            fits,
            "{bytes}"
        );
    }
}

/// Property: while the state machine is too far behind nothing more is taken, and then it goes on.
#[test]
fn a_leader_waits_for_its_state_machine() {
    let mut bench = leader();
    let last = APPLY_LAG_SLOTS_MAX + 1;
    for number in 1..=last {
        assert_eq!(rejected(&bench.propose(number, 1)), None, "{number}");
        bench.persisted();
        bench.receive(2, accepted(number));
    }
    assert_eq!(bench.core.status().decided, slot(last));
    assert_eq!(
        rejected(&bench.propose(0, 1)),
        Some(RejectReason::WindowFull)
    );
    bench.give(Input::Applied { slot: slot(1) });
    assert_eq!(rejected(&bench.propose(0, 1)), None);
}

fn gap(round: u64, expect: u64) -> Message {
    Message::Gap(Gap {
        ballot: ballot(round, 1),
        expect: slot(expect),
    })
}

/// Property: an acceptor gets again what it asks for at this ballot; what it cannot lack, and what was
/// asked of another ballot, changes nothing.
#[test]
fn a_gap_is_filled_from_where_it_begins() {
    let mut bench = leader();
    for token in 1..=3 {
        bench.propose(token, 1);
    }
    assert_eq!(
        rows_to(2, &bench.receive(2, gap(0, 2))),
        [],
        "another ballot"
    );
    assert_eq!(
        rows_to(2, &bench.receive(2, gap(1, 5))),
        [],
        "never proposed"
    );
    assert_eq!(rows_to(2, &bench.propose(4, 1)), [slot(4)], "as if unasked");
    let again = bench.receive(2, gap(1, 2));
    assert_eq!(rows_to(2, &again), [slot(2), slot(3), slot(4)]);
    assert_eq!(rows_to(3, &again), []);
    assert_eq!(
        rows_to(3, &bench.receive(3, gap(1, 1))),
        [slot(1), slot(2), slot(3), slot(4)],
        "from the base on"
    );
}

/// Property: an acceptor that lacks nothing is not waited for any longer. Method: its votes are lost
/// until the leader sends one page at a time.
#[test]
fn a_gap_after_the_last_row_ends_the_waiting() {
    let mut bench = leader();
    for token in 1..=3 {
        bench.propose(token, 1);
        bench.persisted();
    }
    for _ in 0..4 {
        bench.round(&[2, 3]);
    }
    assert_eq!(rows_to(2, &bench.propose(4, 1)), [], "one page at a time");
    bench.receive(2, gap(1, 5));
    assert_eq!(rows_to(2, &bench.propose(5, 1)), [slot(5)]);
}

/// Property: what is no longer in memory is not promised again: the acceptor fetches it.
#[test]
fn a_gap_below_what_is_in_memory_is_left_to_the_acceptor() {
    let mut bench = leader();
    bench.propose(1, 1);
    bench.persisted();
    bench.receive(2, accepted(1));
    bench.give(Input::Applied { slot: slot(1) });
    bench.give(Input::Compact { upto: slot(1) });
    bench.receive(3, gap(1, 1));
    assert_eq!(rows_to(3, &bench.propose(2, 1)), [slot(2)]);
}

/// Property: one acceptor that is ahead of the others brings no decision, so a leader that only this one
/// hears is stuck.
#[test]
fn votes_without_a_quorum_are_no_progress() {
    let mut bench = Bench::leader(5);
    bench.round(&[2, 3, 4, 5]);
    let began = bench.now;
    let mut number = 0;
    while bench.core.status().role == RoleName::Leader {
        number += 1;
        bench.propose(number, 1);
        bench.persisted();
        bench.receive(2, accepted(number));
        bench.round(&[2, 3, 4, 5]);
        assert!(bench.now.since(began) < 2 * STUCK_MS, "it steps down");
    }
}
