//! Resume: from wherever a client stopped, without a hole, without a repetition.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1::{CreateRoom, JoinRoom, LeaveRoom, command, outcome};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Client, GENERAL, cid, start};

/// A client that has everything up to `last`.
fn who_has(alice: &Client, events: &BTreeMap<u64, Value>, last: u64) -> Client {
    let mut client = Client::new(alice.user, alice.token.clone());
    let seen: BTreeMap<u64, Value> = events
        .range(..=last)
        .map(|(seq, event)| (*seq, event.clone()))
        .collect();
    client.slot = seen
        .values()
        .filter_map(|event| event["slot"].as_u64())
        .max()
        .unwrap_or(0);
    if !seen.is_empty() {
        client.events.insert(GENERAL, seen);
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn from_any_last_seq() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for number in 0..20 {
        world.post(alice.user, GENERAL, &number.to_string());
    }
    let head = world.head(GENERAL);
    alice.read_to(GENERAL, head).await;
    let events = alice.events[&GENERAL].clone();
    for last in 0..=head {
        let mut client = who_has(&alice, &events, last);
        let ready = client.connect(&gateway).await;
        assert_eq!(ready["rooms"][0]["head"], head);
        let live = client.wait_for(|frame| frame["t"] == "live").await;
        assert_eq!(
            (&live["head"], client.last(GENERAL)),
            (&json!(head), head),
            "from {last}"
        );
        assert_eq!(client.bodies(GENERAL), world.bodies(GENERAL), "from {last}");
    }
    alice.socket = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_others_write() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let author = alice.user;
    let writer = {
        let world = world.clone();
        tokio::spawn(async move {
            for number in 0..1500 {
                world.post(author, GENERAL, &number.to_string());
                if number % 10 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        })
    };
    while !writer.is_finished() {
        alice.socket = None;
        alice.connect(&gateway).await;
        for _ in 0..20 {
            alice.next().await.unwrap();
        }
    }
    writer.await.unwrap();
    alice.socket = None;
    alice.connect(&gateway).await;
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    let last = world.bodies(GENERAL);
    assert!(alice.bodies(GENERAL).ends_with(&last[last.len() - 1..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_the_newest_after_a_gap() {
    let (world, gateway) = start().await;
    let alice = gateway.person("alice").await;
    for number in 0..100 {
        world.post(alice.user, GENERAL, &number.to_string());
    }
    let mut fresh = Client::new(alice.user, alice.token.clone());
    fresh.connect(&gateway).await;
    let gap = fresh.wait_for(|frame| frame["t"] == "gap").await;
    let head = world.head(GENERAL);
    assert_eq!((&gap["from"], &gap["to"]), (&json!(1), &json!(head - 50)));
    fresh.wait_for(|frame| frame["t"] == "live").await;
    assert_eq!(fresh.last(GENERAL), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_is_a_gap_and_then_the_newest() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    let last = alice.last(GENERAL);
    alice.socket = None;
    for number in 0..600 {
        world.post(alice.user, GENERAL, &number.to_string());
    }
    alice.connect(&gateway).await;
    let gap = alice.wait_for(|frame| frame["t"] == "gap").await;
    let head = world.head(GENERAL);
    assert_eq!(
        (&gap["from"], &gap["to"]),
        (&json!(last + 1), &json!(head - 50))
    );
    alice.wait_for(|frame| frame["t"] == "live").await;
    assert_eq!(alice.last(GENERAL), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_cluster_is_told() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    alice.open(&gateway).await;
    let rooms = json!({GENERAL.to_string(): world.head(GENERAL) + 1});
    alice
        .write(json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": rooms}))
        .await;
    assert_eq!(alice.closed().await.0, 4500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_behind_says_so() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    alice.open(&gateway).await;
    let slot = world.machine.lock().unwrap().slot;
    alice
        .write(json!({"t": "start", "useq": 0, "min_slot": slot + 10, "rooms": {}}))
        .await;
    let error = alice.wait_for(|frame| frame["t"] == "err").await;
    assert_eq!(
        (&error["code"], &error["temporary"]),
        (&json!("behind"), &json!(true))
    );
    assert_eq!(alice.closed().await, (4409, "behind".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_lags_and_comes_back_without_a_hole() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    alice.wait_for(|frame| frame["t"] == "live").await;
    // Far more than all buffers between here and there hold, and nobody reads.
    let body = "x".repeat(10_000);
    for _ in 0..3000 {
        world.post(alice.user, GENERAL, &body);
        if world.head(GENERAL) % 100 == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    let lag = alice.wait_for(|frame| frame["t"] == "lag").await;
    let told = lag["rooms"][GENERAL.to_string()].as_u64().unwrap();
    assert!(
        told > alice.last(GENERAL),
        "{lag} at {}",
        alice.last(GENERAL)
    );
    // Its own requests are answered although it lags.
    let id = cid();
    alice.send(GENERAL, &id, "still here").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    fetch(&gateway, &mut alice, &world).await;
    let rooms = json!({GENERAL.to_string(): alice.last(GENERAL)});
    alice.write(json!({"t": "resume", "rooms": rooms})).await;
    alice.wait_for(|frame| frame["t"] == "live").await;
    world.post(alice.user, GENERAL, "afterwards");
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert_eq!(alice.bodies(GENERAL), world.bodies(GENERAL));
}

async fn fetch(gateway: &crate::client::Gateway, alice: &mut Client, world: &crate::double::World) {
    while alice.last(GENERAL) < world.head(GENERAL) {
        let path = format!(
            "/api/v1/rooms/{GENERAL}/events?after={}&limit=200",
            alice.last(GENERAL)
        );
        let (status, page) = gateway.get(&path, Some(&alice.token)).await;
        assert_eq!(status, 200, "{page}");
        for event in page["events"].as_array().unwrap() {
            let seq = event["seq"].as_u64().unwrap();
            assert_eq!(seq, alice.last(GENERAL) + 1);
            alice
                .events
                .get_mut(&GENERAL)
                .unwrap()
                .insert(seq, event.clone());
        }
    }
}

/// The state that a session begins with is read from a replica that may be ahead of the log
/// that its gateway follows: what comes late of the own stream is known already and must not
/// silence a room, nor bring a left one back.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_comes_late_undoes_nothing() {
    let (world, gateway) = start().await;
    let (bob, _) = gateway.sign_up("bob").await;
    let (plans, past) = (
        new_room(&world, bob, "plans"),
        new_room(&world, bob, "past"),
    );
    let stall = |stalls| (1..=3).for_each(|node| world.fault(node, |on| on.tail_stalls = stalls));
    stall(true);
    let (user, token) = gateway.sign_up("alice").await;
    let join = |room| world.apply(user, command::Body::JoinRoom(JoinRoom { room }));
    let leave = |room| world.apply(user, command::Body::LeaveRoom(LeaveRoom { room }));
    for room in [plans, past] {
        join(room);
        leave(room);
    }
    join(plans);
    let mut alice = Client::new(user, token);
    alice.connect(&gateway).await;
    for _ in [GENERAL, plans] {
        alice.wait_for(|frame| frame["t"] == "live").await;
    }
    stall(false);
    world.post(bob, past, "none of her business");
    world.post(bob, plans, "to who came back");
    world.post(bob, GENERAL, "to everybody");
    alice.read_to(plans, world.head(plans)).await;
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert_eq!(alice.bodies(plans), ["to who came back"]);
    assert_eq!(alice.bodies(past), [""; 0]);
}

fn new_room(world: &crate::double::World, owner: u64, name: &str) -> u64 {
    let create = CreateRoom {
        name: name.to_owned(),
        private: false,
    };
    match world.apply(owner, command::Body::CreateRoom(create)).result {
        Some(outcome::Result::RoomChanged(created)) => created.room,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_come_and_go_on_every_device() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let mut phone = Client::new(alice.user, alice.token.clone());
    phone.connect(&gateway).await;
    let id = cid();
    alice
        .write(json!({"t": "create", "cid": id, "name": "plans"}))
        .await;
    let room = alice.answer(&id).await["room"].as_u64().unwrap();
    for client in [&mut phone, &mut alice] {
        while client.last(room) < 2 {
            let _ = client.next().await.unwrap();
        }
    }
    world.post(alice.user, room, "to both");
    phone.read_to(room, 3).await;
    alice.read_to(room, 3).await;

    let id = cid();
    phone
        .write(json!({"t": "leave", "cid": id, "room": room}))
        .await;
    let left = alice
        .wait_for(|frame| frame["t"] == "uev" && frame["left"] == room)
        .await;
    assert!(left["useq"].as_u64().unwrap() > 0);
    phone
        .wait_for(|frame| frame["t"] == "uev" && frame["left"] == room)
        .await;
    // What happens there now is none of their business.
    let (bob, _) = gateway.sign_up("bob").await;
    world.apply(bob, command::Body::JoinRoom(JoinRoom { room }));
    world.post(bob, room, "behind their backs");
    world.post(bob, GENERAL, "to everybody");
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert!(
        !alice
            .bodies(room)
            .contains(&"behind their backs".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_resumes_what_this_one_began() {
    let (world, gateway) = start().await;
    let other = crate::client::Gateway::start(world.options()).await;
    let mut alice = gateway.person("alice").await;
    for round in 0..6 {
        let id = cid();
        alice.send(GENERAL, &id, &format!("round {round}")).await;
        assert_eq!(alice.answer(&id).await["t"], "ack");
        alice.socket = None;
        alice
            .connect(if round % 2 == 0 { &other } else { &gateway })
            .await;
    }
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert_eq!(alice.bodies(GENERAL), world.bodies(GENERAL));
}
