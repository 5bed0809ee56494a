//! What a cluster costs when nobody writes.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scenarios::Cluster;
use scenarios::process::Process;

/// PRODUCT.md: the whole idle cluster in at most 256 MB of memory.
const RESIDENT_KIB_MAX: u64 = 256 * 1024;

fn resident_kib(process: &Process) -> Result<u64> {
    let id = process.id().context("it runs")?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse()?)
}

/// Three replicas, a gateway and membership fit into 256 MB. The time to readiness is printed.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_an_idle_cluster() -> Result<()> {
    let cluster = Cluster::spawn(3, 1).await?;
    let started = Instant::now();
    cluster.ready(Duration::from_secs(30)).await?;
    let ready = started.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;

    let replicas = cluster.replicas.iter().map(|replica| &replica.process);
    let mut sizes = Vec::new();
    for process in replicas
        .chain(&cluster.gateways)
        .chain([&cluster.membership])
    {
        sizes.push(resident_kib(process)?);
    }
    let total: u64 = sizes.iter().sum();
    let _ = writeln!(
        std::io::stderr(),
        "idle cluster: ready after {} ms; resident {} MB in all (KiB: replicas, gateway, membership: {sizes:?})",
        ready.as_millis(),
        total / 1024,
    );
    ensure!(total <= RESIDENT_KIB_MAX, "{total} KiB");
    Ok(())
}
