//! The table at the end.

use std::fmt::Write as _;

use crate::figures::percentile;
use crate::record::{Outcome, Record};
use crate::report::figures::{of_outcome, tallies};

/// The run as text for a terminal.
#[must_use]
pub fn table(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\n{:<20} {:>9} {:>8} {:>14}",
        "fault", "installed", "skipped", "indeterminate"
    );
    let faults = &record.faults;
    let mut rows = tallies(faults);
    rows.sort_unstable_by(|one, other| one.kind.cmp(&other.kind));
    for row in &rows {
        let _ = writeln!(
            text,
            "{:<20} {:>9} {:>8} {:>14}",
            row.kind, row.installed, row.skipped, row.indeterminate
        );
    }
    let all = |outcome| of_outcome(faults, outcome);
    let _ = writeln!(
        text,
        "{:<20} {:>9} {:>8} {:>14}\n",
        "all",
        all(Outcome::Installed),
        all(Outcome::Skipped),
        all(Outcome::Indeterminate)
    );
    figures(&mut text, record);
    for violation in &record.verdict.violations {
        let _ = writeln!(text, "VIOLATION {}: {}", violation.kind, violation.words);
    }
    let verdict = if record.verdict.violations.is_empty() {
        "All claims held.".to_owned()
    } else {
        format!("{} violations.", record.verdict.violations.len())
    };
    let _ = writeln!(text, "{verdict}");
    text
}

fn figures(text: &mut String, record: &Record) {
    let verdict = &record.verdict;
    let count = |kind: &str| record.marks.iter().filter(|mark| mark.kind == kind).count();
    let load = format!(
        "{:.1} min, {} clients, {} rooms",
        minutes(record.length_ms),
        record.clients,
        record.rooms
    );
    let messages = format!(
        "{} sent, {} acknowledged, {} refused, {} without an answer",
        verdict.sent, verdict.acknowledged, verdict.refused, verdict.unknown
    );
    let cluster = format!(
        "{} elections, {} suspicions, {} changes of voters",
        count("election"),
        count("suspicion"),
        count("replacement")
    );
    let looked = format!(
        "{} events shown, {} rows of logs",
        verdict.shown, verdict.rows
    );
    let lines = [
        ("load", load),
        ("messages", messages),
        ("looked at", looked),
        ("latency", latency(record)),
        ("cluster", cluster),
        ("fail-over", failover(record)),
        (
            "longest wait",
            format!("{} ms for one message", verdict.longest_gap_ms),
        ),
    ];
    for (name, words) in lines {
        let _ = writeln!(text, "{name:<14} {words}");
    }
}

fn latency(record: &Record) -> String {
    let medians = record.samples.iter().map(|sample| sample.p50_us);
    let mut medians: Vec<u64> = medians.filter(|us| *us > 0).collect();
    medians.sort_unstable();
    let median = percentile(&medians, 50);
    format!("{median} us, the median of the medians of all seconds")
}

fn failover(record: &Record) -> String {
    let gaps = record.failovers.iter().map(|failover| failover.gap_ms);
    let mut gaps: Vec<u64> = gaps.collect();
    gaps.sort_unstable();
    format!(
        "{} leaders killed: gap median {} ms, p99 {} ms, longest {} ms",
        gaps.len(),
        percentile(&gaps, 50),
        percentile(&gaps, 99),
        gaps.last().copied().unwrap_or(0)
    )
}

#[allow(clippy::cast_precision_loss, reason = "a week of milliseconds fits")]
fn minutes(ms: u64) -> f64 {
    ms as f64 / 60_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fault, Verdict, Violation};

    fn record() -> Record {
        let fault = |kind: &str, outcome| Fault {
            kind: kind.to_owned(),
            target: String::new(),
            from_ms: 0,
            to_ms: 0,
            outcome,
            words: String::new(),
        };
        Record {
            command: String::new(),
            mode: "local".to_owned(),
            seed: 1,
            began: String::new(),
            version: String::new(),
            length_ms: 60_000,
            replicas: 5,
            gateways: 2,
            clients: 3,
            rooms: 4,
            samples: Vec::new(),
            faults: vec![
                fault("kill", Outcome::Installed),
                fault("kill", Outcome::Skipped),
                fault("pause", Outcome::Installed),
            ],
            marks: Vec::new(),
            failovers: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// Kinds and outcomes are counted, and a violation is not overlooked.
    #[test]
    fn a_table_says_it_all() {
        let mut record = record();
        let said = table(&record);
        let row = |name: &str, said: &str| {
            let line = said
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default();
            line.split_whitespace()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(row("kill", &said), ["1", "1", "0"]);
        assert_eq!(row("all", &said), ["2", "1", "0"]);
        assert!(said.contains("All claims held."));
        record.verdict.violations.push(Violation {
            kind: "lost".to_owned(),
            words: "message 7".to_owned(),
        });
        let said = table(&record);
        assert!(said.contains("VIOLATION lost: message 7") && !said.contains("All claims"));
    }
}
