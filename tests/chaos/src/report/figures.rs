//! What a run comes to: the verdict in words, the key figures, the faults by kind. The page and
//! the Markdown show the same, so it is worked out once.

use super::words::{counted, date, length, number};
use crate::record::{Fault, Outcome, Record};

/// How the verdict is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// All claims held, and there were messages to hold them for.
    Passed,
    /// No claim was broken, but nothing was acknowledged: the run proves nothing.
    Hollow,
    /// At least one claim did not hold.
    Violated,
}

impl Standing {
    /// What the checker's verdict amounts to.
    pub(super) fn of(record: &Record) -> Self {
        if !record.verdict.violations.is_empty() {
            Self::Violated
        } else if record.verdict.acknowledged == 0 {
            Self::Hollow
        } else {
            Self::Passed
        }
    }

    /// The name of its style.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Hollow => "hollow",
            Self::Violated => "violated",
        }
    }

    /// A sign, so that it is not told by colour alone.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Hollow => "–",
            Self::Violated => "✗",
        }
    }
}

/// The verdict in one line.
pub(super) fn headline(record: &Record) -> String {
    match Standing::of(record) {
        Standing::Passed => "Passed: no violation".to_owned(),
        Standing::Hollow => "Nothing proven: no message was acknowledged".to_owned(),
        Standing::Violated => {
            let count = record.verdict.violations.len();
            format!("Failed: {}", counted(count, "violation", "violations"))
        }
    }
}

/// What the run was, in one sentence.
pub(super) fn summary(record: &Record) -> String {
    let installed = of_outcome(&record.faults, Outcome::Installed);
    format!(
        "{} messages acknowledged in {} under {} ({} of the nemesis in all), {}.",
        number(record.verdict.acknowledged),
        length(record.length_ms),
        counted(installed, "installed fault", "installed faults"),
        counted(record.faults.len(), "step", "steps"),
        counted(replacements(record), "replacement", "replacements"),
    )
}

/// How many faults had this outcome.
pub(crate) fn of_outcome(faults: &[Fault], outcome: Outcome) -> usize {
    faults.iter().filter(|f| f.outcome == outcome).count()
}

/// The word for an outcome, which is also the name of its style.
pub(super) const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Installed => "installed",
        Outcome::Skipped => "skipped",
        Outcome::Indeterminate => "indeterminate",
    }
}

fn replacements(record: &Record) -> usize {
    let marks = record.marks.iter();
    marks.filter(|mark| mark.kind == "replacement").count()
}

/// The value that `percent` of 100 do not exceed, by nearest rank. `None` of none.
pub(super) fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    (!sorted.is_empty()).then(|| crate::figures::percentile(&sorted, percent))
}

/// The faults of one kind, counted by outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// The kind.
    pub(crate) kind: String,
    /// Certainly there.
    pub(crate) installed: usize,
    /// Not tried.
    pub(crate) skipped: usize,
    /// Tried, not known.
    pub(crate) indeterminate: usize,
}

/// The kinds in the order of their first appearance: the same as the lanes of the picture.
pub(super) fn kinds(faults: &[Fault]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for fault in faults {
        if !kinds.contains(&fault.kind.as_str()) {
            kinds.push(&fault.kind);
        }
    }
    kinds
}

/// One row for each kind of fault.
pub(crate) fn tallies(faults: &[Fault]) -> Vec<Tally> {
    let count = |kind: &str, outcome| {
        let same = faults.iter().filter(|f| f.kind == kind);
        same.filter(|f| f.outcome == outcome).count()
    };
    let row = |kind: &str| Tally {
        kind: kind.to_owned(),
        installed: count(kind, Outcome::Installed),
        skipped: count(kind, Outcome::Skipped),
        indeterminate: count(kind, Outcome::Indeterminate),
    };
    kinds(faults).into_iter().map(row).collect()
}

/// The key figures: name and value, as text without markup.
pub(super) fn key_figures(record: &Record) -> Vec<(&'static str, String)> {
    let verdict = &record.verdict;
    let gaps: Vec<u64> = record.failovers.iter().map(|f| f.gap_ms).collect();
    let of_gaps = |percent| match percentile(&gaps, percent) {
        Some(gap) => format!("{} (of {})", length(gap), gaps.len()),
        None => "no leader died".to_owned(),
    };
    let mean = verdict.acknowledged as f64 * 1_000.0 / record.length_ms.max(1) as f64;
    let faults = format!(
        "{} installed, {} skipped, {} indeterminate",
        of_outcome(&record.faults, Outcome::Installed),
        of_outcome(&record.faults, Outcome::Skipped),
        of_outcome(&record.faults, Outcome::Indeterminate),
    );
    let cluster = format!(
        "{}, {}, {} in {}",
        counted(record.replicas as usize, "voter", "voters"),
        counted(record.gateways as usize, "gateway", "gateways"),
        counted(record.clients as usize, "client", "clients"),
        counted(record.rooms as usize, "room", "rooms"),
    );
    vec![
        ("Messages sent", number(verdict.sent)),
        ("Acknowledged", number(verdict.acknowledged)),
        ("Acknowledged per second, mean", number(mean.round() as u64)),
        ("Refused", number(verdict.refused)),
        ("Unknown at the end", number(verdict.unknown)),
        ("Events shown to clients", number(verdict.shown)),
        ("Log rows compared", number(verdict.rows)),
        ("Faults", faults),
        ("Replacements", replacements(record).to_string()),
        ("Failover gap, median", of_gaps(50)),
        ("Failover gap, p99", of_gaps(99)),
        ("Longest gap a client saw", length(verdict.longest_gap_ms)),
        ("Length", length(record.length_ms)),
        ("Cluster", cluster),
        ("Mode", record.mode.clone()),
        ("Seed", record.seed.to_string()),
        ("Version", record.version.clone()),
        ("Began", date(&record.began)),
    ]
}
