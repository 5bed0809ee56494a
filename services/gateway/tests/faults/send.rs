//! Sends: one acknowledgement per cid, whatever happens between gateway and leader.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::{GENERAL, cid, start};
use crate::double::OnSubmit;

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_acknowledged_with_its_progress_and_echoed() {
    let (_world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let id = cid();
    alice.send(GENERAL, &id, "hello").await;
    let state = alice.wait_for(|frame| frame["t"] == "state").await;
    assert_eq!(
        (&state["cid"], &state["state"]),
        (&json!(id), &json!("proposed"))
    );
    let ack = alice.answer(&id).await;
    assert_eq!(
        (&ack["msg_no"], &ack["dup"]),
        (&json!(1), &json!(false)),
        "{ack}"
    );
    alice.read_to(GENERAL, ack["seq"].as_u64().unwrap()).await;
    assert_eq!(alice.bodies(GENERAL), ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_hears_the_first_numbers() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let id = cid();
    alice.send(GENERAL, &id, "once").await;
    let first = alice.answer(&id).await;
    alice.send(GENERAL, &id, "once").await;
    let second = alice.answer(&id).await;
    assert_eq!(second["dup"], true);
    for number in ["seq", "msg_no", "slot", "ts"] {
        assert_eq!(first[number], second[number]);
    }
    assert_eq!(world.bodies(GENERAL), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_after_the_commit_is_acknowledged_once() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for fault in [
        OnSubmit::CommitAndBreak,
        OnSubmit::Break,
        OnSubmit::Overloaded(3),
    ] {
        world.fault(1, |faults| faults.on_submit = fault);
        let id = cid();
        alice.send(GENERAL, &id, &format!("{fault:?}")).await;
        let ack = alice.answer(&id).await;
        assert_eq!(ack["t"], "ack", "{fault:?}: {ack}");
    }
    // Nothing more may come for any of them.
    let id = cid();
    alice.send(GENERAL, &id, "last").await;
    let mut acks = 0;
    alice
        .wait_for(|frame| {
            if frame["t"] == "ack" {
                assert_eq!(frame["cid"], *id, "a second answer");
            }
            frame["t"] == "ack"
        })
        .await;
    acks += 1;
    assert_eq!(acks, 1);
    assert_eq!(
        world.bodies(GENERAL),
        ["CommitAndBreak", "Break", "Overloaded(3)", "last"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_changes_with_a_hint_and_without_one() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for (leader, hint) in [(2, true), (3, false), (1, false), (2, true)] {
        *world.hints.lock().unwrap() = hint;
        world.set_leader(leader);
        let (id, begun) = (cid(), Instant::now());
        alice.send(GENERAL, &id, &format!("led by {leader}")).await;
        let ack = alice.answer(&id).await;
        assert_eq!(ack["t"], "ack", "{ack}");
        println!("leader {leader}, hint {hint}: {:?}", begun.elapsed());
    }
    assert_eq!(world.bodies(GENERAL).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_in_a_row_keeps_its_order_over_a_fail_over() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.fault(1, |faults| faults.on_submit = OnSubmit::Silent);
    let ids: Vec<String> = (0..10).map(|_| cid()).collect();
    for (number, id) in ids.iter().enumerate() {
        alice.send(GENERAL, id, &number.to_string()).await;
    }
    sleep(Duration::from_millis(50)).await;
    world.fault(1, |faults| faults.down = true);
    world.set_leader(2);
    for id in &ids {
        assert_eq!(alice.answer(id).await["t"], "ack");
    }
    let wanted: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(world.bodies(GENERAL), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stopped_breathing_is_left_in_less_than_a_second() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    // Connected, but it answers nothing, as a stopped process; then another one leads.
    world.fault(1, |faults| faults.on_submit = OnSubmit::Silent);
    let id = cid();
    alice.send(GENERAL, &id, "to a stopped one").await;
    sleep(Duration::from_millis(300)).await;
    world.set_leader(3);
    let begun = Instant::now();
    assert_eq!(alice.answer(&id).await["t"], "ack");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.bodies(GENERAL), ["to a stopped one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nobody_is_told_that_it_was_sent() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.set_quorum(false);
    let cluster = alice
        .wait_for(|frame| frame["t"] == "cluster" && frame["quorum"] == false)
        .await;
    assert_eq!(cluster["leader"], 1);
    let (id, begun) = (cid(), Instant::now());
    alice.send(GENERAL, &id, "into the void").await;
    let error = alice.answer(&id).await;
    assert_eq!(
        (&error["code"], &error["temporary"]),
        (&json!("no_quorum"), &json!(true))
    );
    let waited = begun.elapsed();
    assert!(
        waited > Duration::from_secs(4) && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    assert!(world.bodies(GENERAL).is_empty());

    world.set_quorum(true);
    alice
        .wait_for(|frame| frame["t"] == "cluster" && frame["quorum"] == true)
        .await;
    alice.send(GENERAL, &id, "into the void").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    assert_eq!(world.bodies(GENERAL), ["into the void"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_replicas_gone_is_no_quorum_too() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for node in 1..=3 {
        world.fault(node, |faults| faults.down = true);
    }
    let id = cid();
    alice.send(GENERAL, &id, "hello?").await;
    assert_eq!(alice.answer(&id).await["code"], "no_quorum");
    assert_eq!(gateway.get("/health/ready", None).await.0, 503);
    for node in 1..=3 {
        world.fault(node, |faults| faults.down = false);
    }
    alice.send(GENERAL, &id, "hello?").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert_eq!(alice.bodies(GENERAL), ["hello?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_and_its_successor_share_one_command() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.fault(1, |faults| faults.on_submit = OnSubmit::Slow(500));
    let id = cid();
    alice.send(GENERAL, &id, "twice on its way").await;
    sleep(Duration::from_millis(100)).await;
    alice.socket = None;
    alice.connect(&gateway).await;
    alice.send(GENERAL, &id, "twice on its way").await;
    let ack = alice.answer(&id).await;
    assert_eq!(
        (&ack["t"], &ack["dup"]),
        (&json!("ack"), &json!(true)),
        "{ack}"
    );
    assert_eq!(world.bodies(GENERAL), ["twice on its way"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_may_be_away() {
    let (world, gateway) = start().await;
    assert!(
        *world.heartbeats.lock().unwrap() > 0,
        "membership heard of the gateway"
    );
    *world.membership_down.lock().unwrap() = true;
    let mut alice = gateway.person("alice").await;
    alice
        .wait_for(|frame| frame["t"] == "cluster" && frame["membership"] == false)
        .await;
    let id = cid();
    alice.send(GENERAL, &id, "without membership").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");

    // Even at start, when it is told one replica.
    let mut options = world.options();
    options.replicas = vec![world.address(2)];
    options.membership = "http://127.0.0.1:9".to_owned();
    // The double names no peers, so the leader must be the one that is known.
    world.set_leader(2);
    let second = crate::client::Gateway::start(options).await;
    let mut bob = second.person("bob").await;
    let id = cid();
    bob.send(GENERAL, &id, "nor here").await;
    assert_eq!(bob.answer(&id).await["t"], "ack");
}
