//! `load run` measures, `load report` writes what it found into a document.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use load::plan::Plan;
use load::record::{Record, Results};
use load::report;
use load::run::{Run, Series};
use load::system::System;

/// Chatterbox beside etcd, RabbitMQ, NATS and mosquitto.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and writes results.json, tables.md and the charts into a folder.
    Run {
        /// A few minutes instead of an hour or two.
        #[arg(long)]
        quick: bool,
        /// Where the results go.
        #[arg(long, default_value = "target/bench")]
        out: PathBuf,
        /// Which series; all when none is named.
        #[arg(long, value_delimiter = ',')]
        series: Vec<Series>,
        /// Which systems; all that are installed when none is named.
        #[arg(long, value_delimiter = ',')]
        systems: Vec<System>,
        /// Keeps what `out` already holds of the other series.
        #[arg(long)]
        keep: bool,
        /// Rounds of the series that are interleaved, instead of the plan's.
        #[arg(long)]
        rounds: Option<usize>,
    },
    /// Writes the tables between the marks of a document, and the charts beside it.
    Report {
        /// The folder of a run.
        #[arg(long, default_value = "target/bench")]
        from: PathBuf,
        /// The document.
        #[arg(long, default_value = "docs/benchmarks.md")]
        document: PathBuf,
    },
}

const SERIES: [Series; 8] = [
    Series::Commit,
    Series::Open,
    Series::Larger,
    Series::Web,
    Series::Fanout,
    Series::Connections,
    Series::Growth,
    Series::Failover,
];
const SYSTEMS: [System; 5] = [
    System::Chatterbox,
    System::Etcd,
    System::Rabbitmq,
    System::Nats,
    System::Mosquitto,
];

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run {
            quick,
            out,
            series,
            systems,
            keep,
            rounds,
        } => {
            let mut plan = if quick { Plan::quick() } else { Plan::full() };
            plan.rounds = rounds.unwrap_or(plan.rounds);
            let series = if series.is_empty() {
                SERIES.to_vec()
            } else {
                series
            };
            let before = if keep {
                Results::read(&out.join("results.json"))?
            } else {
                Results::default()
            };
            let now = run(plan, &series, &systems).await?;
            write_out(&before.replaced_by(now), &out)
        }
        Command::Report { from, document } => write_into(&from, &document),
    }
}

async fn run(plan: Plan, series: &[Series], wanted: &[System]) -> Result<Results> {
    let mut results = Results {
        machine: load::machine::words(),
        ..Results::default()
    };
    let mut systems = Vec::new();
    for system in SYSTEMS {
        if !wanted.is_empty() && !wanted.contains(&system) {
            continue;
        }
        match system.subject() {
            Ok(subject) => {
                println!("{}: {}", subject.version, subject.durability);
                results.subjects.push(subject);
                systems.push(system);
            }
            Err(error) => {
                println!("skipped: {error:#}");
                results.skipped.push(format!("{error:#}"));
            }
        }
    }
    let mut run = Run {
        plan,
        systems,
        results,
        note: say,
    };
    run.all(series).await;
    let results = run.results;
    for words in &results.skipped {
        println!("left out: {words}");
    }
    ensure!(!results.records.is_empty(), "nothing was measured");
    Ok(results)
}

fn write_out(results: &Results, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    results.write(&out.join("results.json"))?;
    std::fs::write(out.join("tables.md"), report::markdown(results, "."))?;
    for (name, svg) in report::charts(results) {
        std::fs::write(out.join(name), svg)?;
    }
    println!("written: {}", out.join("tables.md").display());
    Ok(())
}

fn say(record: &Record) {
    let cell = &record.cell;
    let mut line = format!(
        "{:<10} {:<11} {} voters {:>5} bytes at {:>8}, round {}:",
        cell.series, cell.system, cell.replicas, cell.bytes, cell.level, record.round
    );
    for (name, value) in &record.figures {
        line.push_str(&format!(" {name} {}", load::chart::short(*value)));
    }
    println!("{line}");
}

fn write_into(from: &Path, document: &Path) -> Result<()> {
    let results = Results::read(&from.join("results.json"))?;
    let text = std::fs::read_to_string(document)
        .with_context(|| format!("read {}", document.display()))?;
    let folder = document.parent().unwrap_or_else(|| Path::new("."));
    let images = folder.join("images/benchmarks");
    std::fs::create_dir_all(&images)?;
    for (name, svg) in report::charts(&results) {
        std::fs::write(images.join(name), svg)?;
    }
    let tables = report::markdown(&results, "images/benchmarks");
    std::fs::write(document, report::replace(&text, &tables)?)?;
    results.write(&images.join("results.json"))?;
    println!("written: {}", document.display());
    Ok(())
}
