//! Logs are bounded, and a replica behind them comes back by a snapshot, whatever interrupts it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proto::v1::get_status_response::Phase;
use scenarios::client::GENERAL;
use scenarios::pour::Pour;
use scenarios::{Client, Cluster};

const SOON: Duration = Duration::from_secs(40);
const MIB: usize = 1024 * 1024;

/// Each replica keeps 1 MiB of log for others, four of them for one that is slow.
async fn start() -> Result<(Cluster, Client)> {
    let env = [("CHATTERBOX_REPLICA_KEEP_LOG_MIB", "1".to_owned())];
    let cluster = Cluster::start_with(3, &env).await?;
    let alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    Ok((cluster, alice))
}

/// So many MiB of messages of 8 KiB.
fn pour(client: &Client, mib: usize) -> Pour {
    Pour {
        author: client.user,
        room: GENERAL,
        count: mib * MIB / 8192,
        bytes: 8192,
    }
}

/// Has the victim down until nobody holds what it lacks.
async fn leave_behind(cluster: &mut Cluster, client: &Client) -> Result<usize> {
    let leader = cluster.leader(SOON).await?;
    let victim = cluster.others(leader)[0];
    let stopped_at = cluster.status(victim).await?.decided;
    cluster.replicas[victim].process.kill();
    pour(client, 6).run(cluster, SOON).await?;
    for index in cluster.others(victim) {
        cluster
            .until(index, SOON, |status| status.compacted_to > stopped_at)
            .await?;
    }
    Ok(victim)
}

/// One dead node does not keep the log; it comes back by a snapshot while load goes on, and then
/// follows row by row.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_behind_the_logs_comes_back() -> Result<()> {
    let (mut cluster, alice) = start().await?;
    let victim = leave_behind(&mut cluster, &alice).await?;
    cluster.replicas[victim].process.restart()?;
    pour(&alice, 80).run(&cluster, SOON).await?;
    cluster.equal_chains(&cluster.all(), SOON).await?;
    let output = cluster.replicas[victim].process.output();
    ensure!(output.contains("snapshot installed"), "{output}");
    for index in cluster.all() {
        let status = cluster.status(index).await?;
        let bytes = status.log_bytes;
        // 86 MiB went through it. What is kept for a slow one, what the state has not made
        // durable yet, the WAL, and pages that wait to be used again.
        ensure!(
            bytes < 48 * MIB as u64,
            "replica {index}: a log of {bytes} bytes"
        );
    }
    ensure!(alice.whole_history(GENERAL).await?.len() > 86 * MIB / 8192);
    Ok(())
}

/// Killed at every step between the first chunk and the first row after the snapshot: the next
/// start goes on, and everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_survives_a_kill_at_every_step() -> Result<()> {
    let (mut cluster, alice) = start().await?;
    for point in [
        "after_snapshot_chunk",
        "after_snapshot_fetched",
        "after_snapshot_announced",
        "after_state_swapped",
        "after_snapshot_installed",
    ] {
        let victim = leave_behind(&mut cluster, &alice).await?;
        let replica = &mut cluster.replicas[victim].process;
        replica.set_env("FAILPOINTS", &format!("{point}=1*return"));
        replica.restart()?;
        replica.wait_exit(SOON)?;
        ensure!(replica.output().contains(point), "it died there: {point}");
        replica.set_env("FAILPOINTS", "");
        replica.restart()?;
        cluster.equal_chains(&cluster.all(), SOON).await?;
    }
    Ok(())
}

/// A state that was deleted, or damaged, below a log that does not reach back to the beginning:
/// the replica says that it restores, gets a snapshot, and keeps its identity and its vote.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_made_anew() -> Result<()> {
    let (mut cluster, alice) = start().await?;
    pour(&alice, 12).run(&cluster, SOON).await?;
    let leader = cluster.leader(SOON).await?;
    for (index, damage) in cluster.others(leader).into_iter().zip([false, true]) {
        let before = cluster
            .until(index, SOON, |status| status.compacted_to > 1023)
            .await?;
        // In peace: what the status tells of the log is on disk then.
        cluster.replicas[index].process.stop(SOON)?;
        let state = cluster.replicas[index].data.join("state.db");
        if damage {
            // Behind the header, which says that the file is ours.
            let bytes = fs::read(&state)?;
            let noise = bytes.iter().skip(100).map(|byte| byte ^ 0x5a);
            let damaged: Vec<u8> = bytes.iter().take(100).copied().chain(noise).collect();
            fs::write(&state, damaged)?;
        } else {
            fs::remove_file(&state)?;
        }
        // It may hold every page of the state anew.
        for name in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(cluster.replicas[index].data.join(name));
        }
        cluster.replicas[index].process.restart()?;
        let after = cluster
            .until(index, SOON, |status| {
                status.phase() == Phase::Member && status.applied >= before.applied
            })
            .await?;
        ensure!(after.node == before.node && after.disk_id == before.disk_id);
        ensure!(after.voter, "it votes as before");
        let output = cluster.replicas[index].process.output();
        ensure!(output.contains("fetches its state"), "{output}");
        if damage {
            ensure!(output.contains("moved aside"), "{output}");
            let aside = cluster.replicas[index].data.join("state.db.damaged");
            ensure!(aside.exists(), "it is kept for analysis");
        }
    }
    cluster.equal_chains(&cluster.all(), SOON).await?;
    Ok(())
}

/// A bit that flipped in an old message, which nobody reads, is found while the replica works: it
/// gets the state of another one, keeps its identity and its vote, and all are equal again.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_that_nobody_reads_is_mended() -> Result<()> {
    let (mut cluster, mut alice) = start().await?;
    alice.connect().await?;
    alice
        .send_until_acked(GENERAL, "a word that nobody reads again", SOON)
        .await?;
    pour(&alice, 12).run(&cluster, SOON).await?;
    let leader = cluster.leader(SOON).await?;
    // A follower, and then the leader itself.
    for index in [cluster.others(leader)[0], leader] {
        let before = cluster
            .until(index, SOON, |status| status.compacted_to > 1023)
            .await?;
        cluster.replicas[index].process.stop(SOON)?;
        let state = cluster.replicas[index].data.join("state.db");
        flip(&state, b"a word that nobody reads again")?;
        cluster.replicas[index].process.restart()?;
        let aside = cluster.replicas[index].data.join("state.db.damaged");
        let after = cluster
            .until(index, SOON, |status| {
                aside.exists()
                    && status.phase() == Phase::Member
                    && status.applied >= before.applied
            })
            .await?;
        ensure!(after.node == before.node && after.disk_id == before.disk_id);
        ensure!(after.voter, "it votes as before");
        let output = cluster.replicas[index].process.output();
        ensure!(output.contains("is not as it was written"), "{output}");
    }
    cluster.equal_chains(&cluster.all(), SOON).await?;
    let (said, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(equal, "{said}");
    Ok(())
}

/// Flips a bit in the middle of the first place where the file has these bytes, once everything
/// is in it.
fn flip(file: &Path, of: &[u8]) -> Result<()> {
    let connection = rusqlite::Connection::open(file)?;
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    ensure!(!busy, "nobody has the state open");
    drop(connection);
    let mut bytes = fs::read(file)?;
    let found = bytes.windows(of.len()).position(|window| window == of);
    let at = found.context("the message is in the file")? + of.len() / 2;
    bytes[at] ^= 1;
    Ok(fs::write(file, bytes)?)
}
