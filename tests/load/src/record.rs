//! What was measured, as it stands in the JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::limits::LATENCY_MAX_US;
use crate::proc::Usage;

/// Latencies in microseconds, to three digits.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
///
/// # Errors
/// Never: the bounds are constants.
pub fn latencies() -> Result<Latencies> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("bounds of the histogram")
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// The series: `commit`, `open`, `fanout`, `idle` and so on.
    pub series: String,
    /// The system, as the tables call it.
    pub system: String,
    /// Voters.
    pub replicas: usize,
    /// The length of a message.
    pub bytes: usize,
    /// In flight, subscribers, connections or messages, as the series has it.
    pub level: u64,
}

/// One measurement: named figures of one cell in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was measured.
    #[serde(flatten)]
    pub cell: Cell,
    /// Which round, from 1.
    pub round: usize,
    /// The figures by name; the name ends with the unit.
    pub figures: BTreeMap<String, f64>,
}

impl Record {
    /// One without figures.
    #[must_use]
    pub fn new(cell: Cell, round: usize) -> Self {
        Self {
            cell,
            round,
            figures: BTreeMap::new(),
        }
    }

    /// Adds a figure.
    pub fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Adds the usual percentiles.
    pub fn set_latencies(&mut self, prefix: &str, latencies: &Latencies) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let value = latencies.value_at_quantile(quantile);
            self.set(&format!("{prefix}{name}_us"), value as f64);
        }
        self.set(&format!("{prefix}max_us"), latencies.max() as f64);
    }

    /// Adds what servers and generator used for `count` messages.
    pub fn set_usage(&mut self, servers: Usage, generator: Usage, count: u64) {
        let count = count.max(1) as f64;
        self.set("server_us_per_message", servers.cpu_us as f64 / count);
        self.set("generator_us_per_message", generator.cpu_us as f64 / count);
        let written = servers.written_bytes as f64 / count;
        self.set("written_bytes_per_message", written);
    }
}

/// One system of the run, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name in the tables.
    pub system: String,
    /// What its program says of itself.
    pub version: String,
    /// What is on disk when it acknowledges.
    pub durability: String,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The machine and the moment, in words.
    pub machine: Vec<String>,
    /// Who took part.
    pub subjects: Vec<Subject>,
    /// Who or what was left out, and why.
    pub skipped: Vec<String>,
    /// What was measured, in order.
    pub records: Vec<Record>,
}

impl Results {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read {}: run `make bench` first", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no result", path.display()))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// These results, with every series that `now` measured taken from there.
    #[must_use]
    pub fn replaced_by(mut self, now: Self) -> Self {
        let again = |series: &str| now.records.iter().any(|new| new.cell.series == series);
        self.records.retain(|old| !again(&old.cell.series));
        let of_series = |words: &String| words.split(' ').next().is_some_and(again);
        self.skipped.retain(|words| !of_series(words));
        if !self.records.is_empty() {
            let mut series: Vec<&str> =
                now.records.iter().map(|r| r.cell.series.as_str()).collect();
            series.dedup();
            let of_run = format!("measured apart from the rest: {}", series.join(", "));
            self.machine.push(of_run);
        }
        for words in now.machine {
            if !self.machine.contains(&words) {
                self.machine.push(words);
            }
        }
        for subject in now.subjects {
            if !self.subjects.contains(&subject) {
                self.subjects.push(subject);
            }
        }
        self.skipped.extend(now.skipped);
        self.records.extend(now.records);
        self
    }

    /// The median over the rounds of one figure of one cell.
    #[must_use]
    pub fn median(&self, cell: &Cell, figure: &str) -> Option<f64> {
        let of_cell = self.records.iter().filter(|record| record.cell == *cell);
        let mut values: Vec<f64> = of_cell
            .filter_map(|record| record.figures.get(figure).copied())
            .collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        if values.len() % 2 == 1 {
            return Some(upper);
        }
        Some(f64::midpoint(*values.get(middle - 1)?, upper))
    }

    /// The lowest and the highest over the rounds.
    #[must_use]
    pub fn spread(&self, cell: &Cell, figure: &str) -> Option<(f64, f64)> {
        let of_cell = self.records.iter().filter(|record| record.cell == *cell);
        let values = of_cell.filter_map(|record| record.figures.get(figure).copied());
        values.fold(None, |spread, value| match spread {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        Cell {
            series: "commit".to_owned(),
            system: "etcd".to_owned(),
            replicas: 3,
            bytes: 128,
            level: 1,
        }
    }

    /// A round in which somebody else had the machine must not move the table.
    #[test]
    fn the_median_ignores_one_bad_round() {
        let mut results = Results::default();
        assert_eq!(results.median(&cell(), "per_s"), None);
        for (round, value) in [(1, 100.0), (2, 5.0), (3, 102.0)] {
            let mut record = Record::new(cell(), round);
            record.set("per_s", value);
            results.records.push(record);
        }
        assert_eq!(results.median(&cell(), "per_s"), Some(100.0));
        assert_eq!(results.spread(&cell(), "per_s"), Some((5.0, 102.0)));
        results.records.pop();
        assert_eq!(results.median(&cell(), "per_s"), Some(52.5));
    }

    /// A series that is measured again replaces its old figures and its old failures, no others.
    #[test]
    fn a_series_is_measured_again() {
        let of = |series: &str, value: f64, skipped: &str| {
            let mut record = Record::new(cell(), 1);
            series.clone_into(&mut record.cell.series);
            record.set("per_s", value);
            Results {
                records: vec![record],
                skipped: vec![skipped.to_owned()],
                ..Results::default()
            }
        };
        let before = of("commit", 1.0, "commit of etcd: broke");
        let before = before.replaced_by(of("fanout", 2.0, "fanout of NATS: broke"));
        let both = before.replaced_by(of("fanout", 3.0, "fanout of NATS: broke again"));
        let values: Vec<f64> = both.records.iter().map(|r| r.figures["per_s"]).collect();
        assert_eq!(values, [1.0, 3.0]);
        assert_eq!(
            both.skipped,
            ["commit of etcd: broke", "fanout of NATS: broke again"]
        );
        let words = "measured apart from the rest: fanout".to_owned();
        assert!(both.machine.contains(&words), "{:?}", both.machine);
    }

    /// What is written is what is read.
    #[test]
    fn results_survive_the_file() {
        let mut record = Record::new(cell(), 1);
        record.set("p99.9_us", 1.5);
        let results = Results {
            records: vec![record],
            ..Results::default()
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        results.write(file.path()).unwrap();
        assert_eq!(Results::read(file.path()).unwrap(), results);
    }
}
