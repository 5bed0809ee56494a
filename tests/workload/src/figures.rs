//! Live figures: what all clients together have seen so far. What each second was like is worked
//! out afterwards, from the histories.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

/// Counts for all clients.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: Live,
    last_ack_us: Option<u64>,
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters are whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sent(&self) {
        self.lock().live.sent += 1;
    }

    pub(crate) fn acked(&self, at_us: u64) {
        let mut inner = self.lock();
        inner.live.acked += 1;
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
        let inner = self.lock();
        let mut live = inner.live;
        live.silent_us = inner
            .last_ack_us
            .map_or(0, |last| now_us.saturating_sub(last));
        live.longest_gap_us = live.longest_gap_us.max(live.silent_us);
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The silence after the last acknowledgement counts as a gap.
    #[test]
    fn counts_and_gaps() {
        let counter = Counter::default();
        counter.sent();
        counter.acked(200_000);
        counter.acked(900_000);
        counter.acked(2_500_000);
        assert_eq!(counter.live(3_000_000).longest_gap_us, 1_600_000);
        let live = counter.live(9_000_000);
        assert_eq!(
            (live.longest_gap_us, live.silent_us),
            (6_500_000, 6_500_000)
        );
        assert_eq!((live.sent, live.acked), (1, 3));
    }
}
