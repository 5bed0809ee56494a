//! How many voters there are to be.

use super::{AUTO, REPLACED, check, dead, fit, healthy, silent, voter, wishes, with};
use crate::plan::{Step, View};

/// With `auto` the cluster follows the replicas that run, and only for good.
#[test]
fn the_number_of_voters_follows_the_replicas_that_run() {
    let spares = |count: u64, nodes: &[u64]| {
        with(healthy(count), |view| {
            view.standbys = nodes.iter().map(|node| fit(*node)).collect();
        })
    };
    let drained = |nodes: &[u64]| {
        with(spares(5, &[]), |view| {
            for node in nodes {
                voter(view, *node).draining = true;
            }
        })
    };
    let away = |seconds| {
        let gone = silent(spares(5, &[]), 5, seconds, seconds, &[1, 2, 3]);
        silent(gone, 4, seconds, seconds, &[1, 2, 3])
    };
    let remove = |old| Some(Step::Remove { old });
    check(vec![
        ("three run", spares(3, &[]), AUTO, None, "as many as wished"),
        ("a spare", spares(3, &[1030]), AUTO, None, "as many"),
        (
            "five run",
            spares(3, &[1030, 1040]),
            AUTO,
            Some(Step::Add { new: 1030 }),
            "5 are wished",
        ),
        (
            "halfway",
            spares(4, &[1040]),
            AUTO,
            Some(Step::Add { new: 1040 }),
            "5 are wished",
        ),
        (
            "one left of five",
            spares(4, &[]),
            AUTO,
            remove(4),
            "3 are wished",
        ),
        ("one is drained", drained(&[5]), AUTO, remove(5), "drained"),
        (
            "two are drained",
            drained(&[4, 5]),
            AUTO,
            remove(4),
            "drained",
        ),
        ("two restart", away(200), AUTO, None, "no standby"),
        (
            "two are gone",
            away(300),
            AUTO,
            remove(4),
            "3 voters are wished",
        ),
        (
            "a spare that is silent does not run",
            with(spares(3, &[1030, 1040]), |view| {
                view.standbys[1].suspected = true
            }),
            AUTO,
            None,
            "as many",
        ),
        (
            "a dead one is replaced, not left out",
            with(dead(), |view| view.standbys.push(fit(1040))),
            AUTO,
            REPLACED,
            "r3",
        ),
        (
            "never more than seven",
            spares(7, &[1030, 1040]),
            AUTO,
            None,
            "as many",
        ),
    ]);
}

#[test]
fn the_number_of_voters_comes_to_the_wished_one() {
    let add = Some(Step::Add { new: 1030 });
    let remove = |old| Some(Step::Remove { old });
    let leads = |mut view: View, node: u64| {
        for voter in &mut view.voters {
            voter.leading = voter.node == node;
        }
        view
    };
    check(vec![
        (
            "three of five",
            healthy(3),
            wishes(5),
            add,
            "3 voters, and 5 are wished",
        ),
        (
            "four of five",
            healthy(4),
            wishes(5),
            add,
            "4 voters, and 5 are wished",
        ),
        (
            "five of five",
            healthy(5),
            wishes(5),
            None,
            "as many as wished",
        ),
        (
            "five of three",
            healthy(5),
            wishes(3),
            remove(5),
            "5 voters, and 3 are wished",
        ),
        (
            "four of three",
            healthy(4),
            wishes(3),
            remove(4),
            "4 voters",
        ),
        (
            "the leader stays",
            leads(healthy(5), 5),
            wishes(3),
            remove(4),
            "5 voters",
        ),
        (
            "never below three",
            healthy(3),
            wishes(1),
            None,
            "as many as wished",
        ),
        (
            "no wish",
            healthy(5),
            wishes(0),
            None,
            "all voters are heard",
        ),
        (
            "no standby to grow by",
            with(healthy(3), |view| view.standbys.clear()),
            wishes(5),
            None,
            "no standby",
        ),
        (
            "not while one is in doubt",
            silent(healthy(3), 2, 2, 2, &[1, 3]),
            wishes(5),
            None,
            "r2 has been silent",
        ),
        (
            "a dead one is replaced before the cluster grows",
            dead(),
            wishes(5),
            REPLACED,
            "r3",
        ),
        (
            "a dead one too many is not replaced",
            silent(healthy(5), 2, 12, 12, &[1, 3, 4, 5]),
            wishes(3),
            remove(2),
            "3 voters are wished",
        ),
    ]);
}
