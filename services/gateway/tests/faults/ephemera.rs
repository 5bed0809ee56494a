//! Writing and presence over two gateways: who hears of it, who does not, and when it ends.

use std::time::Duration;

use proto::v1::{AddMember, CreateRoom, command, outcome};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client::{Client, GENERAL, Gateway, cid};
use crate::double::World;

const SOON: Duration = Duration::from_secs(10);

/// Two gateways that relay to each other.
async fn two() -> (std::sync::Arc<World>, Gateway, Gateway) {
    let world = World::start().await;
    let first = Gateway::start(world.options()).await;
    let mut options = world.options();
    options.name = "g2".to_owned();
    let second = Gateway::start(options).await;
    (world, first, second)
}

async fn typing(client: &mut Client, room: u64) {
    client.write(json!({"t": "typing", "room": room})).await;
}

async fn watch(client: &mut Client, people: &[u64]) {
    client.write(json!({"t": "watch", "people": people})).await;
}

/// Reads until the client is told that this person is so.
async fn sees(client: &mut Client, user: u64, presence: &str) {
    let told = |frame: &Value| {
        frame["t"] == "presence"
            && frame["people"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["id"] == user && one["presence"] == presence)
    };
    let told = timeout(SOON, client.wait_for(told)).await;
    told.unwrap_or_else(|_| panic!("nobody said that {user} is {presence}"));
}

/// Reads until somebody else's message, and gives the writing that was heard before it.
async fn writing_until(client: &mut Client, body: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let frame = client.next().await.unwrap();
        match frame["t"].as_str() {
            Some("typing") => heard.push(frame),
            Some("ev") if frame["ev"]["body"] == body => return heard,
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_writes_is_told_to_the_others_in_the_room_at_every_gateway() {
    let (_world, first, second) = two().await;
    let mut alice = first.person("alice").await;
    let mut bob = first.person("bob").await;
    let mut carol = second.person("carol").await;
    for client in [&mut alice, &mut bob, &mut carol] {
        client.wait_for(|frame| frame["t"] == "live").await;
    }
    // Relayed as soon as the gateways know each other: the first word may be too early.
    let heard = async {
        loop {
            typing(&mut alice, GENERAL).await;
            let told = timeout(
                Duration::from_millis(500),
                carol.wait_for(|frame| frame["t"] == "typing"),
            );
            if let Ok(frame) = told.await {
                return frame;
            }
        }
    };
    let heard = timeout(SOON, heard).await.unwrap();
    let expected = json!({"t": "typing", "room": GENERAL,
        "person": {"id": alice.user, "name": "alice"}});
    assert_eq!(heard, expected);
    assert_eq!(bob.wait_for(|frame| frame["t"] == "typing").await, expected);
    alice.send(GENERAL, &cid(), "done").await;
    assert_eq!(writing_until(&mut alice, "done").await, [] as [Value; 0]);
}

#[tokio::test]
async fn only_members_hear_who_writes_and_only_members_are_heard() {
    let (world, first, _second) = two().await;
    let mut alice = first.person("alice").await;
    let mut bob = first.person("bob").await;
    let mut eve = first.person("eve").await;
    let create = CreateRoom {
        name: "plans".to_owned(),
        private: true,
    };
    let made = world.apply(alice.user, command::Body::CreateRoom(create));
    let Some(outcome::Result::RoomChanged(made)) = made.result else {
        panic!("{made:?}");
    };
    let room = made.room;
    let add = AddMember {
        room,
        user: bob.user,
    };
    world.apply(alice.user, command::Body::AddMember(add));
    for client in [&mut alice, &mut bob] {
        client
            .wait_for(|frame| frame["t"] == "live" && frame["room"] == room)
            .await;
    }
    // Eve says that she writes where she is not; bob hears of alice only.
    typing(&mut eve, room).await;
    typing(&mut eve, u64::from(u32::MAX)).await;
    typing(&mut eve, 999).await;
    typing(&mut alice, room).await;
    let heard = bob.wait_for(|frame| frame["t"] == "typing").await;
    assert_eq!(heard["person"]["id"], alice.user);
    alice.send(GENERAL, &cid(), "over").await;
    assert_eq!(writing_until(&mut eve, "over").await, [] as [Value; 0]);
    assert_eq!(writing_until(&mut bob, "over").await, [] as [Value; 0]);
}

#[tokio::test]
async fn presence_is_known_at_the_other_gateway_and_ends_with_the_last_socket() {
    let (_world, first, second) = two().await;
    let mut carol = second.person("carol").await;
    let mut alice = first.person("alice").await;
    watch(&mut carol, &[alice.user]).await;
    sees(&mut carol, alice.user, "online").await;
    alice.write(json!({"t": "away", "away": true})).await;
    sees(&mut carol, alice.user, "away").await;
    let mut phone = Client::new(alice.user, alice.token.clone());
    phone.connect(&first).await;
    sees(&mut carol, alice.user, "online").await;
    drop(phone.socket.take());
    sees(&mut carol, alice.user, "away").await;
    drop(alice.socket.take());
    sees(&mut carol, alice.user, "offline").await;
}

#[tokio::test]
async fn a_gateway_that_comes_later_learns_who_is_there_and_the_relay_survives_replicas() {
    let world = World::start().await;
    let first = Gateway::start(world.options()).await;
    let alice = first.person("alice").await;
    let second = Gateway::start(world.options()).await;
    let mut carol = second.person("carol").await;
    watch(&mut carol, &[alice.user]).await;
    sees(&mut carol, alice.user, "online").await;
    // The leader over which all was said is gone; another replica relays.
    world.set_leader(2);
    world.fault(1, |faults| faults.down = true);
    let mut alice = alice;
    alice.write(json!({"t": "away", "away": true})).await;
    sees(&mut carol, alice.user, "away").await;
}

#[tokio::test]
async fn too_much_is_refused_and_costs_nobody_a_message() {
    let (_world, first, _second) = two().await;
    let mut alice = first.person("alice").await;
    for _ in 0..30 {
        typing(&mut alice, GENERAL).await;
    }
    let refused = alice.wait_for(|frame| frame["t"] == "err").await;
    assert_eq!(refused["code"], "rate_limited");
    let message = cid();
    alice.send(GENERAL, &message, "still here").await;
    assert_eq!(alice.answer(&message).await["t"], "ack");
    sleep(Duration::from_millis(1100)).await;
    let crowd: Vec<u64> = (0..501).collect();
    watch(&mut alice, &crowd).await;
    let refused = alice.wait_for(|frame| frame["t"] == "err" && frame["code"] == "bad_request");
    let refused = timeout(SOON, refused).await.unwrap();
    assert!(refused["message"].as_str().unwrap().contains("500"));
}
