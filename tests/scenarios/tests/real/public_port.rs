//! Goal: whoever reaches the public port can hold up nobody else. Method: a real gateway, an
//! attacker at 127.0.0.2 and an honest person at 127.0.0.1 who chats on meanwhile; each attack
//! prints what was refused, how long the person waited and what memory it took.

#![allow(clippy::print_stdout, reason = "figures are a part of what it finds")]

mod encrypted;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster, ports};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

const SOON: Duration = Duration::from_secs(20);
/// Shorter than the default, so that the test is.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than it takes to open all connections, and shorter than the default.
const IDLE: Duration = Duration::from_secs(8);
/// Of the attacker, who sends a byte after each.
const DRIP: Duration = Duration::from_millis(200);
const SLOW: usize = 400;
/// The default of `connections_per_address`.
const PER_ADDRESS: usize = 1000;

struct Ground {
    cluster: Cluster,
    metrics: String,
    port: u16,
}

impl Ground {
    async fn start() -> Result<Self> {
        let metrics = format!("127.0.0.1:{}", ports::free());
        let patience = PATIENCE.as_millis().to_string();
        let gateway = [
            ("CHATTERBOX_GATEWAY_METRICS", metrics.clone()),
            ("CHATTERBOX_GATEWAY_HEAD_TIMEOUT_MS", patience.clone()),
            ("CHATTERBOX_GATEWAY_BODY_TIMEOUT_MS", patience),
            (
                "CHATTERBOX_GATEWAY_IDLE_TIMEOUT_MS",
                IDLE.as_millis().to_string(),
            ),
        ];
        let cluster = Cluster::start_tuned(1, &[], &gateway).await?;
        let port = cluster.gateway_urls[0].rsplit(':').next();
        let port = port.context("a port")?.parse()?;
        Ok(Self {
            cluster,
            metrics,
            port,
        })
    }

    /// How many were refused for this reason so far.
    async fn refused(&self, why: &str) -> Result<usize> {
        let text = reqwest::get(format!("http://{}/metrics", self.metrics)).await?;
        let text = text.text().await?;
        let sample = format!("chatterbox_gateway_refused_total{{why=\"{why}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&sample));
        Ok(line.map_or(Ok(0), str::parse)?)
    }

    /// Memory of the gateway, in MiB.
    fn memory(&self) -> Result<u64> {
        let id = self.cluster.gateways[0].id().context("it runs")?;
        let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        Ok(kib.context("VmRSS")?.parse::<u64>()? / 1024)
    }
}

/// Somebody who writes ten messages a second until the end.
struct Honest {
    ends: Arc<AtomicBool>,
    writes: tokio::task::JoinHandle<Result<(Client, Vec<Duration>)>>,
}

impl Honest {
    fn begin(mut client: Client) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ends);
        let writes = tokio::spawn(async move {
            let mut waits = Vec::new();
            while !asked.load(Ordering::Relaxed) || waits.len() < 5 {
                let begun = Instant::now();
                client.send_until_acked(GENERAL, "hello", SOON).await?;
                waits.push(begun.elapsed());
                // No faster than a person may.
                sleep(Duration::from_millis(110)).await;
            }
            Ok((client, waits))
        });
        Self { ends, writes }
    }

    /// Says how it was.
    async fn end(self, ground: &Ground, attack: &str, refused: usize) -> Result<Client> {
        self.ends.store(true, Ordering::Relaxed);
        let memory = ground.memory()?;
        let (client, mut waits) = self.writes.await??;
        waits.sort_unstable();
        let (half, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!(
            "| {attack} | {refused} | {} | {:.1} / {:.1} ms | {memory} MiB |",
            waits.len(),
            half.as_secs_f64() * 1000.0,
            longest.as_secs_f64() * 1000.0
        );
        // An attack that works lasts for seconds; a busy machine does not.
        ensure!(longest < PATIENCE, "{attack}: somebody waited {longest:?}");
        Ok(client)
    }
}

async fn attacker(port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let to = format!("127.0.0.1:{port}").parse()?;
    Ok(timeout(SOON, socket.connect(to)).await??)
}

/// What is answered until the end, which a reset is, too.
async fn answer(stream: &mut TcpStream) -> Result<String> {
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    let read = async {
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            text.extend_from_slice(&piece[..count]);
        }
    };
    timeout(SOON, read).await.context("it was not closed")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Sends the beginning, then one byte after the other until the gateway has had enough.
async fn drip(port: u16, beginning: String) -> Result<(String, Duration)> {
    let (mut reading, mut writing) = attacker(port).await?.into_split();
    let begun = Instant::now();
    writing.write_all(beginning.as_bytes()).await?;
    let drips = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            sleep(DRIP).await;
        }
    });
    let mut text = [0; 64];
    let read = timeout(SOON, reading.read(&mut text)).await;
    let read = read.context("nothing was done about it")?;
    drips.abort();
    let text = match read {
        Ok(count) => String::from_utf8_lossy(&text[..count]).into_owned(),
        Err(error) => error.to_string(),
    };
    Ok((text, begun.elapsed()))
}

/// So many at once; each must hear this, neither at once nor late.
async fn slowly(port: u16, beginning: &str, wanted: &str) -> Result<usize> {
    let mut all = JoinSet::new();
    for _ in 0..SLOW {
        all.spawn(drip(port, beginning.to_owned()));
    }
    let mut closed = 0;
    while let Some(ended) = all.join_next().await {
        let (said, after) = ended??;
        ensure!(
            said.starts_with(wanted),
            "{said:?} instead of {wanted:?} after {after:?}"
        );
        ensure!(after > PATIENCE / 2, "closed after {after:?} already");
        ensure!(after < 4 * PATIENCE, "closed after {after:?} only");
        closed += 1;
    }
    Ok(closed)
}

