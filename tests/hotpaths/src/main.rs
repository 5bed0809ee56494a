//! `hotpaths count`: instructions per step of each hot path, beside the committed baseline.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use hotpaths::{Hotpath, baseline, count, verdict};

/// The paths that every message takes, each by itself.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Counts all, and fails when one takes a fifth more than the baseline says.
    Count {
        /// The baseline.
        #[arg(long, default_value = "tests/hotpaths/baseline.json")]
        baseline: PathBuf,
        /// Makes what is counted now the baseline.
        #[arg(long)]
        write: bool,
    },
    /// Only takes steps: what is run under callgrind or perf.
    Steps {
        /// Of which path.
        path: Hotpath,
        /// How many.
        steps: u64,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Steps { path, steps } => {
            let mut step = path.ready()?;
            (0..steps).try_for_each(|_| step())
        }
        Command::Count {
            baseline: file,
            write,
        } => {
            if write {
                let mut counted = BTreeMap::new();
                for path in Hotpath::ALL {
                    counted.insert(path.name(), count(path)?.instructions);
                }
                std::fs::write(&file, serde_json::to_string_pretty(&counted)? + "\n")?;
                println!("{counted:?}");
                return Ok(());
            }
            let before = baseline(&file)?;
            let mut fine = true;
            for path in Hotpath::ALL {
                let (line, within) = verdict(count(path)?, &before)?;
                println!("{line}");
                fine &= within;
            }
            ensure!(
                fine,
                "a path takes more than a fifth more instructions; if that is right, say why in \
                 the commit and run `hotpaths count --write`"
            );
            Ok(())
        }
    }
}
