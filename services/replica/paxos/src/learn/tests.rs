//! What learning and catching up protect: the learning rule, I9, I16; what a log forgets and
//! what a node does that misses it.

use alloc::vec::Vec;

use super::{Fetch, are_well_formed};
use crate::entry::Chain;
use crate::ids::{DiskSeq, Epoch, Millis, NodeId, Slot};
use crate::limits::{CATCH_UP_RETRY_MS, HEARTBEAT_MS, LEARNER_SILENCE_MS, LEARNERS_MAX};
use crate::message::{Accept, CatchUp, Message, Ping, Pong, Prepare, Promise, Rows};
use crate::output::{Output, PersistOp};
use crate::testing::{
    Bench, accept, applied, ballot, entries, halted, rows, sent, slot, written, wrote,
};
use crate::{Entry, Input, Restored, RoleName};

fn ask(from: u64) -> Message {
    Message::CatchUp(CatchUp {
        epoch: Epoch::FIRST,
        from: slot(from),
    })
}

/// The answer of a node whose log begins above what was asked for.
fn forgotten(compacted_to: u64) -> Message {
    Message::Rows(Rows {
        epoch: Epoch::FIRST,
        entries: Vec::new(),
        decided: slot(90),
        compacted_to: slot(compacted_to),
    })
}

/// A round in which these peers are content and at slot 90, of which nothing is known here.
fn round_ahead(bench: &mut Bench, peers: &[u64]) -> Vec<Output> {
    bench.round_with(peers, |_, pong| Pong {
        decided: slot(90),
        chain: Chain([9; 32]),
        happy: true,
        ..pong
    })
}

fn needs_snapshot(outputs: &[Output]) -> Option<(u64, Slot)> {
    outputs.iter().find_map(|output| match output {
        Output::NeedSnapshot { from, at_least } => Some((from.0, *at_least)),
        _ => None,
    })
}

/// A follower of node 2 with `count` decided, durable and applied rows.
fn with_applied(count: u64) -> (Bench, Vec<Entry>) {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let log = entries(b, count, 0);
    bench.receive(2, accept(b, &log, count));
    bench.persisted();
    bench.give(Input::Applied { slot: slot(count) });
    (bench, log)
}

#[test]
fn decided_entries_are_applied_when_they_are_durable_here() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let out = bench.receive(2, accept(b, &entries(b, 3, 0), 2));
    assert_eq!(bench.core.status().decided, slot(2));
    assert_eq!(applied(&out).len(), 0);
    assert_eq!(applied(&bench.persisted()).len(), 2);
}

/// Goal: the number alone proves nothing (trap 9). Method: the row here is of an older
/// ballot, below the base of the ballot whose owner counts it as decided.
#[test]
fn a_row_of_an_older_ballot_is_not_decided_by_its_number() {
    let (mut bench, old, new) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
    bench.receive(2, accept(old, &entries(old, 1, 7), 0));
    let others = entries(new, 2, 8);
    let (base, first) = (slot(2), slot(2));
    let news = Accept {
        ballot: new,
        base,
        first,
        entries: others[1..].to_vec(),
        decided: slot(2),
    };
    let out = bench.receive(3, Message::Accept(news));
    assert_eq!(bench.core.status().decided, Slot::GENESIS);
    let request = CatchUp {
        epoch: Epoch::FIRST,
        from: slot(1),
    };
    assert!(
        sent(&out).contains(&(3, Message::CatchUp(request))),
        "{out:?}"
    );
    bench.receive(3, rows(1, &others[..1]));
    assert_eq!(
        bench.core.status().decided,
        slot(2),
        "then the stream goes on"
    );
}

/// A row that was chosen is written as it was chosen: under the promise of this node it would
/// look like a vote in a ballot whose owner never proposed it.
#[test]
fn fetched_rows_keep_their_ballot_under_a_higher_promise() {
    let (mut bench, b) = (Bench::new(3), ballot(4, 3));
    let prepare = Prepare {
        ballot: ballot(9, 2),
        from: slot(1),
    };
    bench.receive(2, Message::Prepare(prepare));
    bench.persisted();
    let log = entries(b, 2, 0);
    let out = bench.receive(2, rows(1, &log));
    assert!(written(&out).contains(&PersistOp::Accept(log)), "{out:?}");
    assert_eq!(bench.core.status().promised, ballot(9, 2));
}

