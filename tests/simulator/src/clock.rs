//! The two clocks of a node. Faults: drift, which changes, and jumps of the wall clock.
//!
//! The monotonic one is what the core sees: it never falls, but runs a few per cent faster or
//! slower than the world's. The wall clock is what goes into `Propose`: it may be years off.

use paxos::{Millis, Timestamp};

use crate::network::Micros;

/// A wall clock that is right shows this at the beginning of a run: November 2023.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// The clocks of one node.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The moment of the last change of rate, and what the clock showed then.
    since: Micros,
    shown_us: u64,
    /// Microseconds per thousand microseconds of the world's.
    rate: u64,
    /// How far the wall clock is off, in milliseconds.
    wall_off_ms: i64,
}

impl Clock {
    /// A clock that runs with the world's, from some number on.
    #[must_use]
    pub const fn new(start_ms: u64) -> Self {
        Self {
            since: 0,
            shown_us: start_ms * 1_000,
            rate: 1_000,
            wall_off_ms: 0,
        }
    }

    fn shows_us(&self, now: Micros) -> u64 {
        self.shown_us + (now - self.since) * self.rate / 1_000
    }

    /// What the monotonic clock shows.
    #[must_use]
    pub fn monotonic(&self, now: Micros) -> Millis {
        Millis(self.shows_us(now) / 1_000)
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn wall(&self, now: Micros) -> Timestamp {
        let right = EPOCH_MS + self.shows_us(now) / 1_000;
        Timestamp(right.saturating_add_signed(self.wall_off_ms))
    }

    /// From now on the clock runs so many thousandths faster.
    pub fn drift(&mut self, now: Micros, per_mille: i64) {
        self.shown_us = self.shows_us(now);
        self.since = now;
        self.rate = 1_000_u64.saturating_add_signed(per_mille).max(1);
    }

    /// The wall clock is off by so many milliseconds from now on.
    pub const fn jump(&mut self, off_ms: i64) {
        self.wall_off_ms = off_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    /// Goal: the core's clock never falls, whatever the drift; the wall clock may.
    #[test]
    fn drift_never_turns_the_monotonic_clock_back() {
        let mut clock = Clock::new(5_000);
        let mut last = clock.monotonic(0);
        for (step, drift) in [40, -50, 0, -50, 90].into_iter().enumerate() {
            let now = 1_000_000 * (step as u64 + 1);
            assert!(clock.monotonic(now) > last);
            last = clock.monotonic(now);
            clock.drift(now, drift);
            assert_eq!(clock.monotonic(now), last, "a change of rate is no jump");
        }
        let before = clock.wall(6_000_000);
        clock.jump(-86_400_000);
        assert!(clock.wall(6_000_000) < before);
    }
}
