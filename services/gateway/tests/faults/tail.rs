//! The followed log: no hole and no repetition, whichever replicas it comes from.

use std::time::Duration;

use tokio::time::sleep;

use crate::client::{GENERAL, start};

#[tokio::test(flavor = "multi_thread")]
async fn events_stay_gapless_over_breaks_late_slots_and_other_replicas() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for node in 1..=3 {
        world.fault(node, |faults| faults.tail_repeats = 7);
    }
    let author = alice.user;
    let writer = {
        let world = world.clone();
        tokio::spawn(async move {
            for number in 0..300 {
                world.post(author, GENERAL, &number.to_string());
                if number % 25 == 24 {
                    world.break_tails();
                }
                sleep(Duration::from_millis(2)).await;
            }
        })
    };
    // The client fails on any hole or repetition while it reads.
    alice.read_to(GENERAL, 2 + 300).await;
    writer.await.unwrap();
    assert_eq!(alice.bodies(GENERAL), world.bodies(GENERAL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stands_still_is_left() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.post(alice.user, GENERAL, "before");
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    world.fault(1, |faults| faults.tail_stalls = true);
    world.post(alice.user, GENERAL, "while it stands still");
    alice.read_to(GENERAL, world.head(GENERAL)).await;
    assert_eq!(alice.bodies(GENERAL), ["before", "while it stands still"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_dies_and_another_goes_on() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for (down, up) in [(1, 3), (2, 1), (3, 2)] {
        world.fault(up, |faults| faults.down = false);
        world.fault(down, |faults| faults.down = true);
        world.set_leader(up);
        for number in 0..20 {
            world.post(alice.user, GENERAL, &format!("{down} is down: {number}"));
        }
        alice.read_to(GENERAL, world.head(GENERAL)).await;
    }
    assert_eq!(alice.bodies(GENERAL), world.bodies(GENERAL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_behind_gives_nobody_a_view_of_the_past() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let slot = world.machine.lock().unwrap().slot;
    for node in [2, 3] {
        world.fault(node, |faults| faults.applied_max = Some(slot));
    }
    let id = crate::client::cid();
    alice.send(GENERAL, &id, "new").await;
    let ack = alice.answer(&id).await;
    for _ in 0..10 {
        let path = format!("/api/v1/rooms/{GENERAL}/events");
        let (status, page) = gateway.get(&path, Some(&alice.token)).await;
        assert_eq!((status, &page["head"]), (200, &ack["seq"]), "{page}");
    }
}