#[test]
fn fetched_rows_raise_the_promise_and_keep_their_ballot() {
    let (mut bench, b) = (Bench::new(3), ballot(4, 3));
    let out = bench.receive(2, rows(1, &entries(b, 2, 0)));
    assert!(wrote(&out));
    let status = bench.core.status();
    assert_eq!((status.promised, status.decided), (b, slot(2)));
    let again = bench.receive(2, rows(1, &entries(b, 2, 0)));
    assert!(!wrote(&again), "what is decided is not written again");
}

/// I9: rows of another history are not decided. Two of three have them: this node is odd.
#[test]
fn another_history_is_not_learned_and_halts_the_odd_one() {
    let b = ballot(1, 3);
    let other = entries(b, 3, 1);
    for (what, differing) in [("does not follow", &other[2..]), ("differs", &other[..1])] {
        let mut bench = Bench::new(3);
        bench.receive(2, rows(1, &entries(b, 2, 0)));
        let out = bench.receive(2, rows(1, differing));
        assert!(!wrote(&out) && !halted(&out), "{what}: {out:?}");
        assert_eq!(bench.core.status().decided, slot(2), "{what}");
        assert!(halted(&bench.receive(3, rows(1, differing))), "{what}");
    }
}

#[test]
fn rows_are_served_from_memory_or_by_the_driver() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let own = entries(b, 3, 0);
    bench.receive(2, accept(b, &own, 3));
    let ask = Message::CatchUp(CatchUp {
        epoch: Epoch::FIRST,
        from: slot(2),
    });
    let nothing = sent(&bench.receive(3, ask.clone()));
    assert!(matches!(&nothing[..], [(3, Message::Rows(r))] if r.entries.is_empty()));
    bench.persisted();
    let served: Vec<_> = sent(&bench.receive(3, ask));
    assert!(matches!(&served[..], [(3, Message::Rows(r))] if r.entries == own[1..]));
}

/// D5, I16: rows are forgotten up to what is applied, and the log says where it begins.
#[test]
fn only_what_is_applied_is_compacted() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let log = entries(b, 4, 0);
    bench.receive(2, accept(b, &log, 4));
    bench.persisted();
    bench.give(Input::Applied { slot: slot(3) });
    let out = bench.give(Input::Compact { upto: slot(9) });
    assert!(written(&out).contains(&PersistOp::Compact { upto: slot(3) }));
    assert_eq!(bench.core.status().compacted_to, slot(3));
    assert!(
        bench.give(Input::Compact { upto: slot(3) }).is_empty(),
        "once"
    );
    let out = sent(&bench.receive(3, ask(3)));
    assert!(
        matches!(&out[..], [(3, Message::Rows(r))]
            if r.entries.is_empty() && r.compacted_to == slot(3)),
        "an asker below needs a snapshot: {out:?}"
    );
    let out = sent(&bench.receive(3, ask(4)));
    assert!(matches!(&out[..], [(3, Message::Rows(r))] if r.entries == log[3..]));
}

/// A promise says where its log begins: a candidate below cannot fetch what is decided.
#[test]
fn a_promise_tells_what_was_compacted() {
    let (mut bench, _) = with_applied(4);
    bench.give(Input::Compact { upto: slot(2) });
    let (ballot, from) = (ballot(2, 3), slot(1));
    bench.receive(3, Message::Prepare(Prepare { ballot, from }));
    match &sent(&bench.persisted())[..] {
        [(3, Message::Promise(promise))] => {
            assert_eq!((promise.decided, promise.compacted_to), (slot(4), slot(2)));
        }
        other => panic!("one promise, not {other:?}"),
    }
}

/// Rows that left memory are read from the log by the driver, within what is durable.
#[test]
fn rows_that_are_not_in_memory_are_served_by_the_driver() {
    let b = ballot(1, 2);
    let log = entries(b, 5, 0);
    let restored = Restored {
        promised: b,
        decided: slot(5),
        chain: log[4].chain,
        timestamp: log[4].timestamp,
        compacted_to: slot(2),
        ..Restored::empty()
    };
    let mut bench = Bench::starting(&[1, 2, 3], restored);
    let serve = Output::ServeRows {
        to: NodeId(3),
        from: slot(3),
        upto: slot(5),
        compacted_to: slot(2),
    };
    assert_eq!(bench.receive(3, ask(3)), [serve]);
    assert_eq!(
        sent(&bench.receive(3, ask(2))).len(),
        1,
        "compacted: told at once"
    );
}

