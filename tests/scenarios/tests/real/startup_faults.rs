//! A process that cannot start says what happened and what to do, ends with a failure, and
//! changes no file.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scenarios::client::GENERAL;
use scenarios::process::{Process, Spec, binary};
use scenarios::{Client, Cluster, ports};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(15);

fn replica(directory: &Path, data: &Path, port: u16) -> Result<Process> {
    let name = format!("replica-{port}");
    Process::start(Spec {
        name: name.clone(),
        binary: "replica",
        env: vec![
            (
                "CHATTERBOX_REPLICA_LISTEN".to_owned(),
                format!("127.0.0.1:{port}"),
            ),
            (
                "CHATTERBOX_REPLICA_ADVERTISE".to_owned(),
                format!("127.0.0.1:{port}"),
            ),
            (
                "CHATTERBOX_REPLICA_DATA".to_owned(),
                data.display().to_string(),
            ),
            (
                "CHATTERBOX_REPLICA_MEMBERSHIP".to_owned(),
                "http://127.0.0.1:9".to_owned(),
            ),
        ],
        log: directory.join(format!("{name}.log")),
    })
}

fn ends_saying(mut process: Process, words: &[&str]) -> Result<()> {
    let status = process.wait_exit(SOON)?;
    let output = process.output();
    ensure!(!status.success(), "it ended with success: {output}");
    for word in words {
        ensure!(
            output.contains(word),
            "{word:?} is not in what it said:\n{output}"
        );
    }
    ensure!(!output.contains("panicked"), "{output}");
    Ok(())
}

/// A port in use: the message names the address and the remedy.
#[test]
fn port_in_use() -> Result<()> {
    let directory = TempDir::new()?;
    let port = ports::free();
    let _taken = TcpListener::bind(("127.0.0.1", port))?;
    let process = replica(directory.path(), &directory.path().join("data"), port)?;
    ends_saying(process, &[&port.to_string(), "in use", "LISTEN"])
}

/// Two replicas given the same directory: the second one refuses, the first one lives.
#[test]
fn one_directory_for_two() -> Result<()> {
    let directory = TempDir::new()?;
    let data = directory.path().join("data");
    let mut first = replica(directory.path(), &data, ports::free())?;
    let deadline = std::time::Instant::now() + SOON;
    while !data.join("log.db").exists() {
        ensure!(std::time::Instant::now() < deadline, "{}", first.output());
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = replica(directory.path(), &data, ports::free())?;
    ends_saying(second, &["data", "another"])?;
    ensure!(first.is_running(), "{}", first.output());
    Ok(())
}

/// A file that is no log of ours is kept as it is; the replica stays up to say so, and stops
/// when told.
#[tokio::test(flavor = "multi_thread")]
async fn corrupt_log() -> Result<()> {
    let directory = TempDir::new()?;
    let data = directory.path().join("data");
    fs::create_dir(&data)?;
    let garbage = vec![0x5a; 8192];
    fs::write(data.join("log.db"), &garbage)?;
    let port = ports::free();
    let mut process = replica(directory.path(), &data, port)?;
    let url = format!("127.0.0.1:{port}");
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let output = Command::new(binary("chatterctl")?)
            .args(["status", "--replica", &url])
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if ["quarantined", "log.db", "to do"]
            .iter()
            .all(|word| said.contains(word))
        {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = Command::new(binary("chatterctl")?)
        .args(["health", &format!("grpc://{url}")])
        .status()?;
    ensure!(!health.success(), "it is not healthy");
    ensure!(
        fs::read(data.join("log.db"))? == garbage,
        "the file was touched"
    );
    ensure!(process.stop(SOON)?.success(), "it stops when told");
    Ok(())
}

/// Membership cannot be reached: a new replica waits and says for what, and does not give up.
#[test]
fn membership_unreachable() -> Result<()> {
    let directory = TempDir::new()?;
    let mut process = replica(
        directory.path(),
        &directory.path().join("data"),
        ports::free(),
    )?;
    let deadline = std::time::Instant::now() + SOON;
    while !process.output().contains("membership") {
        ensure!(
            std::time::Instant::now() < deadline,
            "it says nothing: {}",
            process.output()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(process.is_running(), "{}", process.output());
    let status = process.stop(SOON)?;
    ensure!(
        status.success(),
        "a waiting replica stops when told: {status}"
    );
    Ok(())
}

/// The disk of another cluster's node is put under a replica: it takes part in nothing, and
/// says so.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_log() -> Result<()> {
    let mut other = Cluster::start(1).await?;
    let mut alice = Client::sign_up(&other.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "elsewhere", SOON).await?;
    other.replicas[0].process.stop(SOON)?;
    let saved = TempDir::new()?;
    for entry in fs::read_dir(&other.replicas[0].data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), saved.path().join(entry.file_name()))?;
        }
    }
    drop(other);

    let mut cluster = Cluster::start(3).await?;
    let mut bob = Client::sign_up(&cluster.gateway_urls[0], "bob").await?;
    bob.send_until_acked(GENERAL, "here", SOON).await?;
    let victim = cluster.others(cluster.leader(SOON).await?)[0];
    cluster.replicas[victim].process.kill();
    let data = cluster.replicas[victim].data.clone();
    fs::remove_dir_all(&data)?;
    fs::rename(saved.keep(), &data).or_else(|_| copy_back(&data))?;
    cluster.replicas[victim].process.restart()?;

    bob.send_until_acked(GENERAL, "and on", SOON).await?;
    let deadline = std::time::Instant::now() + SOON;
    while !cluster.replicas[victim]
        .process
        .output()
        .contains("another cluster")
    {
        let output = cluster.replicas[victim].process.output();
        ensure!(
            std::time::Instant::now() < deadline,
            "it does not say so: {output}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.equal_logs(&cluster.others(victim), SOON).await?;
    Ok(())
}

fn copy_back(data: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other(format!(
        "{} lies on another disk",
        data.display()
    )))
}

/// A full disk: the cluster goes on without that replica, and everything acknowledged stays.
/// So small a disk is refused at the start already; one that fills up under a running log is
/// tested beside the log, in `services/replica/wal/tests`.
#[tokio::test(flavor = "multi_thread")]
async fn full_disk() -> Result<()> {
    let directory = TempDir::new()?;
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(directory.path())
        .output();
    if !mount.as_ref().is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: a small disk needs root: {mount:?}"
        );
        return Ok(());
    }
    let result = on_a_small_disk(directory.path()).await;
    Command::new("umount")
        .arg("-l")
        .arg(directory.path())
        .status()
        .context("umount")?;
    result
}

