//! What a hand-over protects: the target has everything when it is told, a leader that nobody
//! overtakes goes on, and a disk that is full or slow leads nobody.

use alloc::vec::Vec;

use crate::ids::{Ballot, NodeId};
use crate::limits::{HEARTBEAT_MS, SLOW_DISK_MS, TICK_MS, TRANSFER_TIMEOUT_MS};
use crate::message::{CampaignNow, Gap, Message, Ping, Pong};
use crate::output::{Event, Output, RejectReason};
use crate::testing::{
    Bench, accept, accepted, ballot, entries, rejected, sent, slot, traced, wrote,
};
use crate::{Input, ReadToken, RoleName};

fn transfer(bench: &mut Bench, to: u64) -> Vec<Output> {
    let to = NodeId(to);
    bench.give(Input::TransferLead { to })
}

fn space(bench: &mut Bench, low: bool) -> Vec<Output> {
    bench.give(Input::Space { low })
}

/// Who was told to campaign.
fn told(outputs: &[Output]) -> Vec<u64> {
    let one =
        |(to, message): (u64, Message)| matches!(message, Message::CampaignNow(_)).then_some(to);
    sent(outputs).into_iter().filter_map(one).collect()
}

fn campaign_now(ballot: Ballot) -> Message {
    Message::CampaignNow(CampaignNow { ballot })
}

/// A target that lacks something would have to fetch it first, and nobody would lead meanwhile.
#[test]
fn the_target_is_told_when_it_has_everything() {
    let (mut bench, b) = (Bench::leader(3), ballot(1, 1));
    bench.propose(1, 1);
    bench.persisted();
    let out = transfer(&mut bench, 2);
    assert!(told(&out).is_empty());
    let unsettled = Some(RejectReason::Unsettled);
    assert_eq!(rejected(&bench.propose(2, 1)), unsettled, "or it never has");
    let out = bench.receive(3, accepted(b, 1));
    assert!(told(&out).is_empty(), "decided, but not at the target");
    let out = bench.receive(2, accepted(b, 1));
    assert_eq!(told(&out), [2]);
    let to = NodeId(2);
    assert!(traced(&out, Event::HandingOver { to }));
}

/// A message may be lost: told again once a round, and no more often.
#[test]
fn the_target_is_told_once_a_round() {
    let mut bench = Bench::leader(3);
    assert_eq!(told(&transfer(&mut bench, 3)), [3]);
    assert!(told(&bench.wait(TICK_MS)).is_empty());
    assert_eq!(told(&bench.wait(HEARTBEAT_MS)), [3]);
}

/// A hand-over that nobody takes up must not stop the cluster.
#[test]
fn a_leader_that_nobody_overtakes_goes_on() {
    let mut bench = Bench::leader(3);
    transfer(&mut bench, 2);
    bench.wait(TRANSFER_TIMEOUT_MS - 1);
    assert_eq!(
        rejected(&bench.propose(1, 1)),
        Some(RejectReason::Unsettled)
    );
    assert!(told(&bench.wait(1)).is_empty(), "its time is over");
    assert_eq!(rejected(&bench.propose(2, 1)), None);
    assert_eq!(bench.core.status().role, RoleName::Leader);
}

#[test]
fn only_a_leader_hands_over_and_only_to_a_voter() {
    let mut bench = Bench::leader(3);
    for to in [1, 9] {
        assert!(transfer(&mut bench, to).is_empty());
    }
    assert_eq!(rejected(&bench.propose(1, 1)), None, "nothing is under way");
    bench.persisted();
    bench.receive(2, accepted(ballot(1, 1), 1));
    bench.receive(3, accepted(ballot(1, 1), 1));
    transfer(&mut bench, 2);
    assert!(transfer(&mut bench, 3).is_empty(), "one at a time");
    assert_eq!(told(&bench.wait(HEARTBEAT_MS)), [2]);
    let mut sealing = Bench::leader(3);
    sealing.reconfigure(1, &[1, 2]);
    assert!(transfer(&mut sealing, 2).is_empty(), "its epoch ends");
    assert!(
        transfer(&mut Bench::new(3), 2).is_empty(),
        "a follower has nothing to give"
    );
}

/// Only the owner of the promised ballot can hand over: what it says of an older one is stale,
/// and what others say would let anybody start an election.
#[test]
fn the_leader_alone_starts_a_campaign() {
    let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 2));
    bench.receive(2, accept(low, &[], 0));
    assert!(
        bench.receive(3, campaign_now(low)).is_empty(),
        "not its owner"
    );
    bench.receive(2, accept(high, &[], 0));
    bench.persisted();
    assert!(
        bench.receive(2, campaign_now(low)).is_empty(),
        "an older ballot"
    );
    let out = bench.receive(2, campaign_now(high));
    assert!(traced(&out, Event::Campaigning(ballot(3, 1))));
    assert!(
        sent(&out).is_empty(),
        "not before its own promise is durable (D1)"
    );
    let asks = |(_, m): &(u64, Message)| matches!(m, Message::Prepare(_));
    assert!(sent(&bench.persisted()).iter().all(asks));
    assert!(
        bench.receive(2, campaign_now(high)).is_empty(),
        "it campaigns already"
    );
}

