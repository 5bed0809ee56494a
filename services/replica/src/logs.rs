//! Saying a lasting failure now and then instead of each time.

use std::time::Instant;

use crate::limits::{LASTING_FAILURE, REPEAT_LOG};

/// Lets one report through per [`REPEAT_LOG`].
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Seldom {
    /// Whether it is time to say it.
    pub(crate) fn due(&mut self) -> bool {
        let now = Instant::now();
        let due = self
            .last
            .is_none_or(|last| now.duration_since(last) >= REPEAT_LOG);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// As [`Seldom::due`], but not before the failure has lasted for [`LASTING_FAILURE`]: what
    /// passes by itself at every start is no news.
    pub(crate) fn due_if_lasting(&mut self) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() >= LASTING_FAILURE && self.due()
    }

    /// The failure is over: the next one is news.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}
