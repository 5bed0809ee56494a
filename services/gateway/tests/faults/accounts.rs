//! Passwords, sessions, sign-up by invitation.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Gateway, cid, start};
use crate::double::World;

const PASSWORD: &str = "correct horse battery";

/// A request with a session, as a program makes it: status and body.
async fn ask(
    gateway: &Gateway,
    method: Method,
    path: &str,
    token: &str,
    body: &Value,
) -> (u16, Value) {
    let request = reqwest::Client::new()
        .request(method, format!("{}{path}", gateway.base))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn sign_up(gateway: &Gateway, name: &str) -> String {
    let body = json!({"cid": cid(), "name": name, "password": PASSWORD});
    let (status, body, token) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["user"]["has_password"], json!(true));
    token
}

async fn sign_in(gateway: &Gateway, name: &str, password: &str) -> (u16, Value, String) {
    let body = json!({"cid": cid(), "name": name, "password": password});
    gateway.post("/api/v1/sign-in", &gateway.base, &body).await
}

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

/// Property: a password that an admin sets is the one that opens from then on, and the sessions of
/// before are over; a weak one is refused, and so is a stranger's page.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_reset() {
    let (_world, gateway) = start().await;
    let owner = sign_up(&gateway, "alice").await;
    let token = sign_up(&gateway, "bob").await;
    let (_, me) = gateway.get("/api/v1/me", Some(&token)).await;
    let path = format!("/api/v1/people/{}/password", me["user"]["id"]);
    let body = |password: &str| json!({"cid": cid(), "password": password});
    let (status, refused) = ask(&gateway, Method::POST, &path, &owner, &body("short")).await;
    assert_eq!((status, code(&refused)), (400, "bad_request"));
    let nobody = "/api/v1/people/none/password";
    let (status, _) = ask(&gateway, Method::POST, nobody, &owner, &body(PASSWORD)).await;
    assert_eq!(status, 404);
    let reset = body("another long password");
    let (status, answer) = ask(&gateway, Method::POST, &path, &owner, &reset).await;
    assert_eq!(status, 204, "{answer}");
    let (status, _, _) = sign_in(&gateway, "bob", PASSWORD).await;
    assert_eq!(status, 401);
    let (status, _, _) = sign_in(&gateway, "bob", "another long password").await;
    assert_eq!(status, 200);
}

/// Property: the right password opens a session; a wrong one, an unknown name, an account without
/// a password and one that is not active are told in the same words.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_and_a_wrong_password_are_told_alike() {
    let (_world, gateway) = start().await;
    let owner = sign_up(&gateway, "alice").await;
    gateway.sign_up("without").await;
    let gone = sign_up(&gateway, "gone").await;
    let body = json!({"cid": cid(), "current": PASSWORD});
    let (status, _) = ask(
        &gateway,
        Method::POST,
        "/api/v1/me/deactivate",
        &gone,
        &body,
    )
    .await;
    assert_eq!(status, 204);

    let (status, body, token) = sign_in(&gateway, " ALICE ", PASSWORD).await;
    assert_eq!(
        (status, &body["user"]["name"]),
        (200, &json!("alice")),
        "{body}"
    );
    assert_ne!(token, owner, "a session of its own");
    assert_eq!(gateway.get("/api/v1/me", Some(&token)).await.0, 200);

    let mut answers = Vec::new();
    for (name, password) in [
        ("alice", "wrong"),
        ("nobody", PASSWORD),
        ("without", PASSWORD),
        ("without", ""),
        ("gone", PASSWORD),
    ] {
        let (status, body, token) = sign_in(&gateway, name, password).await;
        assert_eq!((status, token.as_str()), (401, ""), "{name}");
        answers.push(body);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(code(&answers[0]), "wrong_credentials");
}

/// Property: what the replicas get is a hash; no command and no answer has the password.
#[tokio::test(flavor = "multi_thread")]
async fn the_clear_text_stays_at_the_gateway() {
    let (world, gateway) = start().await;
    sign_up(&gateway, "alice").await;
    let machine = world.machine.lock().unwrap();
    let stored = &machine.accounts[&1].password;
    assert!(stored.starts_with("$argon2id$v=19$"), "{stored}");
    assert!(!format!("{machine:?}").contains(PASSWORD));
}

