//! Three replicas in one process: what is committed is the same everywhere, for ever.

#![allow(
    clippy::expect_used,
    reason = "a test that meets the unexpected has failed"
)]

mod support;

use proto::v1 as pb;
use proto::v1::not_accepted::Reason;
use proto::v1::progress::Stage;
use proto::v1::submit_response::Kind;
use support::{Cluster, bodies, history, leave, person, post, sign_up, token_hash};
use tokio_stream::StreamExt as _;
use tonic::Code;

/// A follower, then the leader is killed and comes back on its directory; after each step all
/// logs are equal and nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_equal_through_kills_and_restarts() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let mut expected = Vec::new();
    for round in 0..2 {
        let leader = cluster.leader().await;
        let victim = if round == 0 { (leader + 1) % 3 } else { leader };
        cluster.kill(victim);
        for number in 0..5 {
            let body = format!("{number} in round {round}");
            let outcome = cluster.commit(post(alice, &body)).await;
            assert!(matches!(
                outcome.result,
                Some(pb::outcome::Result::MessagePosted(_))
            ));
            expected.push(body);
        }
        cluster.restart(victim).await;
        let log = cluster.equal_logs().await;
        assert_eq!(log[0].slot, 1024, "the log begins at the first slot");
        for index in 0..3 {
            assert_eq!(bodies(&cluster, index, 0).await, expected);
        }
    }
}

/// All are killed at once: what was acknowledged is there when they come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_all() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let outcome = cluster.commit(post(alice, "before")).await;
    for index in 0..3 {
        cluster.kill(index);
    }
    for index in 0..3 {
        cluster.restart(index).await;
    }
    for index in 0..3 {
        assert_eq!(bodies(&cluster, index, outcome.slot).await, ["before"]);
    }
    cluster.commit(post(alice, "after")).await;
    cluster.equal_logs().await;
}

/// Each replica tells of its own log: under which ballot a slot was accepted, and that it has
/// nothing where nothing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tells_what_its_own_log_has_of_a_slot() {
    let cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let outcome = cluster.commit(post(alice, "where is it?")).await;
    let log = cluster.equal_logs().await;
    let entry = log.iter().find(|entry| entry.slot == outcome.slot);
    let ballot = entry.and_then(|entry| entry.ballot);
    assert!(ballot.is_some_and(|ballot| ballot.round > 0), "{ballot:?}");
    for index in 0..3 {
        let mut chat = cluster.chat(index).await;
        for (slot, expected) in [
            (outcome.slot, ballot),
            (outcome.slot + 1_000, None),
            (0, None),
        ] {
            let request = pb::GetSlotRequest { shard: 0, slot };
            let answer = chat.get_slot(request).await.expect("an answer");
            assert_eq!(answer.into_inner().ballot, expected, "slot {slot}");
        }
    }
}

/// The same command twice has one effect, and the second answer says so with the first's slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_takes_no_effect() {
    let cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let command = post(alice, "once");
    let first = cluster.commit(command.clone()).await;
    let second = cluster.commit(command).await;
    assert!(!first.duplicate && second.duplicate);
    assert_eq!((second.slot, &second.result), (first.slot, &first.result));
    assert_eq!(
        bodies(&cluster, cluster.leader().await, second.slot).await,
        ["once"]
    );
}

/// A follower takes no command and names the leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_names_the_leader() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    match cluster.submit((leader + 1) % 3, sign_up("alice")).await {
        Kind::NotAccepted(refusal) => {
            assert_eq!(refusal.reason(), Reason::NotLeader);
            assert_eq!(refusal.leader, leader as u64 + 1);
        }
        other => panic!("it leads: {other:?}"),
    }
}

/// Without a majority nothing is acknowledged, and those who wait are told why; the retry with
/// the same cid takes effect once when a majority is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_committed() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    for other in [1, 2] {
        cluster.kill((leader + other) % 3);
    }
    let command = post(alice, "once");
    for _ in 0..2 {
        match cluster.submit(leader, command.clone()).await {
            Kind::NotAccepted(refusal) => assert_eq!(refusal.reason(), Reason::NoQuorum),
            other => panic!("nothing can be committed: {other:?}"),
        }
    }
    cluster.restart((leader + 1) % 3).await;
    cluster.commit(command).await;
    cluster.equal_logs().await;
    assert_eq!(bodies(&cluster, leader, 0).await, ["once"]);
}