/// Every peer may still have what another has forgotten: a snapshot is the last resort.
#[test]
fn a_snapshot_is_needed_when_every_peer_has_forgotten() {
    let mut bench = Bench::new(3);
    round_ahead(&mut bench, &[2, 3]);
    let mut out = round_ahead(&mut bench, &[2, 3]);
    out.append(&mut round_ahead(&mut bench, &[2, 3]));
    assert_eq!(sent(&out), [(2, ask(1))]);
    let stray = bench.receive(3, forgotten(70));
    assert!(stray.is_empty(), "who was not asked does not count");
    let out = bench.receive(2, forgotten(80));
    assert_eq!(sent(&out), [(3, ask(1))], "the other one is asked");
    assert_eq!(needs_snapshot(&out), None);
    let out = bench.receive(3, forgotten(70));
    assert_eq!(needs_snapshot(&out), Some((3, slot(70))));
    // The core goes on, and asks again while it is behind.
    assert_eq!(sent(&bench.wait(CATCH_UP_RETRY_MS)), [(2, ask(1))]);
    let log = entries(ballot(1, 2), 2, 0);
    bench.receive(2, rows(1, &log));
    assert_eq!(bench.core.status().decided, slot(2));
}

/// A peer that does not answer is not asked for ever.
#[test]
fn another_peer_is_asked_when_an_answer_stays_away() {
    let mut bench = Bench::new(3);
    let mut asked = Vec::new();
    for _ in 0..8 {
        let out = round_ahead(&mut bench, &[2, 3]);
        let requests = sent(&out).into_iter().filter(|(_, m)| *m == ask(1));
        asked.extend(requests.map(|(to, _)| to));
    }
    assert_eq!(asked[..3], [2, 3, 2], "{asked:?}");
}

/// Trap 25: a candidate that is behind the logs of its promises leaves the round to others.
#[test]
fn a_candidate_that_needs_a_snapshot_gives_up() {
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    let page = |decided, compacted_to| {
        Message::Promise(Promise {
            ballot: ballot(1, 1),
            decided: slot(decided),
            compacted_to: slot(compacted_to),
            page: 0,
            pages: 1,
            entries: Vec::new(),
            disk_seq: DiskSeq(0),
        })
    };
    let out = bench.receive(2, page(9, 5));
    assert_eq!(bench.core.status().role, RoleName::Follower);
    assert!(sent(&out).contains(&(2, ask(1))), "{out:?}");
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    let out = bench.receive(2, page(9, 0));
    assert_eq!(
        bench.core.status().role,
        RoleName::Candidate,
        "it fetches and goes on"
    );
    assert_eq!(sent(&out), [(2, ask(1))]);
    bench.receive(2, rows(1, &entries(ballot(0, 2), 9, 0)));
    let status = bench.core.status();
    assert_eq!((status.role, status.decided), (RoleName::Leader, slot(9)));
}

/// A node that does not vote learns from whoever leads and is known by how far it is.
#[test]
fn a_learner_follows_and_fetches() {
    let mut bench = Bench::starting(&[2, 3, 4], Restored::empty());
    let out = bench.round(&[]);
    let pings = |o: &&Output| {
        matches!(
            o,
            Output::Send {
                message: Message::Ping(_),
                ..
            }
        )
    };
    assert_eq!(out.iter().filter(pings).count(), 3, "it pings the voters");
    assert!(sent(&out).is_empty(), "it has nothing to say Hello for");
    let leads = ballot(1, 2);
    let told = |peer, pong| Pong {
        leading: (peer == 2).then_some(leads),
        ballot: leads,
        happy: true,
        decided: slot(2),
        chain: Chain([9; 32]),
        ..pong
    };
    let out = bench.round_with(&[2], told);
    assert_eq!(sent(&out), [(2, ask(1))], "at once: no stream reaches it");
    assert_eq!(bench.core.status().leader, Some(NodeId(2)));
    bench.receive(2, rows(1, &entries(leads, 2, 0)));
    assert_eq!(applied(&bench.persisted()), [slot(1), slot(2)]);
    let b = ballot(2, 3);
    assert!(bench.receive(3, accept(b, &entries(b, 3, 0), 0)).is_empty());
    let from = slot(3);
    assert!(
        bench
            .receive(3, Message::Prepare(Prepare { ballot: b, from }))
            .is_empty()
    );
    for _ in 0..20 {
        bench.round(&[2, 3, 4]);
    }
    let status = bench.core.status();
    assert_eq!((status.promised, status.role), (leads, RoleName::Follower));
}

