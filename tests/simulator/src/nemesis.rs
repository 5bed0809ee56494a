//! Faults at random moments, of the kinds and with the weights that the seed has drawn.
//!
//! `nemesis/network.rs`, `nemesis/process.rs` and `nemesis/disk.rs` say what each kind does;
//! `tolerance.rs` says how much may be broken at once.

mod disk;
mod network;
mod process;

use crate::network::Micros;
use crate::world::World;

macro_rules! faults {
    ($($fault:ident weighs $weight:literal: $what:literal),* $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault {
            $(#[doc = $what] $fault,)*
        }

        /// All kinds.
        pub const FAULTS: &[Fault] = &[$(Fault::$fault,)*];

        impl Fault {
            /// How often it is taken, compared with the others.
            #[must_use]
            pub const fn weight(self) -> u64 {
                match self { $(Self::$fault => $weight,)* }
            }
        }
    };
}

faults! {
    BadLinks weighs 2: "Loss, duplication, delay and order of all links change.",
    Partition weighs 1: "The hosts fall into two parts.",
    Isolate weighs 1: "One host is cut off.",
    Hub weighs 1: "Only one host reaches the others.",
    Chain weighs 1: "Each host reaches its neighbours in a row only.",
    OneWay weighs 2: "Some links work in one direction only.",
    Clog weighs 2: "Some links hold everything for a while.",
    Swizzle weighs 1: "Hosts are cut off one by one, and joined again in another order.",
    Mute weighs 1: "The rows of one host are lost, its heartbeats are not.",
    Heal weighs 6: "All hosts reach each other.",
    Crash weighs 3: "A process is killed.",
    PowerLoss weighs 2: "Some nodes lose power at once.",
    TotalPowerLoss weighs 1: "All nodes lose power at once.",
    Pause weighs 2: "A process stands still for a while.",
    Drift weighs 1: "A clock runs faster or slower.",
    ClockJump weighs 1: "A wall clock jumps.",
    SlowDisk weighs 2: "A disk and its state machine are slow, or fast again.",
    FullDisk weighs 1: "A disk is nearly full for a while.",
    SyncError weighs 1: "The next commit of a disk fails.",
    Damage weighs 2: "A node loses power, and some rows on its disk are flipped.",
    Quarantine weighs 1: "A node loses power, and its log is refused: a row was lost or misplaced.",
    Wipe weighs 1: "A disk is replaced by an empty one.",
    TurnBack weighs 2: "A node loses power, and its disk shows an earlier image.",
    Transfer weighs 2: "The leader is asked to hand over.",
}

/// Runs the cluster for a time with faults.
pub fn torment(world: &mut World) {
    let end = world.now + world.knobs.faults_us;
    while world.now < end && !world.is_broken() {
        let pause = world.random.between(1, 2 * world.knobs.pause_us);
        world.run((world.now + pause).min(end));
        if !world.is_broken() {
            strike(world);
        }
    }
}

/// One fault.
fn strike(world: &mut World) {
    let fault = world.knobs.fault(&mut world.random);
    let victim = victim(world);
    world.note_all(|| format!("{fault:?}"));
    match fault {
        Fault::BadLinks => network::bad_links(world),
        Fault::Partition => network::partition(world, victim),
        Fault::Isolate => network::isolate(world, victim),
        Fault::Hub => network::hub(world, victim),
        Fault::Chain => network::chain(world, victim),
        Fault::OneWay => network::one_way(world),
        Fault::Clog => network::clog(world),
        Fault::Swizzle => network::swizzle(world),
        Fault::Mute => network::mute(world, victim),
        Fault::Heal => world.network.heal(),
        Fault::Crash => process::crash(world, victim),
        Fault::PowerLoss => process::power_loss(world),
        Fault::TotalPowerLoss => process::total_power_loss(world),
        Fault::Pause => process::pause(world, victim),
        Fault::Drift => process::drift(world, victim),
        Fault::ClockJump => process::clock_jump(world, victim),
        Fault::SlowDisk => disk::slow(world, victim),
        Fault::FullDisk => disk::full(world, victim),
        Fault::SyncError => disk::sync_error(world, victim),
        Fault::Damage => disk::damage(world, victim),
        Fault::Quarantine => disk::quarantine(world, victim),
        Fault::Wipe => disk::wipe(world, victim),
        Fault::TurnBack => disk::turn_back(world, victim),
        Fault::Transfer => process::transfer(world),
    }
}

/// The replica of any host, but one that leads as often as all others together.
fn victim(world: &mut World) -> usize {
    let any = world.anyone();
    if world.random.per_mille(500) {
        return any;
    }
    let leaders: Vec<usize> = world.leaders().collect();
    world.random.pick_any(&leaders).unwrap_or(any)
}

/// When something that was broken comes back.
fn later(world: &mut World, shortest: Micros, longest: Micros) -> Micros {
    world.now + world.random.between(shortest, longest)
}
