//! `chatterctl verify` finds what nothing else notices.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scenarios::{Client, Cluster};

const SOON: Duration = Duration::from_secs(40);

/// Changes the name of an account in a stopped replica's state, as a bit that flips on the disk
/// may: the row stays one that can be read.
fn change_a_name(cluster: &Cluster, index: usize) -> Result<()> {
    let state = cluster.replicas[index].data.join("state.db");
    let connection = rusqlite::Connection::open(state)?;
    let changed = connection.execute("UPDATE accounts SET name = 'alicf' WHERE id = 1", [])?;
    ensure!(changed == 1, "there is an account");
    Ok(())
}

/// One changed value in one of three states is found, and the replica is named; one that is down
/// is named, too. The remedy of the runbook makes all equal again.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_value_is_found() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    let (said, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(
        equal && said.contains("logs and states are equal"),
        "{said}"
    );

    let leader = cluster.leader(SOON).await?;
    let victim = cluster.others(leader)[0];
    let name = format!("r{}", cluster.status(victim).await?.node);
    cluster.replicas[victim].process.stop(SOON)?;
    let (said, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(
        equal && said.contains("2 replicas"),
        "the others are equal: {said}"
    );
    let down = said.lines().find(|line| line.starts_with(&name));
    ensure!(
        down.is_some_and(|line| line.contains("not compared")),
        "{said}"
    );

    change_a_name(&cluster, victim)?;
    cluster.replicas[victim].process.restart()?;
    alice.send_until_acked(1, "nobody notices", SOON).await?;
    cluster.equal_chains(&cluster.all(), SOON).await?;
    let (said, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(
        !equal && said.contains(&format!("DIFFERENT: {name};")),
        "{said}"
    );
    let line = said.lines().find(|line| line.starts_with(&name));
    let line = line.context("its line")?;
    ensure!(line.contains("its state; its log is equal"), "{line}");

    // docs/runbooks/replica-differs.md
    cluster.replicas[victim].process.stop(SOON)?;
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let path = cluster.replicas[victim].data.join(file);
        if path.exists() {
            fs::rename(&path, path.with_extension("aside"))?;
        }
    }
    cluster.replicas[victim].process.restart()?;
    alice.send_until_acked(1, "as before", SOON).await?;
    cluster.equal_chains(&cluster.all(), SOON).await?;
    let (said, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(equal && said.contains("3 replicas"), "{said}");
    Ok(())
}
