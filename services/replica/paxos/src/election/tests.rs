//! What heartbeat rounds protect: evidence is what answers this round's `Ping`, one for each
//! sender, and nobody is happy because a neighbour is (section 2.4 of the design).

use alloc::vec::Vec;

use crate::ids::{Ballot, DiskSeq, Epoch, Millis, NodeId, Slot};
use crate::limits::{HEARTBEAT_MS, LEARNER_SILENCE_MS};
use crate::message::{Message, Ping, Pong, Prepare};
use crate::output::{Event, Output};
use crate::testing::{Bench, accept, ballot, pong, promise, slot, traced};
use crate::{Input, RoleName};

fn ping(round: u64) -> Message {
    Message::Ping(Ping {
        epoch: Epoch::FIRST,
        round,
        decided: Slot::GENESIS,
        disk_seq: DiskSeq(0),
    })
}

/// What it says of itself.
fn answer(bench: &mut Bench) -> Pong {
    let out = bench.receive(2, ping(7));
    let said = out.iter().find_map(|output| match output {
        Output::Send {
            message: Message::Pong(pong),
            ..
        } => Some(*pong),
        _ => None,
    });
    said.expect("every Ping is answered")
}

/// Trap 24, and one-way links: a `Ping` says that its sender can be heard, not that it hears.
#[test]
fn only_answers_to_the_present_round_are_heard() {
    let mut bench = Bench::new(5);
    for round in 0..4 {
        bench.round(&[2]);
        // The same answer again, answers to earlier rounds, and Pings are no more than one.
        for peer in [2, 2, 3, 4, 5] {
            let late = pong(round, Ballot::ZERO);
            bench.receive(peer, Message::Pong(late));
            bench.receive(peer, ping(round));
        }
        let status = bench.core.status();
        assert!(!status.quorum_connected, "itself and one of five");
    }
    bench.round(&[2, 3]);
    bench.round(&[]);
    assert!(bench.core.status().quorum_connected);
    bench.round(&[]);
    assert!(
        !bench.core.status().quorum_connected,
        "one round's answers count for one round"
    );
}

/// A follower is content if the owner of its own promise says that it leads at exactly that
/// ballot and is content itself; nothing less, or two followers keep each other content for
/// ever after the leader's death.
#[test]
fn happiness_needs_the_leader_of_the_own_promise() {
    let b = ballot(3, 2);
    let is_happy = |answer: fn(u64, Pong) -> Pong| {
        let mut bench = Bench::new(3);
        bench.receive(2, accept(b, &[], 0));
        bench.round_with(&[2, 3], answer);
        bench.round(&[]);
        bench.core.status().happy
    };
    assert!(is_happy(|peer, pong| Pong {
        leading: (peer == 2).then_some(ballot(3, 2)),
        happy: peer == 2,
        ..pong
    }));
    assert!(
        !is_happy(|peer, pong| Pong {
            leading: (peer == 2).then_some(ballot(3, 2)),
            happy: false,
            ..pong
        }),
        "a leader that lost its quorum is none"
    );
    assert!(
        !is_happy(|peer, pong| Pong {
            leading: (peer == 2).then_some(ballot(2, 2)),
            happy: true,
            ..pong
        }),
        "its proposals are refused here"
    );
    assert!(
        !is_happy(|_, pong| Pong {
            leading: None,
            happy: true,
            quorum_connected: true,
            ..pong
        }),
        "a content neighbour is no leader"
    );
    assert!(
        !is_happy(|peer, pong| Pong {
            leading: (peer == 3).then_some(ballot(3, 3)),
            happy: true,
            ..pong
        }),
        "nor is the leader of a ballot that was not promised here"
    );
}

/// To promise somebody else ends following at once.
#[test]
fn a_promise_ends_happiness() {
    let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
    bench.receive(2, accept(low, &[], 0));
    bench.round_with(&[2], |_, pong| Pong {
        leading: Some(ballot(1, 2)),
        happy: true,
        ..pong
    });
    bench.round(&[]);
    assert!(bench.core.status().happy);
    assert_eq!(answer(&mut bench).following, Some(NodeId(2)));
    let from = slot(1);
    let out = bench.receive(3, Message::Prepare(Prepare { ballot: high, from }));
    assert!(traced(&out, Event::Leaderless));
    let said = answer(&mut bench);
    assert_eq!(
        (said.happy, said.following, said.ballot),
        (false, None, high)
    );
    assert_eq!(bench.core.status().promised, high);
}

