//! What heartbeat rounds protect: evidence is what answers this round's `Ping`, one for each
//! sender, and nobody is happy because a neighbour is (section 2.4 of the design).

use crate::ids::{Ballot, DiskSeq, Epoch, Slot};
use crate::limits::HEARTBEAT_MS;
use crate::message::{Message, Ping, Pong, Prepare};
use crate::output::{Event, Output};
use crate::testing::{Bench, accept, ballot, pong, slot, traced};
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
    bench.round(&[2, 3]);
    bench.round(&[2]);
    assert!(answer(&mut bench).happy);
    bench.round(&[2]);
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
