//! Instructions per step, counted by callgrind, beside what they were.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Hotpath;

/// Steps of the shorter of two runs; their difference leaves out start and set-up.
const STEPS: u64 = 200;
/// More than this over the baseline fails the check.
const GATE: f64 = 1.20;

/// What one path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub path: Hotpath,
    /// Instructions of a step.
    pub instructions: u64,
}

/// Counts one path: runs this very program twice under valgrind.
///
/// # Errors
/// When valgrind is missing or the path fails.
pub fn count(path: Hotpath) -> Result<Counted> {
    let once = run(path, STEPS)?;
    let twice = run(path, 2 * STEPS)?;
    let instructions = twice.saturating_sub(once) / STEPS;
    Ok(Counted { path, instructions })
}

fn run(path: Hotpath, steps: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["steps", path.name(), &steps.to_string()])
        .output()
        .context("run valgrind (Debian: apt-get install valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", path.name());
    collected(&said).with_context(|| format!("callgrind said no number: {said}"))
}

/// The number behind `Collected :`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// What is committed, by name.
///
/// # Errors
/// When the file is missing or no object of numbers.
pub fn baseline(file: &Path) -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "read {}: write it with `hotpaths count --write`",
            file.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} is no baseline", file.display()))
}

/// One line about a path, and whether it is within the gate.
///
/// # Errors
/// When the baseline does not name the path.
pub fn verdict(counted: Counted, baseline: &BTreeMap<String, u64>) -> Result<(String, bool)> {
    let name = counted.path.name();
    let before = *baseline
        .get(name)
        .with_context(|| format!("the baseline has no {name}: `hotpaths count --write`"))?;
    let ratio = counted.instructions as f64 / before.max(1) as f64;
    let fine = ratio <= GATE;
    let line = format!(
        "{name:<8} {:>10} instructions a step, baseline {before:>10}, {:+.1} %{}",
        counted.instructions,
        (ratio - 1.0) * 100.0,
        if fine {
            ""
        } else {
            "  TOO MANY: more than +20 %"
        }
    );
    Ok((line, fine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_other_words() {
        let said = "==1== Events    : Ir\n==1== Collected : 123456\n==1==\n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("nothing"), None);
    }

    /// The gate lets through what is within a fifth, and nothing above.
    #[test]
    fn a_fifth_more_is_too_much() {
        let before = BTreeMap::from([("core".to_owned(), 1_000)]);
        let of = |instructions| Counted {
            path: Hotpath::Core,
            instructions,
        };
        for (instructions, fine) in [(500, true), (1_000, true), (1_200, true), (1_201, false)] {
            assert_eq!(verdict(of(instructions), &before).unwrap().1, fine);
        }
        assert!(verdict(of(1), &BTreeMap::new()).is_err());
    }
}
