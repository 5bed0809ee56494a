//! How fast one gateway hands events on. Not a verdict: clients and server share the machine.
//! `cargo test --release -p gateway --test faults -- --ignored --nocapture fan_out`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep};

use crate::client::{Client, GENERAL, Gateway};
use crate::double::World;

const SOCKETS: u64 = 200;
const MESSAGES: u64 = 2000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, judges nothing"]
async fn fan_out() {
    let world = World::start().await;
    let mut options = world.options();
    options.sockets_per_user = 1000;
    let gateway = Gateway::start(options).await;
    let (user, token) = gateway.sign_up("alice").await;
    let received = Arc::new(AtomicU64::new(0));
    let before = resident_kib();
    for _ in 0..SOCKETS {
        let mut client = Client::new(user, token.clone());
        client.connect(&gateway).await;
        client.wait_for(|frame| frame["t"] == "live").await;
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let mut socket = client.socket.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message
                    .to_text()
                    .is_ok_and(|text| text.starts_with(r#"{"t":"ev""#))
                {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    println!(
        "both ends of a socket: {} KiB",
        (resident_kib() - before) / SOCKETS
    );
    let begun = Instant::now();
    for number in 0..MESSAGES {
        world.post(user, GENERAL, &"x".repeat(128));
        // No faster than the receivers: this measures the way, not the lag rule.
        while (number + 1) * SOCKETS > received.load(Ordering::Relaxed) + 300 * SOCKETS {
            sleep(Duration::from_millis(1)).await;
        }
    }
    while received.load(Ordering::Relaxed) < SOCKETS * MESSAGES {
        assert!(begun.elapsed() < Duration::from_secs(60), "{received:?}");
        sleep(Duration::from_millis(1)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (SOCKETS * MESSAGES) as f64 / seconds;
    println!("{SOCKETS} sockets, {MESSAGES} messages: {rate:.0} deliveries/s");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
