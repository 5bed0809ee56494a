//! The production log under faults of the disk. See `storage`'s documentation for the parts.

#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod counters;
mod crash;
mod known;
mod model;
mod recording;
mod verdict;
mod workload;

mod damage;
mod errors;
mod group;
mod kill;
mod layer;
mod planted;
mod power;

/// The seeds of a test: `SEED` for one, `SEEDS` for the first so many, or the usual ones.
fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => usual,
    }
}
