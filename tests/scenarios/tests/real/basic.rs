//! `GetServers` and `Basic1` to `Basic8` of the ten tests by which the original was known. The
//! replacement of dead nodes is in `basic9`.

use std::time::Duration;

use anyhow::{Result, ensure};
use proto::v1::not_accepted::Reason;
use proto::v1::submit_response::Kind;
use scenarios::client::GENERAL;
use scenarios::log::LogEntry;
use scenarios::{Client, Cluster, Reply};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(15);

fn batches(log: &[LogEntry]) -> usize {
    log.iter().filter(|entry| entry.kind == "Batch").count()
}

async fn person(cluster: &Cluster, name: &str) -> Result<Client> {
    let mut client = Client::sign_up(&cluster.gateway_urls[0], name).await?;
    client.connect().await?;
    Ok(client)
}

/// Every node that registered is known with its address and id; a silent one is suspected and
/// no longer when it is back; the service remembers all of it over its own death.
#[tokio::test(flavor = "multi_thread")]
async fn get_servers() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let servers = cluster.servers().await?;
    ensure!(servers.formed && servers.servers.len() == 3, "{servers:?}");
    for replica in &cluster.replicas {
        let found = servers
            .servers
            .iter()
            .find(|server| server.address == replica.address);
        ensure!(
            found.is_some_and(|server| server.node > 0),
            "{}: {servers:?}",
            replica.address
        );
    }

    cluster.replicas[2].process.kill();
    wait_suspected(&cluster, 2, true).await?;
    cluster.membership.kill();
    cluster.membership.restart()?;
    wait_suspected(&cluster, 2, true).await?;
    cluster.replicas[2].process.restart()?;
    wait_suspected(&cluster, 2, false).await?;
    ensure!(
        cluster.servers().await?.cluster_id == servers.cluster_id,
        "another cluster"
    );
    Ok(())
}

async fn wait_suspected(cluster: &Cluster, index: usize, wanted: bool) -> Result<()> {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        if let Ok(servers) = cluster.servers().await {
            let address = &cluster.replicas[index].address;
            let others_fine = servers
                .servers
                .iter()
                .filter(|server| server.address != *address)
                .all(|server| !server.suspected);
            let found = servers
                .servers
                .iter()
                .find(|server| server.address == *address);
            if others_fine && found.is_some_and(|server| server.suspected == wanted) {
                return Ok(());
            }
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "suspected was not {wanted} in time"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One round without failure: acceptors that have seen nothing accept, and all three hold the
/// same value under the leader's ballot.
#[tokio::test(flavor = "multi_thread")]
async fn basic1() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    let reply = alice.send(GENERAL, Uuid::now_v7(), "hello", SOON).await?;
    ensure!(matches!(reply, Reply::Ack { dup: false, .. }), "{reply:?}");
    let log = cluster.equal_logs(&cluster.all(), SOON).await?;
    ensure!(log[0].slot == 1024, "the log begins at the first slot");
    for index in cluster.all() {
        let other = cluster.log(index).await?;
        let last = other.last().map(|entry| entry.ballot.clone());
        ensure!(
            last == log.last().map(|entry| entry.ballot.clone()),
            "one ballot: {last:?}"
        );
    }
    Ok(())
}

/// The first proposer dies after sending its accepts: its value, and no other, is committed by
/// the next proposer, before anything newer.
#[tokio::test(flavor = "multi_thread")]
async fn basic2() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    let first = cluster.leader(SOON).await?;
    cluster
        .failpoint(first, "after_send_accept", "1*return")
        .await?;

    // Straight to the leader: nobody else holds the value or would send it again.
    let answer = cluster
        .submit(first, alice.user, GENERAL, Uuid::now_v7(), "first value")
        .await;
    ensure!(
        answer.is_err(),
        "the leader died before it could answer: {answer:?}"
    );
    cluster.replicas[first].process.wait_exit(SOON)?;

    alice
        .send_until_acked(GENERAL, "second value", SOON)
        .await?;
    let history = alice.whole_history(GENERAL).await?;
    let bodies: Vec<&str> = history
        .iter()
        .filter_map(|event| event["body"].as_str())
        .collect();
    ensure!(bodies == ["first value", "second value"], "{bodies:?}");
    cluster.equal_logs(&cluster.others(first), SOON).await?;

    cluster.replicas[first].process.restart()?;
    cluster.ready(SOON).await?;
    cluster.equal_logs(&cluster.all(), SOON).await?;
    Ok(())
}