/// Property: a try of a password is counted per account, whether it exists or not, and a right
/// password does not help against that; another account is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn tries_are_counted() {
    let world = World::start().await;
    let gateway = Gateway::start(gateway::config::Options {
        sign_ins_per_minute: 3,
        ..world.options()
    })
    .await;
    sign_up(&gateway, "alice").await;
    sign_up(&gateway, "bob").await;
    for name in ["alice", "nobody"] {
        for _ in 0..3 {
            assert_eq!(sign_in(&gateway, name, "wrong").await.0, 401);
        }
        let (status, body, _) = sign_in(&gateway, name, PASSWORD).await;
        assert_eq!((status, code(&body)), (429, "rate_limited"), "{name}");
        assert!(
            body["error"]["retry_ms"]
                .as_u64()
                .is_some_and(|ms| ms > 1000)
        );
    }
    assert_eq!(sign_in(&gateway, "bob", PASSWORD).await.0, 200);
}

/// Property: the tries of one address are counted over all names.
#[tokio::test(flavor = "multi_thread")]
async fn tries_of_an_address_are_counted() {
    let world = World::start().await;
    let gateway = Gateway::start(gateway::config::Options {
        sign_ins_per_minute_address: 4,
        ..world.options()
    })
    .await;
    for number in 0..4 {
        let name = format!("name{number}");
        assert_eq!(sign_in(&gateway, &name, "wrong").await.0, 401);
    }
    assert_eq!(sign_in(&gateway, "another", "wrong").await.0, 429);
}

/// Property: a password that was lost on the way back is found again by the same wish, and makes
/// no second session.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_sign_in_is_the_same_session() {
    let (world, gateway) = start().await;
    sign_up(&gateway, "alice").await;
    let body = json!({
        "cid": cid(),
        "name": "alice",
        "password": PASSWORD,
        "secret": "0123456789abcdef0123456789abcdef",
    });
    let (status, _, token) = gateway.post("/api/v1/sign-in", &gateway.base, &body).await;
    assert_eq!(status, 200);
    let (status, _, again) = gateway.post("/api/v1/sign-in", &gateway.base, &body).await;
    assert_eq!((status, &again), (200, &token));
    assert_eq!(world.machine.lock().unwrap().sessions.len(), 2);
    // Once it is ended, the repetition does not bring it back.
    gateway_sign_out(&gateway, &token).await;
    let (status, error, token) = gateway.post("/api/v1/sign-in", &gateway.base, &body).await;
    assert_eq!(
        (status, code(&error), &*token),
        (401, "unauthenticated", "")
    );
}

async fn gateway_sign_out(gateway: &Gateway, token: &str) {
    let (status, _) = ask(gateway, Method::POST, "/api/v1/sign-out", token, &json!({})).await;
    assert_eq!(status, 204);
}

/// Property: the list has the own sessions and marks the one that asks; one that is revoked ends
/// its socket with 4501 and is nobody's any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_ends_its_socket() {
    let (_world, gateway) = start().await;
    let here = sign_up(&gateway, "alice").await;
    sign_up(&gateway, "bob").await;
    let (_, _, there) = sign_in(&gateway, "alice", PASSWORD).await;
    let mut socket = Client::new(1, there.clone());
    socket.connect(&gateway).await;
    let (status, list) = gateway.get("/api/v1/me/sessions", Some(&here)).await;
    assert_eq!(status, 200);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{list}");
    let other = sessions.iter().find(|one| one["current"] == json!(false));
    let id = other.unwrap()["id"].as_str().unwrap();
    let path = format!("/api/v1/me/sessions/{id}");
    let (status, _) = ask(&gateway, Method::DELETE, &path, &here, &json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(socket.closed().await.0, 4501);
    assert_eq!(gateway.get("/api/v1/me", Some(&there)).await.0, 401);
    assert_eq!(gateway.get("/api/v1/me", Some(&here)).await.0, 200);
    let path = "/api/v1/me/sessions/zz";
    assert_eq!(
        ask(&gateway, Method::DELETE, path, &here, &json!({}))
            .await
            .0,
        404
    );
}

