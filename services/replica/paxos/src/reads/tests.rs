//! What linearizable reads protect: I15. A question counts for the reads that arrived before
//! it, a quorum of distinct acceptors answers it, and a leader that knows a `Seal` serves none.

use alloc::vec::Vec;

use crate::ids::{Ballot, ReadToken, Slot};
use crate::limits::{HEARTBEAT_MS, READS_MAX};
use crate::message::{Confirm, Confirmed, Message, Nack, Prepare};
use crate::output::{Output, RejectReason};
use crate::testing::{Bench, accept, accepted, ballot, entries, promise, sent, slot};
use crate::{Input, RoleName};

const LEADS: Ballot = Ballot {
    epoch: crate::Epoch::FIRST,
    round: crate::Round(1),
    node: crate::NodeId(1),
};

fn read(bench: &mut Bench, token: u64) -> Vec<Output> {
    let token = ReadToken(token);
    bench.give(Input::Read { token })
}

fn confirm(sequence: u64) -> Message {
    Message::Confirm(Confirm {
        ballot: LEADS,
        sequence,
    })
}

fn confirmed(sequence: u64) -> Message {
    Message::Confirmed(Confirmed {
        ballot: LEADS,
        sequence,
    })
}

fn ready(outputs: &[Output]) -> Vec<(u64, Slot)> {
    let one = |output: &Output| match output {
        Output::ReadReady { token, slot } => Some((token.0, *slot)),
        _ => None,
    };
    outputs.iter().filter_map(one).collect()
}

fn refused(outputs: &[Output]) -> Vec<(u64, RejectReason)> {
    let one = |output: &Output| match output {
        Output::ReadRejected { token, reason } => Some((token.0, *reason)),
        _ => None,
    };
    outputs.iter().filter_map(one).collect()
}

fn questions(outputs: &[Output]) -> Vec<u64> {
    let one = |(to, message): (u64, Message)| matches!(message, Message::Confirm(_)).then_some(to);
    sent(outputs).into_iter().filter_map(one).collect()
}

/// A read that arrives while a question is under way waits for the next one: the acceptors may
/// have answered the first before another leader acknowledged what the read must see.
#[test]
fn a_question_counts_for_what_arrived_before_it() {
    let mut bench = Bench::leader(3);
    assert_eq!(
        sent(&read(&mut bench, 1)),
        [(2, confirm(1)), (3, confirm(1))]
    );
    assert!(read(&mut bench, 2).is_empty());
    assert!(read(&mut bench, 3).is_empty());
    let out = bench.receive(2, confirmed(1));
    assert_eq!(ready(&out), [(1, Slot::GENESIS)]);
    assert_eq!(
        sent(&out),
        [(2, confirm(2)), (3, confirm(2))],
        "one for both"
    );
    assert!(bench.receive(3, confirmed(1)).is_empty(), "a late answer");
    assert_eq!(ready(&bench.receive(3, confirmed(2))).len(), 2);
    assert!(bench.receive(2, confirmed(2)).is_empty(), "answered once");
}

/// The answer names the commit index at the question: everything acknowledged before it.
#[test]
fn a_read_waits_for_what_was_decided_when_it_was_asked() {
    let mut bench = Bench::leader(3);
    bench.propose(1, 1);
    bench.persisted();
    bench.receive(2, accepted(LEADS, 1));
    read(&mut bench, 1);
    bench.propose(2, 1);
    bench.persisted();
    bench.receive(2, accepted(LEADS, 2));
    assert_eq!(ready(&bench.receive(3, confirmed(1))), [(1, slot(1))]);
}

/// Trap 24: one acceptor, however often it answers, is one.
#[test]
fn distinct_acceptors_confirm() {
    let mut bench = Bench::leader(5);
    read(&mut bench, 1);
    for _ in 0..3 {
        assert!(bench.receive(2, confirmed(1)).is_empty());
    }
    let other = Message::Confirmed(Confirmed {
        ballot: ballot(1, 3),
        sequence: 1,
    });
    assert!(
        bench.receive(3, other).is_empty(),
        "another ballot's answer"
    );
    assert!(bench.receive(9, confirmed(1)).is_empty(), "no voter");
    assert_eq!(ready(&bench.receive(3, confirmed(1))).len(), 1);
}

/// A question may be lost: it is asked again once a round, of those that have not answered.
#[test]
fn a_question_is_asked_again() {
    let mut bench = Bench::leader(5);
    assert_eq!(questions(&read(&mut bench, 1)), [2, 3, 4, 5]);
    bench.receive(4, confirmed(1));
    assert!(questions(&bench.wait(HEARTBEAT_MS / 2)).is_empty());
    assert_eq!(questions(&bench.wait(HEARTBEAT_MS)), [2, 3, 5]);
}

