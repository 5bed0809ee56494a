//! The room of the cluster, on three replicas in one process: what is told, to whom, and by whom.

#![allow(
    clippy::expect_used,
    reason = "a test that meets the unexpected has failed"
)]

mod support;

use std::time::Duration;

use proto::v1 as pb;
use proto::v1::notice::Kind;
use support::{Cluster, eventually, person, post};
use tonic::Code;

const ROOM: u64 = u32::MAX as u64;

/// What the room says at one replica, oldest first.
async fn lines(cluster: &Cluster, index: usize) -> Vec<pb::RoomEvent> {
    let request = pb::GetHistoryRequest {
        room: ROOM,
        limit: 200,
        ..pb::GetHistoryRequest::default()
    };
    let page = cluster.chat(index).await.get_history(request).await;
    page.expect("everybody may read it").into_inner().events
}

fn said(event: &pb::RoomEvent) -> Kind {
    match &event.kind {
        Some(pb::room_event::Kind::Notice(notice)) => notice.kind.clone().expect("a kind"),
        other => panic!("no notice: {other:?}"),
    }
}

/// Waits until the room has a line at this replica.
async fn line(cluster: &Cluster, index: usize, what: &str, is: impl Fn(&Kind) -> bool) -> Kind {
    eventually(what, async || {
        let lines = lines(cluster, index).await;
        lines.iter().map(said).find(&is)
    })
    .await
}

/// The leader dies and comes back, and a voter leaves: the room tells each of it once, in the same
/// words and at the same places at every voter, also at one that was away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_told_once_and_everywhere() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let first = cluster.leader().await;
    let node = first as u64 + 1;
    let elected = |leads: u64| move |kind: &Kind| matches!(kind, Kind::Elected(elected) if elected.node == leads);
    line(&cluster, first, "the first election", elected(node)).await;

    // A follower knows whom it followed if it looked while it did (every 50 ms): nothing tells
    // when it has looked, hence the pause.
    for index in 0..3 {
        eventually("everybody follows", async || {
            (cluster.status(index).await.leader == node).then_some(())
        })
        .await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.kill(first);
    cluster.commit(post(alice, "after the death")).await;
    let next = cluster.leader().await;
    let Kind::Elected(told) = line(
        &cluster,
        next,
        "the next election",
        elected(next as u64 + 1),
    )
    .await
    else {
        unreachable!("it was looked for")
    };
    assert_eq!(told.previous, node);
    assert!((1..30_000).contains(&told.gap_ms), "{told:?}");
    let silent = |kind: &Kind| matches!(kind, Kind::Silent(silent) if silent.node == node);
    line(&cluster, next, "the silence", silent).await;
    cluster.restart(first).await;
    let heard = |kind: &Kind| matches!(kind, Kind::Heard(heard) if heard.node == node);
    line(&cluster, next, "the voice", heard).await;

    let leader = cluster.leader().await;
    let leaves = (1..=3)
        .find(|other| *other != leader as u64 + 1)
        .expect("another");
    let voters: Vec<u64> = (1..=3).filter(|other| *other != leaves).collect();
    let request = pb::ReconfigureRequest {
        expected_epoch: 1,
        voters: voters.clone(),
        force: false,
    };
    let answer = cluster.admin(leader).await.reconfigure(request).await;
    answer.expect("agreed");
    let changed = pb::VotersChanged {
        epoch: 2,
        voters,
        added: Vec::new(),
        removed: vec![leaves],
    };
    let changed = Kind::Voters(changed);
    line(&cluster, leader, "the new voters", |kind| *kind == changed).await;

    // Not by the one that left: it puts its files aside and begins anew, whenever it notices.
    let stay: Vec<usize> = (0..3).filter(|index| *index as u64 + 1 != leaves).collect();
    cluster.equal_logs_of(&stay).await;
    let expected = lines(&cluster, leader).await;
    for index in stay {
        eventually("the same room everywhere", async || {
            (lines(&cluster, index).await == expected).then_some(())
        })
        .await;
    }
    for (number, event) in expected.iter().enumerate() {
        assert_eq!(event.seq, number as u64 + 1);
        let same = |other: &&pb::RoomEvent| said(other) == said(event);
        assert_eq!(expected.iter().filter(same).count(), 1, "{event:?}");
    }
}

/// No gateway can post a notice, in its own name or in that of the replicas, nor use their name for
/// anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_posts() {
    let cluster = Cluster::formed(1).await;
    let alice = person(&cluster, "alice").await;
    let forged = machine::notice_command(Kind::Silent(pb::NodeSilent {
        node: 1,
        for_ms: 2_000,
    }));
    let own = pb::Command {
        author: alice,
        ..forged.clone()
    };
    let mut name = post(alice, "hi");
    name.author = forged.author;
    for command in [forged, own, name] {
        let request = pb::SubmitRequest {
            command: Some(command),
            ..pb::SubmitRequest::default()
        };
        let mut chat = cluster.chat(0).await;
        let mut answers = chat
            .submit(tokio_stream::iter([request]))
            .await
            .expect("a stream")
            .into_inner();
        let refused = answers.message().await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("leading replica"), "{refused}");
    }
    assert!(
        lines(&cluster, 0)
            .await
            .iter()
            .all(|event| !matches!(said(event), Kind::Silent(_)))
    );
}
