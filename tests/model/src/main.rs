//! `model`: lists the worlds, checks one, prints what it found.
//!
//! In: the command line. Out: one line per world, and the way to what is wrong. Exit code 0
//! when the world is as expected.

#![allow(clippy::print_stdout, reason = "a tool for people")]

use std::process::ExitCode;

use clap::Parser;
use model::checker::{Bounds, check};
use model::worlds;

/// Checks the real core exhaustively in small worlds.
#[derive(Debug, Parser)]
enum Command {
    /// Names the worlds.
    List,
    /// Checks worlds.
    Check {
        /// Their names.
        names: Vec<String>,
        /// Threads.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Stops after so many states.
        #[arg(long, default_value_t = 0)]
        states: usize,
        /// Less memory, but no shortest way.
        #[arg(long)]
        depth_first: bool,
    },
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::List => {
            for world in worlds::small().into_iter().chain(worlds::large()) {
                println!("{:<20} {}", world.name, world.about);
            }
            ExitCode::SUCCESS
        }
        Command::Check {
            names,
            threads,
            states,
            depth_first,
        } => {
            let bounds = Bounds {
                threads,
                states,
                depth_first,
            };
            // What the core asserts is caught and told with the way to it.
            std::panic::set_hook(Box::new(|_| {}));
            for name in names {
                let Some(world) = worlds::named(&name) else {
                    println!("no world {name}");
                    return ExitCode::FAILURE;
                };
                let report = check(world, bounds);
                println!("{name}: {} states, {} steps, depth {}, sizes {:?}, {:?}, complete {}, missed {:?}",
                    report.states, report.steps, report.depth, report.sizes, report.took, report.complete, report.missed);
                if let Some((fault, way)) = report.fault {
                    for (n, line) in way.iter().enumerate() {
                        println!("{n:3} {line}");
                    }
                    println!("found: {fault}");
                }
            }
            ExitCode::SUCCESS
        }
    }
}
