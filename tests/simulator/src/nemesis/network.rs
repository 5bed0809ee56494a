//! Faults of the network: what Alquraan et al. (OSDI 2018) and Ng et al. (*Omni-Paxos*, EuroSys
//! 2023) found to break systems, and FoundationDB's clogging and swizzling.

use super::later;
use crate::report::Mark;
use crate::world::{Event, World};

pub(super) fn bad_links(world: &mut World) {
    world.counters.hit(Mark::BadLinks);
    let random = &mut world.random;
    let ways = [(100, 1_000), (50, 5_000), (1_000, 40_000), (5_000, 80_000)];
    let network = &mut world.network;
    network.loss = random.pick(&[0, 0, 10, 100, 300]);
    network.duplication = random.pick(&[0, 0, 50, 200]);
    network.reorders = random.per_mille(300);
    network.delay_us = random.pick(&ways);
}

/// The hosts in random order, the one of `first` in front: the leader's, as often as not.
fn order(world: &mut World, first: usize) -> Vec<usize> {
    let count = world.network.hosts();
    let mut order = world.random.shuffled(count);
    let host = world.replicas[first].host;
    if let Some(place) = order.iter().position(|other| *other == host) {
        order.swap(0, place);
    }
    order
}

/// By host: its place in the order.
fn places(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    for (place, host) in order.iter().enumerate() {
        places[*host] = place;
    }
    places
}

pub(super) fn partition(world: &mut World, first: usize) {
    world.counters.hit(Mark::Partitions);
    let order = order(world, first);
    let cut = world.random.index(order.len() + 1);
    let place = places(&order);
    world
        .network
        .keep_only(|from, to| (place[from] < cut) == (place[to] < cut));
}

pub(super) fn isolate(world: &mut World, victim: usize) {
    world.counters.hit(Mark::Isolations);
    let host = world.replicas[victim].host;
    world.network.isolate(host, true);
}

pub(super) fn hub(world: &mut World, first: usize) {
    world.counters.hit(Mark::Hubs);
    let place = places(&order(world, first));
    world
        .network
        .keep_only(|from, to| place[from] == 0 || place[to] == 0);
}

pub(super) fn chain(world: &mut World, first: usize) {
    world.counters.hit(Mark::Chains);
    let place = places(&order(world, first));
    world
        .network
        .keep_only(|from, to| place[from].abs_diff(place[to]) == 1);
}

pub(super) fn one_way(world: &mut World) {
    let hosts = world.network.hosts();
    for from in 0..hosts {
        for to in 0..hosts {
            if from != to && world.random.per_mille(200) {
                world.counters.hit(Mark::OneWayLinks);
                world.network.cut_one_way(from, to);
            }
        }
    }
}

pub(super) fn clog(world: &mut World) {
    let hosts = world.network.hosts();
    let until = later(world, 50_000, 1_500_000);
    for from in 0..hosts {
        for to in 0..hosts {
            if from != to && world.random.per_mille(250) {
                world.counters.hit(Mark::Clogs);
                world.network.clog(from, to, until);
            }
        }
    }
}

/// Cuts hosts off one by one, and joins them again one by one in another order.
pub(super) fn swizzle(world: &mut World) {
    world.counters.hit(Mark::Swizzles);
    let hosts = world.network.hosts();
    let mut some = world.random.shuffled(hosts);
    some.truncate(world.random.index(hosts) + 1);
    let mut at = world.now;
    for isolated in [true, false] {
        for host in &some {
            at += world.random.between(1_000, 200_000);
            world.schedule(
                at,
                Event::Isolate {
                    host: *host,
                    isolated,
                },
            );
        }
        world.random.shuffle(&mut some);
    }
}

pub(super) fn mute(world: &mut World, victim: usize) {
    world.counters.hit(Mark::Mutes);
    let (host, until) = (
        world.replicas[victim].host,
        later(world, 100_000, 2_000_000),
    );
    world.network.muted = Some((host, until));
}
