//! The second half of a run: a quorum is healed, the rest stands still for ever, and the
//! cluster must come to rest (L1 to L6 of docs/invariants.md).
//!
//! Chandra, Griesemer, Redstone, *Paxos Made Live* (2007), section 6.3: tests in "safety mode"
//! and then in "liveness mode".

use std::collections::BTreeSet;

use paxos::limits::ELECTION_TIMEOUT_MS;
use paxos::{NodeId, Slot};

use crate::disk::LATENCY_US;
use crate::network::Micros;
use crate::replica::{Fate, Replica};
use crate::violation::{Verdict, hold};
use crate::world::World;

/// The bound of L1 when all healed processes have just started.
const FRESH_LEADER_US_MAX: Micros = 4 * ELECTION_TIMEOUT_MS * 1_000;
/// The bound of L1 when they have not: back-off that grew during the faults has to run out,
/// and none exceeds 10 s.
const LEADER_US_MAX: Micros = 12_000_000;
/// How long load goes on after that, at least.
const LOAD_US: Micros = 200_000;
/// The bound of L4 to L6 while it does.
const PROGRESS_US_MAX: Micros = 8_000_000;
/// The bound of L2 and L3 after that.
const QUIET_US_MAX: Micros = 8_000_000;

/// Heals, and demands liveness.
pub fn recover(world: &mut World) -> Verdict {
    heal(world);
    let fresh = world.random.per_mille(500);
    if fresh {
        restart(world);
    }
    lead(world, fresh)?;
    progress(world)?;
    rest(world)?;
    check_end(world)
}

/// Chooses who is healed and mends everything around them.
fn heal(world: &mut World) {
    let healed = choose(world);
    world.healed = true;
    world.network.mend();
    for node in 0..world.replicas.len() {
        let replica = &mut world.replicas[node];
        let id = replica.id();
        replica.frozen = !id.is_some_and(|id| healed.contains(&id));
        replica.disk.latency_us = LATENCY_US;
        replica.disk.fails = false;
        replica.apply_us = world.knobs.apply_us.min(500);
        replica.full_until = 0;
        if replica.frozen {
            world.crash(node, None);
        }
        let replica = &mut world.replicas[node];
        replica.paused_until = 0;
        replica.clock.drift(world.now, 0);
    }
    world.note_all(|| format!("healed: {healed:?}"));
    for node in 0..world.replicas.len() {
        world.start(node);
    }
}

/// A random quorum of whole voters of every configuration in force, and some others.
fn choose(world: &mut World) -> BTreeSet<NodeId> {
    let mut healed = BTreeSet::new();
    let in_force: Vec<BTreeSet<NodeId>> = world.in_force().cloned().collect();
    for voters in in_force {
        let mut whole: Vec<NodeId> = voters.iter().copied().collect();
        whole.retain(|id| {
            world
                .replica_of(*id)
                .is_some_and(|n| world.replicas[n].is_whole())
        });
        world.random.shuffle(&mut whole);
        let missing = (voters.len() / 2 + 1).saturating_sub(healed.intersection(&voters).count());
        whole.retain(|id| !healed.contains(id));
        healed.extend(whole.into_iter().take(missing));
    }
    let others: Vec<NodeId> = (world.hosts.iter())
        .map(|node| &world.replicas[*node])
        .filter(|replica| replica.fate == Fate::Sound)
        .filter_map(Replica::id)
        .collect();
    let chance = world.random.pick(&[0, 500, 1_000]);
    healed.extend(
        others
            .into_iter()
            .filter(|_| world.random.per_mille(chance)),
    );
    healed
}

fn restart(world: &mut World) {
    for node in 0..world.replicas.len() {
        if !world.replicas[node].frozen {
            world.lose_power(node, None);
            world.start(node);
        }
    }
}

/// L1: somebody leads, and a quorum follows.
fn lead(world: &mut World, fresh: bool) -> Verdict {
    let within = if fresh {
        FRESH_LEADER_US_MAX
    } else {
        LEADER_US_MAX
    };
    let healed = world.now;
    let settled = world.run_until(within, 10_000, World::is_led);
    if !world.is_broken() {
        hold!(
            "L1",
            settled,
            "no leader within {} ms of healing",
            within / 1_000
        );
    }
    world.counters.leader_us_max = world.now - healed;
    Ok(())
}

