//! How fast the checker is: draws a history of about a million lines, writes it down as a run
//! would, and judges the folder.
//!
//! ```text
//! cargo run --release -p checker --example speed -- [STEPS]
//! ```

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use checker::synthetic::{History, Size};

fn main() -> Result<()> {
    let steps = std::env::args().nth(1);
    let steps: usize = steps.map_or(Ok(50_000), |steps| steps.parse())?;
    let size = Size {
        clients: 40,
        rooms: 10,
        steps,
    };
    let folder = tempfile::tempdir()?;
    History::generate(1, size).write(folder.path())?;
    let began = Instant::now();
    let report = checker::check(folder.path())?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{report}");
    println!(
        "{} lines and {} rows of logs in {seconds:.2} s; {} MiB at most",
        report.figures.lines,
        report.figures.rows,
        memory_mib()?
    );
    ensure!(report.holds(), "a correct history was not believed");
    Ok(())
}

/// The highest use of memory of this process, the drawing of the history included.
fn memory_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("VmHWM of /proc/self/status")?.parse::<u64>()? / 1024)
}