/// Two proposers race for one slot: the one with the lower ballot is refused, and both end with
/// the value of the other.
#[tokio::test(flavor = "multi_thread")]
async fn basic3() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    let old = cluster.leader(SOON).await?;
    let before = cluster.equal_logs(&cluster.all(), SOON).await?;

    // The old leader stands still with a proposal in its hands, and is overtaken.
    cluster
        .failpoint(old, "before_send_accept", "pause")
        .await?;
    let cid = Uuid::now_v7();
    let late = async {
        cluster
            .submit(old, alice.user, GENERAL, cid, "lower ballot")
            .await
    };
    let overtake = async {
        let new = overtaking_leader(&cluster, old).await?;
        let answer = cluster
            .submit(new, alice.user, GENERAL, Uuid::now_v7(), "higher ballot")
            .await?;
        ensure!(matches!(answer, Kind::Outcome(_)), "{answer:?}");
        cluster.failpoint(old, "before_send_accept", "off").await
    };
    let (late, overtaken) = tokio::join!(late, overtake);
    overtaken?;
    match late? {
        Kind::NotAccepted(refusal) => ensure!(
            refusal.reason() == Reason::NotLeader,
            "refused because another leads: {refusal:?}"
        ),
        other => anyhow::bail!("the lower ballot was not refused: {other:?}"),
    }

    // The new leader has told of its election, too.
    cluster.told(2, SOON).await?;
    let log = cluster.equal_logs(&cluster.all(), SOON).await?;
    ensure!(
        log.len() == before.len() + 2,
        "one slot, one value: {log:?}"
    );
    alice.send_until_acked(GENERAL, "afterwards", SOON).await?;
    ensure!(
        bodies(&mut alice, &cluster).await? == ["higher ballot", "afterwards"],
        "the refused value took no effect"
    );
    Ok(())
}

async fn bodies(client: &mut Client, cluster: &Cluster) -> Result<Vec<String>> {
    cluster.equal_logs(&cluster.all(), SOON).await?;
    let history = client.whole_history(GENERAL).await?;
    Ok(history
        .iter()
        .filter_map(|event| Some(event["body"].as_str()?.to_owned()))
        .collect())
}

async fn overtaking_leader(cluster: &Cluster, old: usize) -> Result<usize> {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        for index in cluster.others(old) {
            let status = cluster.status(index).await?;
            if status.role == "leader" && status.quorum_connected {
                return Ok(index);
            }
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "nobody overtook the paused leader"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A node fails, the others go on, it revives and is consistent: a follower first, then the
/// leader.
#[tokio::test(flavor = "multi_thread")]
async fn basic4() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    let leader = cluster.leader(SOON).await?;
    for victim in [cluster.others(leader)[0], leader] {
        cluster.replicas[victim].process.kill();
        for number in 0..20 {
            alice
                .send_until_acked(GENERAL, &format!("{number} without r{victim}"), SOON)
                .await?;
        }
        cluster.replicas[victim].process.restart()?;
        cluster.ready(SOON).await?;
        let log = cluster.equal_logs(&cluster.all(), SOON).await?;
        ensure!(batches(&log) >= 20, "{log:?}");
    }
    Ok(())
}

/// Five rounds, all logs equal.
#[tokio::test(flavor = "multi_thread")]
async fn basic5() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    let before = cluster.equal_logs(&cluster.all(), SOON).await?.len();
    for round in 1..=5 {
        let reply = alice
            .send(GENERAL, Uuid::now_v7(), &format!("round {round}"), SOON)
            .await?;
        ensure!(matches!(reply, Reply::Ack { dup: false, .. }), "{reply:?}");
        let log = cluster.equal_logs(&cluster.all(), SOON).await?;
        ensure!(
            log.len() == before + round,
            "round {round} took one slot: {}",
            log.len()
        );
    }
    Ok(())
}