/// Many commands on one stream: each is answered once, with its stages in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_commands_is_answered_completely() {
    const COUNT: usize = 2000;
    let cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    let requests: Vec<_> = (0..COUNT)
        .map(|number| pb::SubmitRequest {
            shard: 0,
            command: Some(post(alice, &format!("{number}"))),
            progress: number == 0,
            traceparent: String::new(),
        })
        .collect();
    let mut chat = cluster.chat(leader).await;
    let mut answers = chat
        .submit(tokio_stream::iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    let (mut stages, mut done) = (Vec::new(), 0);
    while let Some(answer) = answers.next().await {
        match answer.expect("no error").kind.expect("a kind") {
            Kind::Outcome(outcome) => {
                assert!(!outcome.duplicate);
                done += 1;
            }
            Kind::Progress(progress) => stages.push(progress.stage()),
            Kind::NotAccepted(refusal) => panic!("the leader stays: {refusal:?}"),
        }
    }
    assert_eq!(done, COUNT, "the stream ends when all are answered");
    assert_eq!(stages, [Stage::Proposed, Stage::Chosen]);
    let log = cluster.equal_logs().await;
    assert!(
        log.len() < COUNT / 4,
        "commands share slots: {} for {COUNT}",
        log.len()
    );
    let sent: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(
        bodies(&cluster, leader, 0).await,
        sent,
        "in the order of the stream"
    );
}

/// What a tail gives, from the first slot on, while messages are written: contiguous, and equal
/// to the history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_replays_and_goes_on_live_without_a_hole() {
    const BEFORE: usize = 600;
    const AFTER: usize = 300;
    let cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    write(&cluster, leader, alice, BEFORE).await;

    let follower = (leader + 1) % 3;
    let request = pb::TailRequest {
        shard: 0,
        after_slot: 1023,
    };
    let mut tail = cluster
        .chat(follower)
        .await
        .tail(request)
        .await
        .expect("a tail")
        .into_inner();
    let (seen, ()) = tokio::join!(
        async {
            let (mut events, mut last) = (Vec::new(), 1023);
            while events.len() < 2 + BEFORE + AFTER {
                let answer = tail.next().await.expect("for ever").expect("no error");
                assert!(answer.slot >= last, "slots do not go back");
                last = answer.slot;
                for effect in answer.effects {
                    if let Some(pb::effect::Kind::Room(event)) = effect.kind
                        && event.room == 1
                    {
                        assert_eq!(event.seq, events.len() as u64 + 1, "no hole, nothing twice");
                        events.push(event);
                    }
                }
            }
            events
        },
        write(&cluster, leader, alice, AFTER),
    );
    assert_eq!(seen, history(&cluster, follower, 0).await);

    // From the end on: first where it stands, then nothing but what is new.
    let request = pb::TailRequest {
        shard: 0,
        after_slot: 0,
    };
    let mut tail = cluster
        .chat(follower)
        .await
        .tail(request)
        .await
        .expect("a tail")
        .into_inner();
    let stands = tail.next().await.expect("for ever").expect("no error");
    assert!(stands.effects.is_empty());
    let outcome = cluster.commit(post(alice, "news")).await;
    let news = loop {
        let news = tail.next().await.expect("for ever").expect("no error");
        // The leader may tell something of the cluster meanwhile.
        if news.effects.is_empty() || !news.effects.iter().all(is_notice) {
            break news;
        }
    };
    assert_eq!((news.slot, news.effects.len()), (outcome.slot, 1));
}

fn is_notice(effect: &pb::Effect) -> bool {
    matches!(&effect.kind, Some(pb::effect::Kind::Room(event)) if event.room != 1)
}

async fn write(cluster: &Cluster, leader: usize, author: u64, count: usize) {
    let requests: Vec<_> = (0..count)
        .map(|number| pb::SubmitRequest {
            shard: 0,
            command: Some(post(author, &format!("message {number}"))),
            progress: false,
            traceparent: String::new(),
        })
        .collect();
    let mut chat = cluster.chat(leader).await;
    let answers = chat
        .submit(tokio_stream::iter(requests))
        .await
        .expect("a stream");
    let answers: Vec<_> = answers.into_inner().collect().await;
    assert_eq!(answers.len(), count);
}

