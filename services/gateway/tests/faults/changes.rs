//! Changes of messages, read markers, threads: the frames and answers of docs/protocol.md 2.6.

use serde_json::{Value, json};

use crate::client::{Client, GENERAL, cid, start};

async fn done(client: &mut Client, request: Value) {
    let id = request["cid"].as_str().unwrap().to_owned();
    client.write(request).await;
    let answer = client.answer(&id).await;
    assert_eq!(
        (&answer["t"], &answer["room"]),
        (&json!("done"), &json!(GENERAL)),
        "{answer}"
    );
}

/// Property: each change is one event of the room, in the words of the protocol, for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_as_events() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    let mut bob = gateway.person("bob").await;
    world.post(alice.user, GENERAL, "hi");
    let seq = world.head(GENERAL);
    let (room, of) = (GENERAL, seq);
    let wishes = [
        json!({"t": "edit", "cid": cid(), "room": room, "seq": of, "body": "hello"}),
        json!({"t": "react", "cid": cid(), "room": room, "seq": of, "emoji": "👍", "on": true}),
        json!({"t": "react", "cid": cid(), "room": room, "seq": of, "emoji": "👍", "on": false}),
        json!({"t": "pin", "cid": cid(), "room": room, "seq": of, "on": true}),
        json!({"t": "pin", "cid": cid(), "room": room, "seq": of, "on": false}),
        json!({"t": "delete", "cid": cid(), "room": room, "seq": of}),
    ];
    for wish in wishes {
        done(&mut alice, wish).await;
    }
    bob.read_to(GENERAL, seq + 6).await;
    let expected = [
        json!({"kind": "edited", "of": of, "body": "hello"}),
        json!({"kind": "reaction_added", "of": of, "emoji": "👍"}),
        json!({"kind": "reaction_removed", "of": of, "emoji": "👍"}),
        json!({"kind": "pinned", "of": of}),
        json!({"kind": "unpinned", "of": of}),
        json!({"kind": "deleted", "of": of}),
    ];
    for (event, expected) in bob.events[&GENERAL].range(seq + 1..).zip(expected) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(event.1[field], *value, "{event:?}");
        }
        assert_eq!(event.1["author"]["name"], "alice");
    }
}

/// Property: whoever comes after a deletion gets no deleted text, not even from what the gateway
/// keeps for short reconnects.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_text_is_not_sent_again() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.post(alice.user, GENERAL, "secret");
    let seq = world.head(GENERAL);
    alice.read_to(GENERAL, seq).await;
    done(
        &mut alice,
        json!({"t": "delete", "cid": cid(), "room": GENERAL, "seq": seq}),
    )
    .await;
    alice.read_to(GENERAL, seq + 1).await;
    let mut second = Client::new(alice.user, alice.token.clone());
    second.connect(&gateway).await;
    second.read_to(GENERAL, seq + 1).await;
    let tombstone = &second.events[&GENERAL][&seq];
    assert_eq!(
        (&tombstone["body"], &tombstone["deleted"]),
        (&json!(""), &json!(true))
    );
}

/// Property: a read marker is told to every device of the person, to nobody else, by `useq`.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_marker_is_told_to_all_devices() {
    let (world, gateway) = start().await;
    let mut phone = gateway.person("alice").await;
    let mut desk = Client::new(phone.user, phone.token.clone());
    desk.connect(&gateway).await;
    let mut bob = gateway.person("bob").await;
    let head = world.head(GENERAL);
    phone
        .write(json!({"t": "read", "cid": cid(), "room": GENERAL, "seq": head}))
        .await;
    // The answer may come before it or after it.
    for device in [&mut phone, &mut desk] {
        let told = device.wait_for(|frame| frame["t"] == "uev").await;
        assert_eq!(
            told["read"],
            json!({"room": GENERAL, "seq": head}),
            "{told}"
        );
        assert_eq!(told["useq"], 2);
    }
    bob.write(json!({"t": "ping", "n": 7})).await;
    let next = bob
        .wait_for(|frame| frame["t"] == "uev" || frame["t"] == "pong")
        .await;
    assert_eq!(next["t"], "pong");
}

