//! What the end of an epoch and the beginning of the next protect: R4, R5, D7, I12.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::ids::{Ballot, DiskSeq, Epoch, NodeId, Slot};
use crate::limits::CONTACTS_MAX;
use crate::message::{Accept, CatchUp, Confirm, EpochEnded, Hello, Message, Ping, Prepare};
use crate::output::{Event, HaltReason, Output, PersistOp, RejectReason};
use crate::testing::{
    Bench, accept, accepted, after, applied, ballot, ballot_of, entries, halted, nodes, pong,
    promise, rejected, rows, seal, sent, slot, traced, written,
};
use crate::{Configuration, Entry, EntryKind, Input, Restored, RoleName};

fn prepare(ballot: Ballot, from: u64) -> Message {
    let from = slot(from);
    Message::Prepare(Prepare { ballot, from })
}

fn ping(epoch: u64) -> Message {
    Message::Ping(Ping {
        epoch: Epoch(epoch),
        round: 1,
        decided: Slot::GENESIS,
        disk_seq: crate::ids::DiskSeq(0),
    })
}

/// The questions of one epoch that want an answer, from the owner of `ballot`.
fn questions(ballot: Ballot) -> Vec<Message> {
    let Message::Accept(accept) = accept(ballot, &[], 0) else {
        panic!("an Accept")
    };
    let (epoch, disk_seq) = (ballot.epoch, DiskSeq(0));
    Vec::from([
        ping(epoch.0),
        prepare(ballot, 9),
        Message::Accept(Accept { ..accept }),
        Message::Confirm(Confirm {
            ballot,
            sequence: 1,
        }),
        Message::Hello(Hello { epoch, disk_seq }),
    ])
}

/// Everything that leaves for other nodes.
fn all_sent(outputs: &[Output]) -> Vec<(u64, Message)> {
    let message = |output: &Output| match output {
        Output::Send { to, message } => Some((to.0, message.clone())),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

/// A follower of node 2 whose epoch 1 of three voters was just sealed at slot 2, for `voters`.
/// Nothing of it is durable yet.
pub(super) fn sealed(starter: u64, voters: &[u64]) -> (Bench, Vec<Entry>, Vec<Output>) {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, starter, voters));
    let mut out = bench.receive(2, accept(b, &log, 0));
    out.append(&mut bench.receive(2, accept(b, &[], 2)));
    (bench, log, out)
}

/// A leader at 1.1@r1 of three voters whose `Seal` in slot 1 is decided but not durable here.
fn sealing_leader(voters: &[u64]) -> (Bench, Vec<Output>) {
    let mut bench = Bench::leader(3);
    let mut out = bench.reconfigure(1, voters);
    bench.receive(3, accepted(ballot(1, 1), 1));
    out.append(&mut bench.receive(2, accepted(ballot(1, 1), 1)));
    (bench, out)
}

/// R4: configuration, commit index and the deletion of what lies above are one write.
#[test]
fn an_epoch_begins_in_one_write() {
    let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
    bench.receive(2, accept(low, &entries(low, 3, 7), 0));
    let stop = seal(&[], high, 2, 3, &[1, 3, 4]);
    let out = bench.receive(3, accept(high, core::slice::from_ref(&stop), 1));
    let configuration = Configuration {
        epoch: Epoch(2),
        start: slot(1),
        voters: nodes(&[1, 3, 4]),
    };
    let activate = PersistOp::Activate {
        configuration: configuration.clone(),
        chain: stop.chain,
    };
    let ops = written(&out);
    assert_eq!(
        ops.iter().filter(|op| **op == activate).count(),
        1,
        "{ops:?}"
    );
    let marks = |op: &&PersistOp| matches!(op, PersistOp::Decided { .. });
    assert_eq!(ops.iter().filter(marks).count(), 0, "{ops:?}");
    assert!(!bench.core.status().active);
    let began = Output::EpochBegan { configuration };
    assert!(!out.contains(&began), "it is not durable");
    assert!(bench.persisted().contains(&began));
    assert!(bench.core.status().active);
    bench.admit();
    bench.receive(4, prepare(ballot_of(2, 1, 4), 2));
    match &sent(&bench.persisted())[..] {
        [(4, Message::Promise(promise))] => {
            assert!(promise.entries.is_empty(), "rows above the Seal are gone");
            assert_eq!(promise.decided, slot(1));
        }
        other => panic!("one promise, not {other:?}"),
    }
}

