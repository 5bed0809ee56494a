//! What no client sends, by the thousand: frames and requests that were good and are bent, from a
//! seed. `FUZZ_SEED=7 cargo test --test real bent` runs another one.

#![allow(clippy::print_stdout, reason = "it says how much it tried")]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use scenarios::client::GENERAL;
use scenarios::{Client, Cluster, Reply};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;
use workload::wire::Account;

const SOON: Duration = Duration::from_secs(10);

fn cid() -> String {
    Uuid::now_v7().to_string()
}

/// One replica, and a gateway that lets a single client ask as much as it likes.
async fn start() -> Result<(Cluster, Account)> {
    let many = |key| (key, "1000000".to_owned());
    let gateway = [
        many("CHATTERBOX_GATEWAY_SENDS_PER_SECOND"),
        many("CHATTERBOX_GATEWAY_SENDS_BURST"),
        many("CHATTERBOX_GATEWAY_REQUESTS_PER_SECOND_ADDRESS"),
    ];
    let cluster = Cluster::start_tuned(1, &[], &gateway).await?;
    let account = Account::sign_up(&cluster.gateway_urls, "mallory", SOON).await?;
    Ok((cluster, account))
}

/// Everything is as before for somebody else.
async fn unharmed(cluster: &mut Cluster) -> Result<()> {
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    let reply = alice.send_until_acked(GENERAL, "unharmed", SOON).await?;
    ensure!(matches!(reply, Reply::Ack { .. }), "{reply:?}");
    // Neither has ended, and been started again, meanwhile: both end when they are told to.
    cluster.stop()
}

async fn dial(base: &str, token: &str) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    let mut request = (base.replacen("http", "ws", 1) + "/ws").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {token}").parse()?);
    headers.insert("sec-websocket-protocol", "chatterbox.v1.json".parse()?);
    Ok(connect_async(request).await?.0)
}

const FRAMES: usize = 3_000;
const REQUESTS: usize = 2_000;

fn random() -> StdRng {
    let seed = std::env::var("FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    StdRng::seed_from_u64(seed.unwrap_or(1))
}

/// One of each frame that a client may send.
fn frames() -> Vec<Value> {
    vec![
        json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": {"1": 2}, "focus": 1}),
        json!({"t": "send", "cid": cid(), "room": 1, "body": "a", "reply_to": 1}),
        json!({"t": "send", "cid": cid(), "room": 1, "body": "b",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}),
        json!({"t": "create", "cid": cid(), "name": "x", "private": true}),
        json!({"t": "direct", "cid": cid(), "people": [1, 2]}),
        json!({"t": "invite", "cid": cid(), "room": 1, "user": 2}),
        json!({"t": "remove", "cid": cid(), "room": 1, "user": 2}),
        json!({"t": "rename", "cid": cid(), "room": 1, "name": "y"}),
        json!({"t": "topic", "cid": cid(), "room": 1, "topic": "z"}),
        json!({"t": "archive", "cid": cid(), "room": 2, "archived": true}),
        json!({"t": "join", "cid": cid(), "room": 2}),
        json!({"t": "edit", "cid": cid(), "room": 1, "seq": 3, "body": "c"}),
        json!({"t": "delete", "cid": cid(), "room": 1, "seq": 3}),
        json!({"t": "take_away", "cid": cid(), "room": 1, "seq": 3}),
        json!({"t": "wish", "cid": cid(), "room": 1, "level": "all", "favourite": true}),
        json!({"t": "react", "cid": cid(), "room": 1, "seq": 3, "emoji": "👍", "on": true}),
        json!({"t": "pin", "cid": cid(), "room": 1, "seq": 3, "on": true}),
        json!({"t": "read", "cid": cid(), "room": 1, "seq": 3}),
        json!({"t": "typing", "room": 1}),
        json!({"t": "away", "away": true}),
        json!({"t": "watch", "people": [1, 2, 3]}),
        json!({"t": "resume", "rooms": {"1": 1}}),
        json!({"t": "ping", "n": 1}),
    ]
}

/// A value that is somewhere near the edge of what a number, a text or a list may be.
fn odd(random: &mut StdRng) -> Value {
    let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
    let texts = [
        "",
        "\0",
        "\u{202e}",
        "../..",
        "a\nb",
        "𝕏",
        "' OR 1=1 --",
        "null",
    ];
    let all = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(0.5),
        json!([]),
        json!({}),
        deep,
        json!("x".repeat(random.random_range(0..20_000))),
        json!(texts.choose(random).copied().unwrap_or_default()),
    ];
    all.choose(random).cloned().unwrap_or(Value::Null)
}

/// A frame with one thing wrong, or a few.
fn bent(random: &mut StdRng) -> Value {
    let mut frame = frames().choose(random).cloned().unwrap_or(Value::Null);
    for _ in 0..random.random_range(1..=3) {
        let Some(fields) = frame.as_object_mut() else {
            break;
        };
        let keys: Vec<String> = fields.keys().cloned().collect();
        let Some(key) = keys.choose(random).cloned() else {
            break;
        };
        match random.random_range(0..4) {
            0 => drop(fields.remove(&key)),
            1 => drop(fields.insert(key, odd(random))),
            2 => drop(fields.insert("more".to_owned(), odd(random))),
            // A field of another name.
            _ => {
                let value = fields.remove(&key).unwrap_or(Value::Null);
                fields.insert(key.to_uppercase(), value);
            }
        }
    }
    frame
}

