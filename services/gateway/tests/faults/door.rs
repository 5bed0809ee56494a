//! Strangers at the public port: many, slow, large, loud. The others must notice nothing.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway::config::Options;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{GENERAL, Gateway, cid, start};
use crate::double::World;

fn address(gateway: &Gateway) -> SocketAddr {
    gateway
        .base
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

/// All of loopback is this machine: another address, as another customer has it.
async fn from(source: &str, gateway: &Gateway) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(address(gateway)).await.unwrap()
}

/// What is heard until the other side closes; `None`: it did not within that time.
async fn heard(stream: &mut TcpStream, within: Duration) -> Option<String> {
    let mut bytes = Vec::new();
    let read = timeout(within, stream.read_to_end(&mut bytes)).await.ok()?;
    // A reset is an end, too.
    read.ok();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

async fn serves(stream: &mut TcpStream) -> bool {
    let sent = stream
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let answer = heard(stream, Duration::from_secs(5)).await;
    sent.is_ok() && status(&answer.unwrap_or_default()) == "200"
}

/// Property: who says nothing, or says it byte by byte, is gone within half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_bodies_end() {
    let (_world, gateway) = start().await;
    let silent = async {
        let mut stream = TcpStream::connect(address(&gateway)).await.unwrap();
        let began = Instant::now();
        let answer = heard(&mut stream, Duration::from_secs(30)).await;
        (answer, began.elapsed())
    };
    let slow_head = async {
        let stream = TcpStream::connect(address(&gateway)).await.unwrap();
        let (mut hears, mut says) = stream.into_split();
        let began = Instant::now();
        let writer = tokio::spawn(async move {
            says.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
            while says.write_all(b"a").await.is_ok() {
                sleep(Duration::from_millis(200)).await;
            }
        });
        let mut bytes = Vec::new();
        let ended = timeout(Duration::from_secs(30), hears.read_to_end(&mut bytes)).await;
        writer.abort();
        (ended.is_ok(), began.elapsed())
    };
    let slow_body = async {
        let mut stream = TcpStream::connect(address(&gateway)).await.unwrap();
        let head = format!(
            "POST /api/v1/sign-up HTTP/1.1\r\nHost: x\r\nOrigin: {}\r\n\
             Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
            "http://x"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let began = Instant::now();
        let answer = heard(&mut stream, Duration::from_secs(30)).await;
        (answer.unwrap_or_default(), began.elapsed())
    };
    let (silent, head, body) = tokio::join!(silent, slow_head, slow_body);
    assert!(silent.0.is_some(), "a silent connection stays open");
    assert!(head.0, "a slow head keeps its connection");
    assert_eq!(status(&body.0), "400", "{}", body.0);
    assert!(body.0.contains("did not come within"), "{}", body.0);
    println!(
        "ended after: silent {:?}, slow head {:?}, slow body {:?}",
        silent.1, head.1, body.1
    );
}

/// Property: a head that is too large, or has too many lines, is refused with its code.
#[tokio::test(flavor = "multi_thread")]
async fn large_heads_are_refused() {
    let (_world, gateway) = start().await;
    let many = (0..80).fold(String::new(), |all, n| format!("{all}X-{n}: 1\r\n"));
    let large = format!("X-Large: {}\r\n", "a".repeat(40_000));
    for (what, headers) in [("many", many), ("large", large)] {
        let mut stream = TcpStream::connect(address(&gateway)).await.unwrap();
        let request = format!("GET /health/live HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        // The other side may hang up in the middle of it.
        stream.write_all(request.as_bytes()).await.ok();
        let answer = heard(&mut stream, Duration::from_secs(5)).await;
        let answer = answer.unwrap_or_else(|| panic!("{what}: not closed"));
        assert!(["431", ""].contains(&status(&answer)), "{what}: {answer}");
        assert_ne!(status(&answer), "200", "{what}");
    }
    let mut stream = TcpStream::connect(address(&gateway)).await.unwrap();
    assert!(serves(&mut stream).await);
}

/// Property: one address has its share of connections, sockets included, and no more; the others
/// are served; what is closed is free again.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_all_connections() {
    let world = World::start().await;
    let gateway = Gateway::start(Options {
        connections_per_address: 40,
        ..world.options()
    })
    .await;
    // Of the address of the others: a socket counts as long as it is open.
    let mut alice = gateway.person("alice").await;
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(from("127.0.0.2", &gateway).await);
    }
    let mut refused = 0;
    for stranger in &mut strangers[40..] {
        let answer = heard(stranger, Duration::from_secs(5)).await;
        assert_eq!(answer.as_deref(), Some(""), "one more than its share");
        refused += 1;
    }
    assert_eq!(refused, 160);
    assert!(serves(&mut from("127.0.0.3", &gateway).await).await);
    let id = cid();
    let began = Instant::now();
    alice.send(GENERAL, &id, "meanwhile").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    println!(
        "{refused} refused; an answer after {:?} meanwhile",
        began.elapsed()
    );

    strangers.clear();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !serves(&mut from("127.0.0.2", &gateway).await).await {
        assert!(Instant::now() < deadline, "places are not given back");
    }

    // Sockets are connections: they keep their places after the upgrade.
    let mut here: Vec<TcpStream> = Vec::new();
    for _ in 0..60 {
        here.push(from("127.0.0.1", &gateway).await);
    }
    let mut closed = 0;
    for stream in &mut here {
        if heard(stream, Duration::from_millis(100)).await.is_some() {
            closed += 1;
        }
    }
    assert!((21..=22).contains(&closed), "{closed}");
}

