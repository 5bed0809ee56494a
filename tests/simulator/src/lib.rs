//! Whole clusters of the real core in one thread: one seed, one history.
//!
//! A run has two halves. In the first, a cluster with clients and an operator works while
//! faults strike: of the network, of processes and power, of clocks, of disks; voters are
//! added, removed and replaced. Every invariant (docs/invariants.md, I1 to I20) is checked with
//! every event. In the second, a quorum is healed, the rest stands still, and the cluster must
//! come to rest (L1 to L6).
//!
//! What is real: the core, and the rules by which a driver feeds it. What is a model: disks,
//! the network, clocks, the state machine. Nothing here reads a clock or has a second thread,
//! so a seed that finds something finds it again: `make sim SEED=42`.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test tool: it prints, and a broken assumption of its own must stop it"
)]

// What surrounds the replicas.
pub mod clock;
pub mod command;
pub mod disk;
pub mod network;
pub mod random;
pub mod slots;
pub mod state;

// The cluster.
pub mod clients;
pub mod knobs;
pub mod replica;
pub mod world;

// What happens to it.
pub mod liveness;
pub mod nemesis;
pub mod tolerance;

// What must hold, and what was seen.
pub mod invariants;
pub mod report;
pub mod violation;

use std::panic::AssertUnwindSafe;

use knobs::Knobs;
use random::Random;
use report::Counters;
use violation::{Broken, Verdict, Violation};
use world::World;

/// How runs are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The number of first voters; drawn from the seed if `None`.
    pub voters: Option<usize>,
    /// What is printed: 0 nothing, 1 what is interesting, 2 every input and output.
    pub verbose: u8,
}

/// What a run without a violation reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The counters.
    pub counters: Counters,
    /// A hash over all that happened.
    pub trace: u64,
}

/// Runs one seed.
///
/// # Errors
///
/// The first thing that did not hold: an invariant, a bound of liveness, or an assertion of the
/// core (as I20).
pub fn run_seed(seed: u64, options: &Options) -> Result<Report, Box<Violation>> {
    let caught = violation::catch(AssertUnwindSafe(|| run(seed, options)));
    let broken = match caught {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(broken)) => broken,
        Err(said) => invariants::i20_no_halt::on_panic(said),
    };
    let at_us = violation::at_us();
    Err(Box::new(Violation {
        seed,
        at_us,
        broken,
    }))
}

fn run(seed: u64, options: &Options) -> Result<Report, Broken> {
    let mut random = Random::new(seed ^ 0x5eed);
    let knobs = Knobs::draw(&mut random, options.voters);
    let mut world = World::new(seed, knobs, options.verbose);
    world.note_all(|| format!("{:?}", world.knobs));
    let verdict = live(&mut world);
    match world.invariants.broken.take() {
        Some(broken) => return Err(broken),
        None => verdict?,
    }
    let agreement = &world.invariants.history.agreement;
    world.counters.decided = agreement.highest().distance_above(paxos::Slot::GENESIS);
    world.counters.seeds = 1;
    world.counters.simulated_us = world.now;
    world.counters.acknowledged = world.clients.done();
    Ok(Report {
        counters: world.counters,
        trace: world.trace,
    })
}

fn live(world: &mut World) -> Verdict {
    nemesis::torment(world);
    if world.is_broken() {
        return Ok(());
    }
    liveness::recover(world)
}