/// D7: while the new epoch is on its way to the disk this node takes part in none.
#[test]
fn nothing_is_answered_while_an_epoch_is_being_activated() {
    let (mut bench, log, _) = sealed(3, &[1, 2, 3]);
    for question in questions(ballot_of(2, 1, 2)) {
        let out = bench.receive(2, question.clone());
        assert!(all_sent(&out).is_empty(), "{question:?}: {out:?}");
    }
    assert!(all_sent(&bench.wait(5_000)).is_empty(), "no round begins");
    assert_eq!(bench.core.status().promised, ballot(1, 2));
    let ask = Message::CatchUp(CatchUp {
        epoch: Epoch(1),
        from: slot(1),
    });
    let out = sent(&bench.receive(3, ask.clone()));
    assert!(
        matches!(&out[..], [(3, Message::Rows(rows))] if rows.entries.is_empty()),
        "what is not durable is not served: {out:?}"
    );
    bench.persisted();
    let out = sent(&bench.receive(3, ask));
    assert!(matches!(&out[..], [(3, Message::Rows(rows))] if rows.entries == log));
}

/// D7: a question of an epoch that is over is answered by its end, an answer by nothing.
#[test]
fn an_earlier_epoch_is_over() {
    let (mut bench, _, _) = sealed(3, &[1, 2, 3]);
    bench.persisted();
    let ended = Message::EpochEnded(EpochEnded {
        epoch: Epoch(2),
        voters: nodes(&[1, 2, 3]),
        decided: slot(2),
    });
    for question in questions(ballot(9, 3)) {
        let out = bench.receive(3, question.clone());
        assert_eq!(sent(&out), [(3, ended.clone())], "{question:?}");
    }
    let answers = [
        accepted(ballot(9, 3), 2),
        promise(ballot(9, 3), Vec::new()),
        Message::Pong(pong(1, ballot(9, 3))),
        ended,
    ];
    for answer in answers {
        assert!(bench.receive(3, answer).is_empty(), "answers end here");
    }
    assert_eq!(bench.core.status().promised, ballot(1, 2));
}

/// R5: a vote of the old epoch that waits for the disk is void when its epoch ends.
#[test]
fn a_vote_under_way_is_void_when_its_epoch_ends() {
    let (mut bench, _, _) = sealed(3, &[1, 2, 3]);
    let votes = sent(&bench.persisted());
    let is_old = |(_, message): &(u64, Message)| message.epoch() == Epoch::FIRST;
    assert!(!votes.iter().any(is_old), "{votes:?}");
    let (mut bench, mut out) = sealing_leader(&[1, 2, 4]);
    out.append(&mut bench.persisted());
    bench.receive(2, accepted(ballot(1, 1), 1));
    assert_eq!(bench.core.status().decided, slot(1));
    assert_eq!(bench.core.configuration().epoch, Epoch(2));
}

/// The state machine never holds the beginning of an epoch that the log does not know.
#[test]
fn a_seal_is_applied_when_the_activation_is_durable() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, 3, &[1, 2, 3]));
    bench.receive(2, accept(b, &log, 0));
    bench.persisted();
    let out = bench.receive(2, accept(b, &[], 2));
    assert_eq!(applied(&out), [slot(1)]);
    assert_eq!(applied(&bench.persisted()), [slot(2)]);
}

/// Fast start: the node that a `Seal` names leads the lowest ballot of the epoch without
/// phase 1, because no acceptor can have accepted anything below it.
#[test]
fn the_starter_leads_at_once() {
    let (mut bench, out) = sealing_leader(&[1, 2, 4]);
    let news = |(to, message): &(u64, Message)| {
        *to == 3 && matches!(message, Message::Accept(a) if a.decided == slot(1))
    };
    assert!(
        sent(&out).iter().any(news),
        "the old epoch's last news: {out:?}"
    );
    assert!(
        sent(&out).iter().all(|(_, m)| m.epoch() == Epoch::FIRST),
        "nothing of the new one before it is durable"
    );
    let token = crate::ProposalToken(7);
    assert_eq!(
        rejected(&bench.propose(token.0, 1)),
        Some(RejectReason::Unsettled)
    );
    let out = bench.persisted();
    let first = ballot_of(2, 0, 1);
    let is_ready = |(to, message): &(u64, Message)| match message {
        Message::Accept(accept) => {
            let kinds: Vec<_> = accept.entries.iter().map(|e| (e.slot, e.kind)).collect();
            accept.ballot == first
                && accept.base == slot(2)
                && [2, 4].contains(to)
                && kinds == [(slot(2), EntryKind::Ready)]
        }
        _ => false,
    };
    let messages = sent(&out);
    assert_eq!(
        messages.iter().filter(|m| is_ready(m)).count(),
        2,
        "{messages:?}"
    );
    assert!(
        !messages
            .iter()
            .any(|(_, m)| matches!(m, Message::Prepare(_)))
    );
    assert!(messages.iter().all(|(to, _)| *to != 3), "it left");
    // Until Ready is chosen no quorum of the new voters is known to hold the prefix.
    let again = bench.reconfigure(2, &[1, 2]);
    assert_eq!(rejected(&again), Some(RejectReason::Unsettled));
    bench.persisted();
    bench.receive(4, accepted(first, 2));
    assert!(bench.core.status().ready);
    assert_eq!(rejected(&bench.reconfigure(2, &[1, 2])), None);
}