/// A full disk takes no new rows, says so, and asks for what it refused when it has room.
#[test]
fn a_full_disk_accepts_nothing_new() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let rows = entries(b, 2, 0);
    bench.receive(2, accept(b, &rows[..1], 0));
    bench.persisted();
    space(&mut bench, true);
    let out = bench.receive(2, accept(b, &rows[1..], 0));
    assert!(!wrote(&out) && sent(&out).is_empty());
    let again = bench.receive(2, accept(b, &rows[..1], 0));
    assert_eq!(sent(&again), [(2, accepted(b, 1))], "what it has counts");
    let ping = Message::Ping(Ping {
        epoch: crate::Epoch::FIRST,
        round: 1,
        decided: slot(1),
    });
    let full = |o: &Output| {
        matches!(
            o,
            Output::Send {
                message: Message::Pong(pong),
                ..
            } if pong.no_space
        )
    };
    assert!(bench.receive(2, ping).iter().any(full));
    let expect = slot(2);
    let gap = Message::Gap(Gap { ballot: b, expect });
    assert_eq!(sent(&space(&mut bench, false)), [(2, gap)]);
}

/// A leader whose disk is full hands over to a voter that has room and keeps up.
#[test]
fn a_full_leader_hands_over() {
    let mut bench = Bench::leader(3);
    bench.round_with(&[2, 3], |peer, pong| Pong {
        no_space: peer == 2,
        ..pong
    });
    bench.round(&[]);
    assert_eq!(told(&space(&mut bench, true)), [3]);
    let mut alone = Bench::leader(3);
    alone.round_with(&[2, 3], |_, pong| Pong {
        no_space: true,
        ..pong
    });
    alone.round(&[]);
    assert!(told(&space(&mut alone, true)).is_empty(), "nobody has room");
    assert_eq!(rejected(&alone.propose(1, 1)), Some(RejectReason::NoSpace));
    let token = ReadToken(1);
    let out = alone.give(Input::Read { token });
    assert!(!sent(&out).is_empty(), "reads go on: {out:?}");
    space(&mut alone, false);
    assert_eq!(
        rejected(&alone.propose(2, 1)),
        Some(RejectReason::NoSpace),
        "a quorum lacks it"
    );
    alone.round(&[2, 3]);
    alone.round(&[]);
    assert_eq!(rejected(&alone.propose(3, 1)), None, "it resumes by itself");
}

/// A minority of full disks stops nobody.
#[test]
fn proposals_need_room_on_a_quorum_only() {
    let mut bench = Bench::leader(3);
    bench.round_with(&[2, 3], |peer, pong| Pong {
        no_space: peer == 2,
        ..pong
    });
    bench.round(&[]);
    assert_eq!(rejected(&bench.propose(1, 1)), None);
}

/// A full disk campaigns only if nobody with room is there.
#[test]
fn a_full_disk_leaves_the_lead_to_others() {
    let campaigns = |peers_full: bool| {
        let mut bench = Bench::new(3);
        space(&mut bench, true);
        for _ in 0..10 {
            bench.round_with(&[2, 3], |_, pong| Pong {
                no_space: peers_full,
                ..pong
            });
        }
        bench.core.status().role == RoleName::Candidate
    };
    assert!(!campaigns(false));
    assert!(campaigns(true), "somebody has to serve reads");
}

/// A leader whose disk is far slower than another's costs every client: it hands over. One
/// that is as slow as all others stays, or the lead would wander for ever.
#[test]
fn a_slow_leader_hands_over_to_a_fast_one() {
    let led = |peers_ms: u64| {
        let mut bench = Bench::leader(3);
        bench.propose(1, 1);
        bench.receive(2, accepted(ballot(1, 1), 1));
        bench.receive(3, accepted(ballot(1, 1), 1));
        let mut all = Vec::new();
        let rounds = SLOW_DISK_MS / HEARTBEAT_MS + 2;
        for _ in 0..rounds {
            let mut out = bench.round_with(&[2, 3], |peer, pong| Pong {
                ballot: ballot(1, 1),
                commit_latency_ms: peers_ms + peer,
                ..pong
            });
            all.append(&mut told(&out));
            out.clear();
        }
        all
    };
    assert_eq!(led(1).first(), Some(&2), "to the fastest");
    assert!(led(SLOW_DISK_MS).is_empty());
}