/// Connections that are used and kept, so that none is refused for its silence.
async fn many(ground: &Ground) -> Result<usize> {
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..2 * PER_ADDRESS {
        let mut stream = attacker(ground.port).await?;
        let asked = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut text = [0; 12];
        let answered = match stream.write_all(asked).await {
            Ok(()) => timeout(SOON, stream.read_exact(&mut text)).await?.is_ok(),
            Err(_) => false,
        };
        if answered {
            ensure!(&text == b"HTTP/1.1 200");
            open.push(stream);
        } else {
            refused += 1;
        }
    }
    ensure!(open.len() == PER_ADDRESS, "{} were let in", open.len());
    ensure!(ground.refused("address").await? == refused);
    // Kept, but not for ever.
    for stream in &mut open {
        answer(stream).await?;
    }
    Ok(refused)
}

/// Sends on after it was refused, as a browser does that has begun to send. To close at once would
/// reset the connection, and a reset can overtake the answer. Answers what was said.
async fn refused_while_sending(port: u16) -> Result<String> {
    let (mut reading, mut writing) = attacker(port).await?.into_split();
    let head = "POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 71680\r\n\r\n";
    writing.write_all(head.as_bytes()).await?;
    let mut text = vec![0; 4096];
    let count = timeout(SOON, reading.read(&mut text)).await??;
    for _ in 0..10 {
        writing.write_all(&[b'x'; 100]).await?;
        sleep(Duration::from_millis(20)).await;
    }
    // Not for ever: somebody who goes on is cut off.
    let goes_on = async {
        while writing.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, goes_on)
        .await
        .context("it is read for ever")?;
    Ok(String::from_utf8_lossy(&text[..count]).into_owned())
}

async fn oversized(port: u16) -> Result<usize> {
    let lines = "x: y\r\n".repeat(65);
    let long = "y".repeat(20 * 1024);
    let body = "y".repeat(70 * 1024);
    let post = "POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let asks = [
        (format!("GET / HTTP/1.1\r\n{lines}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"), "431"),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "431"),
        (format!("{post}Content-Length: 71680\r\n\r\n{body}"), "413"),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n11800\r\n{body}\r\n0\r\n\r\n"),
            "413",
        ),
    ];
    let count = asks.len();
    for (ask, wanted) in asks {
        let mut stream = attacker(port).await?;
        // The gateway may have said no and closed before it was all written.
        let _ = stream.write_all(ask.as_bytes()).await;
        let said = answer(&mut stream).await?;
        let line = said.lines().next().unwrap_or_default();
        ensure!(line.contains(wanted), "{line:?} instead of {wanted}");
    }
    Ok(count)
}

/// Sends until the socket is closed; with which code.
async fn until_closed(client: &mut Client, frame: &Message, times: usize) -> Result<String> {
    client.connect().await?;
    for _ in 0..times {
        if client.write_raw(frame.clone()).await.is_err() {
            break;
        }
    }
    let closed = client.wait_for(SOON, |_| false).await;
    Ok(format!("{:#}", closed.err().context("it goes on")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_is_refused_and_people_chat_on() -> Result<()> {
    let ground = Ground::start().await?;
    let url = ground.cluster.gateway_urls[0].clone();
    let mut alice = Client::sign_up(&url, "alice").await?;
    let mut mallory = Client::sign_up(&url, "mallory").await?;
    alice.connect().await?;
    println!("| Attack | Refused | Messages | Half / longest | Memory |");

    let honest = Honest::begin(alice);
    sleep(PATIENCE).await;
    let alice = honest.end(&ground, "none", 0).await?;

    let honest = Honest::begin(alice);
    let closed = slowly(ground.port, "GET / HTTP/1.1\r\nx: ", "").await?;
    ensure!(ground.refused("slow_head").await? == SLOW);
    let alice = honest.end(&ground, "slow heads", closed).await?;

    let honest = Honest::begin(alice);
    let post = "POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    let attack = tokio::spawn(slowly(ground.port, post, "HTTP/1.1 408"));
    // More of them than requests may be at work: they must not hold those places.
    sleep(PATIENCE / 2).await;
    mallory.get("/api/v1/rooms").await?;
    let closed = attack.await??;
    ensure!(ground.refused("slow_body").await? == SLOW);
    let alice = honest.end(&ground, "slow bodies", closed).await?;

    let honest = Honest::begin(alice);
    let refused = many(&ground).await?;
    let alice = honest.end(&ground, "2000 connections", refused).await?;

    let honest = Honest::begin(alice);
    let refused = oversized(ground.port).await?;
    let alice = honest.end(&ground, "oversized requests", refused).await?;

    let said = refused_while_sending(ground.port).await?;
    ensure!(said.starts_with("HTTP/1.1 413"), "{said:?}");

    let honest = Honest::begin(alice);
    let large = Message::text("x".repeat(70 * 1024));
    let said = until_closed(&mut mallory, &large, 1).await?;
    ensure!(said.contains("4500"), "{said}");
    let ping = Message::text(json!({"t": "ping", "n": 1}).to_string());
    for frame in [ping, Message::Ping(Vec::new().into())] {
        let said = until_closed(&mut mallory, &frame, 100_000).await?;
        ensure!(said.contains("4504"), "{said}");
    }
    ensure!(ground.refused("frames").await? == 2);
    honest.end(&ground, "floods of frames", 3).await?;
    Ok(())
}
