//! Named faults, each with a bound for the recovery: a crash, and the partial connectivity of
//! section 2.13 of the design (Ng et al., *Omni-Paxos*, section 2; four election timeouts is
//! that paper's bound), links that work in one direction only, streams that are stuck.

use paxos::limits::ELECTION_TIMEOUT_MS;
use paxos::{Ballot, RoleName};

use crate::clients::Clients;
use crate::network::Micros;
use crate::world::World;

const PAPER_BOUND_US: Micros = 4 * ELECTION_TIMEOUT_MS * 1_000;
const SEEDS: u64 = 20;

/// A cluster with some load and a leader that everybody follows.
fn settled(seed: u64, count: usize) -> (World, usize, Ballot) {
    let mut world = World::new(seed, count, Clients::new(4, 100));
    let begun = run_until(&mut world, 3_000_000, |world| {
        world.settled_leader().is_some()
    });
    assert!(begun, "seed {seed}: a new cluster has a leader");
    let pause = world.random.between(300_000, 600_000);
    world.run(world.now + pause, |_| false);
    let (leader, ballot) = world.settled_leader().expect("nothing happened");
    (world, leader, ballot)
}

fn run_until(world: &mut World, within: Micros, holds: impl Fn(&World) -> bool) -> bool {
    let end = world.now + within;
    while world.now < end && !holds(world) {
        world.run(world.now + 1_000, |_| false);
    }
    holds(world)
}

/// Whether a node leads above `ballot`, is content, and has decided something there.
fn is_led_above(world: &World, ballot: Ballot, decided: u64) -> bool {
    (0..world.nodes.len())
        .filter_map(|node| world.status(node))
        .any(|status| {
            status.role == RoleName::Leader
                && status.happy
                && status.promised > ballot
                && status.decided.0 > decided
        })
}

fn highest_decided(world: &World) -> u64 {
    let statuses = (0..world.nodes.len()).filter_map(|node| world.status(node));
    statuses.map(|status| status.decided.0).max().unwrap_or(0)
}

/// Runs one fault over many seeds and prints how long it took to lead and decide again.
fn measure(
    name: &str,
    count: usize,
    bound_us: Micros,
    elections_max: u64,
    fault: impl Fn(&mut World, usize),
) {
    let mut times = Vec::new();
    for seed in 0..SEEDS {
        let (mut world, leader, ballot) = settled(seed, count);
        fault(&mut world, leader);
        let (began, before) = (world.now, world.counters.elections);
        // What was under way when the fault struck may still be decided at the old ballot.
        let decided = highest_decided(&world);
        let again = |world: &World| is_led_above(world, ballot, decided);
        let recovered = run_until(&mut world, 20 * bound_us, again);
        assert!(recovered, "{name}, seed {seed}: nobody leads");
        times.push(world.now - began);
        let elections = world.counters.elections - before;
        assert!(
            elections <= elections_max,
            "{name}, seed {seed}: {elections} elections"
        );
        keeps_its_leader(name, &mut world);
    }
    times.sort_unstable();
    let (median, worst) = (
        times[times.len() / 2] / 1_000,
        times[times.len() - 1] / 1_000,
    );
    println!("{name}: median {median} ms, worst {worst} ms of {SEEDS} seeds");
    assert!(worst * 1_000 <= bound_us, "{name}: {times:?}");
}

/// After the recovery the leader stays, and clients are served.
fn keeps_its_leader(name: &str, world: &mut World) {
    let elections = world.counters.elections;
    let acknowledged = world.clients.done();
    world.run(world.now + 3_000_000, |_| false);
    assert!(
        world.counters.elections <= elections + 1,
        "{name}: elections go on"
    );
    assert!(
        world.clients.done() > acknowledged + 10,
        "{name}: clients are served"
    );
}

#[test]
fn a_crashed_leader_is_replaced() {
    for count in [3, 5] {
        let name = format!("leader of {count} crashes");
        measure(&name, count, 450_000, 2, |world, leader| {
            world.alive.remove(&leader);
            world.crash(leader, None);
        });
    }
}

/// Only one node reaches a majority; the leader is alive and reaches only that node.
#[test]
fn quorum_loss_moves_the_leader_to_the_connected_node() {
    measure("quorum loss", 5, PAPER_BOUND_US, 1, |world, leader| {
        let hub = (leader + 1) % 5;
        world.network.keep_only(|from, to| from == hub || to == hub);
    });
}