/// Every read of the service, answered by a replica that does not lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_answer_from_any_replica() {
    let cluster = Cluster::formed(3).await;
    let user = person(&cluster, "alice").await;
    let min_slot = cluster.commit(post(user, "hello")).await.slot;
    let mut chat = cluster.chat((cluster.leader().await + 1) % 3).await;

    let token_hash = token_hash("alice");
    let request = pb::GetSessionRequest {
        shard: 0,
        token_hash,
        min_slot,
        ..pb::GetSessionRequest::default()
    };
    let session = chat
        .get_session(request)
        .await
        .expect("signed up")
        .into_inner();
    assert_eq!((session.user, session.name.as_str()), (user, "alice"));

    let request = pb::GetUserStateRequest {
        shard: 0,
        user,
        min_slot,
    };
    let state = chat
        .get_user_state(request)
        .await
        .expect("known")
        .into_inner();
    assert_eq!((state.name.as_str(), state.rooms.len()), ("alice", 2));
    assert!(state.applied >= min_slot);

    let request = pb::ListRoomsRequest {
        shard: 0,
        user,
        min_slot,
    };
    let rooms = chat
        .list_rooms(request)
        .await
        .expect("rooms")
        .into_inner()
        .rooms;
    assert_eq!(
        (rooms.len(), rooms[0].joined, rooms[0].members),
        (1, true, 1)
    );

    let request = pb::ListMembersRequest {
        shard: 0,
        user,
        room: 1,
        min_slot,
    };
    let members = chat
        .list_members(request)
        .await
        .expect("members")
        .into_inner()
        .members;
    assert_eq!((members.len(), members[0].user), (1, user));
}

/// What a read may not have, or not yet, by its code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_refused_with_a_reason() {
    let cluster = Cluster::formed(1).await;
    let user = person(&cluster, "alice").await;
    let mut chat = cluster.chat(0).await;
    let rooms = |shard, min_slot| pb::ListRoomsRequest {
        shard,
        user,
        min_slot,
    };

    let request = pb::GetSessionRequest {
        token_hash: token_hash("bob"),
        ..Default::default()
    };
    assert_eq!(
        chat.get_session(request).await.expect_err("nobody").code(),
        Code::NotFound
    );
    // Who could join it is refused as no member; for whoever has no account it does not exist.
    let carol = person(&cluster, "carol").await;
    cluster.commit(leave(carol)).await;
    for (user, wanted) in [(carol, Code::PermissionDenied), (77, Code::NotFound)] {
        let request = pb::ListMembersRequest {
            user,
            room: 1,
            ..Default::default()
        };
        let denied = chat.list_members(request).await.expect_err("not a member");
        assert_eq!(denied.code(), wanted, "{user}");
    }
    let request = pb::GetHistoryRequest {
        user,
        room: 1,
        limit: 201,
        ..Default::default()
    };
    let bad = chat.get_history(request).await.expect_err("over the limit");
    assert_eq!(bad.code(), Code::InvalidArgument);
    let elsewhere = chat
        .list_rooms(rooms(9, 0))
        .await
        .expect_err("another shard");
    assert_eq!(elsewhere.code(), Code::FailedPrecondition);
    let behind = chat
        .list_rooms(rooms(0, 1_000_000))
        .await
        .expect_err("not applied yet");
    assert_eq!(behind.code(), Code::Unavailable);
    assert!(behind.message().contains("behind"), "{behind}");
}

/// A graceful stop tells who waits, ends in time, and loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_says_goodbye() {
    let mut cluster = Cluster::formed(3).await;
    let alice = person(&cluster, "alice").await;
    let leader = cluster.leader().await;
    cluster.commit(post(alice, "before")).await;
    let request = pb::TailRequest {
        shard: 0,
        after_slot: 1023,
    };
    let mut tail = cluster
        .chat(leader)
        .await
        .tail(request)
        .await
        .expect("a tail")
        .into_inner();
    cluster.processes[leader]
        .take()
        .expect("it runs")
        .stop()
        .await
        .expect("a clean end");
    let last = loop {
        match tail.next().await {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("it says why it ends"),
        }
    };
    assert_eq!(last.code(), Code::Unavailable, "{last}");
    cluster.commit(post(alice, "without it")).await;
    cluster.restart(leader).await;
    cluster.equal_logs().await;
    assert_eq!(bodies(&cluster, leader, 0).await, ["before", "without it"]);
}
