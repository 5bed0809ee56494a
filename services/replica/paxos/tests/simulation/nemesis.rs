//! Faults at random moments: crashes, power loss of all nodes, partitions of every shape,
//! pauses, slow disks and state machines, bad links, clocks that run apart.

use crate::network::Micros;
use crate::world::World;

/// How hard a run is. Drawn from its seed, so that some runs stress one kind of fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// Mean time between faults.
    pub(crate) pause_us: Micros,
    /// Weights of the kinds of fault.
    weights: [u64; 8],
}

const CRASH: usize = 0;
const POWER: usize = 1;
const PARTITION: usize = 2;
const ONE_WAY: usize = 3;
const HEAL: usize = 4;
const DISK: usize = 5;
const PAUSE: usize = 6;
const LINKS: usize = 7;

impl Profile {
    pub(crate) fn draw(world: &mut World) -> Self {
        let random = &mut world.random;
        let pause_us = [100_000, 250_000, 600_000][random.index(3)];
        let mut weights = [3, 1, 3, 2, 4, 2, 2, 2];
        for weight in &mut weights {
            if random.per_mille(250) {
                *weight = 0;
            }
        }
        weights[HEAL] = weights[HEAL].max(1);
        if random.per_mille(350) {
            // Slow links keep many slots undecided, so that ballots contend for them.
            world.network.delay_us = (10_000, 70_000);
            weights[LINKS] = 0;
            weights[POWER] += 2;
        }
        Self { pause_us, weights }
    }

    fn pick(&self, world: &mut World) -> usize {
        let total: u64 = self.weights.iter().sum();
        let mut number = world.random.between(0, total - 1);
        for (kind, weight) in self.weights.iter().enumerate() {
            if number < *weight {
                return kind;
            }
            number -= weight;
        }
        HEAL
    }
}

/// Runs the cluster until `end` with faults.
pub(crate) fn torment(world: &mut World, profile: Profile, end: Micros) {
    while world.now < end {
        let pause = world.random.between(1, 2 * profile.pause_us);
        let at = (world.now + pause).min(end);
        world.run(at, |_| false);
        strike(world, profile);
    }
}

fn strike(world: &mut World, profile: Profile) {
    let count = world.nodes.len();
    let node = victim(world);
    match profile.pick(world) {
        CRASH => {
            let pause = world.random.between(5_000, 2_000_000);
            world.crash(node, Some(pause));
        }
        POWER => {
            world.counters.power_losses += 1;
            for node in 0..count {
                let pause = world.random.between(5_000, 1_500_000);
                world.crash(node, Some(pause));
            }
        }
        PARTITION => partition(world),
        ONE_WAY => {
            for from in 0..count {
                for to in 0..count {
                    if from != to && world.random.per_mille(200) {
                        world.counters.one_way_links += 1;
                        world.network.cut_one_way(from, to);
                    }
                }
            }
        }
        HEAL => world.network.heal(),
        DISK => {
            let slowest = [2_000, 2_000, 20_000, 100_000, 400_000][world.random.index(5)];
            world.counters.slow_disks += 1;
            world.nodes[node].disk.latency_us = (slowest / 10, slowest);
            world.nodes[node].apply_us = [200, 2_000, 50_000][world.random.index(3)];
        }
        PAUSE => {
            let pause = world.random.between(20_000, 1_500_000);
            world.counters.pauses += 1;
            world.nodes[node].paused_until = world.now + pause;
        }
        LINKS => {
            let random = &mut world.random;
            world.network.loss = [0, 0, 10, 100, 300][random.index(5)];
            world.network.duplication = [0, 0, 50, 200][random.index(4)];
            world.network.reorders = random.per_mille(300);
            world.network.delay_us =
                [(100, 1_000), (50, 5_000), (1_000, 40_000), (5_000, 80_000)][random.index(4)];
            world.nodes[node].drift = random.between(0, 100) as i64 - 50;
        }
        _ => unreachable!("a kind of fault"),
    }
}

/// Any node, but the one that leads as often as all others together.
fn victim(world: &mut World) -> usize {
    let count = world.nodes.len();
    let any = world.random.index(count);
    let leads = |node: &usize| {
        let status = world.status(*node);
        status.is_some_and(|status| status.role == paxos::RoleName::Leader)
    };
    let leader = (0..count).find(leads);
    if world.random.per_mille(500) {
        leader.unwrap_or(any)
    } else {
        any
    }
}

/// Cuts the network into one of the shapes of section 2.13 of the design, or into two parts.
fn partition(world: &mut World) {
    let count = world.nodes.len();
    let mut order = world.random.shuffled(count);
    // The leader comes first as often as not: alone, the hub, or the end of the chain.
    let first = victim(world);
    if let Some(place) = order.iter().position(|node| *node == first) {
        order.swap(0, place);
    }
    let place = |node: usize| order.iter().position(|other| *other == node).unwrap_or(0);
    world.counters.partitions += 1;
    match world.random.index(4) {
        0 => {
            let cut = world.random.between(0, count as u64) as usize;
            world
                .network
                .keep_only(|from, to| (place(from) < cut) == (place(to) < cut));
        }
        1 => world
            .network
            .keep_only(|from, to| place(from) > 0 && place(to) > 0),
        2 => world
            .network
            .keep_only(|from, to| place(from) == 0 || place(to) == 0),
        _ => world
            .network
            .keep_only(|from, to| place(from).abs_diff(place(to)) == 1),
    }
}
