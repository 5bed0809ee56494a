//! What campaigns protect: nobody disturbs a happy neighbour or a live candidate, candidates
//! are spread apart, and whoever makes no progress lets others try.

use super::doubled;
use crate::RoleName;
use crate::ids::Millis;
use crate::limits::{
    BACKOFF_MAX_MS, CAMPAIGN_WAIT_MIN_MS, CAMPAIGN_WAIT_MS, ELECTION_TIMEOUT_MS, HEARTBEAT_MS,
    PENALTY_MS, STUCK_MS, STUCK_RESET_MS, TICK_MS,
};
use crate::message::{Message, Nack, Pong, Prepare};
use crate::output::Event;
use crate::testing::{Bench, accepted, ballot, entries, led, rows, slot, traced};

#[test]
fn backoff_doubles_up_to_its_bound() {
    assert_eq!(doubled(400, 0), 400);
    assert_eq!(doubled(400, 3), 3_200);
    assert_eq!(doubled(400, 40), BACKOFF_MAX_MS);
    assert_eq!(
        doubled(30_000, 1),
        30_000,
        "a slow disk's own time is never cut"
    );
}

/// Runs rounds with these answers until it campaigns. Answers when that was, or `None` if it
/// did not within so many milliseconds.
fn campaigns_after(
    bench: &mut Bench,
    within: u64,
    answer: impl Fn(u64, Pong) -> Pong,
) -> Option<u64> {
    let began = bench.now;
    while bench.now.since(began) < within {
        bench.round_with(&[2, 3], &answer);
        for _ in 0..HEARTBEAT_MS / TICK_MS - 1 {
            if bench.core.status().role == RoleName::Candidate {
                return Some(bench.now.since(began));
            }
            bench.wait(TICK_MS);
        }
    }
    None
}

/// Chained partitions (2.13.3): what a neighbour says of its leader is evidence enough.
#[test]
fn nobody_campaigns_beside_a_happy_neighbour() {
    let mut bench = Bench::new(3);
    let happy = |peer, pong| Pong {
        happy: peer == 3,
        ..pong
    };
    assert_eq!(campaigns_after(&mut bench, 3_000, happy), None);
    assert!(campaigns_after(&mut bench, 3_000, |_, pong| pong).is_some());
}

/// Two candidates that pre-empt each other elect nobody (trap 23).
#[test]
fn a_live_candidate_is_left_alone_for_its_time() {
    let mut bench = Bench::new(3);
    let candidate = |peer, pong| Pong {
        ballot: ballot(5, 3),
        candidate: (peer == 3).then_some(ballot(5, 3)),
        ..pong
    };
    let began = campaigns_after(&mut bench, 10_000, candidate).expect("in the end it does");
    assert!(began >= ELECTION_TIMEOUT_MS, "{began}");
    assert!(began <= ELECTION_TIMEOUT_MS + 6 * HEARTBEAT_MS, "{began}");
    let status = bench.core.status();
    assert_eq!(status.promised, ballot(6, 1), "above all that it heard of");
}

/// Property: a candidate is left alone for as long as it may take and not a tick longer, and only
/// if its ballot would have to be beaten. Method: the condition itself, at the limit.
#[test]
fn a_candidate_is_alive_until_its_time_is_over() {
    let campaigning = |at| {
        move |peer: u64, pong: Pong| Pong {
            ballot: at,
            candidate: (peer == 3).then_some(at),
            ..pong
        }
    };
    let mut bench = Bench::new(3);
    for _ in 0..4 {
        bench.round_with(&[2, 3], campaigning(ballot(5, 3)));
    }
    let since = HEARTBEAT_MS;
    bench.core.now = Millis(since + ELECTION_TIMEOUT_MS - 1);
    assert!(!bench.core.may_campaign(), "it still has a moment");
    bench.core.now = Millis(since + ELECTION_TIMEOUT_MS);
    assert!(bench.core.may_campaign());

    let mut bench = Bench::new(3);
    let higher = Prepare {
        ballot: ballot(7, 2),
        from: slot(1),
    };
    bench.receive(2, Message::Prepare(higher));
    bench.persisted();
    // A new ballot in each round, so that it is never old.
    let began = bench.now;
    for round in 1..6 {
        bench.round_with(&[2, 3], campaigning(ballot(round, 3)));
    }
    let status = bench.core.status();
    assert_eq!(
        (status.role, bench.now.since(began)),
        (RoleName::Candidate, 5 * HEARTBEAT_MS),
        "who is refused here already is no rival"
    );
}

