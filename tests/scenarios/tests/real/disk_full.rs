//! A disk that fills up while its replica runs, in real processes on a small file system.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);
const MIB: usize = 1024 * 1024;

/// A file system in memory; taken away when dropped.
struct Small(TempDir);

impl Small {
    /// `None`, said loudly, without the right to mount.
    fn mount(mib: usize) -> Result<Option<Self>> {
        let directory = TempDir::new()?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(directory.path())
            .output();
        if mount.as_ref().is_ok_and(|output| output.status.success()) {
            return Ok(Some(Self(directory)));
        }
        let mut said = std::io::stderr();
        writeln!(said, "SKIPPED: a small disk needs root: {mount:?}")?;
        Ok(None)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Puts a replica's directory on the small disk, and starts it there.
fn move_to(cluster: &mut Cluster, index: usize, small: &Small) -> Result<()> {
    let replica = &mut cluster.replicas[index];
    replica.process.stop(SOON)?;
    for entry in fs::read_dir(&replica.data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), small.path().join(entry.file_name()))?;
        }
    }
    let data = small.path().display().to_string();
    replica.process.set_env("CHATTERBOX_REPLICA_DATA", &data);
    replica.data = small.path().to_path_buf();
    replica.process.restart()
}

/// Fills the disk until only so much is left.
fn fill(small: &Small, left: usize) -> Result<()> {
    let stat = rustix::fs::statvfs(small.path())?;
    let free = usize::try_from(stat.f_bavail * stat.f_frsize)?;
    let size = free.checked_sub(left).context("it is fuller already")?;
    fs::write(small.path().join("filler"), vec![0; size])?;
    Ok(())
}

/// The disk of the leader fills up: it gives the lead away by itself, and the chat goes on. When
/// there is space again it takes part again, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_fills_up_hands_over() -> Result<()> {
    let Some(small) = Small::mount(160)? else {
        return Ok(());
    };
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let victim = cluster.others(cluster.leader(SOON).await?)[0];
    move_to(&mut cluster, victim, &small)?;
    let status = cluster.until(victim, SOON, |status| status.voter && status.admitted);
    let name = format!("r{}", status.await?.node);
    // Refused until the leader has heard the restarted replica for a whole round.
    let deadline = Instant::now() + SOON;
    loop {
        let (said, ok) = cluster.ctl(&["node", "transfer-leader", &name]).await?;
        if ok {
            break;
        }
        ensure!(Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fill(&small, 20 * MIB)?;
    cluster
        .until(victim, SOON, |status| status.no_space)
        .await?;
    cluster
        .until(victim, SOON, |status| status.role == "follower")
        .await?;
    for number in 0..20 {
        let body = format!("{number}");
        alice.send_until_acked(GENERAL, &body, SOON).await?;
    }
    ensure!(cluster.leader(SOON).await? != victim, "another one leads");
    let (shown, _) = cluster.ctl(&["status"]).await?;
    ensure!(shown.contains("nearly full"), "{shown}");

    fs::remove_file(small.path().join("filler"))?;
    cluster
        .until(victim, SOON, |status| !status.no_space)
        .await?;
    cluster.equal_chains(&cluster.all(), SOON).await?;
    ensure!(cluster.replicas[victim].process.is_running());
    let output = cluster.replicas[victim].process.output();
    ensure!(output.contains("there is space again"), "{output}");
    Ok(())
}

/// With the only disk full, commands are refused for that reason, and reads go on; when there is
/// space again, so do commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_reads_go_on() -> Result<()> {
    let Some(small) = Small::mount(160)? else {
        return Ok(());
    };
    let mut cluster = Cluster::start(1).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "before", SOON).await?;
    move_to(&mut cluster, 0, &small)?;
    cluster.ready(SOON).await?;
    fill(&small, 20 * MIB)?;
    cluster.until(0, SOON, |status| status.no_space).await?;

    let refused = cluster
        .submit(0, alice.user, GENERAL, uuid::Uuid::now_v7(), "too much")
        .await?;
    let proto::v1::submit_response::Kind::NotAccepted(refused) = refused else {
        anyhow::bail!("it was taken: {refused:?}");
    };
    let reason = proto::v1::not_accepted::Reason::NoSpace;
    ensure!(refused.reason() == reason, "{refused:?}");
    ensure!(alice.whole_history(GENERAL).await?.len() > 1, "reads go on");

    fs::remove_file(small.path().join("filler"))?;
    cluster.until(0, SOON, |status| !status.no_space).await?;
    alice.send_until_acked(GENERAL, "after", SOON).await?;
    ensure!(cluster.replicas[0].process.is_running());
    Ok(())
}
