//! What no correct client sends: each is refused in words, and nothing else suffers.

use std::time::Duration;

use anyhow::{Result, ensure};
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster, Reply};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(15);

fn refused(code: &str) -> Reply {
    Reply::Err {
        code: code.to_owned(),
        temporary: false,
    }
}

/// Empty, oversized and malformed frames, unknown rooms, taken names and foreign pages: each
/// gets its word, and the same socket or account still works afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn is_refused_in_words() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let base = &cluster.gateway_urls[0];
    let mut alice = Client::sign_up(base, "alice").await?;
    alice.connect().await?;

    bodies(&mut alice).await?;
    rooms(&mut alice).await?;
    frames(&mut alice).await?;
    names_and_pages(&mut alice, base).await?;
    let reply = alice
        .send(GENERAL, Uuid::now_v7(), "still here", SOON)
        .await?;
    ensure!(matches!(reply, Reply::Ack { .. }), "{reply:?}");
    ensure!(
        alice.bodies(GENERAL).len() <= 2,
        "only good messages took effect"
    );
    Ok(())
}

async fn bodies(alice: &mut Client) -> Result<()> {
    let limit = "x".repeat(16 * 1024);
    for (body, code) in [
        ("", "bad_request"),
        (" \n\t ", "bad_request"),
        (&*format!("{limit}x"), "too_large"),
    ] {
        let reply = alice.send(GENERAL, Uuid::now_v7(), body, SOON).await?;
        ensure!(reply == refused(code), "{} bytes: {reply:?}", body.len());
    }
    let reply = alice.send(GENERAL, Uuid::now_v7(), &limit, SOON).await?;
    ensure!(
        matches!(reply, Reply::Ack { .. }),
        "exactly the limit: {reply:?}"
    );
    Ok(())
}

async fn rooms(alice: &mut Client) -> Result<()> {
    let reply = alice.send(4711, Uuid::now_v7(), "to nobody", SOON).await?;
    ensure!(reply == refused("not_found"), "unknown room: {reply:?}");
    for name in ["", "a b", &*"x".repeat(65)] {
        let cid = Uuid::now_v7();
        let reply = alice
            .request(json!({"t": "create", "cid": cid, "name": name}), cid, SOON)
            .await?;
        ensure!(reply == refused("bad_request"), "room {name:?}: {reply:?}");
    }
    let cid = Uuid::now_v7();
    let frame = json!({"t": "create", "cid": cid, "name": "GENERAL"});
    let reply = alice.request(frame, cid, SOON).await?;
    ensure!(
        reply == refused("name_taken"),
        "room name without regard to case: {reply:?}"
    );
    Ok(())
}

async fn frames(alice: &mut Client) -> Result<()> {
    for raw in ["", "{", "[]", "{\"t\":\"dance\"}", "{\"t\":\"send\"}"] {
        alice.write_raw(Message::text(raw)).await?;
        let error = alice.wait_for(SOON, |frame| frame["t"] == "err").await?;
        ensure!(error["code"] == "bad_request", "{raw:?}: {error}");
        ensure!(
            error["message"].as_str().is_some_and(|text| text.len() > 5),
            "{error}"
        );
    }
    alice.write_raw(Message::binary(vec![1, 2, 3])).await?;
    let error = alice.wait_for(SOON, |frame| frame["t"] == "err").await?;
    ensure!(error["code"] == "bad_request", "binary: {error}");

    // A frame over 64 KiB ends the socket, and only the socket.
    alice
        .write_raw(Message::text("x".repeat(65 * 1024)))
        .await?;
    let end = alice.wait_for(SOON, |_| false).await;
    ensure!(end.is_err(), "the socket was closed");
    alice.connect().await
}

async fn names_and_pages(alice: &mut Client, base: &str) -> Result<()> {
    for (name, status) in [("ALICE", "409"), ("", "400"), ("x\u{7}y", "400")] {
        let error = Client::sign_up(base, name)
            .await
            .err()
            .map(|error| error.to_string());
        ensure!(
            error.as_ref().is_some_and(|text| text.contains(status)),
            "{name:?}: {error:?}"
        );
    }
    let body = json!({"cid": Uuid::now_v7(), "name": "mallory"}).to_string();
    let foreign = reqwest::Client::new()
        .post(format!("{base}/api/v1/sign-up"))
        .header("origin", "https://evil.example")
        .header("content-type", "application/json")
        .body(body);
    let answer = foreign.send().await?;
    ensure!(
        answer.status() == 403,
        "foreign origin: {}",
        answer.status()
    );
    ensure!(
        answer.text().await?.contains("forbidden_origin"),
        "says why"
    );

    let rooms = alice.get("/api/v1/rooms").await?;
    ensure!(
        rooms["rooms"]
            .as_array()
            .is_some_and(|list| list.len() == 1),
        "{rooms}"
    );
    let unknown = alice.get("/api/v1/rooms/4711/events").await;
    ensure!(
        unknown.is_err_and(|error| error.to_string().contains("404")),
        "unknown room"
    );
    let anonymous = reqwest::get(format!("{base}/api/v1/rooms")).await?;
    ensure!(
        anonymous.status() == 401,
        "without a session: {}",
        anonymous.status()
    );
    Ok(())
}