/// A voter knows how far learners are: a standby is promoted when it keeps up. So many, and no
/// longer than they speak.
#[test]
fn voters_know_their_learners() {
    let mut bench = Bench::new(3);
    let ping = |decided| {
        Message::Ping(Ping {
            epoch: Epoch::FIRST,
            round: 5,
            decided: slot(decided),
            disk_seq: crate::ids::DiskSeq(0),
        })
    };
    for node in 0..LEARNERS_MAX as u64 + 4 {
        let out = bench.receive(2000 + node, ping(node));
        let answered = |o: &Output| {
            matches!(o, Output::Send { to, message: Message::Pong(pong) }
                if to.0 == 2000 + node && pong.round == 5)
        };
        assert!(out.iter().any(answered), "everybody may learn");
    }
    bench.receive(2, ping(7));
    let status = bench.core.status();
    assert_eq!(status.learners.len(), LEARNERS_MAX, "bounded (I17)");
    assert_eq!(status.learners[&NodeId(2003)].decided, slot(3));
    bench.receive(2003, ping(8));
    assert_eq!(bench.core.status().learners[&NodeId(2003)].decided, slot(8));
    bench.now = bench.now.plus(LEARNER_SILENCE_MS + HEARTBEAT_MS);
    bench.receive(3001, ping(1));
    let known: Vec<NodeId> = bench.core.status().learners.into_keys().collect();
    assert_eq!(known, [NodeId(3001)], "who fell silent is forgotten");
}

/// Constrained elections (2.13.2): a node that is behind is promised, and told what it lacks.
/// Raft's log rule would leave a cluster without a leader whose only connected node is behind.
#[test]
fn a_candidate_that_is_behind_is_promised() {
    let (mut bench, log) = with_applied(4);
    let (ballot, from) = (ballot(2, 3), slot(1));
    let above = crate::testing::after(
        &log,
        log[0].ballot,
        crate::EntryKind::Batch,
        bytes::Bytes::new(),
    );
    bench.receive(2, accept(log[0].ballot, core::slice::from_ref(&above), 4));
    bench.persisted();
    bench.receive(3, Message::Prepare(Prepare { ballot, from }));
    match &sent(&bench.persisted())[..] {
        [(3, Message::Promise(promise))] => {
            assert_eq!(promise.decided, slot(4));
            assert_eq!(promise.entries, [above]);
        }
        other => panic!("one promise, not {other:?}"),
    }
}

/// Goal: rows that no correct node sends are not learned. Method: each condition, held and broken.
#[test]
fn rows_make_sense_by_themselves() {
    let log = entries(ballot(1, 2), 3, 0);
    let with = |entries: &[Entry]| Rows {
        epoch: Epoch::FIRST,
        entries: entries.to_vec(),
        decided: slot(3),
        compacted_to: Slot::GENESIS,
    };
    assert!(are_well_formed(&with(&[])));
    assert!(are_well_formed(&with(&log)));
    assert!(
        !are_well_formed(&with(&[log[0].clone(), log[2].clone()])),
        "a hole"
    );
    assert!(
        !are_well_formed(&with(&[log[1].clone(), log[0].clone()])),
        "backwards"
    );
    let mut early = log[0].clone();
    early.slot = Slot::GENESIS;
    assert!(!are_well_formed(&with(&[early])), "before the first slot");
    let mut late = log[0].clone();
    late.timestamp = crate::Timestamp(crate::limits::TIMESTAMP_MAX.0 + 1);
    assert!(!are_well_formed(&with(&[late])), "beyond all time");
}

/// Goal: only the answer of whoever was asked ends a fetch.
#[test]
fn a_fetch_is_of_one_peer() {
    let fetch = Fetch {
        peer: NodeId(2),
        target: slot(9),
        asked: Millis(0),
    };
    assert!(fetch.is_from(NodeId(2)));
    assert!(!fetch.is_from(NodeId(3)));
}
