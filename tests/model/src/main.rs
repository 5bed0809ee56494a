//! `model`: names the worlds, checks some, prints what was found.
//!
//! In: the command line. Out: one line for each world, and with `--way` the way to what is
//! wrong. Exit code 0: as expected; 1: not; 2: the search was cut off.

#![allow(clippy::print_stdout, reason = "a tool for people")]

use std::any::Any;
use std::panic::catch_unwind;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use model::checker::{Bounds, Report, check};
use model::fault::Rule;
use model::world::World;
use model::worlds;

/// Checks the real core exhaustively in small worlds.
#[derive(Debug, Parser)]
enum Command {
    /// Names the worlds.
    List,
    /// Checks worlds: their names, or `small`, or `large`.
    Check {
        /// Which ones.
        names: Vec<String>,
        /// Reports nothing but this rule; an assertion still ends its process.
        #[arg(long)]
        only: Option<String>,
        /// What must be found: a rule, or `nothing`.
        #[arg(long)]
        expect: Option<String>,
        /// Threads. With more than one the way that is found may not be the shortest.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Stops after so many steps.
        #[arg(long, default_value_t = 0)]
        steps: usize,
        /// Less memory, but not the shortest way.
        #[arg(long)]
        depth_first: bool,
        /// Prints the way to what was found.
        #[arg(long)]
        way: bool,
    },
}

fn main() -> Result<ExitCode> {
    match Command::parse() {
        Command::List => {
            for world in worlds::small().into_iter().chain(worlds::large()) {
                println!("{:<24} {}", world.name, world.about);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check {
            names,
            only,
            expect,
            threads,
            steps,
            depth_first,
            way,
        } => {
            // What the core asserts is caught, and told with the way to it.
            std::panic::set_hook(Box::new(|_| {}));
            let bounds = Bounds {
                threads,
                steps,
                depth_first,
            };
            let mut code = ExitCode::SUCCESS;
            for mut world in chosen(&names)? {
                if let Some(rule) = &only {
                    world.watched = vec![rule_named(rule)?];
                }
                let wanted = match &expect {
                    Some(name) if name == "nothing" => None,
                    Some(name) => Some(rule_named(name)?),
                    None => world.broken,
                };
                let name = world.name;
                let report = catch_unwind(|| check(world, bounds));
                let report = report.map_err(|panic| anyhow!("{name}: {}", reason(&*panic)))?;
                code = worse(code, tell(name, &report, wanted, way));
            }
            Ok(code)
        }
    }
}

/// What a panic said that no core made: the opening of a world is not possible.
fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

fn worse(code: ExitCode, other: ExitCode) -> ExitCode {
    if code == ExitCode::SUCCESS {
        other
    } else {
        code
    }
}

fn chosen(names: &[String]) -> Result<Vec<World>> {
    let mut chosen = Vec::new();
    for name in names {
        match name.as_str() {
            "small" => chosen.extend(worlds::small()),
            "large" => chosen.extend(worlds::large()),
            name => chosen.push(worlds::named(name).context(format!("no world {name}"))?),
        }
    }
    if chosen.is_empty() {
        bail!("name a world; `model list` names them");
    }
    Ok(chosen)
}

fn rule_named(name: &str) -> Result<Rule> {
    let rule = Rule::ALL.into_iter().find(|rule| rule.name() == name);
    rule.context(format!("no rule {name}"))
}

/// Prints a report. Answers whether it is what was wanted.
fn tell(name: &str, report: &Report, wanted: Option<Rule>, way: bool) -> ExitCode {
    let (nodes, letters, runs) = report.sizes;
    let found = report.fault.as_ref().map(|(fault, _)| fault);
    let what = found.map_or_else(
        || String::from(if report.complete { "clean" } else { "cut off" }),
        |fault| format!("found {fault}"),
    );
    println!(
        "{name:<24} {:>9} states {:>10} steps, depth {:>2}, {nodes:>6} nodes, {letters:>4} \
         messages, core ran {runs:>7} times, {:>6.1} s: {what}",
        report.states,
        report.steps,
        report.depth,
        report.took.as_secs_f64()
    );
    if let Some((_, steps)) = report.fault.as_ref().filter(|_| way) {
        for (number, step) in (1..).zip(steps) {
            println!("{number:>4}  {step}");
        }
    }
    if !report.missed.is_empty() && found.is_none() {
        println!("  not reached: {:?}", report.missed);
    }
    if found.map(|fault| fault.rule) != wanted {
        return ExitCode::from(1);
    }
    match found {
        Some(_) => ExitCode::SUCCESS,
        None if !report.complete => ExitCode::from(2),
        None if report.missed.is_empty() => ExitCode::SUCCESS,
        None => ExitCode::from(1),
    }
}
