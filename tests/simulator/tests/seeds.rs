//! Many seeds of five nodes under all faults: no invariant breaks, every kind of fault and
//! every rare path is reached, and a seed gives the same history twice.
//!
//! `make sim SEEDS=100000` runs more; `make sim SEED=42` shows one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulator::invariants::i18_same_trace;
use simulator::report::Counters;
use simulator::violation::Violation;
use simulator::{Options, run_seed};

/// What a change has to survive.
const SEEDS: u64 = 1_200;
/// Seeds that run twice.
const TWICE: u64 = 50;

const FIVE: Options = Options {
    voters: Some(5),
    verbose: 0,
};

/// Runs seeds on all cores; answers the sum of what they reached, and what they broke.
fn run(seeds: std::ops::Range<u64>, options: &Options) -> (Counters, Vec<Violation>) {
    let next = AtomicU64::new(seeds.start);
    let seen = Mutex::new((Counters::default(), Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let result = run_seed(seed, options);
            let mut seen = seen.lock().unwrap();
            match result {
                Ok(report) => seen.0.add(&report.counters),
                Err(violation) => seen.1.push(*violation),
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    seen.into_inner().unwrap()
}

#[test]
fn seeds_of_five_nodes_hold_every_invariant_and_reach_every_fault() {
    let (counters, violations) = run(0..SEEDS, &FIVE);
    println!("{counters}");
    println!(
        "{:.4} cluster-years in {} steps",
        counters.cluster_years(),
        counters.steps
    );
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", lines.join("\n"));
    let missed: Vec<&str> = counters.missed().iter().map(|mark| mark.name()).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
}

/// Other numbers of nodes, one to five, as the seeds draw them.
#[test]
fn seeds_of_any_number_of_nodes_hold_every_invariant() {
    let start = 1 << 32;
    let (_, violations) = run(start..start + SEEDS / 4, &Options::default());
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let mut traces = std::collections::BTreeSet::new();
    for seed in 0..TWICE {
        let (first, second) = (run_seed(seed, &FIVE), run_seed(seed, &FIVE));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(i18_same_trace::check(seed, &first, &second), Ok(()));
        traces.insert(first.trace);
    }
    assert_eq!(traces.len() as u64, TWICE, "different seeds differ");
}
