//! What can be wrong, and a bounded list of what was.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::EXAMPLES_MAX;

/// A way in which a claim does not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An acknowledged message is not in the room, or in no log (C2, C4).
    Lost,
    /// One message has two places (C2).
    Duplicated,
    /// Messages stand in another order than their author sent them, than the log has them, or
    /// than the connection promised.
    Reordered,
    /// Shown, but never sent so: by nobody, with another text, in another room, before it was
    /// sent, or after it was refused for good.
    Phantom,
    /// A `seq` or `msg_no` is missing (C1), or what was shown is not contiguous (C3).
    Gap,
    /// What was shown or acknowledged at a place is something else there later, or elsewhere (C6).
    Moved,
    /// Acknowledged while a majority was dead, or held by no majority (C7).
    WithoutQuorum,
    /// What was acknowledged or shown before another message was sent has the higher slot.
    RealTime,
    /// A client was shown less than it had seen before.
    WentBack,
    /// Two nodes' logs or states differ at one slot, or a state is damaged.
    Diverged,
    /// What a client was told to be unread is not what the messages say (C5).
    Miscounted,
    /// Two answers to one request that exclude each other.
    Contradicted,
    /// Evidence is missing: the claims may hold, but it was not shown that they do.
    Incomplete,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Phantom => "phantom",
            Self::Gap => "gap",
            Self::Moved => "moved",
            Self::WithoutQuorum => "without_quorum",
            Self::RealTime => "real_time",
            Self::WentBack => "went_back",
            Self::Diverged => "diverged",
            Self::Miscounted => "miscounted",
            Self::Contradicted => "contradicted",
            Self::Incomplete => "incomplete",
        })
    }
}

/// One claim that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// In which way.
    pub kind: Kind,
    /// What is wrong and where it is seen.
    pub words: String,
}

/// All that was found, the first of each kind in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    counts: BTreeMap<Kind, u64>,
    examples: Vec<Violation>,
}

impl Findings {
    /// Notes a violation; the words are made only while examples are wanted.
    pub(crate) fn add(&mut self, kind: Kind, words: impl FnOnce() -> String) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= EXAMPLES_MAX as u64 {
            let words = words();
            self.examples.push(Violation { kind, words });
        }
    }

    pub(crate) fn into_parts(mut self) -> (BTreeMap<Kind, u64>, Vec<Violation>) {
        self.examples.sort_by_key(|violation| violation.kind);
        (self.counts, self.examples)
    }
}
