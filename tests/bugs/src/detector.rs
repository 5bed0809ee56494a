//! What looks for a planted fault: the simulator over many seeds, or a test.

use std::fmt;

use anyhow::{Result, bail};

use crate::copy::Copy;
use crate::limits::{LINES, SEARCH};
use crate::run::{Ended, told, told_within};

/// Something that can see a fault.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Detector {
    /// Whole clusters under faults (`tests/simulator`).
    Simulator,
    /// `cargo test` with these words.
    Test(Vec<String>),
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Seeds of the simulator.
    pub(crate) seeds: u64,
    /// The first of them.
    pub(crate) start: u64,
}

/// What saw the fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// The invariant, `self-check`, `endless`, or the name of a test.
    pub(crate) by: String,
    /// The first seed that shows it, and how many were needed.
    pub(crate) seed: Option<(u64, u64)>,
    /// In words.
    pub(crate) what: String,
}

impl Detector {
    /// Reads what a patch says after `# run: `.
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        match words.next() {
            Some("test") => Self::Test(words.map(str::to_owned).collect()),
            _ => Self::Simulator,
        }
    }

    /// Builds and looks. `None` if it sees nothing.
    pub(crate) fn run(&self, copy: &Copy, search: Search) -> Result<Option<Finding>> {
        match self {
            Self::Simulator => simulate(copy, search),
            Self::Test(words) => test(copy, words),
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulator => f.write_str("simulator"),
            Self::Test(words) => write!(f, "cargo test {}", words.join(" ")),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.by)?;
        if let Some((seed, _)) = self.seed {
            write!(f, ", seed {seed}")?;
        }
        write!(f, ": {}", self.what)
    }
}

fn build(copy: &Copy, words: &[&str]) -> Result<()> {
    let mut command = copy.cargo();
    command.args(words).args(["--locked", "--quiet"]);
    let Ended { success, text } = told(&mut command)?;
    if !success {
        let errors = text.lines().skip_while(|line| !line.starts_with("error"));
        let errors: Vec<&str> = errors.take(LINES).collect();
        bail!("it does not build:\n{}", errors.join("\n"));
    }
    Ok(())
}

fn simulate(copy: &Copy, search: Search) -> Result<Option<Finding>> {
    build(
        copy,
        &[
            "build",
            "--profile",
            "sim",
            "-p",
            "simulator",
            "--bin",
            "sim",
        ],
    )?;
    let mut command = std::process::Command::new(copy.target.join("sim/sim"));
    let (seeds, start) = (search.seeds.to_string(), search.start.to_string());
    command.args(["--seeds", &seeds, "--start", &start, "--stop-at-first"]);
    let Some(ended) = told_within(&command, SEARCH)? else {
        return Ok(Some(endless()));
    };
    let lines = ended
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("VIOLATION "));
    // Two threads may each have found one: the lowest seed is the same in every run.
    let first = lines
        .filter_map(|line| violation(line, search.start))
        .min_by_key(|f| f.seed);
    if first.is_none() && !ended.success {
        return missed(&ended.text);
    }
    Ok(first)
}

/// One line of the simulator: `seed=42 invariant=I7 at_us=9 what=in words`.
fn violation(line: &str, start: u64) -> Option<Finding> {
    let (fields, what) = line.split_once(" what=")?;
    let field = |key: &str| fields.split(' ').find_map(|word| word.strip_prefix(key));
    let seed: u64 = field("seed=")?.parse().ok()?;
    let invariant = field("invariant=")?;
    // A panic of the core is one of its own assertions.
    let own = invariant == "I20" && what.contains("paxos/src/");
    let by = if own { "self-check" } else { invariant };
    Some(Finding {
        by: by.to_owned(),
        seed: Some((seed, seed.saturating_sub(start).saturating_add(1))),
        what: what.to_owned(),
    })
}

/// The simulator failed without a violation: it was ended by its limits, or it says that
/// something never happened.
fn missed(text: &str) -> Result<Option<Finding>> {
    let mut never = text.lines().filter_map(|line| line.strip_prefix("MISSED "));
    if let Some(mark) = never.next() {
        let what = format!("never: {mark}");
        let by = "reachability".to_owned();
        return Ok(Some(Finding {
            by,
            seed: None,
            what,
        }));
    }
    if text.contains("memory allocation") {
        return Ok(Some(Finding {
            what: "memory without end".to_owned(),
            ..endless()
        }));
    }
    let last: Vec<&str> = text.lines().rev().take(LINES).collect();
    bail!(
        "the simulator failed without a violation: {}",
        last.join(" | ")
    )
}

fn endless() -> Finding {
    Finding {
        by: "endless".to_owned(),
        seed: None,
        what: format!("no end within {} s", SEARCH.as_secs()),
    }
}

fn test(copy: &Copy, words: &[String]) -> Result<Option<Finding>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let own = words
        .iter()
        .position(|word| *word == "--")
        .unwrap_or(words.len());
    let mut first = vec!["test", "--no-run"];
    first.extend(&words[..own]);
    build(copy, &first)?;
    let mut command = copy.cargo();
    command.args(["test", "--locked"]).args(words);
    let Some(ended) = told_within(&command, SEARCH)? else {
        return Ok(Some(endless()));
    };
    Ok((!ended.success).then(|| failure(&ended.text)))
}

/// The first test that failed.
fn failure(text: &str) -> Finding {
    let failed = |line: &str| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.rsplit("::").next().unwrap_or(name).to_owned())
    };
    let said = text
        .lines()
        .skip_while(|line| !line.contains("panicked at"))
        .nth(1);
    Finding {
        by: text
            .lines()
            .find_map(failed)
            .unwrap_or_else(|| "test".to_owned()),
        seed: None,
        what: said.unwrap_or("the process ended").trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, failure, violation};

    #[test]
    fn a_violation_names_invariant_and_seed() {
        let line = "seed=42 invariant=I7 at_us=9 what=s1030 is on one disk";
        let expected = Finding {
            by: "I7".to_owned(),
            seed: Some((42, 3)),
            what: "s1030 is on one disk".to_owned(),
        };
        assert_eq!(violation(line, 40), Some(expected));
        let panic = "seed=42 invariant=I20 at_us=9 what=D1 (services/replica/paxos/src/check.rs:1)";
        assert_eq!(
            violation(panic, 0).map(|f| f.by).as_deref(),
            Some("self-check")
        );
        let halt = "seed=42 invariant=I20 at_us=9 what=r1 halts";
        assert_eq!(violation(halt, 0).map(|f| f.by).as_deref(), Some("I20"));
    }

    #[test]
    fn a_failed_test_is_named() {
        let text = "test a::fine ... ok\ntest a::b::broken ... FAILED\n\nthread 'a' panicked at \
                    x.rs:1:1:\nnot durable\n";
        let finding = failure(text);
        assert_eq!(
            (finding.by.as_str(), finding.what.as_str()),
            ("broken", "not durable")
        );
    }
}
