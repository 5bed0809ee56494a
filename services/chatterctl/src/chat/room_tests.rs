//! Goal: nothing typed is lost or sent under two cids, nothing is shown twice or out of order.

use super::*;

fn person(name: &str) -> Person {
    Person {
        id: 1,
        name: name.to_owned(),
    }
}

fn message(seq: u64, body: &str) -> Event {
    Event {
        seq,
        slot: 1024 + seq,
        author: person("bob"),
        kind: "message".to_owned(),
        body: body.to_owned(),
    }
}

fn ev(room: u64, seq: u64, body: &str) -> ServerFrame {
    ServerFrame::Ev {
        room,
        ev: message(seq, body),
    }
}

fn joined(id: u64, name: &str) -> Joined {
    Joined {
        id,
        name: name.to_owned(),
    }
}

fn ready(rooms: &[(u64, &str)]) -> ServerFrame {
    let rooms = rooms.iter().map(|(id, name)| joined(*id, name)).collect();
    ServerFrame::Ready { useq: 1, rooms }
}

/// In #general, live, with two events seen.
fn client() -> Client {
    let mut client = Client::new(person("alice"), "general".to_owned());
    client.start();
    client.on(ready(&[(1, "general"), (2, "tea")]));
    client.on(ev(1, 1, "one"));
    client.on(ev(1, 2, "two"));
    client.on(ServerFrame::Live { room: 1 });
    client.on(ServerFrame::Live { room: 2 });
    client
}

fn show(text: &str) -> Vec<Step> {
    vec![Step::Show(text.to_owned())]
}

fn sent(steps: &[Step]) -> Vec<&ClientFrame> {
    let sent = steps.iter().filter_map(|step| match step {
        Step::Send(frame) => Some(frame),
        _ => None,
    });
    sent.collect()
}

#[test]
fn shows_each_event_once_and_asks_for_what_is_missing() {
    let mut client = client();
    assert_eq!(client.on(ev(1, 3, "three")), show("bob: three"));
    assert_eq!(client.on(ev(1, 3, "three")), []);
    assert_eq!(client.on(ev(1, 6, "six")), [Step::Fetch(vec![(1, 6)])]);
    let page = client.page(
        1,
        vec![message(4, "four"), message(5, "five"), message(6, "six")],
    );
    assert_eq!(page.len(), 3);
    assert_eq!(client.on(ev(1, 6, "six")), []);
    assert_eq!(client.on(ev(2, 1, "milk?")), show("#tea bob: milk?"));
}

#[test]
fn a_gap_is_said_and_passed() {
    let mut client = client();
    let gap = ServerFrame::Gap {
        room: 1,
        from: 3,
        to: 600,
    };
    assert_eq!(client.on(gap), show("… 598 older events are not shown …"));
    assert_eq!(client.on(ev(1, 601, "new")), show("bob: new"));
}

#[test]
fn a_line_keeps_its_cid_over_a_reconnect_until_the_ack() {
    let mut client = client();
    let first = client.say("hello".to_owned());
    let second = client.say("again".to_owned());
    assert_eq!(
        (sent(&first).len(), sent(&second).len()),
        (1, 0),
        "one is in flight"
    );
    let ClientFrame::Start {
        rooms, min_slot, ..
    } = client.start()
    else {
        panic!("start")
    };
    assert_eq!((rooms.get("1"), min_slot), (Some(&2), 1026));
    let after = client.on(ready(&[(1, "general"), (2, "tea")]));
    assert_eq!(
        sent(&after),
        sent(&first),
        "the same frame with the same cid"
    );
    let cid = cid_of(sent(&first)[0]).expect("cid");
    let next = client.on(ServerFrame::Ack { cid, slot: 1030 });
    assert!(matches!(sent(&next)[..], [ClientFrame::Send { body, .. }] if body == "again"));
    assert_eq!(
        client.on(ServerFrame::Ack { cid, slot: 1030 }),
        [],
        "a second ack is nothing"
    );
    assert_eq!(client.unsent(), 1);
}

