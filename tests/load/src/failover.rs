//! The leader is killed under load: how long nobody hears an acknowledgement.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Kind};
use crate::limits::RETRY;
use crate::record::{Cell, Latencies, Record, latencies};
use crate::system::{Running, System};

/// People who write, each waiting for the acknowledgement before.
const WRITERS: usize = 16;
/// Load before the kill.
const BEFORE: Duration = Duration::from_secs(1);
/// Load after it: longer than any election that is not broken.
const AFTER: Duration = Duration::from_secs(5);
/// A client of etcd tries another member after this long without an answer. Ours has a gateway,
/// which does that for it.
const TRY: Duration = Duration::from_millis(300);

/// Kills the leader so many times, on a fresh cluster each, and notes the gaps.
///
/// # Errors
/// When the system does not commit again.
pub async fn measure(system: System, kills: u64, mut cell: Cell) -> Result<Record> {
    cell.level = kills;
    let mut gaps = latencies()?;
    for _ in 0..kills {
        let gap = one(system, cell.replicas).await?;
        gaps.saturating_record(u64::try_from(gap.as_micros())?);
    }
    let mut record = Record::new(cell, 1);
    record.set_latencies("gap_", &gaps);
    record.set("gap_min_us", min(&gaps));
    Ok(record)
}

fn min(gaps: &Latencies) -> f64 {
    gaps.min() as f64
}

async fn one(system: System, replicas: usize) -> Result<Duration> {
    let mut running = Running::start(system, replicas).await?;
    let clients = match system {
        System::Chatterbox => vec![running.people(WRITERS, "failing").await?],
        _ => etcd_clients(&running).await?,
    };
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let until = Instant::now() + BEFORE + AFTER;
    let mut writers = JoinSet::new();
    for lane in 0..WRITERS {
        let (clients, acknowledged) = (clients.clone(), Arc::clone(&acknowledged));
        writers.spawn(async move {
            let mut which = lane;
            while Instant::now() < until {
                let client = &clients[which % clients.len()];
                // Ours answers in the end by itself; one of etcd's may be a member that is dead.
                let patience = if clients.len() == 1 { AFTER } else { TRY };
                let sent = timeout(patience, client.commit(lane, 128)).await;
                if matches!(sent, Ok(Ok(()))) {
                    let mut times = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    times.push(Instant::now());
                } else {
                    which += 1;
                    sleep(RETRY).await;
                }
            }
        });
    }
    sleep(BEFORE).await;
    let killed = Instant::now();
    match system {
        System::Chatterbox => {
            let cluster = &mut running.ours_mut()?.cluster;
            let leader = cluster.leader(BEFORE).await?;
            cluster.replicas[leader].process.kill();
        }
        _ => running.kill_etcd_leader().await?,
    }
    while let Some(writer) = writers.join_next().await {
        writer?;
    }
    let times = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
    longest_gap(&times, killed)
}

/// The longest time without an acknowledgement that was not over when the leader was killed.
fn longest_gap(times: &[Instant], killed: Instant) -> Result<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let after = times.iter().filter(|time| **time > killed).count();
    ensure!(
        after > 0,
        "nothing was acknowledged after the leader was killed"
    );
    let pairs = times.windows(2).filter(|pair| pair[1] > killed);
    let gaps = pairs.map(|pair| pair[1] - pair[0]);
    Ok(gaps.max().unwrap_or_default())
}

/// One client for each member, so that a writer can go to the next.
async fn etcd_clients(running: &Running) -> Result<Vec<Client>> {
    // Once it commits, every member is there.
    running.client(1, "failing").await?;
    let mut clients = Vec::new();
    for url in running.etcd_urls() {
        let client = etcd_client::Client::connect([url], None).await?;
        clients.push(Client::new(Kind::Etcd(vec![client.kv_client()])));
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pause before the kill is not its doing, one around it is.
    #[tokio::test]
    async fn the_gap_is_the_one_after_the_kill() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let times: Vec<Instant> = [0, 900, 1000, 1400, 1500].map(at).to_vec();
        let gap = longest_gap(&times, at(1010)).unwrap();
        assert_eq!(gap, Duration::from_millis(400));
        assert!(longest_gap(&times, at(1600)).is_err());
    }
}