/// Quorum loss (2.13.1): the leader is the one who notices, and says so. It keeps its office and
/// resumes if nobody overtook it.
#[test]
fn a_leader_announces_that_it_lost_its_quorum() {
    let mut bench = Bench::leader(5);
    let told = |out: &[Output], connected| traced(out, Event::QuorumConnected(connected));
    bench.round(&[2, 3]);
    assert!(!told(&bench.round(&[2]), true), "it was so before");
    assert!(answer(&mut bench).happy);
    assert_eq!(answer(&mut bench).following, None, "it leads");
    assert!(told(&bench.round(&[2]), false));
    let said = answer(&mut bench);
    assert_eq!((said.happy, said.quorum_connected), (false, false));
    assert_eq!(said.leading, Some(ballot(1, 1)));
    bench.round(&[2, 3]);
    bench.round(&[]);
    assert!(answer(&mut bench).happy);
}

/// A leader that hears of a higher promise is overtaken: its next proposals would be refused.
#[test]
fn a_leader_steps_down_when_it_hears_of_a_higher_ballot() {
    let mut bench = Bench::leader(3);
    let same = Message::Pong(pong(1, ballot(1, 1)));
    assert!(!traced(
        &bench.receive(2, same),
        Event::SteppedDown(ballot(1, 1))
    ));
    let out = bench.receive(2, Message::Pong(pong(1, ballot(2, 3))));
    assert!(traced(&out, Event::SteppedDown(ballot(1, 1))));
    assert_eq!(bench.core.status().role, RoleName::Follower);
}

/// D1: an own ballot that is not durable may be forgotten in a crash, and then used again.
#[test]
fn a_ballot_is_told_when_it_is_durable() {
    let mut bench = Bench::new(3);
    while bench.core.status().role != RoleName::Candidate {
        bench.round(&[2, 3]);
    }
    let said = answer(&mut bench);
    assert_eq!((said.ballot, said.candidate), (Ballot::ZERO, None));
    bench.persisted();
    let said = answer(&mut bench);
    assert_eq!(
        (said.ballot, said.candidate),
        (ballot(1, 1), Some(ballot(1, 1)))
    );
}

/// A round lasts so long, however often the driver ticks; its number names its answers.
#[test]
fn a_round_begins_when_the_last_one_is_over() {
    let mut bench = Bench::new(3);
    bench.round(&[]);
    let pings = |out: &[Output]| {
        let is_ping = |o: &&Output| {
            matches!(
                o,
                Output::Send {
                    message: Message::Ping(_),
                    ..
                }
            )
        };
        out.iter().filter(is_ping).count()
    };
    assert_eq!(pings(&bench.wait(HEARTBEAT_MS - 1)), 0);
    assert_eq!(pings(&bench.give(Input::Tick)), 0);
    assert_eq!(pings(&bench.wait(1)), 2);
}

/// Property: time passed in an epoch counts in the next one: who was stuck stays barred.
#[test]
fn a_new_epoch_lifts_no_bar() {
    let mut bench = Bench::new(3);
    let bar = Millis(5_000);
    bench.core.election.barred_until = bar;
    bench.core.election.failures = 3;
    bench.core.election.begin_epoch(Millis(7));
    assert_eq!(bench.core.election.barred_until, bar);
    assert_eq!(bench.core.election.failures, 0);
}

/// Property: a learner that was silent for exactly so long is forgotten, and one that was heard a
/// moment later is not.
#[test]
fn silent_learners_are_forgotten_at_the_limit() {
    let mut bench = Bench::new(3);
    bench
        .core
        .election
        .note_learner(NodeId(8), slot(1), Millis(0));
    bench
        .core
        .election
        .note_learner(NodeId(9), slot(1), Millis(1));
    let now = Millis(LEARNER_SILENCE_MS);
    bench.core.election.note_learner(NodeId(7), slot(1), now);
    let known: Vec<NodeId> = bench.core.election.learners.keys().copied().collect();
    assert_eq!(known, [NodeId(7), NodeId(9)]);
}

/// Property: a peer's last answer tells when it was heard, and nothing of it is left once it does
/// not count any more.
#[test]
fn what_a_peer_said_can_be_forgotten() {
    let mut bench = Bench::new(3);
    bench.round(&[2, 3]);
    bench.round(&[2]);
    let election = &mut bench.core.election;
    assert_eq!(
        election.last_heard(NodeId(2)),
        Some(Millis(2 * HEARTBEAT_MS))
    );
    assert_eq!(election.last_heard(NodeId(3)), Some(Millis(HEARTBEAT_MS)));
    election.forget(NodeId(2));
    assert_eq!(election.last_heard(NodeId(2)), None);
    assert!(!election.was_heard(NodeId(2)) && !election.arriving.contains_key(&NodeId(2)));
}

