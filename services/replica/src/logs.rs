//! Saying a lasting failure now and then instead of each time.

use std::time::Instant;

use crate::limits::REPEAT_LOG;

/// Lets one report through per [`REPEAT_LOG`].
#[derive(Debug, Default)]
pub(crate) struct Seldom {
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

    /// The failure is over: the next one is news.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}