/// Fast start once and live only: a process that starts in the epoch uses phase 1 and a higher
/// round, because the lowest ballot may have been used before.
#[test]
fn a_restarted_starter_uses_phase_one() {
    let configuration = Configuration {
        epoch: Epoch(2),
        start: slot(1),
        voters: nodes(&[1, 2, 3]),
    };
    let stop = seal(&[], ballot(1, 1), 2, 1, &[1, 2, 3]);
    for promised in [ballot_of(2, 0, 1), ballot(1, 1)] {
        let restored = Restored {
            promised,
            decided: slot(1),
            chain: stop.chain,
            timestamp: stop.timestamp,
            ..Restored::empty()
        };
        let mut bench = Bench::in_epoch(configuration.clone(), restored);
        bench.admit();
        assert_eq!(bench.core.status().role, RoleName::Follower);
        let chain = stop.chain;
        let mut out = Vec::new();
        while !sent(&out)
            .iter()
            .any(|(_, m)| matches!(m, Message::Prepare(_)))
        {
            bench.round_with(&[2, 3], |_, pong| crate::message::Pong {
                decided: slot(1),
                chain,
                ..pong
            });
            out = bench.persisted();
            assert!(bench.now.0 < 5_000, "it campaigns");
        }
        let above = |(_, m): &(u64, Message)| match m {
            Message::Prepare(p) => p.ballot.epoch == Epoch(2) && p.ballot.round.0 >= 1,
            _ => true,
        };
        assert!(sent(&out).iter().all(above), "{out:?}");
    }
}

/// Only the node that the `Seal` names starts: two nodes never own the same ballot, but two
/// that skip phase 1 would both find nothing.
#[test]
fn others_do_not_start_an_epoch() {
    let (mut bench, _, _) = sealed(3, &[1, 2, 3]);
    let out = bench.persisted();
    assert_eq!(bench.core.status().role, RoleName::Follower);
    assert_eq!(bench.core.status().promised, ballot(1, 2));
    assert!(
        !sent(&out)
            .iter()
            .any(|(_, m)| matches!(m, Message::Accept(_)))
    );
}

/// A node that left learns and no more: it neither answers nor campaigns (trap 21).
#[test]
fn a_node_that_left_does_not_disturb() {
    let (mut bench, out) = sealing_leader(&[2, 3, 4]);
    let starter = |entry: &Entry| crate::Seal::decode(&entry.payload).map(|seal| seal.starter);
    let starters = |op: &PersistOp| match op {
        PersistOp::Accept(rows) => rows.last().and_then(starter),
        _ => None,
    };
    let named: Vec<NodeId> = written(&out).iter().filter_map(starters).collect();
    assert_eq!(named.len(), 1, "one Seal is written");
    assert!(
        nodes(&[2, 3, 4]).contains(&named[0]),
        "a voter of the new epoch starts it"
    );
    bench.persisted();
    let status = bench.core.status();
    assert!(!status.is_voter && status.role == RoleName::Follower);
    assert!(bench.receive(2, ping(2)).is_empty(), "it has no say");
    assert!(bench.receive(2, prepare(ballot_of(2, 1, 2), 2)).is_empty());
    for _ in 0..30 {
        bench.round(&[2, 3, 4]);
        bench.persisted();
    }
    assert_eq!(
        bench.core.status().promised,
        ballot(1, 1),
        "it never campaigned"
    );
}

/// Rows that follow a `Seal` belong to the next epoch: they wait until that is active.
#[test]
fn fetched_rows_stop_at_a_seal() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, 2, &[1, 2, 3]));
    let first = ballot_of(2, 0, 2);
    log.push(after(&log, first, EntryKind::Ready, Bytes::new()));
    bench.receive(2, rows(2, &log));
    assert_eq!(bench.core.status().decided, slot(2));
    assert_eq!(bench.core.status().configuration.epoch, Epoch(2));
    bench.persisted();
    bench.receive(2, rows(2, &log[1..]));
    let status = bench.core.status();
    assert_eq!((status.decided, status.promised), (slot(3), first));
    assert!(status.ready);
}

