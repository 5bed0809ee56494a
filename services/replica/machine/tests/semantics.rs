//! What each command does, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::Error;
use paxos::entry::EntryKind;
use proto::v1::{
    AccountCreated, CreatedEvent, Done, Effect, JoinedEvent, JoinedRoom, LeftEvent, MessageEvent,
    MessagePosted, RoomChanged, RoomEvent, RoomKind, UserEvent, effect, outcome, room_event,
    user_event,
};
use support::{Fixture, cid, create_room, join, leave, post, reply, revoke, sign_up, token};

/// The first slot, and the timestamp that the support module gives it.
const FIRST: u64 = 1024;
const FIRST_MS: u64 = 1_700_000_001_024;

fn room(
    room: u64,
    seq: u64,
    after_first: u64,
    author: (u64, &str),
    kind: room_event::Kind,
) -> Effect {
    let event = RoomEvent {
        room,
        seq,
        slot: FIRST + after_first,
        timestamp_ms: FIRST_MS + after_first,
        author: author.0,
        author_name: author.1.to_owned(),
        kind: Some(kind),
    };
    Effect {
        kind: Some(effect::Kind::Room(event)),
    }
}

fn user(user: u64, useq: u64, after_first: u64, kind: user_event::Kind) -> Effect {
    let event = UserEvent {
        user,
        useq,
        slot: FIRST + after_first,
        kind: Some(kind),
    };
    Effect {
        kind: Some(effect::Kind::User(event)),
    }
}

fn joined_room(room: u64, name: &str, head: u64, members: u64) -> user_event::Kind {
    user_event::Kind::Joined(JoinedRoom {
        room,
        name: name.to_owned(),
        head,
        members,
        read_seq: head,
        kind: RoomKind::Public.into(),
        ..JoinedRoom::default()
    })
}

fn created(name: &str) -> room_event::Kind {
    room_event::Kind::Created(CreatedEvent {
        name: name.to_owned(),
    })
}

const JOINED: room_event::Kind = room_event::Kind::Joined(JoinedEvent {});

/// Property: the first account makes `general` and is in it; later ones only join it. Names are
/// stored trimmed, and the first account is the owner.
#[test]
fn sign_up_joins_general() {
    let mut f = Fixture::new();
    let (first, effects) = f.one_applied(sign_up(1, "  Ann ", 1));
    let ann = (1, "Ann");
    let answer = AccountCreated {
        user: 1,
        name: "Ann".to_owned(),
    };
    assert_eq!(first.result, Some(outcome::Result::AccountCreated(answer)));
    assert_eq!(
        (first.slot, first.author, first.duplicate),
        (FIRST, 0, false)
    );
    assert_eq!(first.cid, cid(1).to_vec());
    assert_eq!(
        effects,
        [
            room(1, 1, 0, ann, created("general")),
            room(1, 2, 0, ann, JOINED),
            user(1, 1, 0, joined_room(1, "general", 2, 1)),
        ]
    );

    let (second, effects) = f.one_applied(sign_up(2, "Bob", 2));
    let answer = AccountCreated {
        user: 2,
        name: "Bob".to_owned(),
    };
    assert_eq!(second.result, Some(outcome::Result::AccountCreated(answer)));
    assert_eq!(
        effects,
        [
            room(1, 3, 1, (2, "Bob"), JOINED),
            user(2, 1, 1, joined_room(1, "general", 3, 2)),
        ]
    );

    let file = rusqlite::Connection::open(f.path()).unwrap();
    let roles: Vec<i64> = file
        .prepare("SELECT role FROM accounts ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(roles, [1, 4], "owner, member");
}

/// Property: a room's maker is in it; joining and leaving take a `seq` and a `useq` each;
/// joining twice is answered alike and changes nothing.
#[test]
fn rooms_are_made_joined_and_left() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    let (ann, bob) = ((1, "Ann"), (2, "Bob"));
    let changed = Some(outcome::Result::RoomChanged(RoomChanged { room: 2 }));

    let (answer, effects) = f.one_applied(create_room(1, 1, "Büro-2"));
    assert_eq!(answer.result, changed);
    assert_eq!(
        effects,
        [
            room(2, 1, 2, ann, created("Büro-2")),
            room(2, 2, 2, ann, JOINED),
            user(1, 2, 2, joined_room(2, "Büro-2", 2, 1)),
        ]
    );
    let (answer, effects) = f.one_applied(join(2, 2, 2));
    assert_eq!(answer.result, changed);
    assert_eq!(
        effects,
        [
            room(2, 3, 3, bob, JOINED),
            user(2, 2, 3, joined_room(2, "Büro-2", 3, 2))
        ]
    );
    let (answer, effects) = f.one_applied(join(3, 2, 2));
    assert_eq!(answer.result, changed);
    assert!(
        !answer.duplicate,
        "another command, which found nothing to do"
    );
    assert_eq!(effects, []);
    let (answer, effects) = f.one_applied(leave(4, 2, 2));
    assert_eq!(answer.result, changed);
    assert_eq!(
        effects,
        [
            room(2, 4, 5, bob, room_event::Kind::Left(LeftEvent {})),
            user(2, 3, 5, user_event::Kind::Left(2)),
        ]
    );
    let (_, effects) = f.one_applied(join(5, 2, 2));
    assert_eq!(
        effects,
        [
            room(2, 5, 6, bob, JOINED),
            user(2, 4, 6, joined_room(2, "Büro-2", 5, 2))
        ]
    );
}

