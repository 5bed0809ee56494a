//! How many messages a running cluster commits, straight at its leader's gRPC, without gateway.
//!
//! ```text
//! cargo run --release -p replica --example submit_rate -- http://127.0.0.1:1061,… 64 5
//! ```
//!
//! The arguments: the replicas, how many clients with one message outstanding each, and for how
//! many seconds. All clients share 16 connections, as they would behind gateways.

#![allow(clippy::print_stdout, reason = "it is what a measurement is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use proto::v1 as pb;
use proto::v1::admin_client::AdminClient;
use proto::v1::chat_client::ChatClient;
use proto::v1::command::Body;
use proto::v1::submit_response::Kind;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use uuid::Uuid;

/// Gateways in production are few and carry many people each.
const CONNECTIONS_MAX: usize = 16;
const BODY_BYTES: usize = 128;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let urls = args.next().context("the replicas' addresses")?;
    let clients: usize = args.next().context("the number of clients")?.parse()?;
    let seconds: u64 = args.next().context("the seconds")?.parse()?;
    let leader = leader(&urls).await?;
    let author = sign_up(leader.clone()).await?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let connections = clients.min(CONNECTIONS_MAX);
    let mut tasks = Vec::new();
    for index in 0..connections {
        let share = clients / connections + usize::from(index < clients % connections);
        tasks.push(tokio::spawn(stream(leader.clone(), author, share, until)));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    println!(
        "{clients} clients: {:.0} messages/s, p50 {:.2?}, p99 {:.2?}",
        latencies.len() as f64 / seconds as f64,
        at(0.5),
        at(0.99)
    );
    Ok(())
}

async fn leader(urls: &str) -> Result<Arc<str>> {
    for url in urls.split(',') {
        let mut admin = AdminClient::connect(url.to_owned()).await?;
        if admin
            .get_status(pb::GetStatusRequest {})
            .await?
            .into_inner()
            .role
            == "leader"
        {
            return Ok(url.into());
        }
    }
    bail!("none of {urls} leads")
}

async fn chat(url: &str) -> Result<ChatClient<Channel>> {
    let endpoint = Channel::from_shared(url.to_owned())?.tcp_nodelay(true);
    Ok(ChatClient::new(endpoint.connect().await?))
}

fn request(author: u64, body: Body) -> pb::SubmitRequest {
    let cid = Uuid::now_v7().into_bytes().to_vec();
    let command = pb::Command {
        cid: cid.into(),
        author,
        body: Some(body),
        ..pb::Command::default()
    };
    pb::SubmitRequest {
        shard: 0,
        command: Some(command),
        progress: false,
        traceparent: String::new(),
    }
}

async fn sign_up(url: Arc<str>) -> Result<u64> {
    let name = format!("load {}", &Uuid::new_v4().simple().to_string()[..12]);
    let mut token_hash = name.clone().into_bytes();
    token_hash.resize(32, 0);
    let account = pb::CreateAccount {
        name,
        token_hash,
        ..Default::default()
    };
    let request = tokio_stream::once(request(0, Body::CreateAccount(account)));
    let mut answers = chat(&url).await?.submit(request).await?.into_inner();
    match answers.message().await?.and_then(|answer| answer.kind) {
        Some(Kind::Outcome(pb::Outcome {
            result: Some(pb::outcome::Result::AccountCreated(account)),
            ..
        })) => Ok(account.user),
        other => bail!("no account: {other:?}"),
    }
}

/// One connection with `clients` messages outstanding: each answer is followed by a new one.
async fn stream(
    url: Arc<str>,
    author: u64,
    clients: usize,
    until: Instant,
) -> Result<Vec<Duration>> {
    let post = || {
        let body = "x".repeat(BODY_BYTES);
        request(
            author,
            Body::PostMessage(pb::PostMessage {
                room: 1,
                body,
                reply_to: 0,
            }),
        )
    };
    let (sender, receiver) = mpsc::channel(clients);
    let mut sent = std::collections::HashMap::with_capacity(clients);
    let mut latencies = Vec::new();
    let mut answers = chat(&url)
        .await?
        .submit(ReceiverStream::new(receiver))
        .await?
        .into_inner();
    let next = |sent: &mut std::collections::HashMap<_, _>| {
        let request = post();
        let cid = request.command.as_ref().map(|command| command.cid.to_vec());
        sent.insert(cid.unwrap_or_default(), Instant::now());
        request
    };
    for _ in 0..clients {
        sender.send(next(&mut sent)).await?;
    }
    while Instant::now() < until {
        let answer = answers.message().await?.context("the stream ended")?;
        let Some(Kind::Outcome(outcome)) = answer.kind else {
            bail!("not taken: {answer:?}")
        };
        if let Some(started) = sent.remove(&outcome.cid) {
            latencies.push(started.elapsed());
        }
        sender.send(next(&mut sent)).await?;
    }
    Ok(latencies)
}