/// 3 of 5 dead: nothing commits and the client hears `no_quorum`; it commits once, with the
/// same cid, when a majority is back.
#[tokio::test(flavor = "multi_thread")]
async fn basic6() -> Result<()> {
    let mut cluster = Cluster::start(5).await?;
    let mut alice = person(&cluster, "alice").await?;
    alice.send_until_acked(GENERAL, "with five", SOON).await?;
    let leader = cluster.leader(SOON).await?;
    let dead: Vec<usize> = [leader]
        .into_iter()
        .chain(cluster.others(leader))
        .take(3)
        .collect();
    for &index in &dead {
        cluster.replicas[index].process.kill();
    }
    let alive: Vec<usize> = cluster
        .all()
        .into_iter()
        .filter(|index| !dead.contains(index))
        .collect();
    let before = cluster.status(alive[0]).await?.decided;

    let cid = Uuid::now_v7();
    let reply = alice
        .send(GENERAL, cid, "without a quorum", Duration::from_secs(8))
        .await?;
    let told = Reply::Err {
        code: "no_quorum".to_owned(),
        temporary: true,
    };
    ensure!(
        reply == told,
        "C7: nobody is told that it was sent: {reply:?}"
    );
    for &index in &alive {
        ensure!(
            cluster.status(index).await?.decided == before,
            "something was committed"
        );
    }

    for &index in &dead {
        cluster.replicas[index].process.restart()?;
    }
    cluster.ready(SOON).await?;
    let reply = loop {
        match alice.send(GENERAL, cid, "without a quorum", SOON).await? {
            Reply::Err {
                temporary: true, ..
            } => continue,
            reply => break reply,
        }
    };
    ensure!(matches!(reply, Reply::Ack { .. }), "{reply:?}");
    ensure!(
        bodies(&mut alice, &cluster).await? == ["with five", "without a quorum"],
        "exactly once"
    );
    Ok(())
}

/// A leader dies before it sends any accept: its value is nowhere, the client's retry commits
/// it once, and the node recovers.
#[tokio::test(flavor = "multi_thread")]
async fn basic7() -> Result<()> {
    dies_at("before_send_accept").await
}

/// A leader dies after it sent its accepts: the value survives it, the client's retry finds it
/// committed, and the node recovers.
#[tokio::test(flavor = "multi_thread")]
async fn basic8() -> Result<()> {
    dies_at("after_send_accept").await
}

async fn dies_at(point: &str) -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = person(&cluster, "alice").await?;
    alice.send_until_acked(GENERAL, "before", SOON).await?;
    let leader = cluster.leader(SOON).await?;
    cluster.failpoint(leader, point, "1*return").await?;

    alice
        .send_until_acked(GENERAL, "at the point", SOON)
        .await?;
    cluster.replicas[leader].process.wait_exit(SOON)?;
    alice.send_until_acked(GENERAL, "after", SOON).await?;
    cluster.equal_logs(&cluster.others(leader), SOON).await?;

    cluster.replicas[leader].process.restart()?;
    cluster.ready(SOON).await?;
    ensure!(
        bodies(&mut alice, &cluster).await? == ["before", "at the point", "after"],
        "exactly once, in order"
    );
    Ok(())
}

/// Every other point at which the driver can be stopped: the leader dies there with a message
/// in hand, nothing acknowledged is lost, nothing is doubled, and it recovers.
#[tokio::test(flavor = "multi_thread")]
async fn dies_at_every_other_point() -> Result<()> {
    for point in [
        "before_propose",
        "after_propose_before_send",
        "before_persist",
        "after_persist",
        "before_apply",
        "after_apply_before_ack",
    ] {
        dies_at(point).await.map_err(|error| error.context(point))?;
    }
    Ok(())
}
