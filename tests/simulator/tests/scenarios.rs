//! Named faults, each with a bound for the recovery: a crash, and the partial connectivity of
//! section 2.13 of the design (Ng et al., *Omni-Paxos*, section 2; four election timeouts is
//! that paper's bound), links that work in one direction only, streams that are stuck.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test"
)]

use paxos::limits::ELECTION_TIMEOUT_MS;
use paxos::{Ballot, RoleName};
use simulator::knobs::Knobs;
use simulator::network::Micros;
use simulator::world::World;

const PAPER_BOUND_US: Micros = 4 * ELECTION_TIMEOUT_MS * 1_000;
const SEEDS: u64 = 20;

/// A cluster with some load and a leader that everybody follows.
fn settled(seed: u64, count: usize) -> (World, usize, Ballot) {
    let mut world = World::new(seed, Knobs::calm(count), 0);
    let begun = world.run_until(3_000_000, 1_000, |world| world.settled_leader().is_some());
    assert!(begun, "seed {seed}: a new cluster has a leader");
    let pause = world.random.between(300_000, 600_000);
    run_for(&mut world, pause);
    let (leader, ballot) = world.settled_leader().expect("nothing happened");
    (world, leader, ballot)
}

/// Runs for a time; nothing is broken by it.
fn run_for(world: &mut World, time: Micros) {
    world.run(world.now + time);
    assert_eq!(world.invariants.broken, None);
}

/// The node ends for good.
fn kill(world: &mut World, node: usize) {
    world.crash(node, None);
    world.replicas[node].frozen = true;
}

fn elections(world: &World) -> u64 {
    world.counters.of(simulator::report::Mark::Elections)
}

/// Whether a node leads above `ballot`, is content, and has decided something there.
fn is_led_above(world: &World, ballot: Ballot, decided: u64) -> bool {
    (0..world.replicas.len())
        .filter_map(|node| world.status(node))
        .any(|status| {
            status.role == RoleName::Leader
                && status.happy
                && status.promised > ballot
                && status.decided.0 > decided
        })
}

/// The commit index of the node that knows most, and runs.
fn highest_decided(world: &World) -> u64 {
    let statuses = (0..world.replicas.len()).filter_map(|node| world.status(node));
    statuses.map(|status| status.decided.0).max().unwrap_or(0)
}

/// Runs one fault over many seeds and prints how long it took to lead and decide again. Answers
/// the median of that.
fn measure(
    name: &str,
    count: usize,
    bound_us: Micros,
    elections_max: u64,
    fault: impl Fn(&mut World, usize),
) -> Micros {
    let mut times = Vec::new();
    for seed in 0..SEEDS {
        let (mut world, leader, ballot) = settled(seed, count);
        fault(&mut world, leader);
        let (began, before) = (world.now, elections(&world));
        // What was under way when the fault struck may still be decided at the old ballot.
        let decided = highest_decided(&world);
        let again = |world: &World| is_led_above(world, ballot, decided);
        let recovered = world.run_until(20 * bound_us, 1_000, again);
        assert!(recovered, "{name}, seed {seed}: nobody leads");
        assert_eq!(world.invariants.broken, None, "{name}, seed {seed}");
        times.push(world.now - began);
        let elections = elections(&world) - before;
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
    median * 1_000
}

/// After the recovery the leader stays, and clients are served.
fn keeps_its_leader(name: &str, world: &mut World) {
    let (before, acknowledged) = (elections(world), world.clients.done());
    run_for(world, 3_000_000);
    assert!(elections(world) <= before + 1, "{name}: elections go on");
    assert!(
        world.clients.done() > acknowledged + 10,
        "{name}: clients are served"
    );
}

#[test]
fn a_crashed_leader_is_replaced() {
    for count in [3, 5] {
        let name = format!("leader of {count} crashes");
        measure(&name, count, 450_000, 2, kill);
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
            run_for(world, 150_000);
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
    let mut longest = 0;
    for seed in 0..SEEDS {
        let (mut world, leader, _) = settled(seed, 3);
        let middle = (leader + 1) % 3;
        world
            .network
            .keep_only(|from, to| from == middle || to == middle);
        let (before, done, cut) = (elections(&world), world.clients.done(), world.now);
        let served = world.run_until(PAPER_BOUND_US, 1_000, |w| w.clients.done() > done + 4);
        assert!(served, "seed {seed}: clients are served again");
        longest = longest.max(world.now - cut);
        run_for(&mut world, 5_000_000);
        assert!(
            elections(&world) <= before + 1,
            "seed {seed}: at most one election"
        );
        assert!(
            world.clients.done() > done + 10,
            "seed {seed}: clients are served"
        );
        let far = world.status((leader + 2) % 3).expect("it runs").decided.0;
        let lag = highest_decided(&world) - far;
        assert!(
            lag <= 200,
            "seed {seed}: the far end learns through the middle, lag {lag}"
        );
    }
    println!(
        "chained: at most {} ms until clients are served",
        longest / 1_000
    );
}

/// One directed link is dead for ever.
#[test]
fn one_way_links_end_in_a_stable_leader() {
    let (mut most, mut longest) = (0, 0);
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
                let (done, before, cut) = (world.clients.done(), elections(&world), world.now);
                let served = |world: &World| world.clients.done() > done + 4;
                let again = world.run_until(PAPER_BOUND_US, 1_000, served);
                assert!(again, "seed {seed}: clients are served again");
                longest = longest.max(world.now - cut);
                run_for(&mut world, 5_000_000);
                most = most.max(elections(&world) - before);
                assert!(elections(&world) <= before + 1, "seed {seed}: one election");
                assert!(
                    world.clients.done() > done + 10,
                    "seed {seed}: clients are served"
                );
            }
        }
    }
    let ms = longest / 1_000;
    println!("one-way links: at most {most} elections, {ms} ms until clients are served");
}

