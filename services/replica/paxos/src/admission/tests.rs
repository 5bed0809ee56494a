//! What the admission of a disk protects: I13, and that a damaged row is not taken for none.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::ids::{DiskSeq, Epoch, NodeId, Slot};
use crate::limits::{ADMISSION_WAIT_MS, ELECTION_TIMEOUT_MS, WITNESS_IDLE_STEP, WITNESS_STEP};
use crate::message::{Accepted, Hello, HelloReply, Message, Ping, Prepare};
use crate::output::{Event, HaltReason, Output, PersistOp};
use crate::testing::{
    Bench, accept, accepted, ballot, ballot_of, entries, rows, seal, sent, slot, traced, written,
    wrote,
};
use crate::{Input, Restored, RoleName};

/// A disk that has done so many transactions.
fn used(disk_seq: u64) -> Restored {
    Restored {
        disk_seq: DiskSeq(disk_seq),
        ..Restored::empty()
    }
}

fn hello(disk_seq: u64) -> Message {
    Message::Hello(Hello {
        epoch: Epoch::FIRST,
        disk_seq: DiskSeq(disk_seq),
    })
}

fn reply(disk_seq: u64, seen: u64) -> Message {
    Message::HelloReply(HelloReply {
        epoch: Epoch::FIRST,
        disk_seq: DiskSeq(disk_seq),
        seen: DiskSeq(seen),
    })
}

fn prepare(round: u64, node: u64) -> Message {
    Message::Prepare(Prepare {
        ballot: ballot(round, node),
        from: slot(1),
    })
}

/// I13: a disk that may be older than what it voted for says nothing until a majority knows of
/// no later state of it.
#[test]
fn nothing_is_voted_before_a_majority_has_answered() {
    let mut bench = Bench::starting(&[1, 2, 3, 4, 5], used(40));
    let b = ballot(1, 2);
    let asked: Vec<u64> = sent(&bench.wait(0))
        .into_iter()
        .map(|(to, message)| {
            assert_eq!(message, hello(40));
            to
        })
        .collect();
    assert_eq!(asked, [2, 3, 4, 5]);
    let silent = |bench: &mut Bench| {
        bench.receive(2, prepare(1, 2)).is_empty()
            && bench.receive(2, accept(b, &entries(b, 1, 0), 0)).is_empty()
    };
    assert!(silent(&mut bench));
    bench.receive(2, reply(40, 40));
    bench.receive(2, reply(40, 40));
    assert!(
        silent(&mut bench),
        "one peer is one, however often it answers"
    );
    for _ in 0..10 {
        let asks = |(to, m): &(u64, Message)| *to != 2 && matches!(m, Message::Hello(_));
        let out = sent(&bench.round(&[2, 3, 4, 5]));
        assert_eq!(out.len(), 3, "the others are asked again");
        assert!(out.iter().all(asks), "and nothing else is said: {out:?}");
    }
    assert!(!bench.core.status().admitted);
    let out = bench.receive(5, reply(40, 0));
    assert!(traced(&out, Event::Admitted));
    assert!(!silent(&mut bench));
}

/// A disk restored from a copy would break its promises: it stops, and keeps its files.
#[test]
fn a_disk_that_was_turned_back_halts() {
    let mut bench = Bench::starting(&[1, 2, 3], used(40));
    let (own, seen, peer) = (DiskSeq(40), DiskSeq(41), NodeId(3));
    let out = bench.receive(3, reply(40, 41));
    let reason = HaltReason::DiskTurnedBack { own, seen, peer };
    assert_eq!(out, [Output::Halt { reason }]);
}

/// Only who led, or wanted to, has seen votes. Goal: it is heard although a follower, which knows
/// nothing, answers first and would make a majority.
#[test]
fn the_fastest_answer_is_not_enough() {
    let mut bench = Bench::starting(&[1, 2, 3], used(40));
    bench.receive(2, reply(40, 0));
    assert!(!bench.core.status().admitted);
    let halts = |outputs: &[Output]| matches!(outputs, [Output::Halt { .. }]);
    assert!(halts(&bench.receive(3, reply(40, 41))));
    let mut bench = Bench::starting(&[1, 2, 3], used(40));
    bench.receive(2, reply(40, 0));
    bench.receive(3, reply(40, 7));
    assert!(bench.core.status().admitted, "all have answered");
}

