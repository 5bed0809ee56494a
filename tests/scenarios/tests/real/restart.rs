//! Everything stops and starts again.

use std::time::Duration;

use anyhow::{Result, ensure};
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster};

const SOON: Duration = Duration::from_secs(30);

async fn fill(cluster: &Cluster) -> Result<Client> {
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let room = {
        alice.connect().await?;
        alice.create_room("plans").await?
    };
    for number in 0..30 {
        alice
            .send_until_acked(GENERAL, &format!("general {number}"), SOON)
            .await?;
        alice
            .send_until_acked(room, &format!("plans {number}"), SOON)
            .await?;
    }
    Ok(alice)
}

async fn check(cluster: &Cluster, alice: &Client) -> Result<()> {
    for (room, name) in [(GENERAL, "general"), (2, "plans")] {
        let history = alice.whole_history(room).await?;
        let bodies: Vec<String> = history
            .iter()
            .filter_map(|event| Some(event["body"].as_str()?.to_owned()))
            .collect();
        let sent: Vec<String> = (0..30).map(|number| format!("{name} {number}")).collect();
        ensure!(bodies == sent, "{name}: {bodies:?}");
    }
    cluster.equal_logs(&cluster.all(), SOON).await?;
    Ok(())
}

/// A graceful stop of everything and a start: all history is there, sessions too. Every process
/// ends with status 0.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let alice = fill(&cluster).await?;
    let replicas = cluster
        .replicas
        .iter_mut()
        .map(|replica| &mut replica.process);
    let processes: Vec<_> = cluster
        .gateways
        .iter_mut()
        .chain(replicas)
        .chain([&mut cluster.membership])
        .collect();
    for process in processes {
        let status = process.stop(Duration::from_secs(10))?;
        ensure!(status.success(), "{status}: {}", process.output());
        process.restart()?;
    }
    cluster.ready(SOON).await?;
    check(&cluster, &alice).await
}

/// `kill -9` of everything at once: all that was acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let alice = fill(&cluster).await?;
    for replica in &mut cluster.replicas {
        replica.process.kill();
    }
    cluster.gateways[0].kill();
    cluster.membership.kill();
    // Membership stays away: the replicas know each other from their own disks.
    for replica in &mut cluster.replicas {
        replica.process.restart()?;
    }
    cluster.leader(SOON).await?;
    cluster.membership.restart()?;
    cluster.gateways[0].restart()?;
    cluster.ready(SOON).await?;
    check(&cluster, &alice).await
}

/// Property: a leader that is told to stop does not leave the others without one. Each in turn is
/// stopped while a person talks, and says who leads in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_the_lead_over() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    for number in 0..3 {
        let leader = cluster.leader(SOON).await?;
        // One that has just started is no successor: it may not be admitted yet.
        for index in cluster.others(leader) {
            cluster
                .until(index, SOON, |status| status.admitted && status.leader != 0)
                .await?;
        }
        cluster.replicas[leader].process.stop(SOON)?;
        let output = cluster.replicas[leader].process.output();
        ensure!(output.contains("handed the lead over"), "{output}");
        alice
            .send_until_acked(GENERAL, &format!("after stop {number}"), SOON)
            .await?;
        ensure!(cluster.leader(SOON).await? != leader);
        cluster.replicas[leader].process.restart()?;
    }
    cluster.equal_chains(&cluster.all(), SOON).await?;
    Ok(())
}
