//! Runs simulated clusters from the command line: one seed with a readable trace, or many on
//! all cores.
//!
//! `make sim SEED=42` and `make sim SEEDS=100000 SEED_START=0` call it. Each violation is one
//! line on standard output that begins with `VIOLATION`, and each event that a run of this
//! length should have reached and did not is one that begins with `MISSED`; either makes the
//! exit status 1.

#![allow(clippy::print_stdout, reason = "it is a command")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use simulator::report::Counters;
use simulator::{Options, run_seed};

/// Whole clusters of the real core, from seeds.
#[derive(Parser, Debug)]
struct Arguments {
    /// Replay one seed with a trace.
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// How many seeds to run.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Stop after so many minutes, however many seeds are left.
    #[arg(long)]
    minutes: Option<u64>,
    /// The number of first voters; drawn from each seed by default.
    #[arg(long)]
    nodes: Option<usize>,
    /// Threads; one for each core by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Stop at the first violation.
    #[arg(long)]
    stop_at_first: bool,
    /// How much of one seed is printed: 1 what is interesting, 2 every input and output.
    #[arg(long, env = "VERBOSE", default_value_t = 1)]
    verbose: u8,
}

/// Violations after which a run stops anyway: more say nothing new.
const VIOLATIONS_MAX: usize = 20;
/// Seeds of a run that names neither a number nor a time.
const SEEDS: u64 = 1_000;
/// How often a long run says that it lives.
const PROGRESS: Duration = Duration::from_secs(30);

/// What the threads of a run share.
#[derive(Debug)]
struct Run {
    next: AtomicU64,
    end: u64,
    until: Option<Instant>,
    stop: AtomicBool,
    options: Options,
    stop_at_first: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    counters: Counters,
    violations: usize,
    told: Instant,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => replay(seed, &arguments),
        None => run(&arguments),
    }
}

fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let options = Options {
        voters: arguments.nodes,
        verbose: arguments.verbose,
    };
    match run_seed(seed, &options) {
        Ok(report) => {
            println!("{}", report.counters);
            println!(
                "seed {seed} holds every invariant; trace {:016x}",
                report.trace
            );
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let seeds = match (arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX - arguments.start,
        (None, None) => SEEDS,
    };
    let run = Run {
        next: AtomicU64::new(arguments.start),
        end: arguments.start.saturating_add(seeds),
        until: arguments
            .minutes
            .map(|minutes| began + Duration::from_secs(60 * minutes)),
        stop: AtomicBool::new(false),
        options: Options {
            voters: arguments.nodes,
            verbose: 0,
        },
        stop_at_first: arguments.stop_at_first,
        seen: Mutex::new(Seen {
            counters: Counters::default(),
            violations: 0,
            told: began,
        }),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&run));
        }
    });
    let Ok(seen) = run.seen.into_inner() else {
        return ExitCode::FAILURE;
    };
    conclude(&seen, began.elapsed(), threads)
}

/// One thread: takes seeds until there are none left.
fn work(run: &Run) {
    while !run.stop.load(Ordering::Relaxed) && run.until.is_none_or(|end| Instant::now() < end) {
        let seed = run.next.fetch_add(1, Ordering::Relaxed);
        if seed >= run.end {
            return;
        }
        let result = run_seed(seed, &run.options);
        let Ok(mut seen) = run.seen.lock() else {
            return;
        };
        match result {
            Ok(report) => seen.counters.add(&report.counters),
            Err(violation) => {
                println!("{violation}");
                println!("  replay: make sim SEED={seed}");
                seen.violations += 1;
                if run.stop_at_first || seen.violations >= VIOLATIONS_MAX {
                    run.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        if seen.told.elapsed() >= PROGRESS {
            seen.told = Instant::now();
            let (seeds, years) = (seen.counters.seeds, seen.counters.cluster_years());
            println!(
                "{seeds} seeds, {years:.3} cluster-years, {} violations",
                seen.violations
            );
        }
    }
}

fn conclude(seen: &Seen, took: Duration, threads: usize) -> ExitCode {
    let counters = &seen.counters;
    let seconds = took.as_secs_f64().max(1e-9);
    let simulated = counters.simulated_us as f64 / 1e6;
    println!("{counters}");
    println!(
        "{} seeds in {seconds:.1} s on {threads} threads: {:.1} seeds/s, {:.0} steps/s",
        counters.seeds,
        counters.seeds as f64 / seconds,
        counters.steps as f64 / seconds
    );
    println!(
        "{} steps; {simulated:.0} s simulated ({:.0} times real time), {:.4} cluster-years",
        counters.steps,
        simulated / seconds,
        counters.cluster_years()
    );
    let missed = counters.missed();
    for mark in &missed {
        println!("MISSED {}", mark.name());
    }
    println!("{} violations", seen.violations);
    if seen.violations == 0 && missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
