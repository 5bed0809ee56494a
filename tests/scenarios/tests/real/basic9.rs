//! `Basic9`, the dead node test by which the original was proudest: here membership replaces the
//! dead node by itself, also under load.

use std::time::Duration;

use anyhow::{Result, ensure};
use scenarios::client::GENERAL;
use scenarios::flow::{Flow, bodies};
use scenarios::replacing::QUICK;
use scenarios::{Client, Cluster};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(40);

/// A node dies before it proposes, with a message in its hands. One message is committed through
/// each of the remaining four; then their logs are equal. A new node registers, replaces the dead
/// one without anybody's help, and has the whole state; one more message through it, and all
/// logs are equal.
#[tokio::test(flavor = "multi_thread")]
async fn basic9() -> Result<()> {
    let mut cluster = Cluster::start(5).await?;
    cluster.set_membership(&QUICK)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "before", SOON).await?;

    let dead = cluster.leader(SOON).await?;
    let old = cluster.status(dead).await?.node;
    cluster
        .failpoint(dead, "before_propose", "1*return")
        .await?;
    let never = cluster.submit(dead, alice.user, GENERAL, Uuid::now_v7(), "never");
    ensure!(never.await.is_err(), "it died with the message in hand");
    cluster.replicas[dead].process.wait_exit(SOON)?;

    let alive = cluster.others(dead);
    for &index in &alive {
        let body = format!("through replica {}", index + 1);
        cluster
            .commit_through(index, alice.user, GENERAL, &body, SOON)
            .await?;
    }
    let before = cluster.equal_logs(&alive, SOON).await?;
    cluster.epoch_stays(1, Duration::from_millis(500)).await?;

    let (new, node) = cluster.warm_standby(SOON).await?;
    let changed = cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    ensure!(
        changed.voters.contains(&node) && !changed.voters.contains(&old),
        "r{node} votes in the place of r{old}: {:?}",
        changed.voters
    );
    ensure!(changed.voters.len() == 5, "{:?}", changed.voters);
    let members: Vec<usize> = alive.iter().copied().chain([new]).collect();
    let log = cluster.equal_logs(&members, SOON).await?;
    ensure!(log.len() > before.len(), "the Seal is in it");
    cluster
        .commit_through(new, alice.user, GENERAL, "through the new one", SOON)
        .await?;
    cluster.equal_logs(&members, SOON).await?;

    let said = bodies(&alice.whole_history(GENERAL).await?)?;
    let through = alive.iter().map(|i| format!("through replica {}", i + 1));
    let expected: Vec<String> = ["before".to_owned()]
        .into_iter()
        .chain(through)
        .chain(["through the new one".to_owned()])
        .collect();
    ensure!(said == expected, "{said:?}");
    let servers = cluster.servers().await?;
    ensure!(
        servers.last_change.contains(&format!("r{old}"))
            && servers.last_change.contains(&format!("r{node}")),
        "{}",
        servers.last_change
    );
    Ok(())
}

/// The same while 200 messages per second flow: the leader dies, a standby that is warm already
/// takes its place, and no message is lost, doubled or out of order.
#[tokio::test(flavor = "multi_thread")]
async fn basic9_under_load() -> Result<()> {
    let mut cluster = Cluster::start(5).await?;
    cluster.set_membership(&QUICK)?;
    let flow = Flow::start(&cluster.gateway_urls[0], 20, 10).await?;
    let (new, node) = cluster.warm_standby(SOON).await?;
    let dead = cluster.leader(SOON).await?;
    let old = cluster.status(dead).await?.node;
    cluster.replicas[dead].process.kill();
    let changed = cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    ensure!(
        changed.voters.contains(&node) && !changed.voters.contains(&old),
        "{:?}",
        changed.voters
    );
    // The new voter is needed now: with two others down the rest is a majority.
    let leader = cluster.leader(SOON).await?;
    let spare = |index: &usize| ![dead, new, leader].contains(index);
    let also: Vec<usize> = cluster.all().into_iter().filter(spare).take(2).collect();
    for &index in &also {
        cluster.replicas[index].process.kill();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for &index in &also {
        cluster.replicas[index].process.restart()?;
    }
    let flowed = flow.end().await?;
    println!("{}", flowed.words());
    ensure!(flowed.count() > 500, "{}", flowed.words());

    let members = cluster.others(dead);
    cluster.equal_logs(&members, SOON).await?;
    let mut reader = Client::sign_up(&cluster.gateway_urls[0], "reader").await?;
    reader.send_until_acked(GENERAL, "afterwards", SOON).await?;
    flowed.check(&reader.whole_history(GENERAL).await?)?;
    Ok(())
}