/// Property: what a person wishes of a room is told to the person's devices and to nobody else; a
/// moderator's deletion is an event like its author's.
#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_told_to_the_own_devices() {
    let (world, gateway) = start().await;
    let mut phone = gateway.person("alice").await;
    let mut desk = Client::new(phone.user, phone.token.clone());
    desk.connect(&gateway).await;
    let mut bob = gateway.person("bob").await;
    let wish = json!({"t": "wish", "cid": cid(), "room": GENERAL, "level": "nothing",
                      "favourite": true});
    phone.write(wish).await;
    for device in [&mut phone, &mut desk] {
        let told = device.wait_for(|frame| frame["t"] == "uev").await;
        let wanted = json!({"room": GENERAL, "level": "nothing", "favourite": true});
        assert_eq!(told["wishes"], wanted, "{told}");
    }
    bob.write(json!({"t": "ping", "n": 7})).await;
    let next = bob
        .wait_for(|frame| frame["t"] == "uev" || frame["t"] == "pong")
        .await;
    assert_eq!(next["t"], "pong");
    let wrong = json!({"t": "wish", "cid": cid(), "room": GENERAL, "level": "loud",
                       "favourite": true});
    phone.write(wrong).await;
    let refused = phone.wait_for(|frame| frame["t"] == "err").await;
    assert_eq!(refused["code"], "bad_request");
    world.post(bob.user, GENERAL, "rude");
    let seq = world.head(GENERAL);
    done(
        &mut phone,
        json!({"t": "take_away", "cid": cid(), "room": GENERAL, "seq": seq}),
    )
    .await;
    bob.read_to(GENERAL, seq + 1).await;
    let event = &bob.events[&GENERAL][&(seq + 1)];
    assert_eq!(
        (&event["kind"], &event["of"], &event["author"]["name"]),
        (&json!("deleted"), &json!(seq), &json!("alice"))
    );
}

/// Property: a thread is read by HTTP, in pages; what is no message, or no emoji, gets its word.
#[tokio::test(flavor = "multi_thread")]
async fn threads_are_pages_and_errors_have_words() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    world.post(alice.user, GENERAL, "question");
    let root = world.head(GENERAL);
    for body in ["one", "two", "three"] {
        let id = cid();
        let frame = json!({"t": "send", "cid": id, "room": GENERAL, "body": body,
                           "reply_to": root});
        alice.write(frame).await;
        alice.answer(&id).await;
    }
    let path = format!("/api/v1/rooms/{GENERAL}/messages/{root}/replies");
    let (status, page) = gateway
        .get(&format!("{path}?limit=2"), Some(&alice.token))
        .await;
    assert_eq!((status, &page["more"]), (200, &json!(true)), "{page}");
    let after = page["events"][1]["seq"].as_u64().unwrap();
    let rest = format!("{path}?after={after}");
    let (_, rest) = gateway.get(&rest, Some(&alice.token)).await;
    assert_eq!(
        (&rest["events"][0]["body"], &rest["more"]),
        (&json!("three"), &json!(false))
    );
    for (path, expected) in [
        (format!("/api/v1/rooms/{GENERAL}/messages/x/replies"), 404),
        (format!("/api/v1/rooms/{GENERAL}/messages/1/versions"), 404),
        (format!("{path}?before=1"), 400),
        (format!("{path}?limit=0"), 400),
        ("/api/v1/unread".to_owned(), 200),
    ] {
        let (status, body) = gateway.get(&path, Some(&alice.token)).await;
        assert_eq!(status, expected, "{path} {body}");
    }
    let (status, _) = gateway.get("/api/v1/unread", None).await;
    assert_eq!(status, 401);
    let id = cid();
    let empty = json!({"t": "react", "cid": id, "room": GENERAL, "seq": root, "emoji": "",
                       "on": true});
    alice.write(empty).await;
    assert_eq!(alice.answer(&id).await["code"], "bad_request");
}

/// Property: a search gets its parts to a replica and the hits back, says when the index lags, and
/// a question that cannot be asked gets its word.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_asked_and_answered() {
    let (world, gateway) = start().await;
    let alice = gateway.person("alice").await;
    world.post(alice.user, GENERAL, "where is slot 48");
    let find = |query: &str| format!("/api/v1/search?{query}");
    let token = Some(alice.token.as_str());
    let (status, found) = gateway.get(&find("q=slot"), token).await;
    assert_eq!((status, &found["lags"]), (200, &json!(true)), "{found}");
    let expected = json!([{"room": GENERAL, "room_name": "general", "seq": world.head(GENERAL),
        "ts": found["hits"][0]["ts"], "author": {"id": alice.user, "name": "alice"},
        "snippet": [{"text": "where is slot 48", "hit": true}]}]);
    assert_eq!(found["hits"], expected);
    for wrong in [
        "q=",
        "q=from:alice",
        "q=x&limit=51",
        "q=x&limit=0",
        "q=x&page=1",
        "",
        "q=a%20before:tomorrow",
    ] {
        let (status, body) = gateway.get(&find(wrong), token).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (400, &json!("bad_request")),
            "{wrong}"
        );
    }
    assert_eq!(gateway.get(&find("q=slot"), None).await.0, 401);
}
