//! Faults of disks: slow, full, failing; rows that are flipped, lost or misplaced; disks that
//! are wiped, or show an earlier state.

use std::rc::Rc;

use super::later;
use crate::disk::LATENCY_US;
use crate::network::Micros;
use crate::replica::Fate;
use crate::report::Mark;
use crate::world::World;

pub(super) fn slow(world: &mut World, victim: usize) {
    let slowest = world.random.pick(&[2_000, 2_000, 20_000, 100_000, 400_000]);
    let apply_us = world.random.pick(&[200, 2_000, 50_000]);
    if slowest > LATENCY_US.1 {
        world.counters.hit(Mark::SlowDisks);
    }
    let replica = &mut world.replicas[victim];
    replica.disk.latency_us = (slowest / 10, slowest);
    replica.apply_us = apply_us;
}

pub(super) fn full(world: &mut World, victim: usize) {
    world.counters.hit(Mark::FullDisks);
    world.replicas[victim].full_until = later(world, 100_000, 3_000_000);
}

pub(super) fn sync_error(world: &mut World, victim: usize) {
    world.replicas[victim].disk.fails = true;
}

/// How long a node with a damaged disk stays down.
fn pause(world: &mut World) -> Micros {
    world.random.between(5_000, 800_000)
}

/// Flips one to three rows while the node has no power.
pub(super) fn damage(world: &mut World, victim: usize) {
    if !world.may_lose(victim) {
        return;
    }
    let pause = pause(world);
    world.lose_power(victim, Some(pause));
    let count = world.random.between(1, 3);
    for _ in 0..count {
        let rows: Vec<_> = world.replicas[victim]
            .disk
            .image
            .rows
            .keys()
            .copied()
            .collect();
        // Recent rows matter most: half of the time one of the last ten.
        let recent = rows.len().saturating_sub(10);
        let from = if world.random.per_mille(500) {
            recent
        } else {
            0
        };
        if let Some(slot) = world.random.pick_any(&rows[from..]) {
            world.counters.hit(Mark::DamagedRows);
            world.note(victim, || format!("{slot} is flipped on its disk"));
            world.replicas[victim].disk.image.damaged.insert(slot);
        }
    }
}

/// A write was lost or went to another place, in a way that the file shows: it is refused.
pub(super) fn quarantine(world: &mut World, victim: usize) {
    if world.may_lose(victim) {
        let pause = pause(world);
        world.lose_power(victim, Some(pause));
        let replica = &mut world.replicas[victim];
        replica.disk.image.refused = true;
        replica.fate = Fate::Lost;
    }
}

/// The node that runs on the host afterwards is another one. A lost disk is replaced, too.
pub(super) fn wipe(world: &mut World, victim: usize) {
    let lost: Vec<usize> = (world.hosts.iter().copied())
        .filter(|node| world.replicas[*node].fate == Fate::Lost)
        .collect();
    if let Some(node) = world.random.pick_any(&lost) {
        world.replace_disk(node);
    } else if world.may_lose(victim) {
        world.counters.hit(Mark::WipedDisks);
        world.replace_disk(victim);
    }
}

/// The disk shows an earlier image, as after a backup was restored or a disk lied about what
/// it had stored. If no witness would know, a new backup is taken instead.
pub(super) fn turn_back(world: &mut World, victim: usize) {
    let replica = &world.replicas[victim];
    let Some(backup) = &replica.backup else {
        back_up(world, victim);
        return;
    };
    let to = backup.0.disk_seq;
    if !world.may_turn_back(victim, &backup.0) {
        if world.random.per_mille(200) {
            back_up(world, victim);
        }
        return;
    }
    world.counters.hit(Mark::TurnedBack);
    let pause = pause(world);
    world.lose_power(victim, Some(pause));
    // The backup of the log alone is restored, or of both files. A log that is behind its state
    // is refused at the start.
    let log_only = world.random.per_mille(300);
    let replica = &mut world.replicas[victim];
    if let Some((image, stored)) = replica.backup.take().map(|backup| *backup) {
        replica.disk.image = image;
        if !log_only {
            replica.state = (*stored).clone();
            replica.stored = stored;
        }
    }
    replica.fate = Fate::Lost;
    replica.turned_back = true;
    world.note(victim, || format!("its disk is turned back to {to}"));
}

fn back_up(world: &mut World, victim: usize) {
    let replica = &mut world.replicas[victim];
    if replica.is_whole() && replica.id().is_some() {
        let image = replica.disk.image.clone();
        replica.backup = Some(Box::new((image, Rc::clone(&replica.stored))));
    }
}
