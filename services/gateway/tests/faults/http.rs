//! The HTTP interface.

use serde_json::json;

use crate::client::{GENERAL, cid, start};
use crate::double::OnSubmit;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_sign_up_ends_with_the_same_session() {
    let (world, gateway) = start().await;
    world.fault(1, |faults| faults.on_submit = OnSubmit::CommitAndBreak);
    let body = json!({"cid": cid(), "name": "alice", "secret": SECRET});
    let (status, first, token) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
    assert_eq!(status, 201, "{first}");
    assert_eq!(gateway.get("/api/v1/me", Some(&token)).await.0, 200);
    let (status, again, same) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
    assert_eq!((status, &again, &same), (201, &first, &token));

    let mut stolen = body.clone();
    stolen["secret"] = json!("another-secret-another-secret-xx");
    let (status, error, token) = gateway
        .post("/api/v1/sign-up", &gateway.base, &stolen)
        .await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (409, &json!("name_taken")),
        "{error}"
    );
    assert!(token.is_empty());
    let without = json!({"cid": body["cid"], "name": "alice"});
    assert_eq!(
        gateway
            .post("/api/v1/sign-up", &gateway.base, &without)
            .await
            .0,
        409
    );
    assert_eq!(world.machine.lock().unwrap().accounts.len(), 1);
}

/// Two gateways that ask while the command is under way may both hear that they were first.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_given_that_the_replicas_do_not_hold() {
    let (world, gateway) = start().await;
    let body = json!({"cid": cid(), "name": "alice", "secret": SECRET});
    let (status, first, token) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
    assert_eq!(status, 201, "{first}");
    world.fault(1, |faults| faults.on_submit = OnSubmit::BothFirst);
    let (status, again, same) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
    assert_eq!((status, &again, &same), (201, &first, &token));

    for secret in [json!("another-secret-another-secret-xx"), json!(null)] {
        let stranger = json!({"cid": body["cid"], "name": "alice", "secret": secret});
        let (status, error, token) = gateway
            .post("/api/v1/sign-up", &gateway.base, &stranger)
            .await;
        assert_eq!((status, token.as_str()), (409, ""), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_are_refused_in_words() {
    let (_world, gateway) = start().await;
    gateway.sign_up("alice").await;
    for (name, status, code) in [
        ("ALICE", 409, "name_taken"),
        ("", 400, "bad_request"),
        ("x\u{7}y", 400, "bad_request"),
    ] {
        let body = json!({"cid": cid(), "name": name});
        let (found, error, _) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
        assert_eq!(
            (found, &error["error"]["code"]),
            (status, &json!(code)),
            "{error}"
        );
    }
    for body in [json!({}), json!({"cid": "x", "name": "bob"}), json!([])] {
        let (status, error, _) = gateway.post("/api/v1/sign-up", &gateway.base, &body).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (400, &json!("bad_request")),
            "{error}"
        );
    }
    let body = json!({"cid": cid(), "name": "mallory"});
    let (status, error, _) = gateway
        .post("/api/v1/sign-up", "https://evil.example", &body)
        .await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (403, &json!("forbidden_origin"))
    );
    let huge = json!({"cid": cid(), "name": "x".repeat(70_000)});
    assert_eq!(
        gateway
            .post("/api/v1/sign-up", &gateway.base, &huge)
            .await
            .0,
        413
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_rooms_members_and_the_cluster() {
    let (world, gateway) = start().await;
    let alice = gateway.person("alice").await;
    for number in 0..10 {
        world.post(alice.user, GENERAL, &number.to_string());
    }
    let token = Some(&*alice.token);
    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    for (query, wanted) in [
        ("?after=10", vec![11, 12]),
        ("?after=3&limit=2", vec![4, 5]),
        ("?before=4", vec![1, 2, 3]),
        ("?before=9&limit=2", vec![7, 8]),
        ("", (1..=12).collect()),
        ("?limit=1&min_slot=1024", vec![12]),
    ] {
        let path = format!("/api/v1/rooms/{GENERAL}/events{query}");
        let (status, page) = gateway.get(&path, token).await;
        assert_eq!(
            (status, seqs(&page), &page["head"]),
            (200, wanted, &json!(12)),
            "{path} {page}"
        );
    }
    for (path, status) in [
        ("/api/v1/rooms/1/events?before=1&after=2", 400),
        ("/api/v1/rooms/1/events?limit=0", 400),
        ("/api/v1/rooms/1/events?limit=201", 400),
        ("/api/v1/rooms/1/events?before=x", 400),
        ("/api/v1/rooms/4711/events", 404),
        ("/api/v1/rooms/x/events", 404),
        ("/api/v1/nonsense", 404),
        ("/api/v1/sign-up", 400),
    ] {
        let (found, error) = gateway.get(path, token).await;
        assert_eq!(found, status, "{path}");
        assert!(
            error["error"]["message"].as_str().unwrap().len() > 5,
            "{path}: {error}"
        );
    }
    assert_eq!(gateway.get("/api/v1/rooms", None).await.0, 401);
    let (_, rooms) = gateway.get("/api/v1/rooms", token).await;
    assert_eq!(rooms["rooms"][0]["name"], "general");
    let (_, members) = gateway.get("/api/v1/rooms/1/members", token).await;
    assert_eq!(
        members["members"],
        json!([{"id": alice.user, "name": "alice"}])
    );
    let (_, cluster) = gateway.get("/api/v1/cluster", None).await;
    assert_eq!(
        (&cluster["quorum"], &cluster["leader"]),
        (&json!(true), &json!(1)),
        "{cluster}"
    );
    assert_eq!((&cluster["voters"], &cluster["up"]), (&json!(3), &json!(3)));
    assert!(
        !cluster.to_string().contains("127.0.0.1"),
        "no addresses: {cluster}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_armoured() {
    let (_world, gateway) = start().await;
    for path in [
        "/",
        "/room/3",
        "/api/v1/cluster",
        "/health/live",
        "/nothing.js",
    ] {
        let response = reqwest::get(format!("{}{path}", gateway.base))
            .await
            .unwrap();
        let header = |name: &str| {
            let value = response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        let policy = header("content-security-policy");
        for part in [
            "default-src 'self'",
            "script-src 'self'",
            "require-trusted-types-for",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert!(!header("permissions-policy").is_empty(), "{path}");
        let wanted = if path == "/nothing.js" { 404 } else { 200 };
        assert_eq!(response.status(), wanted, "{path}");
    }
}
