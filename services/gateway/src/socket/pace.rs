//! How fast one socket is read.
//!
//! Whoever sends more frames than a client of ours ever would is read more slowly, until the network
//! holds the rest back: nothing is lost, nobody else waits, and no frame costs more than it brings.

use std::time::Duration;

use tokio::time::Instant;

use super::admission::{Bucket, Rate};
use crate::config::Options;
use crate::limits::FRAMES_PER_SECOND_MIN;

/// The pace of one socket.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    bucket: Bucket,
    /// Until when nothing is read.
    pub(super) held: Option<Instant>,
    /// The frame before was read without a token: it is paid for by waiting.
    owes: bool,
}

impl Pace {
    pub(super) fn new(options: &Options, now: Instant) -> Self {
        // A request may have a reading of its room and a typing with it, and retries.
        let most = |count: u32| count.saturating_mul(4).max(FRAMES_PER_SECOND_MIN);
        let rate = Rate {
            burst: most(options.sends_burst),
            per_second: f64::from(most(options.sends_per_second)),
        };
        Self {
            rate,
            bucket: Bucket::new(rate, now),
            held: None,
            owes: false,
        }
    }

    /// One more frame was read.
    pub(super) fn frame(&mut self, now: Instant) {
        if std::mem::take(&mut self.owes) {
            // There is one by now: that is what was waited for.
            let _ = self.bucket.take(self.rate, now);
        }
        if let Err(ms) = self.bucket.take(self.rate, now) {
            self.held = Some(now + Duration::from_millis(ms.into()));
            self.owes = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: a burst is read at once, a flood at the rate.
    #[test]
    fn a_flood_is_read_at_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(&Options::default(), start);
        let (mut now, mut read) = (start, 0);
        while now < start + Duration::from_secs(10) {
            pace.frame(now);
            read += 1;
            now = pace.held.take().unwrap_or(now);
        }
        let rate = 10 * FRAMES_PER_SECOND_MIN + FRAMES_PER_SECOND_MIN;
        assert!((rate..=rate + rate / 10).contains(&read), "{read}");
    }
}