/// An answer to an earlier process says nothing of what happened since; a late answer to this
/// one may have seen votes that this process itself made meanwhile.
#[test]
fn late_answers_neither_admit_nor_halt() {
    let mut bench = Bench::starting(&[1, 2, 3, 4, 5], used(40));
    bench.receive(2, reply(30, 30));
    bench.receive(3, reply(30, 30));
    assert!(!bench.core.status().admitted, "they answer another Hello");
    bench.receive(2, reply(40, 40));
    bench.receive(3, reply(40, 40));
    assert!(!bench.core.status().admitted, "the others have their time");
    bench.wait(ADMISSION_WAIT_MS);
    assert!(bench.core.status().admitted);
    let b = ballot(1, 2);
    bench.receive(2, accept(b, &entries(b, 1, 0), 0));
    bench.disk_seq = DiskSeq(41);
    let vote = Accepted {
        ballot: b,
        upto: slot(1),
        disk_seq: DiskSeq(41),
    };
    assert_eq!(sent(&bench.persisted()), [(2, Message::Accepted(vote))]);
    assert!(bench.receive(4, reply(40, 41)).is_empty(), "its own vote");
    let halts = |outputs: &[Output]| matches!(outputs, [Output::Halt { .. }]);
    assert!(halts(&bench.receive(5, reply(40, 42))), "nobody's vote");
}

/// A cluster that lost its power would wait for itself if `Hello` waited for anything.
#[test]
fn hello_is_answered_from_the_first_moment_on() {
    let witnessed = BTreeMap::from([(NodeId(2), DiskSeq(7))]);
    let restored = Restored {
        witnessed,
        ..used(40)
    };
    let mut bench = Bench::starting(&[1, 2, 3], restored);
    assert_eq!(sent(&bench.receive(2, hello(5))), [(2, reply(5, 7))]);
    assert_eq!(sent(&bench.receive(3, hello(5))), [(3, reply(5, 0))]);
    assert!(bench.receive(9, hello(5)).is_empty(), "no voter");
}

/// What was seen of a disk is its highest count, in whatever order votes arrive; it is written
/// down when the disk has nothing else to do, or along with other writes once it moved on.
#[test]
fn the_highest_count_of_a_vote_is_remembered() {
    let (mut bench, b) = (Bench::leader(3), ballot(1, 1));
    bench.propose(1, 1);
    let vote = |disk_seq| {
        let disk_seq = DiskSeq(disk_seq);
        let upto = slot(1);
        Message::Accepted(Accepted {
            ballot: b,
            upto,
            disk_seq,
        })
    };
    bench.receive(2, vote(9));
    bench.receive(2, vote(3));
    assert_eq!(sent(&bench.receive(2, hello(1))), [(2, reply(1, 9))]);
    let noted = |outputs: &[Output], count| {
        let (node, disk_seq) = (NodeId(2), DiskSeq(count));
        written(outputs).contains(&PersistOp::Witness { node, disk_seq })
    };
    let out = bench.propose(2, 1);
    assert!(!noted(&out, 9), "not each of them: {out:?}");
    bench.receive(2, vote(WITNESS_STEP));
    assert!(noted(&bench.propose(3, 1), WITNESS_STEP));
    let next = WITNESS_STEP + WITNESS_IDLE_STEP;
    bench.receive(2, vote(next));
    bench.persisted();
    let out = bench.round(&[2, 3]);
    assert!(noted(&out, next), "when idle: {out:?}");
    bench.persisted();
    bench.receive(2, vote(next + 1));
    assert!(!wrote(&bench.round(&[2, 3])), "an idle cluster rests");
}

/// A leader votes for itself, and nobody receives that vote: its pings tell of its disk.
#[test]
fn the_disk_of_a_leader_is_seen_in_its_pings() {
    let mut bench = Bench::new(3);
    let ping = Message::Ping(Ping {
        epoch: Epoch::FIRST,
        round: 1,
        decided: Slot::GENESIS,
        disk_seq: DiskSeq(41),
    });
    bench.receive(2, ping);
    assert_eq!(sent(&bench.receive(2, hello(40))), [(2, reply(40, 41))]);
}

