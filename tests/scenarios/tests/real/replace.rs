//! A replica that lost its disk, and what an operator does about it; another leader on request.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use proto::v1::get_status_response::Phase;
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster};

const SOON: Duration = Duration::from_secs(20);

/// A replica whose directory was deleted comes back as a new node with a new disk, learns, and
/// votes on nothing, least of all under its old id. The operator lets it vote in its own old
/// place; then any other node may fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_replica_is_a_new_node() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "before", SOON).await?;
    let victim = cluster.others(cluster.leader(SOON).await?)[0];
    let before = cluster.status(victim).await?;
    cluster.wipe(victim)?;
    alice.send_until_acked(GENERAL, "meanwhile", SOON).await?;
    cluster.replicas[victim].process.restart()?;

    let joined = cluster
        .until(victim, SOON, |status| {
            status.phase() == Phase::Member && status.leader != 0 && status.applied > 1024
        })
        .await?;
    ensure!(joined.disk_id != before.disk_id, "a new disk");
    ensure!(joined.node > 1023, "its id is a slot: {}", joined.node);
    ensure!(!joined.voter && joined.role == "learner", "{joined:?}");
    ensure!(joined.voters == [1, 2, 3], "{:?}", joined.voters);
    // With one of the two remaining voters down there is no majority: the new node's voice is
    // none, and its old one is gone.
    let leader = cluster.leader(SOON).await?;
    let other = cluster
        .others(leader)
        .into_iter()
        .find(|&index| index != victim)
        .context("a third replica")?;
    cluster.replicas[other].process.kill();
    cluster
        .until(leader, SOON, |status| !status.quorum_connected)
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(cluster.leader(Duration::from_millis(100)).await.is_err());
    ensure!(!cluster.status(victim).await?.voter);
    cluster.replicas[other].process.restart()?;
    cluster.leader(SOON).await?;

    let (old, new) = (format!("r{}", before.node), format!("r{}", joined.node));
    let (listed, ok) = cluster.ctl(&["node", "list"]).await?;
    ensure!(
        ok && listed.contains(&new) && listed.contains(&joined.disk_id),
        "{listed}"
    );
    let (said, ok) = cluster.ctl(&["node", "replace", &old, &new]).await?;
    ensure!(ok && said.contains("epoch 2"), "{said}");
    let promoted = cluster.until(victim, SOON, |status| status.voter).await?;
    ensure!(
        promoted.voters.contains(&joined.node),
        "{:?}",
        promoted.voters
    );
    let (shown, _) = cluster.ctl(&["status"]).await?;
    ensure!(shown.contains("3 of 3 replicas"), "{shown}");
    // It is needed now, and it is there.
    cluster.replicas[other].process.kill();
    alice.send_until_acked(GENERAL, "after", SOON).await?;
    cluster.replicas[other].process.restart()?;
    cluster.equal_logs(&cluster.all(), SOON).await?;
    let bodies: Vec<String> = alice
        .whole_history(GENERAL)
        .await?
        .iter()
        .filter_map(|event| Some(event["body"].as_str()?.to_owned()))
        .collect();
    ensure!(bodies == ["before", "meanwhile", "after"], "{bodies:?}");
    Ok(())
}

/// The lead goes to the replica that the operator names, while a person talks.
#[tokio::test(flavor = "multi_thread")]
async fn the_lead_is_handed_over_on_request() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    for number in 0..3 {
        let leader = cluster.leader(SOON).await?;
        let target = cluster.others(leader)[number % 2];
        let name = format!("r{}", cluster.status(target).await?.node);
        let hand_over = ["node", "transfer-leader", &name];
        let (handed, sent) = tokio::join!(
            cluster.ctl(&hand_over),
            alice.send_until_acked(GENERAL, "meanwhile", SOON)
        );
        sent?;
        let (said, ok) = handed?;
        ensure!(ok, "{said}");
        ensure!(cluster.leader(SOON).await? == target, "{name} leads");
    }
    ensure!(alice.whole_history(GENERAL).await?.len() >= 3);
    let (said, ok) = cluster.ctl(&["node", "transfer-leader", "r77"]).await?;
    ensure!(!ok && said.contains("r77"), "{said}");
    Ok(())
}

/// A voter that is replaced while it lives begins anew: it comes back as a standby with a new id
/// and a new disk, and its old files lie aside. Its old id votes nevermore.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_voter_comes_back_as_a_new_standby() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let standby = cluster.add_standby()?;
    let joined = cluster
        .until(standby, SOON, |status| {
            status.phase() == Phase::Member && status.leader != 0 && status.applied > 1024
        })
        .await?;
    // The leader itself is replaced: the lead goes to another voter.
    let leaves = cluster.leader(SOON).await?;
    let before = cluster.status(leaves).await?;
    let old = format!("r{}", before.node);
    let new = format!("r{}", joined.node);
    let (said, ok) = cluster.ctl(&["node", "replace", &old, &new]).await?;
    ensure!(ok, "{said}");
    let again = cluster.until_joined(leaves, SOON).await?;
    ensure!(
        again.disk_id != before.disk_id && !again.voter,
        "{again:?} was {before:?}"
    );
    let aside = cluster.replicas[leaves].data.join("retired");
    let aside = aside.join(format!("{old}-until-epoch-2"));
    ensure!(aside.join("log.db").exists(), "{}", aside.display());
    let (said, ok) = cluster.ctl(&["node", "replace", &new, &old]).await?;
    ensure!(!ok && said.contains("removed from the voters"), "{said}");
    alice.send_until_acked(GENERAL, "on", SOON).await?;
    cluster.equal_logs(&cluster.all(), SOON).await?;
    let (shown, _) = cluster.ctl(&["status"]).await?;
    ensure!(
        shown.contains("standby") && shown.contains("epoch 2"),
        "{shown}"
    );
    ensure!(cluster.replicas[leaves].process.is_running());
    Ok(())
}
