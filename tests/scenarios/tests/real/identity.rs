//! One disk, one node: a directory that was copied, and one that was turned back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use proto::v1::get_status_response::Phase;
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Two processes on copies of one directory: the later one is refused by the others, which tell
/// the earlier one. The cluster goes on with that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_refused_while_the_original_lives() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let original = cluster.others(cluster.leader(SOON).await?)[0];
    cluster.replicas[original].process.stop(SOON)?;
    let saved = TempDir::new()?;
    copy(&cluster.replicas[original].data, saved.path())?;
    cluster.replicas[original].process.restart()?;
    cluster
        .until(original, SOON, |status| status.quorum_connected)
        .await?;

    // Another machine, as it were: another address, the same disk.
    let copied = cluster.add_standby()?;
    cluster.replicas[copied].process.kill();
    let data = cluster.replicas[copied].data.clone();
    fs::remove_dir_all(&data).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    fs::create_dir(&data)?;
    copy(saved.path(), &data)?;
    cluster.replicas[copied].process.restart()?;

    let deadline = std::time::Instant::now() + SOON;
    let said = |index: usize, words: &str| {
        let output = cluster.replicas[index].process.output();
        output.contains(words)
    };
    while !said(copied, "another live process") || !said(original, "copy of this replica") {
        ensure!(std::time::Instant::now() < deadline, "{}", cluster.tails());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = cluster.status(copied).await?;
    ensure!(
        !status.quorum_connected,
        "nobody speaks with it: {status:?}"
    );
    alice.send_until_acked(GENERAL, "on", SOON).await?;
    let members: Vec<usize> = (0..3).collect();
    cluster.equal_logs(&members, SOON).await?;
    Ok(())
}

/// A backup of a voter's directory is put back: its promises are of another time, so it votes
/// nevermore, says why, and its place is given to a new node. Best effort: a replica that has
/// seen a later vote of the disk has to be asked, so the third one is down meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_turned_back_is_quarantined() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let leader = cluster.leader(SOON).await?;
    let others = cluster.others(leader);
    let (victim, third) = (others[0], others[1]);
    cluster.replicas[victim].process.stop(SOON)?;
    let backup = TempDir::new()?;
    copy(&cluster.replicas[victim].data, backup.path())?;
    cluster.replicas[victim].process.restart()?;
    cluster
        .until(victim, SOON, |status| status.admitted && status.leader != 0)
        .await?;
    for number in 0..20 {
        let body = format!("{number}");
        alice.send_until_acked(GENERAL, &body, SOON).await?;
    }
    cluster.equal_logs(&cluster.all(), SOON).await?;

    cluster.wipe(victim)?;
    cluster.replicas[third].process.kill();
    fs::create_dir(&cluster.replicas[victim].data)?;
    copy(backup.path(), &cluster.replicas[victim].data)?;
    cluster.replicas[victim].process.restart()?;
    let found = cluster
        .until(victim, SOON, |status| status.phase() == Phase::Quarantined)
        .await?;
    ensure!(found.why.contains("older state"), "{}", found.why);
    ensure!(found.remedy.contains("empty"), "{}", found.remedy);
    cluster.replicas[third].process.restart()?;
    cluster.leader(SOON).await?;
    let (shown, _) = cluster.ctl(&["status"]).await?;
    ensure!(
        shown.contains("quarantined") && shown.contains("2 of 3 replicas"),
        "{shown}"
    );
    alice.send_until_acked(GENERAL, "on", SOON).await?;

    // What the remedy says.
    let old = format!("r{}", found.node);
    cluster.wipe(victim)?;
    cluster.replicas[victim].process.restart()?;
    let joined = cluster
        .until(victim, SOON, |status| {
            status.node > 1023 && status.applied > 1024 && status.leader != 0
        })
        .await?;
    let new = format!("r{}", joined.node);
    let (said, ok) = cluster.ctl(&["node", "replace", &old, &new]).await?;
    ensure!(ok, "{said}");
    cluster.until(victim, SOON, |status| status.voter).await?;
    cluster.equal_logs(&cluster.all(), SOON).await?;
    Ok(())
}
