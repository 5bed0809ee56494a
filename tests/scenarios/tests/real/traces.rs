//! Traces of messages, as a receiver of OTLP gets them from real processes.

mod receiver;
mod waterfall;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use receiver::{Receiver, Span};
use scenarios::client::{GENERAL, Reply};
use scenarios::{Client, Cluster};
use serde_json::json;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(40);
/// What the page has drawn.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PAGE_SPAN: &str = "00f067aa0ba902b7";
const BODY: &str = "nobody's business";

/// One message with the page's context is one trace: the gateway, the leader, the disk of each
/// replica, the state of each replica, and the fan-out, each under its cause and after it. What a
/// page did not choose is not exported; who says nothing begins a trace at the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_one_trace_through_every_disk_and_back() -> Result<()> {
    let receiver = Receiver::start().await?;
    let cluster = Cluster::start_tuned(3, &receiver.env(), &receiver.env()).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    ensure!(alice.hello["trace_ppm"] == 1_000_000, "{}", alice.hello);
    // So that the picture is not of the first message that a cold process ever sees.
    for number in 0..10 {
        alice
            .send_until_acked(GENERAL, &format!("warm {number}"), SOON)
            .await?;
    }

    let unchosen = "5bf92f3577b34da6a3ce929d0e0e4736";
    send(&mut alice, &format!("00-{unchosen}-{PAGE_SPAN}-00")).await?;
    send(&mut alice, "no traceparent at all").await?;
    let seq = send(&mut alice, &format!("00-{TRACE}-{PAGE_SPAN}-01")).await?;
    alice.read_to(GENERAL, seq, SOON).await?;

    let whole = |spans: &[Span]| spans.len() >= 12;
    let spans = receiver.trace(TRACE, SOON, whole).await?;
    ensure!(spans.len() == 12, "{spans:#?}");
    check_parents(&spans)?;
    check_times(&spans)?;
    for span in &spans {
        ensure!(!format!("{span:?}").contains(BODY), "a text: {span:?}");
    }

    let all = receiver.all();
    ensure!(all.iter().all(|span| span.trace != unchosen), "{all:#?}");
    let begun = |span: &&Span| span.name == "gateway.submit" && span.parent.is_empty();
    ensure!(
        all.iter().filter(begun).count() == 11,
        "10 warm ones and one with words in the place of a context: {all:#?}"
    );
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples/trace.svg");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(picture, waterfall::draw(&spans))?;
    }
    Ok(())
}

/// To a receiver that speaks TLS the spans go when somebody who is trusted vouches for it, and not
/// otherwise; the chat goes on in any case.
#[tokio::test(flavor = "multi_thread")]
async fn spans_go_to_an_encrypted_receiver_that_is_trusted() -> Result<()> {
    let (receiver, certificate) = Receiver::start_encrypted().await?;
    let directory = tempfile::tempdir()?;
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, certificate)?;
    let stranger = receiver.env();
    let mut trusting = receiver.env();
    let authority = authority.to_string_lossy().into_owned();
    trusting.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", authority));
    // The gateway believes nobody who is not known to this machine.
    let cluster = Cluster::start_tuned(3, &trusting, &stranger).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    let seq = send(&mut alice, &format!("00-{TRACE}-{PAGE_SPAN}-01")).await?;
    alice.read_to(GENERAL, seq, SOON).await?;
    // Of the leader its part, of each replica three spans.
    let whole = |spans: &[Span]| spans.len() >= 10;
    let spans = receiver.trace(TRACE, SOON, whole).await?;
    ensure!(spans.len() == 10, "{spans:#?}");
    drop(cluster);
    let all = receiver.all();
    ensure!(all.iter().all(|span| span.service == "replica"), "{all:#?}");
    Ok(())
}

/// A line of the log that belongs to a traced message says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_names_the_trace_that_it_belongs_to() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut gateway = receiver.env();
    gateway.push(("CHATTERBOX_LOG_FORMAT", "json".to_owned()));
    let mut cluster = Cluster::start_tuned(3, &receiver.env(), &gateway).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    for index in [0, 1] {
        cluster.replicas[index].process.kill();
    }
    let refused = send(&mut alice, &format!("00-{TRACE}-{PAGE_SPAN}-01")).await;
    ensure!(refused.is_err(), "nothing is committed without a majority");
    let log = cluster.gateways[0].output();
    let line = log.lines().find(|line| line.contains("no outcome in time"));
    let line: serde_json::Value = serde_json::from_str(line.context("it is said")?)?;
    ensure!(line["span"]["trace_id"] == TRACE, "{line}");
    Ok(())
}

