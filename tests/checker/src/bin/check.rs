//! Judges the folder of a run again: `cargo run --release -p checker --bin check -- FOLDER`.
//! Its exit status is 1 when a claim does not hold, 2 when the folder cannot be read.

#![allow(clippy::print_stdout, reason = "its verdict is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Judges what a run has recorded: the claims C1 to C7.")]
struct Args {
    /// Where the run keeps its histories: `clients/`, `logs/`, `states/`, `outages.jsonl`.
    folder: PathBuf,
    /// Prints the verdict as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let began = Instant::now();
    let report = match checker::check(&args.folder) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("check: {error:#}");
            return ExitCode::from(2);
        }
    };
    if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("check: {error}");
                return ExitCode::from(2);
            }
        }
    } else {
        println!("{report}");
        let events = report.figures.lines;
        let seconds = began.elapsed().as_secs_f64();
        println!("{events} lines in {seconds:.2} s");
    }
    ExitCode::from(u8::from(!report.holds()))
}
