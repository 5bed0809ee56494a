//! Whole clusters of the real core in one thread: one seed, one history.
//!
//! `SEEDS=100000 cargo test -p paxos --test simulation` runs more seeds, `SEED=42` one,
//! `VERBOSE=1` prints every input and output of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test"
)]

mod clients;
mod disk;
mod invariants;
mod nemesis;
mod network;
mod random;
mod report;
mod run;
mod scenarios;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use report::Counters;
use run::run_seed;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// Runs seeds `first..first + count`; names those that fail.
fn run_seeds(first: u64, count: u64) -> Counters {
    let mut total = Counters::default();
    let mut failed = Vec::new();
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| run_seed(seed))) {
            Ok((counters, _)) => total.add(&counters),
            Err(_) => failed.push(seed),
        }
        if failed.len() >= 5 {
            break;
        }
    }
    println!("{total:#?}");
    assert!(
        failed.is_empty(),
        "seeds {failed:?} of {first}..{} failed",
        first + count
    );
    total
}

#[test]
fn seeds_of_the_first_half_hold_every_invariant() {
    let count = number("SEEDS").unwrap_or(360) / 2;
    match number("SEED") {
        Some(seed) => drop(run_seeds(seed, 1)),
        None => check_reached(&run_seeds(number("FIRST").unwrap_or(0), count)),
    }
}

#[test]
fn seeds_of_the_second_half_hold_every_invariant() {
    let count = number("SEEDS").unwrap_or(360) / 2;
    if number("SEED").is_none() {
        check_reached(&run_seeds(number("FIRST").unwrap_or(0) + (1 << 32), count));
    }
}

/// Faults that never happen prove nothing.
fn check_reached(total: &Counters) {
    if total.seeds < 100 {
        return;
    }
    let reached = [
        total.crashes,
        total.power_losses,
        total.partitions,
        total.one_way_links,
        total.pauses,
        total.slow_disks,
        total.elections,
        total.step_downs,
        total.nacks,
        total.gaps,
        total.catch_ups,
        total.rows_served_from_disk,
        total.no_quorum,
    ];
    let rare = [total.suffixes_dropped, total.promises_of_many_pages];
    assert!(
        total.seeds < 1_000 || rare.iter().all(|count| *count > 0),
        "rare events: {total:?}"
    );
    assert!(
        reached.iter().all(|count| *count > 0),
        "every kind of event is reached: {total:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2, 3] {
        let (left, right) = (run_seed(seed), run_seed(seed));
        assert_eq!(left, right, "I18: seed {seed}");
    }
    assert_ne!(run_seed(1).1, run_seed(2).1, "different seeds differ");
}
