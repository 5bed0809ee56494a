//! The figures of a run, from what clients wrote down: throughput and latency of each second, and
//! how long nobody was answered when a leader died.

use crate::nemesis::LeaderKill;
use crate::record::{Failover, Sample};

/// A silence that a death caused begins when the answers that were on their way have arrived.
const ON_THE_WAY_US: u64 = 300_000;

/// When messages were sent and acknowledged, by the clock of the run, in microseconds.
#[derive(Clone, Default, Debug)]
pub struct Traffic {
    /// Each message that was sent, when for the first time.
    pub sent: Vec<u64>,
    /// Each message that was acknowledged: when it was first sent, and when first acknowledged.
    pub acked: Vec<(u64, u64)>,
}

/// What clients saw in each second of `length_ms`.
#[must_use]
pub fn samples(traffic: &Traffic, length_ms: u64) -> Vec<Sample> {
    let seconds = usize::try_from(length_ms.div_ceil(1000)).unwrap_or(0);
    let mut samples = vec![Sample::default(); seconds];
    let mut latencies = vec![Vec::new(); seconds];
    let second = |us: u64| usize::try_from(us / 1_000_000).unwrap_or(usize::MAX);
    for sent in &traffic.sent {
        if let Some(sample) = samples.get_mut(second(*sent)) {
            sample.sent += 1;
        }
    }
    for (sent, acked) in &traffic.acked {
        if let Some(latencies) = latencies.get_mut(second(*acked)) {
            latencies.push(acked.saturating_sub(*sent));
        }
    }
    for ((at_ms, sample), mut latencies) in (0..).step_by(1000).zip(&mut samples).zip(latencies) {
        latencies.sort_unstable();
        sample.at_ms = at_ms;
        sample.acked = latencies.len() as u64;
        sample.p50_us = percentile(&latencies, 50);
        sample.p99_us = percentile(&latencies, 99);
        sample.max_us = latencies.last().copied().unwrap_or(0);
    }
    samples
}

/// The value that so many of a hundred do not exceed; 0 of none. `sorted` is.
#[must_use]
pub fn percentile(sorted: &[u64], of_hundred: usize) -> u64 {
    let rank = (sorted.len() * of_hundred).div_ceil(100);
    let index = rank.saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0)
}

/// For each death of a leader the longest silence of all clients together that it began, or went
/// on with: it begins between the wish and the moment when what was acknowledged just before the death
/// has arrived. A silence that was there
/// already, because a majority was dead, say, counts from the death on.
#[must_use]
pub fn failovers(traffic: &Traffic, kills: &[LeaderKill]) -> Vec<Failover> {
    let mut acks: Vec<u64> = traffic.acked.iter().map(|(_, acked)| *acked).collect();
    acks.sort_unstable();
    let silence = |kill: &LeaderKill| {
        let killed = kill.at_ms * 1000;
        let first_after = acks.partition_point(|ack| *ack < killed);
        let from = acks.get(first_after.saturating_sub(1)..)?;
        let arrived = kill.dead_ms * 1000 + ON_THE_WAY_US;
        let began_in_time = |pair: &&[u64]| pair[0] <= arrived;
        let pairs = from.windows(2).take_while(began_in_time);
        let silence = |pair: &[u64]| pair[1].saturating_sub(pair[0].max(killed));
        let longest = pairs.map(silence).max()?;
        Some(Failover {
            at_ms: kill.at_ms,
            gap_ms: longest / 1000,
        })
    };
    kills.iter().filter_map(silence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(acks: &[u64]) -> Traffic {
        Traffic {
            sent: acks.iter().map(|ms| (ms - 10) * 1000).collect(),
            acked: acks
                .iter()
                .map(|ms| ((ms - 10) * 1000, ms * 1000))
                .collect(),
        }
    }

    /// What was on its way when the leader died does not hide the silence after it.
    #[test]
    fn a_silence_follows_a_death() {
        let acks = traffic(&[100, 110, 120, 125, 700, 710, 1500]);
        let gap = |at_ms| {
            let kill = LeaderKill {
                at_ms,
                dead_ms: at_ms,
            };
            failovers(&acks, &[kill]).first().map(|f| f.gap_ms)
        };
        assert_eq!(gap(121), Some(575));
        // A later silence has another reason.
        assert_eq!(gap(112), Some(575));
        assert_eq!(gap(705), Some(790));
        // The one before was silent for long.
        assert_eq!(gap(1450), Some(50));
        // Nothing was acknowledged after it: no figure.
        assert_eq!(gap(1600), None);
    }

    /// An engine of containers that takes 400 ms to kill: the silence is after that.
    #[test]
    fn a_death_may_take_its_time() {
        let acks = traffic(&[100, 150, 250, 350, 450, 500, 950]);
        let kill = LeaderKill {
            at_ms: 120,
            dead_ms: 520,
        };
        assert_eq!(
            failovers(&acks, &[kill]).first().map(|f| f.gap_ms),
            Some(450)
        );
    }

    #[test]
    fn seconds_are_counted() {
        let samples = samples(&traffic(&[100, 900, 1005, 2999]), 3000);
        let acked: Vec<u64> = samples.iter().map(|sample| sample.acked).collect();
        assert_eq!(acked, [2, 1, 1]);
        let sent: Vec<u64> = samples.iter().map(|sample| sample.sent).collect();
        assert_eq!(sent, [3, 0, 1]);
        assert!(samples.iter().all(|sample| sample.p50_us == 10_000));
        assert_eq!(samples[2].at_ms, 2000);
    }

    #[test]
    fn percentiles_are_values() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 50), 100);
        assert_eq!(percentile(&values, 99), 198);
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[7], 99), 7);
    }
}