#[test]
fn waits_when_it_may_help_and_gives_up_when_not() {
    let mut client = client();
    let steps = client.say("hello".to_owned());
    let cid = cid_of(sent(&steps)[0]);
    let err = |temporary: bool| ServerFrame::Err {
        r#ref: cid,
        message: "no quorum".to_owned(),
        temporary,
        retry_ms: Some(7),
    };
    let steps = client.on(err(true));
    assert_eq!(steps[0], Step::RetryIn(7));
    assert_eq!(steps.len(), 2, "the reason is said");
    assert_eq!(sent(&client.push()).len(), 1, "the same request again");
    assert_eq!(client.on(err(true)).len(), 1, "the reason is said once");
    client.push();
    assert_eq!(client.on(err(false)), show("! not sent: no quorum"));
    assert_eq!(client.unsent(), 0);
}

#[test]
fn goes_to_a_room_that_it_made_whichever_answer_comes_first() {
    for done_first in [true, false] {
        let mut client = client();
        let steps = client.request(|cid| ClientFrame::Create {
            cid,
            name: "new".to_owned(),
        });
        let cid = cid_of(sent(&steps)[0]).expect("cid");
        let done = ServerFrame::Done {
            cid,
            room: 9,
            slot: 2000,
        };
        let uev = ServerFrame::Uev {
            useq: 2,
            joined: Some(joined(9, "new")),
            left: None,
        };
        let (first, second) = if done_first { (done, uev) } else { (uev, done) };
        client.on(first);
        client.on(second);
        assert_eq!(client.current(), Some((9, "new")));
        client.on(ServerFrame::Uev {
            useq: 3,
            joined: None,
            left: Some(9),
        });
        assert_eq!(client.current(), Some((1, "general")));
    }
}

/// A script writes faster than the gateway answers: its lines must not be said elsewhere.
#[test]
fn a_line_waits_until_it_is_clear_to_which_room_it_goes() {
    let mut client = Client::new(person("alice"), "general".to_owned());
    client.start();
    assert!(!client.is_settled(), "no room is known");
    client.on(ready(&[(1, "general")]));
    assert!(client.is_settled());
    let steps = client.request(|cid| ClientFrame::Join { cid, room: 3 });
    let cid = sent(&steps).first().and_then(|frame| cid_of(frame));
    assert!(!client.is_settled(), "on the way to another room");
    client.on(ServerFrame::Done {
        cid: cid.expect("sent"),
        room: 3,
        slot: 1030,
    });
    assert!(!client.is_settled(), "the room is still to come");
    client.start();
    client.on(ready(&[(1, "general"), (3, "plans")]));
    assert!(client.is_settled(), "it came with the next connection");
    assert_eq!(client.current(), Some((3, "plans")));
}

#[test]
fn what_was_written_elsewhere_during_an_outage_is_shown() {
    let mut client = client();
    client.on(ev(2, 1, "milk?"));
    client.start();
    client.on(ready(&[(1, "general"), (2, "tea")]));
    assert_eq!(client.on(ev(2, 2, "sugar?")), show("#tea bob: sugar?"));
}

#[test]
fn a_slow_reader_fetches_and_resumes() {
    let mut client = client();
    let rooms = BTreeMap::from([("1".to_owned(), 9)]);
    assert_eq!(
        client.on(ServerFrame::Lag { rooms }),
        [Step::Fetch(vec![(1, 9)]), Step::Resume]
    );
}

#[test]
fn what_others_write_cannot_move_the_cursor() {
    let shown = line(&message(1, "\u{1b}[2J\rhi\nyou")).expect("shown");
    assert_eq!(shown, "bob: \u{fffd}[2J\u{fffd}hi\n    you");
}

#[test]
fn the_loss_of_the_quorum_is_said_once() {
    let mut client = client();
    let cluster = |quorum| ServerFrame::Cluster {
        quorum,
        up: 1,
        voters: 3,
    };
    assert_eq!(client.on(cluster(true)), []);
    assert_eq!(client.on(cluster(false)).len(), 1);
    assert_eq!(client.on(cluster(false)), []);
    assert_eq!(client.on(cluster(true)).len(), 1);
}
