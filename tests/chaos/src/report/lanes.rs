//! What was done to the cluster and what it did: one lane for each kind.

use super::charts::failover_words;
use super::figures::{kinds, outcome_word};
use super::picture::{Canvas, Sign, Size};
use super::words::{cut, length, moment};
use crate::record::{Fault, Record};

/// Overlapping faults of one kind get lines of their own, up to this many; more share the last.
const LINES_MAX: usize = 3;
/// Least width of a band: one that has no length must be seen.
const BAND_WIDTH_MIN: f64 = 4.0;

/// Elections, suspicions, replacements, failover gaps.
pub(super) fn cluster(canvas: &mut Canvas, record: &Record) {
    let verdict = &record.verdict;
    let legend = [
        (Sign::Mark("election"), "election".to_owned()),
        (Sign::Mark("suspicion"), "suspicion".to_owned()),
        (Sign::Mark("replacement"), "replacement".to_owned()),
        (Sign::Band("failover"), "failover gap".to_owned()),
        (Sign::Span, "longest gap a client saw".to_owned()),
    ];
    canvas.heading("What the cluster did", &legend);
    let mut names = vec!["election", "suspicion", "replacement"];
    for mark in &record.marks {
        if !names.contains(&mark.kind.as_str()) {
            names.push(&mark.kind);
        }
    }
    for name in names {
        let y = lane(canvas, name, 1) + 7.0;
        for mark in record.marks.iter().filter(|mark| mark.kind == name) {
            let x = canvas.plot.x(mark.at_ms);
            let title = format!("{}: {}", moment(mark.at_ms), mark.words);
            canvas.mark(name, x, y, &title);
        }
    }
    let y = lane(canvas, "failover gap", 1);
    for failover in &record.failovers {
        let until = failover.at_ms.saturating_add(failover.gap_ms);
        let (x, width) = canvas.plot.stretch(failover.at_ms, until, 3.0);
        canvas.band("failover", (x, y), (width, 14.0), &failover_words(failover));
    }
    let y = lane(canvas, "longest client gap", 1) + 7.0;
    let (from_ms, longest_ms) = (verdict.longest_gap_at_ms, verdict.longest_gap_ms);
    let until_ms = from_ms.saturating_add(longest_ms);
    let (left, width) = canvas.plot.stretch(from_ms, until_ms, 2.0);
    canvas.span(left, y, width);
    let words = match canvas.size {
        Size::Wide => format!("{}, from {}", length(longest_ms), moment(from_ms)),
        Size::Narrow => length(longest_ms),
    };
    // Beside it where there is room, on whichever side.
    let text = words.chars().count() as f64 * 6.6 + 8.0;
    let behind = left + width + 8.0;
    let x = match behind + text < canvas.plot.right {
        true => behind,
        false => (left - text).max(canvas.plot.left),
    };
    canvas.text("note", x, y + 4.0, &words);
}

/// Every step of the nemesis, in the lane of its kind.
pub(super) fn faults(canvas: &mut Canvas, record: &Record) {
    let legend = [
        (Sign::Band("band installed"), "installed".to_owned()),
        (Sign::Band("band skipped"), "skipped".to_owned()),
        (Sign::Band("band indeterminate"), "indeterminate".to_owned()),
    ];
    canvas.heading("Faults", &legend);
    let kinds = kinds(&record.faults);
    if kinds.is_empty() {
        lane(canvas, "none", 1);
    }
    for kind in kinds {
        let same: Vec<(usize, &Fault)> = record
            .faults
            .iter()
            .enumerate()
            .filter(|(_, fault)| fault.kind == kind)
            .collect();
        let lines = lines(canvas, &same);
        let count = lines.iter().max().map_or(1, |line| line + 1);
        let top = lane(canvas, kind, count);
        for ((index, fault), line) in same.into_iter().zip(lines) {
            let (x, width) = place(canvas, fault);
            let class = format!("band {}", outcome_word(fault.outcome));
            let y = top + line as f64 * 16.0;
            canvas.band(&class, (x, y), (width, 14.0), &fault_words(index, fault));
        }
    }
}

fn place(canvas: &Canvas, fault: &Fault) -> (f64, f64) {
    canvas
        .plot
        .stretch(fault.from_ms, fault.to_ms, BAND_WIDTH_MIN)
}

fn fault_words(index: usize, fault: &Fault) -> String {
    format!(
        "{}. {} of {}, {}, {} to {}: {}",
        index + 1,
        fault.kind,
        fault.target,
        outcome_word(fault.outcome),
        moment(fault.from_ms),
        moment(fault.to_ms),
        fault.words
    )
}

/// The line of each fault inside its lane: the first in which nothing is in its way.
fn lines(canvas: &Canvas, faults: &[(usize, &Fault)]) -> Vec<usize> {
    let mut ends = [f64::NEG_INFINITY; LINES_MAX];
    let mut lines = Vec::with_capacity(faults.len());
    for (_, fault) in faults {
        let (x, width) = place(canvas, fault);
        let free = ends.iter().position(|end| *end <= x);
        let line = free.unwrap_or(LINES_MAX - 1);
        ends[line] = ends[line].max(x + width);
        lines.push(line);
    }
    lines
}

/// Begins a lane of so many lines and gives its upper side; moves down below it.
fn lane(canvas: &mut Canvas, name: &str, lines: usize) -> f64 {
    let (left, right) = (canvas.plot.left, canvas.plot.right);
    match canvas.size {
        Size::Wide => {
            let label = cut(name, 20);
            canvas.text("lane end", left - 10.0, canvas.y + 11.0, &label);
        }
        Size::Narrow => {
            canvas.y += 10.0;
            canvas.text("lane", 4.0, canvas.y, &cut(name, 40));
            canvas.y += 4.0;
        }
    }
    let top = canvas.y;
    let height = lines as f64 * 16.0;
    canvas.y += height + 4.0;
    canvas.line("grid", (left, canvas.y - 2.0), (right, canvas.y - 2.0));
    top
}
