//! What the zoo says at its end: a table for docs/testing.md, and what is wrong.

use std::fmt;
use std::time::Duration;

use crate::detector::Finding;
use crate::patch::Patch;

/// What became of one planted fault.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A test saw it.
    Found(Finding),
    /// Nothing saw it: the tests are blind there.
    Survived,
    /// The code has changed: the patch has to be made anew.
    DoesNotApply(String),
    /// It does not build, or the test could not be run.
    Failed(String),
}

/// One fault and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) patch: Patch,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl Row {
    /// Found, but by something else than its header says.
    fn is_surprise(&self) -> bool {
        let by = self.outcome.finding().map(|finding| &finding.by);
        by.is_some_and(|by| !self.patch.expect.contains(by))
    }
}

impl fmt::Display for Row {
    /// One line, while the zoo runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs();
        write!(f, "{} ({seconds} s): ", self.patch.file)?;
        match &self.outcome {
            Outcome::Found(finding) => write!(f, "{finding}"),
            Outcome::Survived => f.write_str("SURVIVED"),
            Outcome::DoesNotApply(why) => write!(f, "DOES NOT APPLY: {why}"),
            Outcome::Failed(why) => write!(f, "FAILED: {why}"),
        }
    }
}

/// The table of docs/testing.md.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = "| # | Fault | Drawn from | Expected | Found by | Seed | Seeds | s |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let number = row.patch.file.get(..3).unwrap_or_default();
        let (found, seed, seeds) = match row.outcome.finding() {
            Some(Finding { by, seed, .. }) => {
                let number = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
                (
                    by.as_str(),
                    number(seed.map(|s| s.0)),
                    number(seed.map(|s| s.1)),
                )
            }
            None => ("**nothing**", String::new(), String::new()),
        };
        let Patch {
            name, trap, expect, ..
        } = &row.patch;
        text.push_str(&format!(
            "| {number} | {name} | {trap} | {} | {found} | {seed} | {seeds} | {} |\n",
            expect.join(", "),
            row.took.as_secs()
        ));
    }
    text
}

/// The figures, then everything that is wrong.
pub(crate) fn summary(rows: &[Row]) -> String {
    let found = rows
        .iter()
        .filter(|row| row.outcome.finding().is_some())
        .count();
    let seconds: u64 = rows.iter().map(|row| row.took.as_secs()).sum();
    let mut text = format!("{found} of {} faults found in {seconds} s", rows.len());
    let mut seeds: Vec<u64> = rows
        .iter()
        .filter_map(|row| row.outcome.finding()?.seed)
        .map(|(_, needed)| needed)
        .collect();
    seeds.sort_unstable();
    if let (Some(median), Some(most)) = (seeds.get(seeds.len() / 2), seeds.last()) {
        let count = seeds.len();
        text.push_str(&format!(
            "; {count} by the simulator: median {median} seeds, at most {most}"
        ));
    }
    for row in rows {
        if row.is_surprise() {
            text.push_str(&format!("\nnot as expected: {row}"));
        } else if row.outcome.finding().is_none() {
            text.push_str(&format!("\n{row}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Outcome, Row, markdown, summary};
    use crate::detector::Finding;
    use crate::patch::Patch;

    fn row(number: u64, seeds: Option<u64>) -> Row {
        let finding = seeds.map(|seeds| Finding {
            by: "I1".to_owned(),
            seed: Some((seeds - 1, seeds)),
            what: String::new(),
        });
        Row {
            patch: Patch {
                file: format!("{number:03}-x"),
                path: PathBuf::new(),
                name: "a fault".to_owned(),
                trap: "trap 1".to_owned(),
                expect: vec!["I1".to_owned()],
                detectors: vec![],
            },
            outcome: finding.map_or(Outcome::Survived, Outcome::Found),
            took: Duration::from_secs(2),
        }
    }

    #[test]
    fn a_survivor_is_named_and_the_median_is_of_those_found() {
        let rows = [
            row(1, Some(1)),
            row(2, Some(7)),
            row(3, Some(900)),
            row(4, None),
        ];
        let text = summary(&rows);
        assert!(text.starts_with("3 of 4 faults found in 8 s"), "{text}");
        assert!(text.contains("median 7 seeds, at most 900"), "{text}");
        assert!(text.contains("004-x (2 s): SURVIVED"), "{text}");
        let table = markdown(&rows);
        assert!(
            table.contains("| 002 | a fault | trap 1 | I1 | I1 | 6 | 7 | 2 |"),
            "{table}"
        );
    }
}