/// Property: what a candidate learns is progress, and gives it its full time again.
#[test]
fn a_candidate_that_learns_gets_its_time_again() {
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    bench.wait(ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
    bench.receive(2, rows(1, &entries(ballot(0, 2), 1, 0)));
    bench.wait(HEARTBEAT_MS + TICK_MS);
    assert_eq!(bench.core.status().role, RoleName::Candidate);
    bench.wait(ELECTION_TIMEOUT_MS);
    assert_eq!(bench.core.status().role, RoleName::Follower);
}

/// Property: having nothing to do is not being stuck, for however long, and to be cut off is not
/// either: others will lead.
#[test]
fn an_idle_leader_and_one_that_is_cut_off_are_not_stuck() {
    let mut bench = Bench::leader(3);
    for _ in 0..2 * STUCK_MS / HEARTBEAT_MS {
        bench.round_with(&[2, 3], led);
        bench.persisted();
    }
    assert_eq!(bench.core.status().role, RoleName::Leader, "idle");
    bench.propose(1, 1);
    bench.persisted();
    for _ in 0..2 * STUCK_MS / HEARTBEAT_MS {
        bench.round(&[]);
    }
    assert_eq!(bench.core.status().role, RoleName::Leader, "cut off");
}

/// Property: a leader that was stuck once is believed again only after it has led for long.
#[test]
fn to_have_been_stuck_is_forgotten_after_a_long_lead() {
    let mut bench = Bench::leader(3);
    bench.core.election.stuck = 3;
    let began = bench.core.election.steady_since;
    while bench.now.since(began) < STUCK_RESET_MS - HEARTBEAT_MS {
        bench.round_with(&[2, 3], led);
        assert_eq!(bench.core.election.stuck, 3, "{:?}", bench.now);
    }
    for _ in 0..2 {
        bench.round_with(&[2, 3], led);
    }
    assert_eq!(bench.core.election.stuck, 0);
}

/// A node looks around before it campaigns: two rounds without a happy leader, two with a
/// quorum, and a random wait on top.
#[test]
fn a_campaign_takes_two_rounds_and_a_wait() {
    let mut bench = Bench::new(3);
    for _ in 0..20 {
        bench.round(&[]);
    }
    assert_eq!(
        bench.core.status().role,
        RoleName::Follower,
        "without a quorum never"
    );
    let took = campaigns_after(&mut bench, 3_000, |_, pong| pong).expect("it campaigns");
    let rounds = 3 * HEARTBEAT_MS;
    assert!(took >= rounds + CAMPAIGN_WAIT_MIN_MS, "{took}");
    assert!(took <= rounds + CAMPAIGN_WAIT_MS + 2 * TICK_MS, "{took}");
}

/// A candidate that hears nothing gives up, and the next time it waits twice as long.
#[test]
fn a_candidate_without_progress_gives_up() {
    let mut bench = Bench::new(3);
    let mut waits = alloc::vec::Vec::new();
    for _ in 0..2 {
        bench.campaign(&[2, 3]);
        let began = bench.now;
        while bench.core.status().role == RoleName::Candidate {
            bench.wait(TICK_MS);
            assert!(bench.now.since(began) < 10_000, "it gives up");
        }
        waits.push(bench.now.since(began));
    }
    assert!((ELECTION_TIMEOUT_MS - HEARTBEAT_MS..=ELECTION_TIMEOUT_MS).contains(&waits[0]));
    assert!(waits[1] > waits[0] + ELECTION_TIMEOUT_MS / 2, "{waits:?}");
    bench.campaign(&[2, 3]);
    let promised = bench.core.status().promised;
    let higher = Nack {
        ballot: promised,
        promised: ballot(70, 3),
    };
    let out = bench.receive(2, Message::Nack(higher));
    assert!(traced(&out, Event::SteppedDown(promised)), "overtaken");
}

/// A leader that reaches a quorum with heartbeats but not with its proposals lets others try,
/// and stays away for a while.
#[test]
fn a_stuck_leader_steps_down_and_stays_away() {
    let mut bench = Bench::leader(3);
    bench.round(&[2, 3]);
    bench.propose(1, 1);
    let began = bench.now;
    while bench.core.status().role == RoleName::Leader {
        bench.round_with(&[2, 3], led);
        bench.persisted();
        assert!(bench.now.since(began) < 5_000, "it steps down");
    }
    let took = bench.now.since(began);
    assert!(
        (STUCK_MS..STUCK_MS + 3 * HEARTBEAT_MS).contains(&took),
        "{took}"
    );
    let again = campaigns_after(&mut bench, 5_000, led).expect("in the end");
    assert!(again >= PENALTY_MS - HEARTBEAT_MS, "{again}");
}

/// What is acknowledged is progress, and so is having nothing to do.
#[test]
fn a_leader_that_makes_progress_stays() {
    let mut bench = Bench::leader(3);
    for token in 1..40 {
        if token % 4 == 0 {
            bench.propose(token, 1);
            bench.persisted();
            bench.receive(2, accepted(ballot(1, 1), token / 4));
        }
        bench.round_with(&[2, 3], led);
        bench.persisted();
        assert_eq!(bench.core.status().role, RoleName::Leader, "{token}");
    }
}

/// The others decide without the leader's disk, but nothing is applied where clients are
/// answered (track record, bug 3).
#[test]
fn a_leader_whose_disk_hangs_steps_down() {
    let mut bench = Bench::leader(3);
    bench.propose(1, 1);
    bench.receive(2, accepted(ballot(1, 1), 1));
    bench.receive(3, accepted(ballot(1, 1), 1));
    let began = bench.now;
    while bench.core.status().role == RoleName::Leader {
        // As slow as its own, so that there is nobody to hand over to.
        bench.round_with(&[2, 3], |_, pong| Pong {
            ballot: ballot(1, 1),
            commit_latency_ms: 250,
            ..pong
        });
        assert!(bench.now.since(began) < 5_000, "it steps down");
    }
    assert!(bench.now.since(began) >= STUCK_MS);
}

/// Slow disks make elections slow, not impossible: everybody waits three commits.
#[test]
fn times_follow_the_median_commit_latency() {
    let mut bench = Bench::new(3);
    assert_eq!(bench.core.election_timeout_ms(), ELECTION_TIMEOUT_MS);
    bench.round_with(&[2, 3], |peer, pong| Pong {
        commit_latency_ms: if peer == 2 { 300 } else { 9_000 },
        ..pong
    });
    assert_eq!(bench.core.election_timeout_ms(), 900);
    // Of five it is the third.
    let mut bench = Bench::new(5);
    bench.round_with(&[2, 3, 4, 5], |peer, pong| Pong {
        commit_latency_ms: [1, 200, 9_000, 9_000][peer as usize - 2],
        ..pong
    });
    assert_eq!(bench.core.election_timeout_ms(), 600);
}
