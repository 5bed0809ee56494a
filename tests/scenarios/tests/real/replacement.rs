//! Who is replaced when, by membership alone: what returns, what flaps, what is drained, how the
//! cluster grows and shrinks, and when nothing is changed.

use std::time::Duration;

use anyhow::{Result, ensure};
use scenarios::client::GENERAL;
use scenarios::flow::bodies;
use scenarios::replacing::QUICK;
use scenarios::{Client, Cluster};
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(40);
/// Several times as long as [`QUICK`] takes for a replacement that is due.
const LONG: Duration = Duration::from_secs(6);

/// A dead voter was replaced, and comes back with its disk whole. It is told that its epoch is
/// over; it moves its files aside and begins anew as a standby with another id. As such it is as
/// good as any: it replaces the next voter that dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_voter_that_returns_is_a_new_node() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    cluster.set_membership(&QUICK)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "before", SOON).await?;
    let (standby, node) = cluster.warm_standby(SOON).await?;
    let dead = cluster.others(cluster.leader(SOON).await?)[0];
    let before = cluster.status(dead).await?;
    cluster.replicas[dead].process.kill();
    cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    alice.send_until_acked(GENERAL, "meanwhile", SOON).await?;

    cluster.replicas[dead].process.restart()?;
    let again = cluster.until_joined(dead, SOON).await?;
    ensure!(
        again.node != before.node && again.disk_id != before.disk_id,
        "{again:?} was {before:?}"
    );
    ensure!(!again.voter, "{again:?}");
    let aside = format!("retired/r{}-until-epoch-2", before.node);
    let aside = cluster.replicas[dead].data.join(aside);
    ensure!(aside.join("log.db").exists(), "{}", aside.display());
    // Also after another restart it is the new node.
    cluster.replicas[dead].process.kill();
    cluster.replicas[dead].process.restart()?;
    let restarted = cluster.until_joined(dead, SOON).await?;
    ensure!(restarted.disk_id == again.disk_id, "{restarted:?}");

    cluster.replicas[standby].process.kill();
    let changed = cluster.until_voters(SOON, |epoch, _| epoch == 3).await?;
    ensure!(
        changed.voters.contains(&again.node) && !changed.voters.contains(&node),
        "{:?}",
        changed.voters
    );
    alice.send_until_acked(GENERAL, "after", SOON).await?;
    let members = cluster.others(standby);
    cluster.equal_logs(&members, SOON).await?;
    let said = bodies(&alice.whole_history(GENERAL).await?)?;
    ensure!(said == ["before", "meanwhile", "after"], "{said:?}");
    Ok(())
}

/// Without membership nothing is replaced, and the chat goes on. When it is back, it does what is
/// due.
#[tokio::test(flavor = "multi_thread")]
async fn without_membership_nothing_is_replaced() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    cluster.set_membership(&QUICK)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    cluster.warm_standby(SOON).await?;
    let leader = cluster.leader(SOON).await?;
    cluster.membership.kill();
    cluster.replicas[leader].process.kill();
    alice.send_until_acked(GENERAL, "on", SOON).await?;
    cluster.epoch_stays(1, LONG).await?;
    alice.send_until_acked(GENERAL, "and on", SOON).await?;

    cluster.membership.restart()?;
    cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    alice.send_until_acked(GENERAL, "as before", SOON).await?;
    cluster.equal_logs(&cluster.others(leader), SOON).await?;
    Ok(())
}

/// A majority of the voters is dead: nobody may decide anything, membership least of all. When
/// one is back that makes a majority, the rest is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_majority_is_not_replaced() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    cluster.set_membership(&QUICK)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    cluster.warm_standby(SOON).await?;
    let leader = cluster.leader(SOON).await?;
    let dead = cluster.others(leader);
    let dead = &dead[..2];
    for &index in dead {
        cluster.replicas[index].process.kill();
    }
    cluster
        .until_planned(SOON, "only 1 of 3 voters are heard")
        .await?;
    cluster.epoch_stays(1, LONG).await?;
    cluster.replicas[dead[0]].process.restart()?;
    cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    alice.send_until_acked(GENERAL, "on", SOON).await?;
    cluster.equal_logs(&cluster.others(dead[1]), SOON).await?;
    Ok(())
}