/// A node that missed the end of its epoch asks who told it, and reaches the new voters.
#[test]
fn a_node_that_missed_an_epoch_finds_the_next_one() {
    let mut bench = Bench::new(3);
    let ended = EpochEnded {
        epoch: Epoch(2),
        voters: nodes(&[1, 4, 5]),
        decided: slot(7),
    };
    let out = bench.receive(4, Message::EpochEnded(ended));
    let ask = Message::CatchUp(CatchUp {
        epoch: Epoch(1),
        from: slot(1),
    });
    assert_eq!(sent(&out), [(4, ask)]);
    let pinged = |outputs: &[Output]| {
        let to = |o: &Output| match o {
            Output::Send {
                to,
                message: Message::Ping(_),
            } => Some(to.0),
            _ => None,
        };
        outputs.iter().filter_map(to).collect::<Vec<u64>>()
    };
    assert_eq!(
        pinged(&bench.round(&[])),
        [2, 3, 4, 5],
        "without a quorum it asks all"
    );
    bench.round(&[2, 3]);
    assert_eq!(
        pinged(&bench.round(&[2, 3])),
        [2, 3],
        "with one it asks the voters"
    );
    let told = nodes(&[1, 6]);
    bench.give(Input::Contacts { nodes: told });
    bench.round(&[]);
    assert_eq!(
        pinged(&bench.round(&[])),
        [2, 3, 6],
        "the driver's word replaces it"
    );
    let many = (10..100).map(NodeId).collect();
    bench.give(Input::Contacts { nodes: many });
    assert_eq!(pinged(&bench.round(&[])).len(), 2 + CONTACTS_MAX);
}

/// A leader that hears of a later epoch has been replaced.
#[test]
fn a_later_epoch_ends_the_lead() {
    let mut bench = Bench::leader(3);
    let out = bench.receive(2, ping(2));
    assert!(traced(&out, Event::SteppedDown(ballot(1, 1))));
    let asks = |(to, m): &(u64, Message)| *to == 2 && matches!(m, Message::CatchUp(_));
    assert!(sent(&out).iter().any(asks), "it lacks the Seal at least");
    assert_eq!(
        bench.core.status().configuration.epoch,
        Epoch(1),
        "and does no more"
    );
}

/// A `Seal` that this program cannot read stops it: it cannot know who votes.
#[test]
fn a_seal_that_cannot_be_read_halts() {
    let b = ballot(1, 2);
    let torn = after(&[], b, EntryKind::Seal, Bytes::from_static(b"?"));
    for stop in [torn, seal(&[], b, 3, 2, &[1, 2])] {
        let mut bench = Bench::new(3);
        let out = bench.receive(2, accept(b, core::slice::from_ref(&stop), 1));
        let reason = HaltReason::Unreadable { slot: slot(1) };
        assert_eq!(out, [Output::Halt { reason }]);
        assert!(halted(&out) && bench.persisted().is_empty());
    }
}

/// Evidence of one epoch is none in the next: nobody is happy, heard or led by anybody.
#[test]
fn an_epoch_begins_without_evidence() {
    let b = ballot(1, 2);
    let mut bench = Bench::new(3);
    let log = Vec::from([seal(&[], b, 2, 3, &[1, 2, 3])]);
    bench.receive(2, accept(b, &log, 0));
    bench.persisted();
    bench.round_with(&[2], |_, pong| crate::message::Pong {
        ballot: b,
        leading: Some(b),
        happy: true,
        ..pong
    });
    bench.round(&[2, 3]);
    assert_eq!(bench.core.status().leader, Some(NodeId(2)));
    bench.receive(2, accept(b, &[], 1));
    bench.persisted();
    let status = bench.core.status();
    assert_eq!((status.leader, status.happy), (None, false));
    assert!(!status.quorum_connected && status.peers.values().all(|peer| !peer.heard));
}

/// One epoch after the other: a node that is two behind activates the first before it learns of
/// the second, however slow its disk is.
#[test]
fn two_seals_are_activated_one_after_the_other() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, 2, &[1, 2, 3, 4]));
    let first = ballot_of(2, 0, 2);
    log.push(after(&log, first, EntryKind::Ready, Bytes::new()));
    log.push(seal(&log, first, 3, 2, &[1, 2, 4]));
    bench.receive(2, rows(3, &log));
    assert!(bench.receive(2, ping(3)).is_empty(), "it is activating");
    assert!(bench.receive(2, rows(3, &log[2..])).is_empty());
    assert_eq!(bench.core.status().decided, slot(2));
    bench.persisted();
    bench.receive(2, ping(3));
    bench.receive(2, rows(3, &log[2..]));
    bench.persisted();
    let status = bench.core.status();
    assert_eq!(status.configuration.epoch, Epoch(3));
    assert!(status.active && status.decided == slot(4));
}
