//! Measures what docs/testing.md states about history and growth, on real processes:
//!
//! ```text
//! cargo build --release && cargo run --release -p scenarios --bin million -- [MESSAGES] [BYTES] [fill]
//! ```
//!
//! 1. Fills a room of a cluster of three with MESSAGES (1,000,000) of BYTES (128) each, and says
//!    how large log and state became on the way.
//! 2. Deletes the directory of one replica, starts it again as a new node while load goes on at a
//!    steady pace, and says how long until it serves reads, until it has caught up, and until it
//!    votes; and what that did to the latency of commits. With `fill` it ends before this: for so
//!    many messages that the disk has no room for one more copy of them.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use proto::v1::get_status_response::Phase;
use scenarios::client::GENERAL;
use scenarios::pour::Pour;
use scenarios::{Client, Cluster};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(120);
const MIB: u64 = 1024 * 1024;
/// How many parts the filling has, to say how things grow.
const PARTS: usize = 10;
/// A part is handed over in pieces of so many messages, which is what the memory of this program
/// has to hold.
const PIECE: usize = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let messages: usize = args.next().map_or(Ok(1_000_000), |arg| arg.parse())?;
    let bytes: usize = args.next().map_or(Ok(128), |arg| arg.parse())?;
    let fill_only = args.next().is_some_and(|arg| arg == "fill");
    let mut cluster = Cluster::start(3).await?;
    let alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let pour = |count| Pour {
        author: alice.user,
        room: GENERAL,
        count,
        bytes,
    };
    let started = Instant::now();
    for part in 1..=PARTS {
        let mut left = messages / PARTS;
        while left > 0 {
            let count = left.min(PIECE);
            pour(count).run(&cluster, PATIENCE).await?;
            left -= count;
        }
        println!(
            "{:>9} messages, {:>6.1} s:",
            messages / PARTS * part,
            started.elapsed().as_secs_f64()
        );
        for index in cluster.all() {
            println!("  {}", size(&cluster, index).await?);
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "filled: {messages} messages of {bytes} bytes, {:.0} per second",
        messages as f64 / took
    );

    if fill_only {
        return cluster.equal_chains(&cluster.all(), PATIENCE).await;
    }
    let calm = pace(&cluster, &alice, Duration::from_secs(5)).await?;
    println!("commits before: {calm}");
    let victim = cluster.others(cluster.leader(PATIENCE).await?)[0];
    let old = format!("r{}", cluster.status(victim).await?.node);
    cluster.wipe(victim)?;
    let wiped = Instant::now();
    cluster.replicas[victim].process.restart()?;
    let (back, busy) = tokio::join!(
        come_back(&cluster, victim, &old, wiped),
        pace(&cluster, &alice, Duration::from_secs(10))
    );
    back?;
    println!("commits meanwhile: {}", busy?);
    let status = cluster.status(victim).await?;
    println!(
        "the new node holds a state of {} MiB and a log of {} MiB",
        status.state_bytes / MIB,
        status.log_bytes / MIB
    );
    cluster.equal_chains(&cluster.all(), PATIENCE).await
}

/// What a replica holds, on disk and in memory.
async fn size(cluster: &Cluster, index: usize) -> Result<String> {
    let status = cluster.status(index).await?;
    let id = cluster.replicas[index].process.id();
    let id = id.context("it runs")?;
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|rest| rest.split_whitespace().next())
        .context("VmRSS")?
        .parse()?;
    Ok(format!(
        "r{}: log {} MiB, state {} MiB, memory {} MiB, log begins after {}, {} slots decided",
        status.node,
        status.log_bytes / MIB,
        status.state_bytes / MIB,
        kib / 1024,
        status.compacted_to,
        status.decided
    ))
}

/// Waits until the wiped replica serves, has caught up, and votes.
async fn come_back(cluster: &Cluster, victim: usize, old: &str, wiped: Instant) -> Result<()> {
    let serves = cluster
        .until(victim, PATIENCE, |status| {
            status.phase() == Phase::Member && status.applied > 1100 && status.leader != 0
        })
        .await?;
    println!(
        "back as r{}, serving what it has, after {:.1} s",
        serves.node,
        wiped.elapsed().as_secs_f64()
    );
    let leader = cluster.leader(PATIENCE).await?;
    let goal = cluster.status(leader).await?.decided;
    cluster
        .until(victim, PATIENCE, |status| status.applied >= goal)
        .await?;
    println!("caught up after {:.1} s", wiped.elapsed().as_secs_f64());
    let new = format!("r{}", serves.node);
    let (said, ok) = cluster.ctl(&["node", "replace", old, &new]).await?;
    ensure!(ok, "{said}");
    cluster
        .until(victim, PATIENCE, |status| status.voter)
        .await?;
    println!("votes after {:.1} s", wiped.elapsed().as_secs_f64());
    Ok(())
}

/// Small groups of messages one after the other, and how long each took.
async fn pace(cluster: &Cluster, alice: &Client, lasting: Duration) -> Result<String> {
    let group = Pour {
        author: alice.user,
        room: GENERAL,
        count: 64,
        bytes: 128,
    };
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < lasting {
        let sent = Instant::now();
        group.run(cluster, PATIENCE).await?;
        latencies.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: usize| latencies.get(latencies.len() * share / 100);
    let median = at(50).context("no group was sent")?;
    let high = at(99).context("no group was sent")?;
    Ok(format!(
        "{} groups of 64, connection included: median {median:.1} ms, p99 {high:.1} ms",
        latencies.len()
    ))
}