/// What was seen of disks that vote no more is forgotten with their epoch.
#[test]
fn disks_that_left_are_forgotten() {
    let witnessed = BTreeMap::from([(NodeId(2), DiskSeq(7)), (NodeId(3), DiskSeq(8))]);
    let restored = Restored {
        witnessed,
        ..Restored::empty()
    };
    let mut bench = Bench::starting(&[1, 2, 3], restored);
    bench.admit();
    let b = ballot(1, 2);
    let stop = seal(&[], b, 2, 2, &[1, 2, 4]);
    bench.receive(2, rows(1, &[stop]));
    bench.persisted();
    let ask = |bench: &mut Bench, node: u64| {
        let hello = Message::Hello(Hello {
            epoch: Epoch(2),
            disk_seq: DiskSeq(0),
        });
        match sent(&bench.receive(node, hello)).pop() {
            Some((_, Message::HelloReply(reply))) => Some(reply.seen.0),
            _ => None,
        }
    };
    assert_eq!(ask(&mut bench, 2), Some(7));
    assert_eq!(ask(&mut bench, 4), Some(0));
    assert_eq!(ask(&mut bench, 3), None);
    let known: Vec<NodeId> = bench.core.admission.witnessed.keys().copied().collect();
    assert_eq!(known, [NodeId(2)]);
}

/// A node that learned and becomes a voter is admitted like one that starts.
#[test]
fn a_new_voter_asks_before_it_votes() {
    let mut bench = Bench::starting(&[2, 3, 4], used(12));
    assert!(
        sent(&bench.round(&[])).is_empty(),
        "a learner does not vote"
    );
    let stop = seal(&[], ballot(1, 2), 2, 2, &[1, 2, 3]);
    bench.receive(2, rows(2, &[stop]));
    let says = |(_, message): &(u64, Message)| matches!(message, Message::Hello(_));
    assert_eq!(
        sent(&bench.persisted()).iter().filter(|m| says(m)).count(),
        2
    );
    let b = ballot_of(2, 1, 3);
    let from = slot(2);
    let ask = Message::Prepare(Prepare { ballot: b, from });
    assert!(bench.receive(3, ask.clone()).is_empty());
    let reply = Message::HelloReply(HelloReply {
        epoch: Epoch(2),
        disk_seq: DiskSeq(12),
        seen: DiskSeq(0),
    });
    bench.receive(3, reply);
    assert!(traced(&bench.wait(ADMISSION_WAIT_MS), Event::Admitted));
    bench.receive(3, ask);
    let out = sent(&bench.persisted());
    assert!(matches!(&out[..], [(3, Message::Promise(_))]), "{out:?}");
}

/// A disk on which the rows of `slots` cannot be read any more.
fn damaged(slots: &[u64]) -> Bench {
    let b = ballot(3, 2);
    let restored = Restored {
        promised: b,
        damaged: slots
            .iter()
            .map(|number| slot(*number))
            .collect::<BTreeSet<Slot>>(),
        ..Restored::empty()
    };
    let mut bench = Bench::starting(&[1, 2, 3], restored);
    bench.admit();
    bench
}

/// Trap 6, with a disk: to report nothing of a row that cannot be read would be to say that
/// there is none. It neither promises nor campaigns.
#[test]
fn a_damaged_row_is_not_reported_as_none() {
    let mut bench = damaged(&[1, 3]);
    assert_eq!(bench.core.status().damaged_slots, 2);
    assert!(bench.receive(3, prepare(4, 3)).is_empty());
    for _ in 0..30 {
        bench.round(&[2, 3]);
    }
    let status = bench.core.status();
    assert_eq!(
        (status.role, status.promised),
        (RoleName::Follower, ballot(3, 2))
    );
    let now = Message::CampaignNow(crate::message::CampaignNow {
        ballot: ballot(3, 2),
    });
    bench.receive(2, now);
    assert_eq!(bench.core.status().role, RoleName::Follower);
}

/// Accepting goes on: it overwrites at a ballot that is at least promised, as ever. With the
/// last damaged row overwritten it promises again.
#[test]
fn accepted_rows_repair_damaged_ones() {
    let mut bench = damaged(&[1, 3]);
    let b = ballot(4, 3);
    let log = entries(b, 3, 0);
    let out = bench.receive(3, accept(b, &log[..2], 0));
    assert!(wrote(&out) && !traced(&out, Event::Repaired));
    assert_eq!(sent(&bench.persisted()), [(3, accepted(b, 2))]);
    assert!(bench.receive(2, prepare(5, 2)).is_empty(), "one is left");
    let out = bench.receive(3, accept(b, &log[2..], 0));
    assert!(traced(&out, Event::Repaired));
    bench.receive(2, prepare(5, 2));
    match &sent(&bench.persisted())[..] {
        [(2, Message::Promise(promise))] => assert_eq!(promise.entries, log),
        other => panic!("one promise, not {other:?}"),
    }
}