/// Property: a new password needs the old one, counts at once, and ends all other sessions and
/// their sockets; an account without one sets it without.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed() {
    let (_world, gateway) = start().await;
    let here = sign_up(&gateway, "alice").await;
    let (_, _, there) = sign_in(&gateway, "alice", PASSWORD).await;
    let mut socket = Client::new(1, there.clone());
    socket.connect(&gateway).await;
    let path = "/api/v1/me/password";
    for (body, wanted) in [
        (
            json!({"cid": cid(), "current": "wrong", "password": "a new password"}),
            401,
        ),
        (json!({"cid": cid(), "password": "a new password"}), 401),
        (
            json!({"cid": cid(), "current": PASSWORD, "password": "short"}),
            400,
        ),
        (
            json!({"cid": cid(), "current": PASSWORD, "password": "a new password"}),
            204,
        ),
    ] {
        let (status, answer) = ask(&gateway, Method::POST, path, &here, &body).await;
        assert_eq!(status, wanted, "{answer}");
    }
    assert_eq!(socket.closed().await.0, 4501);
    assert_eq!(gateway.get("/api/v1/me", Some(&there)).await.0, 401);
    assert_eq!(gateway.get("/api/v1/me", Some(&here)).await.0, 200);
    assert_eq!(sign_in(&gateway, "alice", PASSWORD).await.0, 401);
    assert_eq!(sign_in(&gateway, "alice", "a new password").await.0, 200);

    let (_, bob) = gateway.sign_up("bob").await;
    let body = json!({"cid": cid(), "password": PASSWORD});
    assert_eq!(ask(&gateway, Method::POST, path, &bob, &body).await.0, 204);
    assert_eq!(sign_in(&gateway, "bob", PASSWORD).await.0, 200);
    let (_, me) = gateway.get("/api/v1/me", Some(&bob)).await;
    assert_eq!(
        me["user"]["has_password"],
        json!(true),
        "not the cached answer"
    );
}

/// Property: who may sign up is a setting, which the first screen can read without a session; an
/// invitation's secret opens the door as often as it says.
#[tokio::test(flavor = "multi_thread")]
async fn sign_up_by_invitation() {
    let (_world, gateway) = start().await;
    let (_, settings) = gateway.get("/api/v1/settings", None).await;
    assert_eq!(settings, json!({"sign_up": "open", "has_accounts": false}));
    let owner = sign_up(&gateway, "alice").await;
    let body = json!({"cid": cid(), "sign_up": "invitation"});
    let (status, _) = ask(&gateway, Method::PATCH, "/api/v1/settings", &owner, &body).await;
    assert_eq!(status, 204);
    let secret = "0123456789abcdef0123456789abcdef";
    let body = json!({"cid": cid(), "secret": secret, "uses": 1, "role": "member"});
    let (status, made) = ask(&gateway, Method::POST, "/api/v1/invitations", &owner, &body).await;
    assert_eq!((status, &made["id"]), (201, &json!(1)));
    for (invitation, name, wanted) in [
        (None, "bob", 403),
        (Some("ffffffffffffffffffffffffffffffff"), "bob", 403),
        (Some("short"), "bob", 400),
        (Some(secret), "bob", 201),
        (Some(secret), "eve", 403),
    ] {
        let body = json!({"cid": cid(), "name": name, "invitation": invitation});
        let (status, answer, _) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
        assert_eq!(status, wanted, "{answer}");
        if wanted == 403 {
            assert_eq!(code(&answer), "sign_up_closed");
        }
    }
}

/// Property: none of what changes something can be asked by a foreign page with a cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_changes_nothing() {
    let (_world, gateway) = start().await;
    let token = sign_up(&gateway, "alice").await;
    for (method, path) in [
        (Method::POST, "/api/v1/sign-in"),
        (Method::PATCH, "/api/v1/me"),
        (Method::POST, "/api/v1/me/password"),
        (Method::POST, "/api/v1/me/deactivate"),
        (Method::DELETE, "/api/v1/me/sessions/1"),
        (Method::PATCH, "/api/v1/people/1"),
        (Method::PATCH, "/api/v1/settings"),
        (Method::POST, "/api/v1/invitations"),
        (Method::DELETE, "/api/v1/invitations/1"),
    ] {
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", gateway.base))
            .header("cookie", format!("chatterbox_session={token}"))
            .header("origin", "https://evil.example")
            .header("content-type", "application/json")
            .body("{}");
        let response = request
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 403, "{path}");
        let body = response.bytes().await.unwrap();
        assert!(
            String::from_utf8_lossy(&body).contains("forbidden_origin"),
            "{path}"
        );
    }
}