/// Property: behind a proxy the address of the connection is nobody's, and what the proxy says is.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_forwarded_address_counts() {
    let world = World::start().await;
    let gateway = Gateway::start(Options {
        connections_per_address: 1,
        requests_per_second_address: 2,
        behind_proxy: true,
        ..world.options()
    })
    .await;
    let ask = async |forwarded: &str| {
        let mut stream = from("127.0.0.9", &gateway).await;
        let request = format!(
            "GET /api/v1/cluster HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7, {forwarded}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        heard(&mut stream, Duration::from_secs(5)).await.unwrap()
    };
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(ask("192.0.2.1").await);
    }
    let last = codes.last().unwrap();
    assert_eq!(status(last), "429", "{last}");
    assert!(last.to_lowercase().contains("retry-after: 1"), "{last}");
    assert_eq!(status(&ask("192.0.2.2").await), "200");
}

/// Property: a flood of frames is read at its pace, and costs the others nothing that they feel.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_is_read_slowly() {
    let world = World::start().await;
    let defaults = Options::default();
    let gateway = Gateway::start(Options {
        sends_per_second: defaults.sends_per_second,
        sends_burst: defaults.sends_burst,
        ..world.options()
    })
    .await;
    let mut mallory = gateway.person("mallory").await;
    let mut alice = gateway.person("alice").await;
    let began = Instant::now();
    let flood = tokio::spawn(async move {
        let mut socket = mallory.socket.take().unwrap();
        let mut sent = 0_u64;
        let frame = json!({"t": "ping", "n": 1}).to_string();
        while began.elapsed() < Duration::from_secs(3) {
            let write = socket.send(Message::text(frame.clone()));
            match timeout(Duration::from_millis(200), write).await {
                Ok(Ok(())) => sent += 1,
                Ok(Err(_)) => break,
                // Held back by the network: that is what is wanted.
                Err(_) => {}
            }
        }
        mallory.socket = Some(socket);
        (mallory, sent)
    });
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let (id, asked) = (cid(), Instant::now());
        alice.send(GENERAL, &id, &format!("calm {n}")).await;
        assert_eq!(alice.answer(&id).await["t"], "ack");
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(120)).await;
    }
    let (mallory, sent) = flood.await.unwrap();
    let mut socket = mallory.socket.unwrap();
    let mut answered = 0_u64;
    while began.elapsed() < Duration::from_secs(8) {
        match timeout(Duration::from_millis(100), socket.next()).await {
            Ok(Some(Ok(message))) => {
                answered += u64::from(message.to_text().is_ok_and(|text| text.contains("pong")));
            }
            _ => break,
        }
    }
    let rate = answered as f64 / began.elapsed().as_secs_f64();
    println!(
        "{sent} frames written, {answered} answered ({rate:.0}/s); others waited {slowest:?} at most"
    );
    assert!(
        answered > 200,
        "the flood is served at its pace, not shut out: {answered}"
    );
    assert!(rate < 250.0, "{rate} frames per second were read");
}