/// A voter that is away for a moment, again and again, is not replaced. One that is away for
/// long is, once: what flaps afterwards in its place is a standby, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_voter_is_replaced_once_at_most() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let settings = [("REPLACE_AFTER_MS", "4000"), ("CHANGE_PAUSE_MS", "1000")];
    cluster.set_membership(&settings)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    cluster.warm_standby(SOON).await?;
    let flaps = cluster.others(cluster.leader(SOON).await?)[0];
    for round in 0..4 {
        cluster.replicas[flaps].process.kill();
        cluster.epoch_stays(1, Duration::from_millis(1800)).await?;
        cluster.replicas[flaps].process.restart()?;
        alice
            .send_until_acked(GENERAL, &format!("round {round}"), SOON)
            .await?;
        let up = |status: &proto::v1::GetStatusResponse| status.quorum_connected;
        cluster.until(flaps, SOON, up).await?;
        cluster.epoch_stays(1, Duration::from_millis(700)).await?;
    }
    cluster.replicas[flaps].process.kill();
    cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    for _ in 0..2 {
        cluster.replicas[flaps].process.restart()?;
        cluster.until_joined(flaps, SOON).await?;
        cluster.replicas[flaps].process.kill();
        cluster.epoch_stays(2, Duration::from_secs(5)).await?;
    }
    let (shown, _) = cluster.ctl(&["status"]).await?;
    ensure!(shown.contains("3 of 3 replicas"), "{shown}");
    Ok(())
}

/// From three voters to five by two standbys, one at a time, and back to three; whoever leaves
/// comes back as a standby.
#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_grows_and_shrinks_to_the_wished_size() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    cluster.set_membership(&[QUICK[0], QUICK[1], ("VOTERS", "5")])?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.send_until_acked(GENERAL, "three", SOON).await?;
    cluster.until_planned(SOON, "no standby").await?;
    for count in [4, 5] {
        cluster.warm_standby(SOON).await?;
        let grown = cluster
            .until_voters(SOON, |_, voters| voters.len() == count)
            .await?;
        ensure!(grown.epoch == u64::try_from(count)? - 2, "one at a time");
    }
    // Two of five may fail.
    let leader = cluster.leader(SOON).await?;
    let down = cluster.others(leader);
    for &index in &down[..2] {
        cluster.replicas[index].process.kill();
    }
    alice.send_until_acked(GENERAL, "five", SOON).await?;
    for &index in &down[..2] {
        cluster.replicas[index].process.restart()?;
    }
    cluster.equal_logs(&cluster.all(), SOON).await?;

    cluster.set_membership(&[("VOTERS", "3")])?;
    let shrunk = cluster
        .until_voters(SOON, |_, voters| voters.len() == 3)
        .await?;
    ensure!(shrunk.epoch == 5, "one at a time: {shrunk:?}");
    // The latest ones left, unless one of them leads.
    let mut standbys = 0;
    for index in cluster.all() {
        let node = cluster.status(index).await?.node;
        if !shrunk.voters.contains(&node) {
            let again = cluster.until_joined(index, SOON).await?;
            ensure!(!again.voter, "who left votes no more: {again:?}");
            standbys += 1;
        }
    }
    ensure!(standbys == 2, "two of five left: {shrunk:?}");
    cluster.until_planned(SOON, "as many as wished").await?;
    cluster.epoch_stays(5, Duration::from_secs(2)).await?;
    alice.send_until_acked(GENERAL, "three again", SOON).await?;
    cluster.equal_logs(&cluster.all(), SOON).await?;
    Ok(())
}

/// The leader is drained: it hands the lead over, a standby takes its place, and nobody at its
/// place is chosen again, also after a restart of membership, until it is undrained.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_place_has_no_voter() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    cluster.set_membership(&QUICK)?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let (standby, node) = cluster.warm_standby(SOON).await?;
    let drained = cluster.leader(SOON).await?;
    let old = format!("r{}", cluster.status(drained).await?.node);
    let (said, ok) = cluster.ctl(&["node", "drain", &old]).await?;
    ensure!(ok && said.contains("is drained"), "{said}");
    let changed = cluster.until_voters(SOON, |epoch, _| epoch == 2).await?;
    ensure!(changed.voters.contains(&node), "{:?}", changed.voters);
    alice.send_until_acked(GENERAL, "on", SOON).await?;
    let again = cluster.until_joined(drained, SOON).await?;

    cluster.set_membership(&[])?;
    // It begins without knowing anybody: the replicas register again.
    let deadline = Instant::now() + SOON;
    let listed = loop {
        let (listed, ok) = cluster.ctl(&["node", "list"]).await?;
        if ok {
            break listed;
        }
        ensure!(Instant::now() < deadline, "{listed}");
        sleep(Duration::from_millis(50)).await;
    };
    ensure!(listed.contains("drained"), "{listed}");
    // Another voter dies: the only standby is at the drained place.
    cluster.replicas[standby].process.kill();
    cluster
        .until_planned(SOON, "but all standbys are drained")
        .await?;
    cluster.epoch_stays(2, Duration::from_secs(2)).await?;
    let name = format!("r{}", again.node);
    let (said, ok) = cluster.ctl(&["node", "undrain", &name]).await?;
    ensure!(ok, "{said}");
    let changed = cluster.until_voters(SOON, |epoch, _| epoch == 3).await?;
    ensure!(changed.voters.contains(&again.node), "{:?}", changed.voters);
    alice.send_until_acked(GENERAL, "and on", SOON).await?;
    let (said, ok) = cluster.ctl(&["node", "drain", "r77"]).await?;
    ensure!(!ok && said.contains("r77 is not known"), "{said}");
    Ok(())
}