/// What earlier leaders acknowledged is among what is proposed again: reads wait for it.
#[test]
fn reads_wait_until_the_past_is_decided() {
    let mut bench = Bench::new(3);
    let old = ballot(1, 2);
    let from = slot(1);
    bench.receive(2, Message::Prepare(Prepare { ballot: old, from }));
    bench.campaign(&[2, 3]);
    let mine = ballot(2, 1);
    bench.receive(3, promise(mine, entries(old, 1, 0)));
    assert!(questions(&read(&mut bench, 1)).is_empty());
    bench.persisted();
    let out = bench.receive(2, accepted(mine, 1));
    assert_eq!(questions(&out), [2, 3], "then it asks by itself: {out:?}");
    let answer = Message::Confirmed(Confirmed {
        ballot: mine,
        sequence: 1,
    });
    assert_eq!(ready(&bench.receive(3, answer)), [(1, slot(1))]);
}

/// A leader that knows a `Seal` cannot know whether the next epoch has moved on without it.
#[test]
fn a_sealing_leader_serves_no_reads() {
    let mut bench = Bench::leader(3);
    read(&mut bench, 1);
    read(&mut bench, 2);
    bench.reconfigure(1, &[1, 2]);
    let unsettled = RejectReason::Unsettled;
    assert_eq!(refused(&read(&mut bench, 3)), [(3, unsettled)]);
    let out = bench.receive(2, confirmed(1));
    assert!(ready(&out).is_empty(), "asked before, answered after");
    assert_eq!(refused(&out), [(1, unsettled), (2, unsettled)]);
}

/// An acceptor confirms what it would still accept, and names what stands in the way.
#[test]
fn an_acceptor_confirms_unless_it_promised_more() {
    let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
    let ask = |ballot| {
        Message::Confirm(Confirm {
            ballot,
            sequence: 7,
        })
    };
    let answer = |ballot| {
        Message::Confirmed(Confirmed {
            ballot,
            sequence: 7,
        })
    };
    assert_eq!(sent(&bench.receive(2, ask(low))), [(2, answer(low))]);
    bench.receive(2, accept(low, &[], 0));
    assert_eq!(sent(&bench.receive(2, ask(low))), [(2, answer(low))]);
    assert!(bench.receive(3, ask(low)).is_empty(), "its owner asks");
    bench.receive(3, accept(high, &[], 0));
    // Not durable yet, and counted all the same: it may be told to the candidate at any moment.
    let nack = Message::Nack(Nack {
        ballot: low,
        promised: high,
    });
    assert_eq!(sent(&bench.receive(2, ask(low))), [(2, nack)]);
}

/// Whoever stops leading cannot answer: every read that waits hears of it.
#[test]
fn reads_end_with_the_lead() {
    let mut bench = Bench::leader(3);
    read(&mut bench, 1);
    read(&mut bench, 2);
    let nack = Message::Nack(Nack {
        ballot: LEADS,
        promised: ballot(2, 3),
    });
    let out = bench.receive(2, nack);
    assert_eq!(bench.core.status().role, RoleName::Follower);
    let elsewhere = RejectReason::NotLeader { leader: None };
    assert_eq!(refused(&out), [(1, elsewhere), (2, elsewhere)]);
    assert_eq!(refused(&read(&mut bench, 3)), [(3, elsewhere)]);
    assert!(bench.receive(2, confirmed(1)).is_empty());
}

#[test]
fn reads_are_bounded_and_need_a_quorum() {
    let mut bench = Bench::leader(3);
    for token in 0..READS_MAX as u64 {
        assert!(refused(&read(&mut bench, token)).is_empty());
    }
    assert_eq!(
        refused(&read(&mut bench, 9)),
        [(9, RejectReason::WindowFull)]
    );
    assert_eq!(ready(&bench.receive(2, confirmed(1))), [(0, Slot::GENESIS)]);
    for _ in 0..4 {
        bench.round(&[]);
    }
    assert_eq!(
        refused(&read(&mut bench, 10)),
        [(10, RejectReason::NoQuorum)]
    );
}

#[test]
fn a_single_voter_confirms_itself() {
    let mut bench = Bench::new(1);
    while bench.core.status().role != RoleName::Leader {
        bench.round(&[]);
        bench.persisted();
    }
    assert_eq!(ready(&read(&mut bench, 1)), [(1, Slot::GENESIS)]);
}
