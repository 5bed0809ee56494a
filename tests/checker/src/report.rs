//! What the checker says.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::facts::Facts;
use crate::limits::EXAMPLES_MAX;
use crate::violation::{Kind, Violation};

/// How much was looked at. A verdict over nothing proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Histories.
    pub clients: u64,
    /// Lines of all histories.
    pub lines: u64,
    /// Lines of a kind that this checker does not judge.
    pub not_judged: u64,
    /// Messages sent.
    pub sent: u64,
    /// Times that one of them was sent again.
    pub resent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Answers that said `dup`.
    pub dups: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Edits and deletions that were answered.
    pub changed: u64,
    /// Times that a client was told how far it has read a room and what is unread, and the rows
    /// were known from which that follows.
    pub recounted: u64,
    /// Messages without an answer at the end: they may be there or not.
    pub unknown: u64,
    /// How many of these are there.
    pub unknown_but_there: u64,
    /// Events that clients were shown, each time that one was.
    pub shown: u64,
    /// Connections.
    pub connections: u64,
    /// Pages of history that were answered.
    pub pages: u64,
    /// Whole reads of a room from one gateway.
    pub whole_reads: u64,
    /// Times that a client was told that there is no quorum, by a request or by itself.
    pub told_no_quorum: u64,
    /// Messages that fell wholly into a time in which a majority was dead.
    pub sent_in_outage: u64,
    /// Rows of logs that were compared.
    pub rows: u64,
    /// Messages whose place was looked up in the logs.
    pub located: u64,
    /// States that were compared with another one of the same slot.
    pub states: u64,
    /// The longest time from sending a message to its acknowledgement, in microseconds.
    pub longest_wait_us: u64,
    /// When that one was sent, in microseconds of the run.
    pub longest_wait_from_us: u64,
}

/// The verdict over a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How much was looked at.
    pub figures: Figures,
    /// How often each claim did not hold.
    pub counts: BTreeMap<Kind, u64>,
    /// The first of each kind in words, at most [`EXAMPLES_MAX`].
    pub violations: Vec<Violation>,
}

impl Report {
    pub(crate) fn new(facts: Facts) -> Self {
        let mut figures = facts.figures;
        figures.clients = facts.clients.len() as u64;
        let (counts, violations) = facts.findings.into_parts();
        Self {
            figures,
            counts,
            violations,
        }
    }

    /// Whether every claim held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether something of this kind was found.
    #[must_use]
    pub fn found(&self, kind: Kind) -> bool {
        self.counts.contains_key(&kind)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = &self.figures;
        writeln!(
            f,
            "{} histories, {} lines ({} of them not judged), {} connections",
            n.clients, n.lines, n.not_judged, n.connections
        )?;
        writeln!(
            f,
            "sent {}, again {}; acknowledged {} (dup {}), refused {}, unknown {} ({} are there)",
            n.sent, n.resent, n.acknowledged, n.dups, n.refused, n.unknown, n.unknown_but_there
        )?;
        writeln!(
            f,
            "shown {}, pages {}, whole reads {}; log rows {}, messages found in logs {}, equal \
             states {}",
            n.shown, n.pages, n.whole_reads, n.rows, n.located, n.states
        )?;
        writeln!(
            f,
            "changes answered {}, unread counted again {}; told no quorum {}, sent in an outage {}, \
             longest wait {} ms",
            n.changed,
            n.recounted,
            n.told_no_quorum,
            n.sent_in_outage,
            n.longest_wait_us / 1000
        )?;
        if self.holds() {
            return write!(f, "All claims hold.");
        }
        for (kind, count) in &self.counts {
            writeln!(f, "VIOLATION {kind}: {count}")?;
            let examples = self.violations.iter().filter(|one| one.kind == *kind);
            for example in examples {
                writeln!(f, "  {}", example.words)?;
            }
            if *count > EXAMPLES_MAX as u64 {
                writeln!(f, "  … and {} more", count - EXAMPLES_MAX as u64)?;
            }
        }
        write!(f, "The claims do not hold.")
    }
}
