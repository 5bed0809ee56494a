//! Faults of processes, power and clocks, and the lead handed over.

use paxos::Input;

use super::later;
use crate::report::Mark;
use crate::world::World;

pub(super) fn crash(world: &mut World, victim: usize) {
    let pause = world.random.between(5_000, 1_500_000);
    world.crash(victim, Some(pause));
}

pub(super) fn power_loss(world: &mut World) {
    world.counters.hit(Mark::PowerLosses);
    for host in 0..world.hosts.len() {
        if world.random.per_mille(400) {
            let pause = world.random.between(5_000, 1_000_000);
            world.lose_power(world.hosts[host], Some(pause));
        }
    }
}

pub(super) fn total_power_loss(world: &mut World) {
    world.counters.hit(Mark::TotalPowerLosses);
    for host in 0..world.hosts.len() {
        let pause = world.random.between(5_000, 1_000_000);
        world.lose_power(world.hosts[host], Some(pause));
    }
}

pub(super) fn pause(world: &mut World, victim: usize) {
    world.counters.hit(Mark::Pauses);
    world.replicas[victim].paused_until = later(world, 20_000, 1_500_000);
}

pub(super) fn drift(world: &mut World, victim: usize) {
    world.counters.hit(Mark::Drifts);
    let per_mille = world.random.between(0, 200) as i64 - 100;
    world.replicas[victim].clock.drift(world.now, per_mille);
}

/// Minutes, a day or fifty years, in either direction.
pub(super) fn clock_jump(world: &mut World, victim: usize) {
    world.counters.hit(Mark::ClockJumps);
    let far = world
        .random
        .pick(&[0, 300_000, 86_400_000, 1_576_800_000_000]);
    let off_ms = if world.random.per_mille(500) {
        far
    } else {
        -far
    };
    world.replicas[victim].clock.jump(off_ms);
}

/// Asks whoever leads to hand over to any node that is known there.
pub(super) fn transfer(world: &mut World) {
    let leaders: Vec<usize> = world.leaders().collect();
    let Some(leader) = world.random.pick_any(&leaders) else {
        return;
    };
    let configuration = &world.replicas[leader].disk.image.configuration;
    let voters: Vec<_> = configuration.voters.iter().copied().collect();
    let Some(to) = world.random.pick_any(&voters) else {
        return;
    };
    if world.replicas[leader].is_up(world.now) {
        world.counters.hit(Mark::Transfers);
        world.step(leader, Input::TransferLead { to });
    }
}