/// The leader is gone; only one node reaches a majority, and its log is behind.
#[test]
fn a_constrained_election_is_won_by_a_node_that_is_behind() {
    measure(
        "constrained election",
        5,
        PAPER_BOUND_US,
        1,
        |world, leader| {
            let hub = (leader + 1) % 5;
            for node in (0..5).filter(|node| *node != hub) {
                world.network.cut_both(hub, node);
            }
            world.run(world.now + 150_000, |_| false);
            let behind = world.status(hub).expect("it runs").decided;
            let ahead = world.status(leader).expect("it runs").decided;
            assert!(behind < ahead, "the hub is behind");
            let gone = move |node| node == leader;
            let linked = move |from, to| (from == hub || to == hub) && !gone(from) && !gone(to);
            world.network.keep_only(linked);
        },
    );
}

/// B - A - C: B leads, C cannot hear it, but hears from A that there is a leader.
#[test]
fn chained_nodes_keep_their_leader() {
    for seed in 0..SEEDS {
        let (mut world, leader, _) = settled(seed, 3);
        let middle = (leader + 1) % 3;
        world
            .network
            .keep_only(|from, to| from == middle || to == middle);
        let elections = world.counters.elections;
        let (done, cut) = (world.clients.done(), world.now);
        world.run(cut + 5_000_000, |_| false);
        assert!(
            world.counters.elections <= elections + 1,
            "seed {seed}: at most one election"
        );
        assert!(
            world.clients.done() > done + 10,
            "seed {seed}: clients are served"
        );
        let lag = highest_decided(&world) - world.status((leader + 2) % 3).unwrap().decided.0;
        assert!(
            lag <= 200,
            "seed {seed}: the far end learns through the middle, lag {lag}"
        );
    }
}

/// One directed link is dead for ever.
#[test]
fn one_way_links_end_in_a_stable_leader() {
    let mut most = 0;
    for count in [3, 5] {
        for seed in 0..SEEDS {
            for inwards in [true, false] {
                let (mut world, leader, _) = settled(seed, count);
                let other = (leader + 1 + seed as usize % (count - 1)) % count;
                let (from, to) = if inwards {
                    (other, leader)
                } else {
                    (leader, other)
                };
                world.network.cut_one_way(from, to);
                let (done, elections) = (world.clients.done(), world.counters.elections);
                world.run(world.now + 5_000_000, |_| false);
                most = most.max(world.counters.elections - elections);
                assert!(
                    world.counters.elections <= elections + 1,
                    "seed {seed}: one election"
                );
                assert!(
                    world.clients.done() > done + 10,
                    "seed {seed}: clients are served"
                );
            }
        }
    }
    println!("one-way links: at most {most} elections");
}

/// Heartbeats pass, proposals do not.
#[test]
fn a_stuck_leader_steps_down() {
    measure("stuck accept stream", 5, 1_600_000, 1, |world, leader| {
        world.mute = Some(leader);
    });
}

/// A quorum decides without the leader's disk, but the leader cannot answer its clients.
#[test]
fn a_leader_whose_disk_hangs_steps_down() {
    measure("leader's disk hangs", 5, 1_600_000, 1, |world, leader| {
        world.nodes[leader].disk.latency_us = (60_000_000, 60_000_000);
    });
}

#[test]
fn slow_disks_do_not_prevent_an_election() {
    measure(
        "crash on disks of 300 ms",
        5,
        2_500_000,
        2,
        |world, leader| {
            for node in &mut world.nodes {
                node.disk.latency_us = (250_000, 350_000);
            }
            world.run(world.now + 3_000_000, |_| false);
            world.alive.remove(&leader);
            world.crash(leader, None);
        },
    );
}

#[test]
fn all_nodes_lose_power_and_come_back() {
    measure("power loss of all", 5, 900_000, 2, |world, _| {
        for node in 0..5 {
            world.crash(node, Some(1_000));
        }
    });
}

/// A leader that nobody overtook goes on when the network does.
#[test]
fn a_leader_resumes_after_a_total_network_failure() {
    for seed in 0..SEEDS {
        let (mut world, leader, ballot) = settled(seed, 5);
        let elections = world.counters.elections;
        world.network.keep_only(|_, _| false);
        world.run(world.now + 2_000_000, |_| false);
        let status = world.status(leader).expect("it runs");
        assert!(
            !status.accepts_proposals && status.role == RoleName::Leader,
            "it waits"
        );
        world.network.heal();
        let done = world.clients.done();
        world.run(world.now + 2_500_000, |_| false);
        assert_eq!(
            world.counters.elections, elections,
            "seed {seed}: no election"
        );
        assert_eq!(
            world.settled_leader(),
            Some((leader, ballot)),
            "seed {seed}: the same leader"
        );
        assert!(
            world.clients.done() > done + 10,
            "seed {seed}: clients are served"
        );
    }
}
