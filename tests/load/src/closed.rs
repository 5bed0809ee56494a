//! The closed loop: so many senders, each of whom waits for one acknowledgement before the next
//! message. Says what a system can do; its latencies are those at that load, no more.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Client;
use crate::record::{Latencies, latencies};

/// What one run of it showed.
#[derive(Debug)]
pub struct Closed {
    /// Acknowledged while it was measured.
    pub count: u64,
    /// How long that was.
    pub took: Duration,
    /// Of those.
    pub latencies: Latencies,
}

/// Runs `lanes` senders: for `warm` without and then for `lasting` with measurement. `begun` is
/// called in between.
///
/// # Errors
/// When a message is not acknowledged.
pub async fn run(
    client: &Client,
    lanes: usize,
    bytes: usize,
    (warm, lasting): (Duration, Duration),
    begun: impl FnOnce() -> Result<()>,
) -> Result<Closed> {
    let from = Instant::now() + warm;
    let until = from + lasting;
    let mut senders = JoinSet::new();
    for lane in 0..lanes {
        let client = client.clone();
        senders.spawn(async move {
            let mut latencies = latencies()?;
            loop {
                let sent = Instant::now();
                if sent >= until {
                    return anyhow::Ok(latencies);
                }
                client.commit(lane, bytes).await?;
                let now = Instant::now();
                if (from..=until).contains(&now) {
                    let took = u64::try_from((now - sent).as_micros())?;
                    latencies.saturating_record(took.max(1));
                }
            }
        });
    }
    tokio::time::sleep_until(from).await;
    begun()?;
    let mut all = latencies()?;
    while let Some(sender) = senders.join_next().await {
        all.add(sender??)?;
    }
    Ok(Closed {
        count: all.len(),
        took: lasting,
        latencies: all,
    })
}