/// Bytes with some of them changed, gone or doubled.
fn broken(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] = random.random(),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, random.random()),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn message(random: &mut StdRng) -> Message {
    let frame = bent(random).to_string();
    match random.random_range(0..10) {
        0 => Message::binary(broken(frame.as_bytes(), random)),
        1..4 => {
            Message::text(String::from_utf8_lossy(&broken(frame.as_bytes(), random)).into_owned())
        }
        _ => Message::text(frame),
    }
}

/// Property: whatever arrives on a socket, the answers are words of the protocol, the socket ends with
/// one of its codes, and gateway and replica serve the next one.
#[tokio::test(flavor = "multi_thread")]
async fn bent_frames_get_words_and_nobody_falls() -> Result<()> {
    let (mut cluster, account) = start().await?;
    let base = cluster.gateway_urls[0].clone();
    let mut random = random();
    let (mut sent, mut sockets, mut words) = (0, 0, 0);
    while sent < FRAMES {
        let mut socket = dial(&base, &account.token).await?;
        sockets += 1;
        let start = json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": {}});
        socket.send(Message::text(start.to_string())).await?;
        let mut open = true;
        while open && sent < FRAMES {
            for _ in 0..10 {
                open &= socket.send(message(&mut random)).await.is_ok();
                sent += 1;
            }
            open &= listen(&mut socket, &mut words).await?;
        }
    }
    println!("{sent} frames on {sockets} sockets, {words} of them answered by an error in words");
    ensure!(
        sockets > 50,
        "only {sockets} sockets: nothing was found to be malformed"
    );
    ensure!(words > sent / 10, "only {words} of {sent} were refused");
    unharmed(&mut cluster).await
}

/// What is said about it, until it is silent or over; whether it goes on.
async fn listen(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    words: &mut usize,
) -> Result<bool> {
    loop {
        match timeout(Duration::from_millis(20), socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                let frame: Value = serde_json::from_str(&text)?;
                ensure!(frame["code"] != "internal", "{frame}");
                *words += usize::from(frame["t"] == "err");
            }
            Ok(Some(Ok(Message::Close(Some(close))))) => {
                let code = u16::from(close.code);
                ensure!((4000..5000).contains(&code), "{code} {}", close.reason);
                return Ok(false);
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) => return Ok(false),
            Err(_) => return Ok(true),
        }
    }
}

const PATHS: [&str; 22] = [
    "/",
    "/ws",
    "/health/ready",
    "/api/v1/sign-up",
    "/api/v1/sign-in",
    "/api/v1/sign-out",
    "/api/v1/me",
    "/api/v1/me/password",
    "/api/v1/me/sessions",
    "/api/v1/me/sessions/1",
    "/api/v1/people",
    "/api/v1/people/1",
    "/api/v1/settings",
    "/api/v1/invitations",
    "/api/v1/rooms",
    "/api/v1/rooms/1/events?after=0&limit=10",
    "/api/v1/rooms/1/members",
    "/api/v1/rooms/1/messages/1/replies",
    "/api/v1/unread",
    "/api/v1/search?q=a",
    "/api/v1/cluster",
    "/api/v1/slots/1",
];

fn request(token: &str, random: &mut StdRng) -> Vec<u8> {
    let method = [
        "GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "get", "PRI",
    ];
    let method = method.choose(random).copied().unwrap_or("GET");
    let path = PATHS.choose(random).copied().unwrap_or("/");
    let path = match random.random_range(0..3) {
        0 => path.to_owned(),
        1 => path
            .replace('1', "99999999999999999999")
            .replace("10", "-1"),
        _ => format!("{path}%ff%00/..;?&after=x&limit=&&q=%22"),
    };
    let body = match random.random_range(0..3) {
        0 => String::new(),
        1 => bent(random).to_string(),
        _ => json!({"cid": cid(), "name": odd(random), "password": odd(random)}).to_string(),
    };
    let length = if random.random_ratio(1, 20) {
        9_999_999
    } else {
        body.len()
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    if random.random_ratio(1, 3) {
        broken(request.as_bytes(), random)
    } else {
        request.into_bytes()
    }
}

async fn answer(address: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // The other side may have heard enough before the end.
    stream.write_all(request).await.ok();
    stream.shutdown().await.ok();
    let mut bytes = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    drop(read.with_context(|| format!("no end: {}", String::from_utf8_lossy(request)))?);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Property: no request, however bent, is answered by a fault of ours, and nobody falls.
#[tokio::test(flavor = "multi_thread")]
async fn bent_requests_get_a_code_and_never_a_fault_of_ours() -> Result<()> {
    let (mut cluster, account) = start().await?;
    let mut random = random();
    let address = cluster.gateway_urls[0].strip_prefix("http://");
    let address: SocketAddr = address.context("http")?.parse()?;
    let (mut refused, mut served) = (0, 0);
    for _ in 0..REQUESTS {
        let request = request(&account.token, &mut random);
        let answer = answer(address, &request).await?;
        let code = answer.split(' ').nth(1).unwrap_or_default();
        let asked = String::from_utf8_lossy(&request);
        ensure!(!code.starts_with('5'), "{asked}\n→ {answer}");
        refused += usize::from(code.starts_with('4'));
        served += usize::from(code.starts_with('2'));
    }
    println!("{REQUESTS} requests: {refused} refused, {served} served");
    ensure!(
        refused > REQUESTS / 4,
        "{refused}: nothing was found to be wrong"
    );
    unharmed(&mut cluster).await
}
