//! Two versions side by side: a cluster of older programs is brought to those of the workspace, one
//! process after the other and under load, as docs/operations.md ("Upgrade") tells people to.
//! `make test-versions` builds the older ones.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use checker::Clock;
use scenarios::Cluster;
use scenarios::process::Process;
use workload::Workload;

use crate::under_load::{judged, sixteen_people};

const SOON: Duration = Duration::from_secs(30);
/// People chat for so long between two steps.
const STEP: Duration = Duration::from_secs(2);
/// Where the programs of the other version lie.
const OLD: &str = "CHATTERBOX_OLD_PROGRAMS";

/// Property: whichever version leads and whichever follows, a message that was acknowledged is
/// there, once and in order, at every step of a roll, also when the leader dies in it; and the
/// states of all replicas are equal in the end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of another version: make test-versions"]
async fn two_versions_are_one_cluster() -> Result<()> {
    let old = std::env::var_os(OLD).map(PathBuf::from);
    let old = old.with_context(|| format!("{OLD} names no folder; use make test-versions"))?;
    let mut cluster = Cluster::spawn_of(&old, 3, 2).await?;
    cluster.ready(SOON).await?;
    let run = tempfile::tempdir()?;
    let options = sixteen_people(run.path(), &cluster);
    let mut load = Workload::start(options, Clock::start()).await?;
    tokio::time::sleep(STEP).await;

    roll_replicas(&mut cluster, &mut load).await?;
    for gateway in &mut cluster.gateways {
        renew(gateway)?;
        tokio::time::sleep(STEP).await;
    }
    renew(&mut cluster.membership)?;
    tokio::time::sleep(STEP).await;
    load.check()?;
    cluster.ready(SOON).await?;

    let (_, report) = judged(load, &cluster, run.path()).await?;
    let figures = &report.figures;
    ensure!(figures.acknowledged >= 500, "{figures:?}");
    ensure!(figures.states == 3, "{figures:?}");
    Ok(())
}

/// The followers first. With one new follower the old leader is killed, and comes back; with two,
/// each of the three leads for a while, two new ones and the last old one.
async fn roll_replicas(cluster: &mut Cluster, load: &mut Workload) -> Result<()> {
    let first = cluster.leader(SOON).await?;
    let followers = cluster.others(first);
    renew_replica(cluster, followers[0]).await?;
    cluster.replicas[first].process.kill();
    tokio::time::sleep(STEP).await;
    cluster.replicas[first].process.restart()?;
    until_it_votes(cluster, first).await?;
    load.check()?;

    renew_replica(cluster, followers[1]).await?;
    for target in [followers[0], first, followers[1]] {
        lead(cluster, target).await?;
        load.check()?;
    }
    renew_replica(cluster, first).await
}

/// Stops a process and puts the new program in its place.
fn renew(process: &mut Process) -> Result<()> {
    let status = process.stop(SOON)?;
    ensure!(status.success(), "{status}: {}", process.output());
    process.use_workspace();
    process.restart()
}

/// The same of a replica, which then votes for a while.
async fn renew_replica(cluster: &mut Cluster, index: usize) -> Result<()> {
    renew(&mut cluster.replicas[index].process)?;
    until_it_votes(cluster, index).await?;
    tokio::time::sleep(STEP).await;
    Ok(())
}

async fn until_it_votes(cluster: &Cluster, index: usize) -> Result<()> {
    let votes = cluster.until(index, SOON, |status| status.admitted && status.leader != 0);
    votes.await.map(drop)
}

/// Hands the lead to a replica, if it does not lead, and lets it lead for a while.
async fn lead(cluster: &Cluster, target: usize) -> Result<()> {
    if cluster.leader(SOON).await? != target {
        let name = format!("r{}", cluster.status(target).await?.node);
        let (said, ok) = cluster.ctl(&["node", "transfer-leader", &name]).await?;
        ensure!(ok, "{said}");
        ensure!(cluster.leader(SOON).await? == target, "{name} leads");
    }
    tokio::time::sleep(STEP).await;
    Ok(())
}