/// Where the environment says no, nothing is exported, whatever a client sends, and pages are not
/// asked to.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_where_traces_are_switched_off() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut env = receiver.env();
    env.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    let cluster = Cluster::start_tuned(3, &env, &env).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    ensure!(alice.hello["trace_ppm"].is_null(), "{}", alice.hello);
    let seq = send(&mut alice, &format!("00-{TRACE}-{PAGE_SPAN}-01")).await?;
    alice.read_to(GENERAL, seq, SOON).await?;
    // Ended processes have nothing left to send.
    drop(cluster);
    ensure!(receiver.all().is_empty(), "{:#?}", receiver.all());
    Ok(())
}

async fn send(alice: &mut Client, traceparent: &str) -> Result<u64> {
    let cid = Uuid::now_v7();
    let frame = json!({
        "t": "send", "cid": cid, "room": GENERAL, "body": BODY, "traceparent": traceparent,
    });
    match alice.request(frame, cid, SOON).await? {
        Reply::Ack { seq, .. } => Ok(seq),
        refused => anyhow::bail!("{refused:?}"),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn one<'a>(spans: &'a [Span], name: &str) -> Result<&'a Span> {
    match named(spans, name)[..] {
        [span] => Ok(span),
        ref found => anyhow::bail!("one {name}, not {found:?}"),
    }
}

fn check_parents(spans: &[Span]) -> Result<()> {
    let submit = one(spans, "gateway.submit")?;
    ensure!(submit.parent == PAGE_SPAN && submit.service == "gateway");
    let propose = one(spans, "leader.propose")?;
    ensure!(propose.parent == submit.id && propose.service == "replica");
    let persists = named(spans, "acceptor.persist");
    let fsyncs = named(spans, "acceptor.fsync");
    let applies = named(spans, "replica.apply");
    for each in [&persists, &fsyncs, &applies] {
        let nodes: BTreeSet<_> = each.iter().map(|span| &span.attributes["node"]).collect();
        ensure!(
            each.len() == 3 && nodes.len() == 3,
            "of each node: {each:?}"
        );
    }
    for persist in &persists {
        ensure!(persist.parent == propose.id, "{persist:?}");
        ensure!(persist.attributes.contains_key("ballot"), "{persist:?}");
        let fsync = fsyncs.iter().filter(|fsync| fsync.parent == persist.id);
        ensure!(fsync.count() == 1, "one fsync of {persist:?}");
    }
    ensure!(applies.iter().all(|apply| apply.parent == propose.id));
    let fan_out = one(spans, "gateway.fan_out")?;
    ensure!(applies.iter().any(|apply| apply.id == fan_out.parent));
    let slots: BTreeSet<_> = spans
        .iter()
        .filter_map(|span| span.attributes.get("slot"))
        .collect();
    ensure!(slots.len() == 1, "they are of one slot: {slots:?}");
    Ok(())
}

/// All processes have one clock here.
fn check_times(spans: &[Span]) -> Result<()> {
    for span in spans {
        ensure!(span.began_ns <= span.ended_ns, "{span:?}");
        if let Some(parent) = spans.iter().find(|other| other.id == span.parent) {
            ensure!(
                parent.began_ns <= span.began_ns,
                "{span:?} before {parent:?}"
            );
        }
    }
    let propose = one(spans, "leader.propose")?;
    let submit = one(spans, "gateway.submit")?;
    let mut durable: Vec<u64> = named(spans, "acceptor.persist")
        .iter()
        .map(|span| span.ended_ns)
        .collect();
    durable.sort_unstable();
    let majority = durable[1];
    ensure!(majority <= propose.ended_ns, "decided before a majority");
    for apply in named(spans, "replica.apply") {
        ensure!(majority <= apply.began_ns, "applied before a majority");
        if apply.attributes["node"] == propose.attributes["node"] {
            ensure!(apply.ended_ns <= submit.ended_ns, "answered before applied");
        }
    }
    let fan_out = one(spans, "gateway.fan_out")?;
    let applied = spans.iter().find(|span| span.id == fan_out.parent);
    ensure!(applied.is_some_and(|apply| apply.ended_ns <= fan_out.began_ns));
    Ok(())
}
