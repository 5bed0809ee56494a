//! What is kept of a run beside the histories, and what the histories say of its traffic.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use checker::folder::CLIENTS;
use checker::{Event, Line, Outage};
use scenarios::cluster::status_at;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::figures::Traffic;
use crate::ground::{Ground, Place};
use crate::limits::WATCH;

/// Keeps the log and the hash of the state of every replica, once all have applied the same,
/// which may take so long; and the times in which a majority was dead.
///
/// # Errors
/// When they do not come to the same slot in time, or something cannot be read or written.
pub async fn keep<G: Ground>(
    ground: &G,
    outages: &[Outage],
    within: Duration,
    folder: &Path,
) -> Result<()> {
    let places = ground.replicas();
    come_to_rest(&places, within).await?;
    for place in &places {
        let state_db = ground.data(&place.name).await?.join("state.db");
        let kept = checker::keep_node(&place.address, state_db, folder).await;
        kept.with_context(|| format!("log and state of {}", place.name))?;
    }
    for outage in outages {
        outage.append(folder)?;
    }
    Ok(())
}

async fn come_to_rest(places: &[Place], within: Duration) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let mut slots = Vec::new();
        for place in places {
            let status = status_at(&place.address).await;
            slots.push(status.map(|status| (status.decided, status.applied)).ok());
        }
        let first = slots.first().copied().flatten();
        let rests = first.is_some_and(|(decided, applied)| decided == applied);
        if rests && slots.iter().all(|slot| *slot == first) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the replicas have not applied the same after {within:?}: {slots:?}"
        );
        sleep(WATCH).await;
    }
}

/// When messages were sent and acknowledged, as all clients together wrote it down.
///
/// # Errors
/// When a history cannot be read.
pub fn traffic(folder: &Path) -> Result<Traffic> {
    let mut traffic = Traffic::default();
    for entry in std::fs::read_dir(folder.join(CLIENTS))? {
        let path = entry?.path();
        let file = File::open(&path).with_context(|| format!("read {}", path.display()))?;
        let mut waiting: HashMap<Uuid, u64> = HashMap::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // Most lines are what was shown: not worth reading as a whole.
            if !line.contains("\"sent\"") && !line.contains("\"acked\"") {
                continue;
            }
            match Line::parse(&line).with_context(|| path.display().to_string())? {
                Line(at, Event::Sent { cid, .. }) => {
                    traffic.sent.push(at);
                    waiting.insert(cid, at);
                }
                Line(at, Event::Acked { cid, .. }) => {
                    if let Some(sent) = waiting.remove(&cid) {
                        traffic.acked.push((sent, at));
                    }
                }
                Line(..) => {}
            }
        }
    }
    Ok(traffic)
}
