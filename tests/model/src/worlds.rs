//! The worlds by name: small ones that `cargo test` checks, large ones for `make model`.
//!
//! In: nothing. Out: worlds. Invariants: a world reaches its goals, or its silence means
//! nothing. Tested by: tests/worlds.rs checks every small one.

mod ballots;
mod epochs;
mod faults;

use crate::world::World;

/// Every world that `cargo test` checks, in reading order.
#[must_use]
pub fn small() -> Vec<World> {
    let groups = [ballots::small(), epochs::small(), faults::small()];
    groups.into_iter().flatten().collect()
}

/// Every world that `make model` checks beside the small ones.
#[must_use]
pub fn large() -> Vec<World> {
    let groups = [ballots::large(), epochs::large(), faults::large()];
    groups.into_iter().flatten().collect()
}

/// The world with this name.
#[must_use]
pub fn named(name: &str) -> Option<World> {
    let mut all = small().into_iter().chain(large());
    all.find(|world| world.name == name)
}