/// Property: rows that are written make no other row whole, neither above nor below them.
#[test]
fn a_row_is_repaired_by_itself_only() {
    let mut bench = damaged(&[1, 3]);
    let b = ballot(4, 3);
    let log = entries(b, 3, 0);
    let above = Message::Accept(crate::message::Accept {
        ballot: b,
        base: slot(3),
        first: slot(3),
        entries: log[2..].to_vec(),
        decided: slot(2),
    });
    assert!(wrote(&bench.receive(3, above)));
    assert_eq!(
        bench.core.status().damaged_slots,
        1,
        "the first one is left"
    );
    assert!(bench.receive(2, prepare(5, 2)).is_empty());
}

/// So do decided rows of another replica, whatever was here.
#[test]
fn decided_rows_repair_damaged_ones() {
    let mut bench = damaged(&[1, 2]);
    let log = entries(ballot(2, 3), 2, 0);
    let out = bench.receive(3, rows(1, &log[..1]));
    assert!(wrote(&out) && !traced(&out, Event::Repaired));
    let out = bench.receive(3, rows(1, &log));
    assert!(traced(&out, Event::Repaired));
    assert_eq!(bench.core.status().damaged_slots, 0);
    bench.persisted();
    bench.give(Input::Tick);
    bench.receive(2, prepare(5, 2));
    assert!(matches!(
        &sent(&bench.persisted())[..],
        [(2, Message::Promise(_))]
    ));
}

/// I13: catching up before the answers arrive does not hide that the disk was turned back.
/// Method: the disk writes as many transactions as were lost, then hears of them.
#[test]
fn a_disk_that_wrote_before_it_heard_is_found() {
    let mut bench = Bench::starting(&[1, 2, 3], used(40));
    bench.wait(0);
    let learned = bench.receive(2, rows(1, &entries(ballot(1, 2), 3, 0)));
    assert!(
        !wrote(&learned),
        "a restart would count what it writes as old"
    );
    bench.disk_seq = DiskSeq(41);
    bench.persisted();
    let peer = NodeId(2);
    let (own, seen) = (DiskSeq(40), DiskSeq(41));
    let reason = HaltReason::DiskTurnedBack { own, seen, peer };
    assert_eq!(
        bench.receive(2, reply(40, 41)),
        [Output::Halt { reason }],
        "the votes that were seen are older than this process"
    );
}

/// What a process writes before it is admitted is no vote. Goal: nobody holds it against the
/// disk. Method: an activation is written, and a ping goes out.
#[test]
fn what_is_written_before_the_admission_is_not_told() {
    let mut bench = Bench::starting(&[2, 3, 4], used(12));
    let stop = seal(&[], ballot(1, 2), 2, 2, &[1, 2, 3]);
    bench.receive(2, rows(2, &[stop]));
    bench.disk_seq = DiskSeq(13);
    let told = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Send {
                message: Message::Ping(ping),
                ..
            } => Some(ping.disk_seq),
            _ => None,
        })
    };
    assert_eq!(told(&bench.persisted()), Some(DiskSeq(12)));
}

/// An epoch that is over is not begun again, not even by a majority whose disks were all turned
/// back to it and know nothing of each other's votes.
#[test]
fn nobody_votes_in_an_epoch_that_is_over() {
    let mut bench = Bench::starting(&[1, 2, 3], used(0));
    bench.wait(0);
    let later = Message::Ping(Ping {
        epoch: Epoch(2),
        round: 1,
        decided: slot(5),
        disk_seq: DiskSeq(9),
    });
    bench.receive(2, later);
    bench.receive(2, reply(0, 0));
    bench.receive(3, reply(0, 0));
    assert!(bench.core.status().admitted);
    assert!(bench.receive(3, prepare(1, 3)).is_empty());
    assert!(!wrote(&bench.persisted()), "nothing was promised");
    // Who knew of it is gone: its Seal can only be found by phase 1 of the epoch that it ends.
    bench.wait(ELECTION_TIMEOUT_MS);
    assert!(wrote(&bench.receive(3, prepare(1, 3))));
}
