//! One seed: a cluster, faults for a while, then a quorum heals and must come to rest.

use std::collections::BTreeSet;

use crate::clients::Clients;
use crate::nemesis::{Profile, torment};
use crate::network::Micros;
use crate::report::Counters;
use crate::world::World;

/// The bound of L1. Longer than four election timeouts, because back-off that grew during the
/// faults has to run out: no back-off exceeds 10 s.
const LEADER_US_MAX: Micros = 12_000_000;
/// The bound of L2 and L3 after that.
const QUIET_US_MAX: Micros = 15_000_000;

/// Runs a seed. Answers what it reached and the hash of all that happened.
pub(crate) fn run_seed(seed: u64) -> (Counters, u64) {
    let mut world = new_world(seed);
    let profile = Profile::draw(&mut world);
    let length = world.random.between(2_000_000, 8_000_000);
    torment(&mut world, profile, length);
    recover(&mut world);
    world.invariants.at_end(
        &world
            .nodes
            .iter()
            .map(|n| &n.disk.image)
            .collect::<Vec<_>>(),
    );
    world.counters.seeds = 1;
    world.counters.simulated_us = world.now;
    world.counters.decided = world.invariants.decided_len() as u64;
    world.counters.acknowledged = world.clients.done();
    (world.counters, world.trace)
}

fn new_world(seed: u64) -> World {
    let mut random = crate::random::Random::new(seed ^ 0x5eed);
    let count = [1, 3, 3, 3, 5, 5, 5, 3, 5, 3][random.index(10)];
    // Large commands of many clients make promises of several pages.
    let large = random.per_mille(60);
    let clients = random.between(1, 8) * if large || random.per_mille(200) { 3 } else { 1 };
    let payload_max = if large { 120 * 1024 } else { 200 };
    let mut world = World::new(seed, count, Clients::new(clients as usize, payload_max));
    let think_us = [1_000, 5_000, 50_000][random.index(3)];
    world.think_us = if large { 50_000 } else { think_us };
    world
}

/// Heals a random quorum, freezes the rest, and demands liveness (L1 to L3).
fn recover(world: &mut World) {
    let count = world.nodes.len();
    let order = world.random.shuffled(count);
    let size = world.random.between(count as u64 / 2 + 1, count as u64) as usize;
    world.alive = order[..size].iter().copied().collect::<BTreeSet<_>>();
    for node in 0..count {
        if !world.alive.contains(&node) {
            world.crash(node, None);
        }
        world.nodes[node].disk.latency_us = (200, 2_000);
        world.nodes[node].apply_us = 500;
        world.nodes[node].paused_until = 0;
    }
    world.network.heal();
    (world.network.loss, world.network.duplication) = (0, 0);
    (world.network.reorders, world.network.delay_us) = (false, (100, 1_000));
    for node in world.alive.clone() {
        world.start(node);
    }
    let healed = world.now;
    let settled = run_until(world, LEADER_US_MAX, |world| {
        world.settled_leader().is_some()
    });
    assert!(
        settled,
        "L1: no leader {} s after healing",
        LEADER_US_MAX / 1_000_000
    );
    world.counters.leader_us_max = world.now - healed;
    world.run(world.now + 300_000, |_| false);
    world.clients.active = false;
    let stopped = world.now;
    let quiet = run_until(world, QUIET_US_MAX, World::is_quiet);
    assert!(
        quiet,
        "L2, L3: no quiet {} s after a leader was there",
        QUIET_US_MAX / 1_000_000
    );
    world.counters.quiet_us_max = world.now - stopped;
}

/// Runs in slices of 5 ms, because asking after each event would cost more than the event.
fn run_until(world: &mut World, within: Micros, holds: impl Fn(&World) -> bool) -> bool {
    let end = world.now + within;
    while world.now < end {
        if holds(world) {
            return true;
        }
        world.run(world.now + 5_000, |_| false);
    }
    holds(world)
}
