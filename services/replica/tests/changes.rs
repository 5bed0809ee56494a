//! Changes of a running cluster: another leader, other voters; and reads that are never stale.

#![allow(
    clippy::expect_used,
    reason = "a test that meets the unexpected has failed"
)]

mod support;

use proto::v1 as pb;
use support::{Cluster, bodies, eventually, person, post};
use tonic::Code;

async fn reconfigure(
    cluster: &Cluster,
    index: usize,
    expected_epoch: u64,
    voters: &[u64],
) -> Result<pb::ReconfigureResponse, tonic::Status> {
    let request = pb::ReconfigureRequest {
        expected_epoch,
        voters: voters.to_vec(),
        force: false,
    };
    let answer = cluster.admin(index).await.reconfigure(request).await;
    answer.map(tonic::Response::into_inner)
}

fn node(index: usize) -> u64 {
    index as u64 + 1
}

/// The lead goes where it is sent; what is posted meanwhile is neither lost nor doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lead_goes_where_it_is_sent() {
    let cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let before = cluster.leader().await;
    let target = (before + 1) % 3;
    let mut expected = Vec::new();
    let load = async {
        for number in 0..20 {
            let body = format!("{number}");
            cluster.commit(post(alice, &body)).await;
            expected.push(body);
        }
    };
    let hand_over = async {
        let mut admin = cluster.admin(before).await;
        let to = node(target);
        let answer = admin.transfer_lead(pb::TransferLeadRequest { to }).await;
        answer.expect("handed over");
    };
    tokio::join!(load, hand_over);
    assert_eq!(cluster.leader().await, target);
    cluster.equal_logs().await;
    assert_eq!(bodies(&cluster, target, 0).await, expected);
    // Whoever does not lead cannot hand it over, and names who can.
    let to = node(before);
    let mut admin = cluster.admin(before).await;
    let refused = admin.transfer_lead(pb::TransferLeadRequest { to }).await;
    let refused = refused.expect_err("it follows");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let named = refused.metadata().get("leader-node").expect("the leader");
    assert_eq!(named.to_str().expect("a number"), node(target).to_string());
}

/// A voter leaves: two epochs, one history. It votes on nothing any more, begins anew without an
/// id, and its id is never taken in again, also after a restart of everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_leaves_for_ever() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    let (stays, leaves) = ((leader + 1) % 3, (leader + 2) % 3);
    let two = [node(leader), node(stays)];

    let early = reconfigure(&cluster, leader, 7, &two).await;
    assert_eq!(early.expect_err("another epoch").code(), Code::Aborted);
    let unknown = reconfigure(&cluster, leader, 1, &[node(leader), 4000]).await;
    let unknown = unknown.expect_err("no such node");
    assert_eq!(unknown.code(), Code::FailedPrecondition, "{unknown}");
    let elsewhere = reconfigure(&cluster, stays, 1, &two).await;
    let elsewhere = elsewhere.expect_err("it does not lead");
    assert_eq!(elsewhere.code(), Code::FailedPrecondition, "{elsewhere}");

    let changed = reconfigure(&cluster, leader, 1, &two)
        .await
        .expect("agreed");
    assert_eq!(changed.epoch, 2);
    cluster.commit(post(alice, "in the second epoch")).await;
    eventually("the one that left begins anew", async || {
        let status = cluster.status(leaves).await;
        (status.node == 0 && !status.voter).then_some(())
    })
    .await;
    // It does not vote: without the other voter nothing is decided.
    cluster.kill(stays);
    eventually("the leader misses its majority", async || {
        let status = cluster.status(leader).await;
        (!status.quorum_connected).then_some(())
    })
    .await;
    cluster.restart(stays).await;
    let leads = async || {
        for index in [leader, stays] {
            let status = cluster.status(index).await;
            if status.role == "leader" && status.quorum_connected {
                return Some(index);
            }
        }
        None
    };
    let now = eventually("one of the two leads", leads).await;
    let refused = reconfigure(&cluster, now, 2, &[1, 2, 3]).await;
    let refused = refused.expect_err("an id votes once");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("for ever"), "{refused}");
    for index in 0..3 {
        cluster.kill(index);
    }
    for index in 0..3 {
        cluster.restart(index).await;
    }
    eventually("one of the two leads again", async || {
        for index in [leader, stays] {
            if cluster.status(index).await.role == "leader" {
                return Some(());
            }
        }
        None
    })
    .await;
    for index in [leader, stays] {
        assert_eq!(cluster.status(index).await.epoch, 2);
        assert_eq!(bodies(&cluster, index, 0).await, ["in the second epoch"]);
    }
    assert_eq!(cluster.status(leaves).await.node, 0, "it has no id");
}

async fn read_now(cluster: &Cluster, index: usize) -> Result<u64, tonic::Status> {
    let request = pb::GetHistoryRequest {
        room: 1,
        limit: 1,
        linearizable: true,
        ..pb::GetHistoryRequest::default()
    };
    let page = cluster.chat(index).await.get_history(request).await;
    page.map(|page| page.into_inner().head)
}

/// A linearizable read sees whatever was acknowledged before it, without a slot to prove it; who
/// does not lead, or cannot know whether it does, gives none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linearizable_read_is_never_stale() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    let mut seen = 0;
    for number in 0..10 {
        cluster.commit(post(alice, &number.to_string())).await;
        let head = read_now(&cluster, leader).await.expect("it leads");
        assert!(head > seen, "{head} after {seen}");
        seen = head;
    }
    let follower = (leader + 1) % 3;
    let refused = read_now(&cluster, follower).await.expect_err("it follows");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    for other in [1, 2] {
        cluster.kill((leader + other) % 3);
    }
    let refused = read_now(&cluster, leader).await.expect_err("alone");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