/// Property: every peer is evidence once: by what it says in this round if it has answered already,
/// else by its answer of the last one.
#[test]
fn evidence_is_the_newest_answer_of_each_peer() {
    let mut bench = Bench::new(5);
    bench.round_with(&[2, 3], |_, pong| pong);
    bench.round_with(&[3, 4], |_, pong| Pong {
        happy: true,
        ..pong
    });
    let evidence = bench.core.election.evidence();
    let said: Vec<(u64, bool)> = evidence.map(|(node, pong)| (node.0, pong.happy)).collect();
    assert_eq!(said, [(2, false), (3, true), (4, true)]);
}

/// Property: whoever says that it leads at the ballot that was promised is followed from then on, and
/// nobody else is.
#[test]
fn the_owner_of_the_promise_is_followed_once_it_says_that_it_leads() {
    let (mut bench, b) = (Bench::new(3), ballot(3, 2));
    let from = slot(1);
    bench.receive(2, Message::Prepare(Prepare { ballot: b, from }));
    bench.persisted();
    let says = |leading| {
        Message::Pong(Pong {
            leading,
            ..pong(0, b)
        })
    };
    for other in [None, Some(ballot(2, 2))] {
        let out = bench.receive(2, says(other));
        assert!(!traced(&out, Event::Following(b)), "{other:?}");
    }
    assert!(traced(
        &bench.receive(2, says(Some(b))),
        Event::Following(b)
    ));
}

/// Property: a campaign begins at the moment that was drawn for it, not before.
#[test]
fn a_campaign_begins_when_its_wait_is_over() {
    let mut bench = Bench::new(3);
    while bench.core.election.campaign_at.is_none() {
        bench.round(&[2, 3]);
    }
    let at = bench.core.election.campaign_at.unwrap();
    bench.wait(at.since(bench.now) - 1);
    assert_eq!(bench.core.status().role, RoleName::Follower);
    bench.wait(1);
    assert_eq!(bench.core.status().role, RoleName::Candidate);
}

/// Property: a follower gives its leader up after two rounds without a word of it. Its proposals
/// are a word, although the answers to heartbeats are lost; and a leader follows nobody.
#[test]
fn a_leader_is_given_up_after_two_silent_rounds() {
    let b = ballot(1, 2);
    let leaderless = |out: &[Output]| traced(out, Event::Leaderless);
    let mut bench = Bench::new(3);
    bench.receive(2, accept(b, &[], 0));
    assert!(!leaderless(&bench.round(&[3])), "a moment ago");
    assert!(leaderless(&bench.round(&[3])), "two rounds ago");

    let mut bench = Bench::new(3);
    for _ in 0..2 {
        bench.receive(2, accept(b, &[], 0));
        assert!(!leaderless(&bench.round(&[3])), "it proposes");
    }
    let mut bench = Bench::leader(3);
    for _ in 0..6 {
        assert!(!leaderless(&bench.round(&[])), "it leads, if nobody else");
    }
}

/// Property: a node that does not vote follows the highest ballot that leads, and is content if that
/// leader is.
#[test]
fn a_learner_follows_the_highest_leader() {
    let mut bench = Bench::starting(&[2, 3, 4], crate::Restored::empty());
    let mut hears = |leading: Option<Ballot>, happy| {
        let says = |_: u64, pong: Pong| Pong {
            leading,
            happy,
            ..pong
        };
        bench.round_with(&[2], says);
        let follows = bench.core.leader_hint();
        bench.round(&[]);
        (bench.core.status().happy, follows)
    };
    let (second, third) = (Some(NodeId(2)), Some(NodeId(3)));
    assert_eq!(hears(None, true), (false, None), "a content follower");
    assert_eq!(hears(Some(ballot(4, 2)), false), (false, second));
    assert_eq!(hears(Some(ballot(5, 3)), true), (true, third));
    assert_eq!(hears(Some(ballot(4, 2)), true), (true, third), "overtaken");
}

/// Property: who wins is content at once if a quorum hears it, and follows nobody, least itself.
#[test]
fn a_new_leader_is_its_own() {
    let mut bench = Bench::new(3);
    let b = ballot(1, 1);
    bench.campaign(&[2, 3]);
    bench.core.election.failures = 2;
    let out = bench.receive(2, promise(b, Vec::new()));
    assert!(traced(&out, Event::Leading(b)));
    assert!(!traced(&out, Event::Following(b)));
    assert_eq!(bench.core.leader_hint(), Some(NodeId(1)));
    assert_eq!(bench.core.election.failures, 0);
    assert!(answer(&mut bench).happy);
}
