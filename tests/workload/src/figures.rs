//! Live figures: what all clients together see in each second.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::limits::LATENCY_MAX_US;

/// What clients saw in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// When it begins, in milliseconds of the run.
    pub at_ms: u64,
    /// Messages sent for the first time.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// From the first sending to the acknowledgement, in microseconds: the median of those
    /// acknowledged in this second, 0 when there were none. So are the next two.
    pub p50_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// The figures so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Messages sent for the first time.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Connections that became ready.
    pub connections: u64,
    /// The longest time without an acknowledgement to anybody, in microseconds. From the first
    /// acknowledgement on, what lasts until now included.
    pub longest_gap_us: u64,
    /// Microseconds since the last acknowledgement; 0 before the first.
    pub silent_us: u64,
    /// The last complete second.
    pub second: Second,
}

/// Counts for all clients.
#[derive(Debug)]
pub(crate) struct Counter {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: Live,
    last_ack_us: Option<u64>,
    now: Second,
    latencies: Histogram<u64>,
    /// One of 48 bytes for each second of the run.
    seconds: Vec<Second>,
}

impl Counter {
    pub(crate) fn new() -> Self {
        // Bounds of the histogram are constants that it takes: two digits up to ten minutes.
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2);
        Self {
            inner: Mutex::new(Inner {
                live: Live::default(),
                last_ack_us: None,
                now: Second::default(),
                #[allow(
                    clippy::expect_used,
                    reason = "the bounds are constants; a test makes one"
                )]
                latencies: latencies.expect("1 to ten minutes with two digits"),
                seconds: Vec::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters are whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sent(&self, at_us: u64) {
        let mut inner = self.lock();
        inner.advance(at_us);
        inner.live.sent += 1;
        inner.now.sent += 1;
    }

    pub(crate) fn acked(&self, at_us: u64, latency_us: u64) {
        let mut inner = self.lock();
        inner.advance(at_us);
        inner.live.acked += 1;
        inner.now.acked += 1;
        inner.latencies.saturating_record(latency_us.max(1));
        if let Some(last) = inner.last_ack_us {
            let gap = at_us.saturating_sub(last);
            inner.live.longest_gap_us = inner.live.longest_gap_us.max(gap);
        }
        inner.last_ack_us = Some(at_us.max(inner.last_ack_us.unwrap_or(0)));
    }

    pub(crate) fn refused(&self) {
        self.lock().live.refused += 1;
    }

    pub(crate) fn connected(&self) {
        self.lock().live.connections += 1;
    }

    pub(crate) fn live(&self, now_us: u64) -> Live {
        let mut inner = self.lock();
        inner.advance(now_us);
        let mut live = inner.live;
        live.silent_us = inner
            .last_ack_us
            .map_or(0, |last| now_us.saturating_sub(last));
        live.longest_gap_us = live.longest_gap_us.max(live.silent_us);
        live.second = inner.seconds.last().copied().unwrap_or_default();
        live
    }

    pub(crate) fn seconds(&self, now_us: u64) -> Vec<Second> {
        let mut inner = self.lock();
        inner.advance(now_us);
        inner.seconds.clone()
    }
}

impl Inner {
    /// Ends the seconds that are over. What comes late counts in the present one.
    fn advance(&mut self, at_us: u64) {
        while at_us / 1000 >= self.now.at_ms + 1000 {
            if self.now.acked > 0 {
                self.now.p50_us = self.latencies.value_at_quantile(0.5);
                self.now.p99_us = self.latencies.value_at_quantile(0.99);
                self.now.max_us = self.latencies.max();
                self.latencies.reset();
            }
            let next = Second {
                at_ms: self.now.at_ms + 1000,
                ..Second::default()
            };
            self.seconds.push(std::mem::replace(&mut self.now, next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each second has its own figures, an empty one too, and the silence after the last
    /// acknowledgement counts as a gap.
    #[test]
    fn seconds_and_gaps() {
        let counter = Counter::new();
        counter.sent(100_000);
        counter.acked(200_000, 100_000);
        counter.acked(900_000, 1);
        counter.acked(2_500_000, 5_000);
        let seconds = counter.seconds(3_000_000);
        assert_eq!(seconds.len(), 3);
        assert_eq!((seconds[0].sent, seconds[0].acked), (1, 2));
        assert!(seconds[0].max_us >= 99_000 && seconds[0].max_us <= 101_000);
        assert_eq!((seconds[1].acked, seconds[1].p99_us), (0, 0));
        assert_eq!((seconds[2].at_ms, seconds[2].acked), (2000, 1));
        assert_eq!(counter.live(3_000_000).longest_gap_us, 1_600_000);
        let live = counter.live(9_000_000);
        assert_eq!(
            (live.longest_gap_us, live.silent_us),
            (6_500_000, 6_500_000)
        );
        assert_eq!((live.sent, live.acked), (1, 3));
    }
}