/// Property: a message takes a `seq` and a `msg_no`, carries what was sent, and a repetition
/// answers the first numbers at any later time.
#[test]
fn messages_are_posted_once() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    let text = "zweite Zeile\n\0 mit Nullbyte, 日本語, 👩‍👩‍👧";
    let (first, effects) = f.one_applied(post(1, 2, 1, text));
    let posted = MessagePosted {
        room: 1,
        seq: 4,
        msg_no: 1,
        timestamp_ms: FIRST_MS + 2,
    };
    assert_eq!(first.result, Some(outcome::Result::MessagePosted(posted)));
    let message = |number, msg_no, body: &str, reply_to| {
        let (cid, body) = (cid(number).to_vec(), body.to_owned());
        room_event::Kind::Message(MessageEvent {
            msg_no,
            cid,
            body,
            reply_to,
            ..MessageEvent::default()
        })
    };
    assert_eq!(effects, [room(1, 4, 2, (2, "Bob"), message(1, 1, text, 0))]);

    let (_, effects) = f.one_applied(reply(2, 1, 1, "ja", 4));
    assert_eq!(effects, [room(1, 5, 3, (1, "Ann"), message(2, 2, "ja", 4))]);

    // The repetition says something else, even as somebody who has left: the cid alone counts.
    f.one(leave(3, 2, 1));
    let (again, effects) = f.one_applied(post(1, 2, 1, "anders"));
    assert_eq!(effects, []);
    assert!(again.duplicate);
    assert_eq!((again.slot, again.result), (first.slot, first.result));
}

/// Property: a cid belongs to its author: the same cid of somebody else is another command.
#[test]
fn cids_are_per_author() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(post(1, 1, 1, "von Ann"));
    let (answer, effects) = f.one_applied(post(1, 2, 1, "von Bob"));
    assert!(!answer.duplicate);
    assert_eq!(effects.len(), 1);
}

/// Property: a refusal is an answer like any other: the same cid stays refused even when the
/// cause is gone, so that no late copy of a command can undo what its author was told.
#[test]
fn a_refused_cid_stays_refused() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(create_room(1, 1, "lab"));
    let (refused, _) = f.one_applied(post(2, 2, 2, "hallo"));
    assert!(matches!(refused.result, Some(outcome::Result::Refusal(_))));
    f.one(join(3, 2, 2));
    let (again, effects) = f.one_applied(post(2, 2, 2, "hallo"));
    assert!(again.duplicate);
    assert_eq!((again.slot, again.result), (refused.slot, refused.result));
    assert_eq!(effects, []);
    assert!(matches!(
        f.one(post(4, 2, 2, "hallo")),
        outcome::Result::MessagePosted(_)
    ));
}

/// Property: a repeated sign-up makes no second account and answers the first.
#[test]
fn a_sign_up_is_repeatable() {
    let mut f = Fixture::new();
    let (first, _) = f.one_applied(sign_up(1, "Ann", 1));
    let (again, effects) = f.one_applied(sign_up(1, "Ann", 2));
    assert!(again.duplicate);
    assert_eq!((again.slot, again.result), (first.slot, first.result));
    assert_eq!(effects, []);
    let mut reader = f.machine.reader().unwrap();
    assert!(reader.session(&token(1)).unwrap().value.is_some());
    assert_eq!(
        reader.session(&token(2)).unwrap().value,
        None,
        "no session for a mere repetition"
    );
}

/// Property: a revoked session is gone and says so once; revoking it again is the same answer.
#[test]
fn sessions_are_revoked() {
    let mut f = Fixture::new();
    f.one(sign_up(1, "Ann", 1));
    let done = outcome::Result::Done(Done {});
    let (answer, effects) = f.one_applied(revoke(2, 1, 1));
    assert_eq!(answer.result, Some(done.clone()));
    assert_eq!(
        effects,
        [user(1, 2, 1, user_event::Kind::SessionRevoked(token(1)))]
    );
    assert_eq!(
        f.machine
            .reader()
            .unwrap()
            .session(&token(1))
            .unwrap()
            .value,
        None
    );
    let (answer, effects) = f.one_applied(revoke(3, 1, 1));
    assert_eq!((answer.result, effects), (Some(done), vec![]));
}

/// Property: entries that are not for the state machine advance `applied` and nothing else; one of
/// a kind that nobody proposes stops the replica.
#[test]
fn other_kinds_only_advance() {
    let mut f = Fixture::with_people(&["Ann"]);
    let kinds = [EntryKind::Noop, EntryKind::Ready];
    for kind in kinds {
        let entry = f.log.push(kind, bytes::Bytes::from_static(b"opaque"));
        let applied = f.machine.apply(std::slice::from_ref(&entry)).unwrap();
        assert_eq!(
            (applied[0].outcomes.len(), applied[0].effects.len()),
            (0, 0)
        );
        let state = f.machine.applied();
        assert_eq!((state.slot, state.chain), (entry.slot, entry.chain));
        assert_eq!(state.timestamp, entry.timestamp);
    }
    let reserved = f
        .log
        .clone()
        .push(EntryKind::RegisterSession, bytes::Bytes::new());
    let error = f.machine.apply(&[reserved]).unwrap_err();
    assert!(matches!(error, Error::UnknownKind { .. }), "{error}");
    assert_eq!(f.apply(vec![]).outcomes, [], "an empty batch too");
    assert_eq!(f.machine.apply(&[]).unwrap(), []);
}