/// Heartbeats pass, proposals do not.
#[test]
fn a_stuck_leader_steps_down() {
    measure("stuck accept stream", 5, 1_600_000, 1, |world, leader| {
        world.network.muted = Some((world.replicas[leader].host, Micros::MAX));
    });
}

/// A quorum decides without the leader's disk, but the leader cannot answer its clients.
#[test]
fn a_leader_whose_disk_hangs_steps_down() {
    measure("leader's disk hangs", 5, 1_600_000, 1, |world, leader| {
        world.replicas[leader].disk.latency_us = (60_000_000, 60_000_000);
    });
}

/// On slow disks an election timeout is three commits; the paper's bound is four of them. Most
/// elections need no second candidate: the median stays below two.
#[test]
fn slow_disks_do_not_prevent_an_election() {
    let timeout_us = 3 * 300_000;
    let name = "crash on disks of 300 ms";
    let median_us = measure(name, 5, 4 * timeout_us, 2, |world, leader| {
        for replica in &mut world.replicas {
            replica.disk.latency_us = (250_000, 350_000);
        }
        run_for(world, 3_000_000);
        kill(world, leader);
    });
    assert!(median_us <= 2 * timeout_us, "{name}: median {median_us} us");
}

#[test]
fn all_nodes_lose_power_and_come_back() {
    measure("power loss of all", 5, 900_000, 2, |world, _| {
        for node in 0..5 {
            world.lose_power(node, Some(1_000));
        }
    });
}

/// A leader that nobody overtook goes on when the network does.
#[test]
fn a_leader_resumes_after_a_total_network_failure() {
    for seed in 0..SEEDS {
        let (mut world, leader, ballot) = settled(seed, 5);
        let before = elections(&world);
        world.network.keep_only(|_, _| false);
        run_for(&mut world, 2_000_000);
        let status = world.status(leader).expect("it runs");
        let waits = !status.accepts_proposals && status.role == RoleName::Leader;
        assert!(waits, "seed {seed}: it waits");
        world.network.heal();
        let done = world.clients.done();
        run_for(&mut world, 2_500_000);
        assert_eq!(elections(&world), before, "seed {seed}: no election");
        let settled = world.settled_leader();
        assert_eq!(
            settled,
            Some((leader, ballot)),
            "seed {seed}: the same leader"
        );
        assert!(
            world.clients.done() > done + 10,
            "seed {seed}: clients are served"
        );
    }
}
