//! The bug zoo: plants one fault at a time into a copy of the workspace and demands that a test
//! sees it.
//!
//! `make zoo` runs all, `make zoo ONLY=007` one. A fault that nothing sees, a patch that no
//! longer applies or builds, and a failure of the code without any fault make the exit status 1.
//!
//! In: `tests/bugs/*.patch`. Out: a table on standard output; the copy lies in `target/zoo`.

#![allow(clippy::print_stdout, reason = "it is a command")]

mod copy;
mod detector;
mod limits;
mod patch;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::copy::Copy;
use crate::detector::{Detector, Finding, Search};
use crate::limits::SEEDS;
use crate::patch::Patch;
use crate::table::{Outcome, Row};

/// Plants known bugs, one at a time, and demands that a test sees each.
#[derive(Parser, Debug)]
struct Arguments {
    /// Only the faults whose file names begin with one of these, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many seeds of the simulator a fault may need.
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
}

fn main() -> ExitCode {
    match zoo(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("zoo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the zoo. Answers whether every fault was found.
fn zoo(arguments: &Arguments) -> Result<bool> {
    let root = root();
    let mut patches = patch::all(&root.join("tests/bugs"))?;
    let wanted = |patch: &Patch| {
        let only = &arguments.only;
        only.is_empty()
            || only
                .iter()
                .any(|prefix| patch.file.starts_with(prefix.as_str()))
    };
    patches.retain(wanted);
    ensure!(
        !patches.is_empty(),
        "no patch of tests/bugs is called {:?}",
        arguments.only
    );
    let copy = Copy::of(&root)?;
    let search = Search {
        seeds: arguments.seeds,
        start: arguments.start,
    };
    healthy(&copy, &patches, search)?;
    let mut rows = Vec::new();
    for patch in patches {
        let row = plant(&copy, patch, search)?;
        println!("{row}");
        rows.push(row);
    }
    println!("\n{}", table::markdown(&rows));
    println!("{}", table::summary(&rows));
    Ok(rows
        .iter()
        .all(|row| matches!(row.outcome, Outcome::Found(_))))
}

/// What sees a fault must see nothing without it.
fn healthy(copy: &Copy, patches: &[Patch], search: Search) -> Result<()> {
    let mut detectors: Vec<&Detector> = patches.iter().flat_map(|p| &p.detectors).collect();
    detectors.sort_unstable();
    detectors.dedup();
    for detector in detectors {
        let began = Instant::now();
        let finding = detector.run(copy, search)?;
        ensure!(
            finding.is_none(),
            "without any fault, `{detector}` finds {}: repair that first",
            finding.map_or_else(String::new, |finding| finding.to_string())
        );
        println!(
            "healthy: `{detector}` in {:.0} s",
            began.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Applies one patch, looks for a violation, and takes the patch out again.
fn plant(copy: &Copy, patch: Patch, search: Search) -> Result<Row> {
    let began = Instant::now();
    let outcome = match copy.apply(&patch) {
        Err(error) => Outcome::DoesNotApply(format!("{error:#}")),
        Ok(applied) => {
            let outcome = look(copy, &patch, search);
            applied
                .revert()
                .with_context(|| format!("take {} out again", patch.file))?;
            outcome
        }
    };
    let took = began.elapsed();
    Ok(Row {
        patch,
        outcome,
        took,
    })
}

fn look(copy: &Copy, patch: &Patch, search: Search) -> Outcome {
    for detector in &patch.detectors {
        match detector.run(copy, search) {
            Ok(Some(finding)) => return Outcome::Found(finding),
            Ok(None) => {}
            Err(error) => return Outcome::Failed(format!("{error:#}")),
        }
    }
    Outcome::Survived
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Outcome {
    /// What was found, if anything was.
    const fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Found(finding) => Some(finding),
            Self::Survived | Self::DoesNotApply(_) | Self::Failed(_) => None,
        }
    }
}
