//! What no correct client sends, who may not open a socket, and the end of sockets.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::{Client, GENERAL, Gateway, cid, dial, dial_with, start};
use crate::double::{OnSubmit, World};

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_are_answered_and_ten_are_enough() {
    let (_world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let malformed = [
        Message::text(""),
        Message::text("{"),
        Message::text("[]"),
        Message::text("null"),
        Message::text(r#"{"t":"dance"}"#),
        Message::text(r#"{"t":"send"}"#),
        Message::text(r#"{"t":"ping","n":-1}"#),
        Message::binary(vec![1, 2, 3]),
        Message::text(r#"{"t":"start","useq":0,"min_slot":0,"rooms":{}}"#),
    ];
    for message in malformed {
        alice.write_raw(message.clone()).await;
        let error = alice.wait_for(|frame| frame["t"] == "err").await;
        assert_eq!(error["code"], "bad_request", "{message:?}: {error}");
        assert!(error["message"].as_str().unwrap().len() > 5, "{error}");
    }
    let id = cid();
    alice.send(GENERAL, &id, "still here").await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    alice.write_raw(Message::text("the tenth")).await;
    assert_eq!(alice.closed().await, (4503, "too_many_errors".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_answered_under_its_cid() {
    let (_world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let id = cid();
    alice
        .write(json!({"t": "send", "cid": id, "room": "one", "body": 7}))
        .await;
    assert_eq!(alice.answer(&id).await["code"], "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_in_words() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let limit = "x".repeat(16 * 1024);
    for (room, body, code) in [
        (GENERAL, "", "bad_request"),
        (GENERAL, " \n ", "bad_request"),
        (GENERAL, &*format!("{limit}x"), "too_large"),
        (4711, "to nobody", "not_found"),
    ] {
        let id = cid();
        alice.send(room, &id, body).await;
        let error = alice.answer(&id).await;
        assert_eq!(
            (&error["code"], &error["temporary"]),
            (&json!(code), &json!(false)),
            "{error}"
        );
    }
    let id = cid();
    alice.send(GENERAL, &id, &limit).await;
    assert_eq!(alice.answer(&id).await["t"], "ack");
    for (name, code) in [
        ("", "bad_request"),
        ("a b", "bad_request"),
        ("GENERAL", "name_taken"),
    ] {
        let id = cid();
        alice
            .write(json!({"t": "create", "cid": id, "name": name}))
            .await;
        assert_eq!(alice.answer(&id).await["code"], code, "{name:?}");
    }
    assert_eq!(world.bodies(GENERAL).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_frame_ends_the_socket_and_only_that() {
    let (_world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    for size in [65 * 1024, 1024 * 1024] {
        // Far above the limit the gateway may be gone before the whole frame is written.
        let written = alice.try_write_raw(Message::text("x".repeat(size))).await;
        assert!(written.is_ok() || size > 128 * 1024, "{written:?}");
        let (code, reason) = alice.closed().await;
        assert!(
            code == 4500 && reason.contains("64 KiB") || size > 128 * 1024,
            "{code} {reason}"
        );
        alice.connect(&gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_gets_no_socket() {
    let (_world, gateway) = start().await;
    let (_, token) = gateway.sign_up("alice").await;
    let cookie = ("cookie", format!("chatterbox_session={token}"));
    let protocol = ("sec-websocket-protocol", "chatterbox.v1.json".to_owned());
    let refused = |status: u16, result: Result<_, Error>| match result.err() {
        Some(Error::Http(response)) => assert_eq!(response.status().as_u16(), status),
        other => panic!("{other:?}"),
    };
    let foreign = ("origin", "https://evil.example".to_owned());
    let headers = [protocol.clone(), cookie.clone(), foreign];
    refused(403, dial_with(&gateway, &headers).await);
    refused(
        403,
        dial_with(&gateway, &[protocol.clone(), cookie.clone()]).await,
    );
    let ours = ("origin", gateway.base.clone());
    refused(
        400,
        dial_with(&gateway, &[cookie.clone(), ours.clone()]).await,
    );
    dial_with(&gateway, &[protocol, cookie, ours])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_the_close_code_says_so() {
    let (_world, gateway) = start().await;
    for token in [None, Some("x".repeat(43))] {
        let mut nobody = Client::new(0, String::new());
        nobody.socket = Some(dial(&gateway, token.as_deref()).await.unwrap());
        assert_eq!(nobody.closed().await, (4501, "unauthenticated".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_ends_its_sockets() {
    let (_world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/sign-out", gateway.base))
        .header("authorization", format!("Bearer {}", alice.token));
    assert_eq!(request.send().await.unwrap().status(), 204);
    assert_eq!(alice.closed().await, (4501, "unauthenticated".to_owned()));
    assert_eq!(gateway.get("/api/v1/me", Some(&alice.token)).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let (_world, gateway) = start().await;
    let (user, token) = gateway.sign_up("alice").await;
    let mut alice = Client::new(user, token);
    alice.open(&gateway).await;
    assert_eq!(alice.closed().await, (4408, "start_timeout".to_owned()));
    alice.open(&gateway).await;
    alice.send(GENERAL, &cid(), "too early").await;
    assert_eq!(alice.closed().await.0, 4500);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_per_person() {
    let world = World::start().await;
    let mut options = world.options();
    (
        options.sends_burst,
        options.sends_per_second,
        options.sockets_per_user,
    ) = (5, 1, 2);
    let gateway = Gateway::start(options).await;
    let mut alice = gateway.person("alice").await;
    let mut limited = 0;
    for _ in 0..8 {
        let id = cid();
        alice.send(GENERAL, &id, "spam").await;
        let answer = alice.answer(&id).await;
        if answer["code"] == "rate_limited" {
            assert!(answer["temporary"] == true && answer["retry_ms"].as_u64().unwrap() > 0);
            limited += 1;
        }
    }
    assert_eq!(limited, 3);
    let mut second = Client::new(alice.user, alice.token.clone());
    second.connect(&gateway).await;
    let mut third = Client::new(alice.user, alice.token.clone());
    third.open(&gateway).await;
    assert_eq!(third.closed().await.0, 4429);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_requests_may_wait_for_their_answers() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.fault(1, |faults| faults.on_submit = OnSubmit::Silent);
    let ids: Vec<String> = (0..17).map(|_| cid()).collect();
    for id in &ids {
        alice.send(GENERAL, id, "patience").await;
    }
    assert_eq!(alice.answer(&ids[16]).await["code"], "rate_limited");
    alice.write(json!({"t": "ping", "n": 5})).await;
    let pong = alice.wait_for(|frame| frame["t"] == "pong").await;
    assert_eq!(pong["n"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_gateway_acknowledges_what_is_in_flight() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let mut bob = gateway.person("bob").await;
    world.fault(1, |faults| faults.on_submit = OnSubmit::Slow(700));
    let id = cid();
    alice.send(GENERAL, &id, "just in time").await;
    // The ping's answer proves that the send before it was taken.
    alice.write(json!({"t": "ping", "n": 1})).await;
    alice.wait_for(|frame| frame["t"] == "pong").await;
    let begun = Instant::now();
    gateway.stop.cancel();
    let bye = bob.wait_for(|frame| frame["t"] == "bye").await;
    assert!(
        bye["reason"] == "drain" && bye["after_ms"].as_u64().is_some(),
        "{bye}"
    );
    assert_eq!(bob.closed().await, (4410, "drain".to_owned()));
    assert_eq!(gateway.get("/health/ready", None).await.0, 503);
    assert_eq!(alice.answer(&id).await["t"], "ack");
    assert_eq!(alice.closed().await, (4410, "drain".to_owned()));
    drop((alice.socket.take(), bob.socket.take()));
    timeout(Duration::from_secs(5), gateway.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}
