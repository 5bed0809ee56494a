//! What people wish of rooms, and what moderators take away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{Asker, HistoryRange, Role, RoomId, UserId};
use paxos::entry::EntryKind;
use prost::Message as _;
use proto::v1::{
    Batch, Command, JoinedRoom, MessageEvent, NotificationLevel, RefusalCode, RoomWishes, SetRole,
    SetRoomWishes, TakeAwayMessage, command::Body, room_event, user_event,
};
use support::{
    Fixture, Log, code, command, create_room, delete, elected, join, leave, post, react,
    room_effects, user_effects,
};

const GENERAL: u64 = 1;

fn wish(number: u64, author: u64, room: u64, level: NotificationLevel, favourite: bool) -> Command {
    let body = SetRoomWishes {
        room,
        level: level.into(),
        favourite,
    };
    command(number, author, Body::SetRoomWishes(body))
}

fn take_away(number: u64, author: u64, room: u64, seq: u64) -> Command {
    let body = TakeAwayMessage { room, seq };
    command(number, author, Body::TakeAwayMessage(body))
}

fn joined(fixture: &Fixture, user: u64, room: u64) -> Option<JoinedRoom> {
    let mut reader = fixture.machine.reader().unwrap();
    let state = reader.user_state(UserId(user)).unwrap().value.unwrap();
    state.rooms.into_iter().find(|found| found.room == room)
}

fn wishes(fixture: &Fixture, user: u64, room: u64) -> (NotificationLevel, bool) {
    let joined = joined(fixture, user, room).unwrap();
    (joined.level(), joined.favourite)
}

const DEFAULT: (NotificationLevel, bool) = (NotificationLevel::Unspecified, false);
const ALL: NotificationLevel = NotificationLevel::All;
const NOTHING: NotificationLevel = NotificationLevel::Nothing;

/// Property: a wish is its author's alone, is told on the own stream once, and is gone with the
/// room.
#[test]
fn wishes_are_personal() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    assert_eq!(wishes(&f, 1, GENERAL), DEFAULT);
    let (_, effects) = f.one_applied(wish(1, 1, GENERAL, NOTHING, true));
    let told = user_event::Kind::Wishes(RoomWishes {
        room: GENERAL,
        level: NOTHING.into(),
        favourite: true,
    });
    let events = user_effects(&effects);
    assert_eq!((events.len(), events[0].user), (1, 1));
    assert_eq!(events[0].kind, Some(told));
    assert_eq!(room_effects(&effects).len(), 0);
    assert_eq!(wishes(&f, 1, GENERAL), (NOTHING, true));
    assert_eq!(wishes(&f, 2, GENERAL), DEFAULT);
    let (_, again) = f.one_applied(wish(2, 1, GENERAL, NOTHING, true));
    assert_eq!(again, [], "the same again is no event");
    f.one(leave(3, 1, GENERAL));
    assert!(joined(&f, 1, GENERAL).is_none());
    f.one(join(4, 1, GENERAL));
    assert_eq!(wishes(&f, 1, GENERAL), DEFAULT);
}

/// Property: what cannot be wished is refused; the room of the cluster has wishes like any other.
#[test]
fn wishes_have_their_rules() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(create_room(1, 1, "lab"));
    let mut refused = |command| code(&f.refused(command));
    assert_eq!(refused(wish(2, 2, 2, ALL, true)), RefusalCode::NotMember);
    assert_eq!(refused(wish(3, 2, 9, ALL, true)), RefusalCode::NotFound);
    assert_eq!(
        refused(wish(4, 0, 1, ALL, true)),
        RefusalCode::Unauthenticated
    );
    let unknown = SetRoomWishes {
        room: GENERAL,
        level: 3,
        favourite: false,
    };
    let unknown = command(5, 1, Body::SetRoomWishes(unknown));
    assert_eq!(refused(unknown), RefusalCode::BadRequest);
    f.apply(vec![elected(1, 1)]);
    f.one(wish(6, 2, RoomId::CLUSTER.0, NOTHING, false));
    assert_eq!(wishes(&f, 2, RoomId::CLUSTER.0), (NOTHING, false));
}

/// Property: what a replay of the log says of wishes is what was said when they took effect.
#[test]
fn wishes_are_replayed() {
    let mut f = Fixture::with_people(&["Ann"]);
    let before = f.machine.applied().slot;
    let mut emitted = Vec::new();
    for (number, level, favourite) in [(1, ALL, false), (2, NOTHING, true), (3, DEFAULT.0, true)] {
        emitted.extend(f.one_applied(wish(number, 1, GENERAL, level, favourite)).1);
    }
    assert_eq!(f.replayed_after(before), emitted);
}

fn message(fixture: &Fixture, seq: u64) -> MessageEvent {
    let mut reader = fixture.machine.reader().unwrap();
    let range = HistoryRange::After(machine::Seq(seq - 1));
    let page = reader.history(Asker::Gateway, RoomId(GENERAL), range, 1);
    match page.unwrap().value.unwrap().events.remove(0).kind {
        Some(room_event::Kind::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// Property: a moderator makes a tombstone of another one's message, whose reactions and text are
/// gone as when its author deletes it; history tells who did it, and of a deletion by the author it
/// tells nobody.
#[test]
fn moderators_take_messages_away() {
    let mut f = Fixture::with_people(&["Owner", "Mod", "Ann"]);
    let role = Role::Moderator.to_wire().into();
    f.one(command(1, 1, Body::SetRole(SetRole { user: 2, role })));
    let post_of = |f: &mut Fixture, number, author| {
        let (_, effects) = f.one_applied(post(number, author, GENERAL, "rude"));
        room_effects(&effects)[0].seq
    };
    let of_ann = post_of(&mut f, 2, 3);
    let of_mod = post_of(&mut f, 3, 2);
    f.one(react(4, 1, GENERAL, of_ann, "👍"));
    for (number, author, seq, wanted) in [
        (5, 3, of_mod, RefusalCode::Forbidden),
        (6, 3, of_ann, RefusalCode::BadRequest),
        (7, 2, of_mod, RefusalCode::BadRequest),
        (8, 2, 999, RefusalCode::NotFound),
    ] {
        let refusal = f.refused(take_away(number, author, GENERAL, seq));
        assert_eq!(code(&refusal), wanted, "{author} {seq}");
    }
    let (_, effects) = f.one_applied(take_away(9, 2, GENERAL, of_ann));
    let events = room_effects(&effects);
    assert_eq!((events.len(), events[0].author), (1, 2));
    assert!(matches!(&events[0].kind, Some(room_event::Kind::Deleted(d)) if d.target == of_ann));
    let gone = message(&f, of_ann);
    assert!(gone.deleted && gone.body.is_empty());
    let state = gone.state.unwrap();
    assert_eq!((state.taken_away_by, state.reactions.len()), (2, 0));
    let (_, again) = f.one_applied(take_away(10, 1, GENERAL, of_ann));
    assert_eq!(again, [], "it is gone already");
    f.one(delete(11, 2, GENERAL, of_mod));
    assert_eq!(message(&f, of_mod).state.unwrap().taken_away_by, 0);
}

/// Property: a batch of an older version does not know these commands: what was not there when it was
/// proposed means nothing.
#[test]
fn older_batches_know_no_wishes() {
    for version in [1, 5, 6] {
        let mut log = Log::new();
        let commands = vec![wish(1, 1, GENERAL, ALL, true)];
        let batch = Batch { version, commands };
        log.push(EntryKind::Batch, batch.encode_to_vec().into());
        let mut f = Fixture::new();
        assert!(f.machine.apply(&log.entries).is_err(), "{version}");
    }
}
