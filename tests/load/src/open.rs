//! The open loop: messages at a fixed rate, whether the one before was acknowledged or not. A
//! latency is counted from the moment at which the message was due, so that a system that stands
//! still is charged for all who would have waited (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::limits::{OUTSTANDING_MAX, TICKS_MAX};
use crate::record::{Latencies, latencies};

/// What one run of it showed.
#[derive(Debug)]
pub struct Open {
    /// Acknowledged.
    pub count: u64,
    /// From when each was due.
    pub latencies: Latencies,
    /// Whether the system was so far behind that the run was ended.
    pub overrun: bool,
}

/// Sends `per_second` messages for `lasting`, over `lanes` senders.
///
/// # Errors
/// When a message is not acknowledged.
pub async fn run(
    client: &Client,
    lanes: usize,
    bytes: usize,
    per_second: u64,
    lasting: Duration,
) -> Result<Open> {
    let (ticks, mut due) = mpsc::channel(TICKS_MAX);
    let clock = std::thread::Builder::new().name("open-loop".to_owned());
    // A thread of its own: the runtime's timer is a millisecond coarse.
    let clock = clock.spawn(move || tick(&ticks, per_second, lasting))?;
    let outstanding = Arc::new(AtomicUsize::new(0));
    let mut sends = JoinSet::new();
    let (mut all, mut overrun) = (latencies()?, false);
    let mut lane = 0;
    while let Some(at) = due.recv().await {
        if outstanding.load(Ordering::Relaxed) >= OUTSTANDING_MAX {
            overrun = true;
            break;
        }
        lane = (lane + 1) % lanes;
        outstanding.fetch_add(1, Ordering::Relaxed);
        let (client, outstanding) = (client.clone(), Arc::clone(&outstanding));
        sends.spawn(async move {
            let sent = client.commit(lane, bytes).await;
            outstanding.fetch_sub(1, Ordering::Relaxed);
            sent.map(|()| at.elapsed())
        });
        while let Some(done) = sends.try_join_next() {
            note(&mut all, done??)?;
        }
    }
    // The clock stops when nobody listens.
    drop(due);
    while let Some(done) = sends.join_next().await {
        note(&mut all, done??)?;
    }
    clock.join().ok().context("the clock of the open loop")?;
    Ok(Open {
        count: all.len(),
        latencies: all,
        overrun,
    })
}

fn note(all: &mut Latencies, took: Duration) -> Result<()> {
    all.saturating_record(u64::try_from(took.as_micros())?.max(1));
    Ok(())
}

/// Tells each moment at which a message is due, at that moment.
fn tick(ticks: &mpsc::Sender<Instant>, per_second: u64, lasting: Duration) {
    let began = Instant::now();
    for number in 0.. {
        let at = Duration::from_nanos(number * 1_000_000_000 / per_second.max(1));
        if at >= lasting {
            return;
        }
        if let Some(wait) = at.checked_sub(began.elapsed()) {
            std::thread::sleep(wait);
        }
        if ticks.blocking_send(began + at).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that was held up tells the moments that it missed as they were due, not as late
    /// as it is: that is what keeps omission out.
    #[test]
    fn missed_moments_keep_their_time() {
        let (ticks, mut due) = mpsc::channel(4);
        let clock = std::thread::spawn(move || tick(&ticks, 1000, Duration::from_millis(50)));
        std::thread::sleep(Duration::from_millis(100));
        let mut moments = Vec::new();
        while let Some(at) = due.blocking_recv() {
            moments.push(at);
        }
        clock.join().unwrap();
        assert_eq!(moments.len(), 50);
        for pair in moments.windows(2) {
            assert_eq!(pair[1] - pair[0], Duration::from_millis(1));
        }
    }
}
