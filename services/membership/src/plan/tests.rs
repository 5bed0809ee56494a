//! The table of every rule, and two properties over random views.

#![allow(clippy::too_many_lines, reason = "tables")]

use std::time::Duration;

use super::{Decision, Miss, Policy, Standby, Step, View, Voter, plan};
mod any_view;
mod size;

const POLICY: Policy = Policy {
    wished: 0,
    auto: false,
    replace_after: Duration::from_secs(10),
    pause: Duration::from_mins(1),
};

const AUTO: Policy = Policy {
    auto: true,
    ..POLICY
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wishes(wished: usize) -> Policy {
    Policy { wished, ..POLICY }
}

/// `count` voters that are all fine, r1 leading, and standby r1030 that has caught up.
fn healthy(count: u64) -> View {
    let voter = |node| Voter {
        node,
        leading: node == 1,
        decided: 2000,
        ..Voter::default()
    };
    View {
        epoch: 1,
        settled: true,
        changing: false,
        voters: (1..=count).map(voter).collect(),
        standbys: vec![fit(1030)],
        last_change: None,
        now: secs(1000),
    }
}

fn fit(node: u64) -> Standby {
    Standby {
        node,
        caught_up: 3,
        ..Standby::default()
    }
}

fn voter(view: &mut View, node: u64) -> &mut Voter {
    let found = view.voters.iter_mut().find(|voter| voter.node == node);
    found.expect("a voter of the view")
}

/// Membership has heard nothing of it, and these voters neither.
fn silent(mut view: View, node: u64, here: u64, there: u64, by: &[u64]) -> View {
    let miss = |by: &u64| Miss {
        by: *by,
        for_long: secs(there),
    };
    let voter = voter(&mut view, node);
    voter.suspected_for = (here > 0).then(|| secs(here));
    voter.missed_by = by.iter().map(miss).collect();
    view
}

/// r3 of three is dead for everybody.
fn dead() -> View {
    silent(healthy(3), 3, 12, 11, &[1, 2])
}

fn with(mut view: View, change: impl FnOnce(&mut View)) -> View {
    change(&mut view);
    view
}

fn check(rows: Vec<(&str, View, Policy, Option<Step>, &str)>) {
    for (rule, view, policy, step, words) in rows {
        let Decision {
            step: found,
            reason,
        } = plan(&view, &policy);
        assert_eq!(found, step, "{rule}: {reason}");
        assert!(reason.contains(words), "{rule}: {reason}");
    }
}

const REPLACED: Option<Step> = Some(Step::Replace { old: 3, new: 1030 });

#[test]
fn a_voter_is_dead_when_membership_and_a_majority_say_so() {
    check(vec![
        (
            "nobody is missed",
            healthy(3),
            POLICY,
            None,
            "all voters are heard",
        ),
        (
            "everybody misses it",
            dead(),
            POLICY,
            REPLACED,
            "silent for 12 s",
        ),
        (
            "membership alone",
            silent(healthy(3), 3, 100, 0, &[]),
            POLICY,
            None,
            "only 0 of 3 voters miss it",
        ),
        (
            "membership and a minority",
            silent(healthy(3), 3, 100, 100, &[1]),
            POLICY,
            None,
            "only 1 of 3 voters miss it",
        ),
        (
            "one voter's word counts once",
            silent(healthy(3), 3, 100, 100, &[1, 1]),
            POLICY,
            None,
            "only 1 of 3",
        ),
        (
            "its own word and a stranger's do not count",
            silent(healthy(3), 3, 100, 100, &[1, 3, 1030]),
            POLICY,
            None,
            "only 1 of 3",
        ),
        (
            "the voters alone",
            silent(healthy(3), 3, 0, 100, &[1, 2]),
            POLICY,
            None,
            "heard here, but 2 of 3",
        ),
        (
            "not long enough here",
            silent(healthy(3), 3, 9, 100, &[1, 2]),
            POLICY,
            None,
            "taken for dead after 10 s",
        ),
        (
            "not long enough there",
            silent(healthy(3), 3, 100, 9, &[1, 2]),
            POLICY,
            None,
            "taken for dead after 10 s",
        ),
        (
            "two of five, the one that is silent for longer first",
            silent(
                silent(healthy(5), 4, 20, 20, &[1, 2, 3]),
                3,
                12,
                12,
                &[1, 2, 5],
            ),
            POLICY,
            Some(Step::Replace { old: 4, new: 1030 }),
            "r4",
        ),
    ]);
}

#[test]
fn one_change_at_a_time_and_a_pause_between_two() {
    let ago = |seconds: u64| with(dead(), |view| view.last_change = Some(secs(1000 - seconds)));
    check(vec![
        (
            "nobody has told who votes",
            with(dead(), |v| v.epoch = 0),
            POLICY,
            None,
            "no replica",
        ),
        (
            "a call is under way",
            with(dead(), |v| v.changing = true),
            POLICY,
            None,
            "under way",
        ),
        (
            "not ready",
            with(dead(), |v| v.settled = false),
            POLICY,
            None,
            "not complete",
        ),
        (
            "changed a moment ago",
            ago(59),
            POLICY,
            None,
            "waits 2 s more",
        ),
        ("changed long ago", ago(60), POLICY, REPLACED, "r3"),
    ]);
}

#[test]
fn the_living_are_a_majority_before_and_after() {
    let two_dead = silent(dead(), 2, 12, 12, &[1]);
    let added = |view: View| with(view, |view| view.standbys.push(fit(1040)));
    // Two of four miss nobody else than each other: one more dead than is known to the others.
    let four = silent(
        silent(healthy(4), 4, 12, 12, &[1, 2, 3]),
        3,
        0,
        1,
        &[1, 2, 4],
    );
    check(vec![
        (
            "a majority is dead",
            two_dead,
            POLICY,
            None,
            "only 1 of 3 voters are heard",
        ),
        (
            "half is dead",
            silent(healthy(2), 2, 12, 12, &[1]),
            POLICY,
            None,
            "only 1 of 2",
        ),
        (
            "three living of four, and one more missed: still a majority",
            added(four.clone()),
            POLICY,
            Some(Step::Replace { old: 4, new: 1030 }),
            "r4",
        ),
        (
            "to remove the dead one would leave two of three, which is a majority",
            four,
            wishes(3),
            Some(Step::Remove { old: 4 }),
            "3 voters are wished",
        ),
    ]);
}

#[test]
fn only_a_caught_up_standby_comes_in() {
    let standbys = |standbys: Vec<Standby>| with(dead(), |view| view.standbys = standbys);
    let late = Standby {
        caught_up: 2,
        ..fit(1030)
    };
    let drained = Standby {
        draining: true,
        ..fit(1030)
    };
    let gone = Standby {
        suspected: true,
        ..fit(1030)
    };
    let behind = Standby {
        lag: 900,
        ..fit(1030)
    };
    let second = Some(Step::Replace { old: 3, new: 1040 });
    check(vec![
        (
            "none",
            standbys(vec![]),
            POLICY,
            None,
            "no standby: start one more",
        ),
        (
            "two heartbeats",
            standbys(vec![late.clone()]),
            POLICY,
            None,
            "r1030 has not caught up",
        ),
        (
            "drained",
            standbys(vec![drained]),
            POLICY,
            None,
            "all standbys are drained",
        ),
        (
            "silent",
            standbys(vec![gone.clone()]),
            POLICY,
            None,
            "no standby",
        ),
        (
            "the fit one",
            standbys(vec![late, gone, fit(1040)]),
            POLICY,
            second,
            "r3",
        ),
        (
            "the one that lacks least",
            standbys(vec![behind, fit(1040)]),
            POLICY,
            second,
            "r3",
        ),
        (
            "of two the first",
            standbys(vec![fit(1040), fit(1030)]),
            POLICY,
            REPLACED,
            "r3",
        ),
    ]);
}

#[test]
fn a_drained_voter_is_replaced_though_alive() {
    let drain = |mut view: View, node: u64| {
        voter(&mut view, node).draining = true;
        view
    };
    let replace = |old| Some(Step::Replace { old, new: 1030 });
    let ahead = with(drain(healthy(3), 1), |view| voter(view, 3).decided = 2001);
    let transfer = Some(Step::Transfer { from: 1, to: 3 });
    let pausing = |view: View| with(view, |view| view.last_change = Some(secs(999)));
    let gone_too = silent(drain(healthy(3), 2), 2, 3, 3, &[1, 3]);
    check(vec![
        (
            "a follower",
            drain(healthy(3), 2),
            POLICY,
            replace(2),
            "r2 is drained",
        ),
        (
            "the leader hands over first",
            ahead.clone(),
            POLICY,
            transfer,
            "r1 is drained",
        ),
        (
            "not even that in the pause",
            pausing(ahead),
            POLICY,
            None,
            "waits",
        ),
        (
            "no standby",
            with(drain(healthy(3), 2), |view| view.standbys.clear()),
            POLICY,
            None,
            "r2 is drained, but there is no standby",
        ),
        (
            "one too many is removed",
            drain(healthy(4), 2),
            wishes(3),
            Some(Step::Remove { old: 2 }),
            "drained",
        ),
        (
            "the dead come first",
            drain(dead(), 2),
            POLICY,
            REPLACED,
            "r3",
        ),
        (
            "not while another is in doubt",
            silent(drain(healthy(3), 2), 3, 3, 3, &[1, 2]),
            POLICY,
            None,
            "r3 has been silent",
        ),
        (
            "though it was stopped already",
            gone_too,
            POLICY,
            replace(2),
            "r2 is drained",
        ),
        (
            "all drained: the lead goes to another drained one",
            drain(drain(drain(healthy(3), 1), 2), 3),
            POLICY,
            Some(Step::Transfer { from: 1, to: 2 }),
            "drained",
        ),
    ]);
}