async fn on_a_small_disk(small: &Path) -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let victim = cluster.others(cluster.leader(SOON).await?)[0];
    cluster.replicas[victim].process.stop(SOON)?;
    for entry in fs::read_dir(&cluster.replicas[victim].data)? {
        let entry = entry?;
        // What the replica keeps free for bad times would not even fit.
        if entry.file_type()?.is_file() && entry.file_name() != "log.ballast" {
            fs::copy(entry.path(), small.join(entry.file_name()))?;
        }
    }
    let replica = &mut cluster.replicas[victim].process;
    replica.set_env("CHATTERBOX_REPLICA_DATA", &small.display().to_string());
    replica.restart()?;
    let body = "x".repeat(15_000);
    for number in 0..300 {
        alice
            .send_until_acked(GENERAL, &format!("{number} {body}"), SOON)
            .await?;
        if !cluster.replicas[victim].process.is_running() {
            break;
        }
    }
    let process = &mut cluster.replicas[victim].process;
    let output = process.output();
    ensure!(
        output.contains("disk") && output.contains("space"),
        "says why: {output}"
    );
    ensure!(!output.contains("panicked"), "{output}");
    alice.send_until_acked(GENERAL, "and on", SOON).await?;
    let history = alice.whole_history(GENERAL).await?;
    ensure!(
        history
            .last()
            .is_some_and(|event| event["body"] == "and on"),
        "all is there"
    );
    cluster.equal_logs(&cluster.others(victim), SOON).await?;
    Ok(())
}

/// `chatterctl` and the services name a wrong setting and what is allowed.
#[test]
fn wrong_settings() -> Result<()> {
    for (name, variable) in [
        ("replica", "CHATTERBOX_REPLICA_LISTEN"),
        ("gateway", "CHATTERBOX_GATEWAY_LISTEN"),
        ("membership", "CHATTERBOX_MEMBERSHIP_LISTEN"),
    ] {
        let output = Command::new(binary(name)?)
            .env(variable, "nonsense")
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{name} started");
        ensure!(
            said.to_lowercase().contains("listen") && said.contains("nonsense"),
            "{said}"
        );
        ensure!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}