/// L4, L5, L6: while load goes on, epochs settle, learners catch up and keep up, writes and
/// reads succeed.
fn progress(world: &mut World) -> Verdict {
    for _ in 0..2 {
        let (writes, reads) = (world.clients.done(), world.clients.reads_done());
        let reference = world.highest_decided();
        world.run(world.now + LOAD_US);
        let fresh = |world: &World| {
            let wrote = world.clients.done() > writes + 3;
            let read = world.clients.reads_done() > reads + 1 || world.clients.readers.is_empty();
            wrote && read
        };
        let all =
            |world: &World| fresh(world) && settled(world) && behind(world, reference).is_empty();
        let done = world.run_until(PROGRESS_US_MAX, 20_000, all);
        if world.is_broken() {
            return Ok(());
        }
        let s = PROGRESS_US_MAX / 1_000_000;
        hold!(
            "L6",
            done || fresh(world),
            "writes or reads do not succeed within {s} s"
        );
        hold!(
            "L4",
            done || settled(world),
            "an epoch has not settled within {s} s"
        );
        let behind = behind(world, reference);
        hold!("L5", done, "{behind:?} are behind {reference} after {s} s");
    }
    Ok(())
}

/// Every healed node is in the last epoch, and its first entry is decided.
fn settled(world: &World) -> bool {
    let epochs = &world.invariants.epochs;
    let last = epochs.last();
    let there =
        |replica: &&Replica| replica.frozen || replica.disk.image.configuration.epoch == last.epoch;
    epochs.ready() == last.epoch && world.replicas.iter().all(|replica| there(&replica))
}

/// The healed nodes that lack something up to `reference`.
fn behind(world: &World, reference: Slot) -> Vec<(NodeId, Slot)> {
    let healed = world.replicas.iter().filter(|replica| !replica.frozen);
    let behind = healed.filter(|replica| replica.state.slot < reference);
    behind
        .filter_map(|replica| Some((replica.id()?, replica.state.slot)))
        .collect()
}

/// L2, L3: when clients stop, everybody who waits is answered, and all healed nodes are alike.
fn rest(world: &mut World) -> Verdict {
    world.clients.active = false;
    let stopped = world.now;
    let quiet = world.run_until(QUIET_US_MAX, 10_000, World::is_quiet);
    if world.is_broken() {
        return Ok(());
    }
    let s = QUIET_US_MAX / 1_000_000;
    hold!("L2", world.clients.idle(), "a client waits for {s} s");
    hold!("L3", quiet, "the healed nodes are not alike after {s} s");
    world.counters.quiet_us_max = world.now - stopped;
    Ok(())
}

/// What holds at the end of a run, over all of it.
fn check_end(world: &mut World) -> Verdict {
    if world.is_broken() {
        return Ok(());
    }
    let decided = world.highest_decided();
    world.invariants.at_end(decided)?;
    check_holders(world, decided)?;
    // Each log is compacted behind its state.
    let all = world.knobs.upkeep_us;
    world.run(world.now + 2 * all + 500_000);
    for (node, replica) in world.replicas.iter().enumerate() {
        if !replica.frozen && replica.process.is_some() {
            let most = world.knobs.tail + paxos::limits::WINDOW_SLOTS_MAX;
            let rows = replica.disk.image.rows.len();
            world.invariants.at_end_log(replica.who(node), rows, most)?;
        }
    }
    Ok(())
}

/// I7: every decided slot is on a quorum of the disks of the last epoch, lost ones counted.
fn check_holders(world: &World, decided: Slot) -> Verdict {
    let voters = &world.invariants.epochs.last().voters;
    let quorum = voters.len() / 2 + 1;
    let disks: Vec<_> = (voters.iter())
        .filter_map(|id| world.replica_of(*id))
        .map(|node| &world.replicas[node])
        .collect();
    let lost = disks
        .iter()
        .filter(|replica| replica.fate == Fate::Lost)
        .count();
    let sound = disks.iter().filter(|replica| replica.fate == Fate::Sound);
    let stored: Vec<_> = sound.collect();
    for slot in (Slot::FIRST.0..=decided.0).map(Slot) {
        let holders = stored.iter().filter(|replica| replica.holds(slot)).count();
        world.invariants.at_end_slot(slot, holders, lost, quorum)?;
    }
    Ok(())
}
