//! What is measured, how often and for how long.

use std::time::Duration;

/// The plan of one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds of the series that are interleaved.
    pub rounds: usize,
    /// How many senders wait for an acknowledgement at once.
    pub in_flight: Vec<usize>,
    /// Lengths of messages.
    pub bytes: Vec<usize>,
    /// Voters of the further sizes of cluster, at 128 bytes.
    pub larger: Vec<usize>,
    /// Before each measurement, unmeasured.
    pub warm: Duration,
    /// Each measurement of the closed loop.
    pub lasting: Duration,
    /// Messages per second of the open loop.
    pub rates: Vec<u64>,
    /// Each measurement of the open loop.
    pub open_lasting: Duration,
    /// Readers of one room.
    pub readers: Vec<u64>,
    /// Connections that only wait.
    pub idle_connections: u64,
    /// Messages in the room whose growth is measured.
    pub growth: Vec<u64>,
    /// Leaders that are killed, of each system.
    pub kills: u64,
    /// How long an idle cluster is looked at.
    pub idle_lasting: Duration,
}

impl Plan {
    /// A few minutes.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            rounds: 3,
            in_flight: vec![1, 16, 64, 256, 1000],
            bytes: vec![128, 1024],
            larger: vec![5],
            warm: Duration::from_millis(500),
            lasting: Duration::from_millis(1500),
            rates: vec![500, 2_000],
            open_lasting: Duration::from_secs(3),
            readers: vec![100, 1_000, 5_000],
            idle_connections: 10_000,
            growth: vec![1_000, 100_000],
            kills: 3,
            idle_lasting: Duration::from_secs(4),
        }
    }

    /// An hour or two.
    #[must_use]
    pub fn full() -> Self {
        Self {
            rounds: 5,
            warm: Duration::from_secs(2),
            lasting: Duration::from_secs(8),
            rates: vec![500, 2_000, 8_000, 20_000],
            open_lasting: Duration::from_secs(15),
            growth: vec![1_000, 100_000, 10_000_000],
            kills: 30,
            idle_lasting: Duration::from_secs(30),
            ..Self::quick()
        }
    }
}
