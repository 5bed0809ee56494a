//! A table of one series: systems by levels.

use std::fmt::Write as _;

use crate::chart::{Chart, Line};
use crate::record::{Cell, Results};

/// Ours, as the tables call it.
pub(super) const OURS: &str = "Chatterbox";

/// A table of one series: systems by levels.
pub(super) struct Table<'a> {
    pub(super) results: &'a Results,
    pub(super) series: &'a str,
    pub(super) replicas: usize,
    pub(super) bytes: usize,
}

impl Table<'_> {
    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let records = self.results.records.iter().map(|record| &record.cell);
        records.filter(|cell| {
            cell.series == self.series && cell.replicas == self.replicas && cell.bytes == self.bytes
        })
    }

    pub(super) fn levels(&self) -> Vec<u64> {
        let mut levels: Vec<u64> = self.cells().map(|cell| cell.level).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// In the order in which they were measured.
    pub(super) fn systems(&self) -> Vec<String> {
        let mut systems: Vec<String> = Vec::new();
        for cell in self.cells() {
            if !systems.contains(&cell.system) {
                systems.push(cell.system.clone());
            }
        }
        systems
    }

    pub(super) fn figure(&self, system: &str, level: u64, figure: &str) -> Option<f64> {
        self.results.median(&self.cell(system, level), figure)
    }

    pub(super) fn cell(&self, system: &str, level: u64) -> Cell {
        Cell {
            series: self.series.to_owned(),
            system: system.to_owned(),
            replicas: self.replicas,
            bytes: self.bytes,
            level,
        }
    }

    /// One row per system, one column per level; `words` says what stands in a field.
    pub(super) fn rows(&self, head: &str, words: impl Fn(&str, u64) -> Option<String>) -> String {
        let levels = self.levels();
        if levels.is_empty() {
            return "Not measured in this run.\n\n".to_owned();
        }
        let mut out = format!("| {head} |");
        for level in &levels {
            let _ = write!(out, " {} |", grouped(*level));
        }
        out.push_str("\n|---|");
        out.push_str(&"---|".repeat(levels.len()));
        out.push('\n');
        for system in self.systems() {
            let _ = write!(out, "| {system} |");
            for level in &levels {
                let field = words(&system, *level).unwrap_or_else(|| "–".to_owned());
                let _ = write!(out, " {field} |");
            }
            out.push('\n');
        }
        out.push('\n');
        out
    }

    /// Ours over each of the others.
    pub(super) fn ratios(&self, figure: &str, head: &str) -> String {
        let ratio = |system: &str, level: u64| {
            let ours = self.figure(OURS, level, figure)?;
            let theirs = self.figure(system, level, figure)?;
            Some(format!("{:.2}", ours / theirs))
        };
        let all = self.rows(head, ratio);
        let without_us = all
            .lines()
            .filter(|line| !line.starts_with("| Chatterbox "));
        without_us.collect::<Vec<_>>().join("\n") + "\n\n"
    }

    /// The latencies of three percentiles, in milliseconds.
    pub(super) fn latencies(&self, prefix: &str, system: &str, level: u64) -> Option<String> {
        let at = |name: &str| self.figure(system, level, &format!("{prefix}{name}_us"));
        let (p50, p99, p999) = (at("p50")?, at("p99")?, at("p99.9")?);
        Some(format!("{} / {} / {}", ms(p50), ms(p99), ms(p999)))
    }

    pub(super) fn chart(
        &self,
        title: &str,
        levels: &str,
        figure: &str,
        scale: f64,
    ) -> Option<String> {
        let line = |system: String| Line {
            points: self
                .levels()
                .into_iter()
                .filter_map(|level| {
                    let value = self.figure(&system, level, figure)?;
                    Some((level as f64, value * scale))
                })
                .collect(),
            name: system,
        };
        let chart = Chart {
            title: title.to_owned(),
            levels: levels.to_owned(),
            lines: self.systems().into_iter().map(line).collect(),
        };
        chart.svg()
    }
}

pub(super) fn ms(us: f64) -> String {
    let value = us / 1e3;
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn count(value: f64) -> String {
    grouped(value.round().max(0.0) as u64)
}
