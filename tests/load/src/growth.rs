//! What becomes slower when a room is long: sending, reading back, searching, starting again,
//! and how much disk a message takes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scenarios::pour::Pour;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use workload::wire::Account;

use crate::client::Client;
use crate::closed;
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::{Cell, Latencies, Record, latencies};
use crate::system::Running;

/// The length of the messages that fill the room.
const BYTES: usize = 128;
/// Reads of each kind.
const READS: usize = 100;
/// Messages that one call of the filling keeps in memory.
const PART: usize = 100_000;

/// A room that becomes longer.
pub struct Growth {
    running: Running,
    person: Account,
    room: u64,
    client: Client,
    filled: usize,
}

impl Growth {
    /// Starts a cluster with an empty room.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(running: Running) -> Result<Self> {
        let (person, room) = running.ours()?.somebody("grower").await?;
        let client = running.client(1, "grow").await?;
        Ok(Self {
            running,
            person,
            room,
            client,
            filled: 0,
        })
    }

    /// Fills the room to `cell.level` messages and measures; `wipe`: also how long a replica
    /// without its disk takes until it has caught up.
    ///
    /// # Errors
    /// When something does not come in time.
    pub async fn measure(&mut self, cell: Cell, wipe: bool) -> Result<Record> {
        let mut record = Record::new(cell.clone(), 1);
        let goal = usize::try_from(cell.level)?;
        let began = Instant::now();
        let added = goal.saturating_sub(self.filled);
        self.fill(added).await?;
        record.set("filled_per_s", added as f64 / began.elapsed().as_secs_f64());
        self.sends(&mut record).await?;
        let newest = format!("/api/v1/rooms/{}/events?limit=50", self.room);
        let first = format!("/api/v1/rooms/{}/events?after=0&limit=50", self.room);
        record.set_latencies("newest_page_", &self.reads(&newest, |_| true).await?);
        record.set_latencies("first_page_", &self.reads(&first, |_| true).await?);
        self.indexed(&mut record).await?;
        // Each part of the filling counts from 0.
        let number = goal.min(PART) / 2;
        let search = format!("/api/v1/search?q={number}");
        let found = |answer: &Value| {
            answer["hits"]
                .as_array()
                .is_some_and(|hits| !hits.is_empty())
        };
        record.set_latencies("search_", &self.reads(&search, found).await?);
        self.disk(&mut record).await?;
        self.restart(&mut record).await?;
        if wipe {
            self.wipe(&mut record).await?;
        }
        Ok(record)
    }

    async fn fill(&mut self, count: usize) -> Result<()> {
        let cluster = &self.running.ours()?.cluster;
        let mut left = count;
        while left > 0 {
            let part = left.min(PART);
            let pour = Pour {
                author: self.person.user,
                room: self.room,
                count: part,
                bytes: BYTES,
            };
            pour.run(cluster, START_PATIENCE).await?;
            left -= part;
        }
        self.filled += count;
        Ok(())
    }

    async fn sends(&self, record: &mut Record) -> Result<()> {
        let times = (Duration::from_millis(500), Duration::from_secs(2));
        let sent = closed::run(&self.client, 1, BYTES, times, || Ok(())).await?;
        record.set_latencies("send_", &sent.latencies);
        Ok(())
    }

    async fn reads(&self, path: &str, fine: impl Fn(&Value) -> bool) -> Result<Latencies> {
        let http = reqwest::Client::new();
        let url = format!("{}{path}", self.running.ours()?.gateway());
        let mut all = latencies()?;
        for _ in 0..READS {
            let asked = Instant::now();
            let answer = self.person.get(&http, &url).await?;
            all.saturating_record(u64::try_from(asked.elapsed().as_micros())?);
            ensure!(
                fine(&serde_json::from_slice(&answer)?),
                "{url}: nothing found"
            );
        }
        Ok(all)
    }

    /// Waits until the search index has everything: how long after the load that was.
    async fn indexed(&self, record: &mut Record) -> Result<()> {
        let began = Instant::now();
        let http = reqwest::Client::new();
        let url = format!("{}/api/v1/search?q=0", self.running.ours()?.gateway());
        loop {
            let answer = self.person.get(&http, &url).await?;
            let answer: Value = serde_json::from_slice(&answer)?;
            if answer["lags"] == false {
                break;
            }
            ensure!(began.elapsed() < START_PATIENCE, "the search index lags");
            sleep(LOOK).await;
        }
        record.set("index_lag_ms", began.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    async fn disk(&self, record: &mut Record) -> Result<()> {
        let cluster = &self.running.ours()?.cluster;
        let status = cluster.status(0).await?;
        // With those that only measured how long sending takes.
        let messages = self.filled as f64 + self.client.sent() as f64;
        let each = status.state_bytes as f64 / messages;
        record.set("state_bytes_per_message", each);
        record.set("log_bytes", status.log_bytes as f64);
        Ok(())
    }

    /// Kills a follower: how long until it serves everything again.
    async fn restart(&mut self, record: &mut Record) -> Result<()> {
        let cluster = &mut self.running.ours_mut()?.cluster;
        let leader = cluster.leader(START_PATIENCE).await?;
        let victim = cluster.others(leader)[0];
        let goal = cluster.status(leader).await?.decided;
        cluster.replicas[victim].process.kill();
        let began = Instant::now();
        cluster.replicas[victim].process.restart()?;
        cluster
            .until(victim, START_PATIENCE, |status| status.applied >= goal)
            .await?;
        record.set("restart_ms", began.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    /// Deletes a follower's directory: how long until a new one has everything.
    async fn wipe(&mut self, record: &mut Record) -> Result<()> {
        let cluster = &mut self.running.ours_mut()?.cluster;
        let leader = cluster.leader(START_PATIENCE).await?;
        let victim = *cluster.others(leader).last().context("a follower")?;
        let goal = cluster.status(leader).await?.decided;
        cluster.wipe(victim)?;
        let began = Instant::now();
        cluster.replicas[victim].process.restart()?;
        cluster
            .until(victim, START_PATIENCE, |status| status.applied >= goal)
            .await?;
        record.set("catch_up_ms", began.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }
}
