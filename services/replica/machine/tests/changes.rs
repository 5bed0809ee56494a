//! What becomes of messages: edits, deletion, reactions, pins, answers, mentions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{Asker, HistoryRange, Related, RoomId, Seq, UserId};
use paxos::ids::Slot;
use proto::v1::{Effect, MessageEvent, RefusalCode, RoomEvent, room_event::Kind, user_event};
use support::{
    Fixture, code, create_room, delete, edit, join, leave, mark_read, pin, post, react, reply,
    room_effects, unpin, unreact, user_effects,
};

const GENERAL: u64 = 1;

/// Ann and Bob in `general`, with one message of Ann's: its `seq`.
fn with_message(body: &str) -> (Fixture, u64) {
    let mut fixture = Fixture::with_people(&["Ann", "Bob"]);
    let seq = posted(&mut fixture, 1, body, 0);
    (fixture, seq)
}

fn posted(fixture: &mut Fixture, author: u64, body: &str, reply_to: u64) -> u64 {
    let cid = fixture.fresh_cid();
    let (_, effects) = fixture.one_applied(reply(cid, author, GENERAL, body, reply_to));
    room_effects(&effects)[0].seq
}

/// The one event that the command makes.
fn event(fixture: &mut Fixture, command: proto::v1::Command) -> RoomEvent {
    let (_, effects) = fixture.one_applied(command);
    assert_eq!(effects.len(), 1);
    room_effects(&effects)[0].clone()
}

/// Nothing happens.
fn nothing(fixture: &mut Fixture, command: proto::v1::Command) {
    let (outcome, effects) = fixture.one_applied(command);
    assert_eq!(effects, Vec::<Effect>::new());
    assert!(matches!(
        outcome.result,
        Some(proto::v1::outcome::Result::RoomChanged(_))
    ));
}

fn message(fixture: &Fixture, seq: u64) -> MessageEvent {
    let mut reader = fixture.machine.reader().unwrap();
    let range = HistoryRange::After(Seq(seq - 1));
    let page = reader.history(Asker::Gateway, RoomId(GENERAL), range, 1);
    match page.unwrap().value.unwrap().events.remove(0).kind {
        Some(Kind::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn related(fixture: &Fixture, which: Related, limit: usize) -> (Vec<RoomEvent>, bool) {
    let mut reader = fixture.machine.reader().unwrap();
    let asker = Asker::User(UserId(1));
    let view = reader.related(asker, RoomId(GENERAL), which, limit);
    let found = view.unwrap().value.unwrap().unwrap();
    (found.events, found.more)
}

/// Property: an edit is an event with a `seq` of its own; whoever reads the message from then on
/// gets the newest text and up to which event that is; the old texts stay readable as versions.
#[test]
fn an_edit_changes_the_text_and_keeps_the_history() {
    let (mut fixture, seq) = with_message("hi");
    let first = event(&mut fixture, edit(1, 1, GENERAL, seq, "hello"));
    assert_eq!(first.seq, seq + 1);
    let Some(Kind::Edited(edited)) = &first.kind else {
        panic!("{first:?}")
    };
    assert_eq!((edited.target, edited.body.as_str()), (seq, "hello"));
    let second = event(&mut fixture, edit(2, 1, GENERAL, seq, "good morning"));
    nothing(&mut fixture, edit(3, 1, GENERAL, seq, "good morning"));
    let now = message(&fixture, seq);
    assert_eq!(now.body, "good morning");
    let state = now.state.unwrap();
    assert_eq!((state.rev, state.edited_seq), (second.seq, second.seq));
    assert_eq!(state.edited_ms, second.timestamp_ms);
    let (versions, more) = related(&fixture, Related::Versions(Seq(seq), Seq(0)), 9);
    let texts: Vec<&str> = versions
        .iter()
        .map(|event| match &event.kind {
            Some(Kind::Message(message)) => message.body.as_str(),
            Some(Kind::Edited(edited)) => edited.body.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((texts, more), (vec!["hi", "hello", "good morning"], false));
}

/// Property: who may change what; what is not there is not found; what says nothing is refused.
#[test]
fn changes_have_their_rules() {
    let (mut fixture, seq) = with_message("hi");
    let mut refused = |command| code(&fixture.refused(command));
    let missing = [0, 1, seq + 1, u64::MAX];
    for (number, wrong) in (10..).zip(missing) {
        let found = refused(edit(number, 1, GENERAL, wrong, "x"));
        assert_eq!(found, RefusalCode::NotFound, "{wrong}");
    }
    assert_eq!(
        refused(edit(1, 2, GENERAL, seq, "x")),
        RefusalCode::Forbidden
    );
    assert_eq!(refused(delete(2, 2, GENERAL, seq)), RefusalCode::Forbidden);
    assert_eq!(
        refused(edit(3, 1, GENERAL, seq, " ")),
        RefusalCode::BadRequest
    );
    let huge = "x".repeat(16 * 1024 + 1);
    assert_eq!(
        refused(edit(4, 1, GENERAL, seq, &huge)),
        RefusalCode::BadRequest
    );
    for (number, emoji) in (20..).zip(["", "ok", "1", " 👍", "a👍", &"👍".repeat(17)]) {
        let found = refused(react(number, 1, GENERAL, seq, emoji));
        assert_eq!(found, RefusalCode::BadRequest, "{emoji:?}");
    }
    fixture.fresh(|cid| leave(cid, 2, GENERAL));
    let mut refused = |command| code(&fixture.refused(command));
    assert_eq!(
        refused(react(5, 2, GENERAL, seq, "👍")),
        RefusalCode::NotMember
    );
    assert_eq!(refused(pin(6, 2, GENERAL, seq)), RefusalCode::NotMember);
    assert_eq!(
        refused(mark_read(7, 2, GENERAL, seq)),
        RefusalCode::NotMember
    );
    fixture.fresh(|cid| delete(cid, 1, GENERAL, seq));
    let mut refused = |command| code(&fixture.refused(command));
    assert_eq!(
        refused(edit(8, 1, GENERAL, seq, "x")),
        RefusalCode::NotFound
    );
    assert_eq!(
        refused(react(9, 1, GENERAL, seq, "👍")),
        RefusalCode::NotFound
    );
    nothing(&mut fixture, delete(40, 1, GENERAL, seq));
}

/// Property: of a deleted message no read gives the text any more, nor that of its edits: not
/// history, not versions, not the log's own effects, not the file itself. Its place stays, and so
/// do its answers.
#[test]
fn a_deleted_text_is_gone_from_every_read() {
    let (mut fixture, seq) = with_message("first secret @Bob");
    fixture.fresh(|cid| edit(cid, 1, GENERAL, seq, "second secret @room"));
    fixture.fresh(|cid| react(cid, 2, GENERAL, seq, "👍"));
    fixture.fresh(|cid| pin(cid, 2, GENERAL, seq));
    let answer = posted(&mut fixture, 2, "re", seq);
    let deleted = event(&mut fixture, delete(1, 1, GENERAL, seq));
    let now = message(&fixture, seq);
    assert!(now.deleted && now.body.is_empty() && now.mentions.is_empty());
    let state = now.state.unwrap();
    assert_eq!((state.rev, state.replies), (deleted.seq, 1));
    assert_eq!((state.pinned_seq, state.edited_seq), (0, 0));
    assert!(state.reactions.is_empty());
    assert_eq!(related(&fixture, Related::Pinned, 9).0, []);
    let (answers, _) = related(&fixture, Related::Replies(Seq(seq), Seq(0)), 9);
    assert_eq!(answers[0].seq, answer);

    let mut reader = fixture.machine.reader().unwrap();
    let page = reader.history(Asker::Gateway, RoomId(GENERAL), HistoryRange::Newest, 99);
    let versions = related(&fixture, Related::Versions(Seq(seq), Seq(0)), 9);
    let effects = reader
        .effects_between(Slot(0), Slot(u64::MAX), 999)
        .unwrap();
    let everything = format!("{page:?} {versions:?} {effects:?}");
    assert!(!everything.contains("secret"), "{everything}");
    let stored: i64 = rusqlite::Connection::open(fixture.path())
        .unwrap()
        .query_row(
            "SELECT count(*) FROM events WHERE body LIKE '%secret%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(stored, 0);
    reader.check().unwrap();
}

/// Property: one reaction per person and emoji; each change of them is one event, the same again
/// is none; a reader of history gets all of them in the order in which they came.
#[test]
fn reactions_are_one_per_person_and_emoji() {
    let (mut fixture, seq) = with_message("hi");
    let first = event(&mut fixture, react(1, 2, GENERAL, seq, "👍"));
    assert!(matches!(&first.kind, Some(Kind::ReactionAdded(added)) if added.emoji == "👍"));
    nothing(&mut fixture, react(2, 2, GENERAL, seq, "👍"));
    event(&mut fixture, react(3, 1, GENERAL, seq, "❤️"));
    event(&mut fixture, react(4, 1, GENERAL, seq, "👍"));
    let reactions = message(&fixture, seq).state.unwrap().reactions;
    let found: Vec<(&str, Vec<&str>)> = reactions
        .iter()
        .map(|reaction| {
            let names = reaction.people.iter().map(|person| person.name.as_str());
            (reaction.emoji.as_str(), names.collect())
        })
        .collect();
    assert_eq!(found, [("👍", vec!["Bob", "Ann"]), ("❤️", vec!["Ann"])]);
    nothing(&mut fixture, unreact(5, 2, GENERAL, seq, "❤️"));
    let last = event(&mut fixture, unreact(6, 2, GENERAL, seq, "👍"));
    let state = message(&fixture, seq).state.unwrap();
    assert_eq!(state.rev, last.seq);
    assert_eq!(state.reactions[0].people.len(), 1);
}

/// Property: a message takes a bounded number of reactions, a room of pins.
#[test]
fn reactions_and_pins_are_bounded() {
    let (mut fixture, seq) = with_message("hi");
    let emoji = |number: u32| char::from_u32(0x1_f300 + number).unwrap().to_string();
    for number in 0..machine::limits::REACTIONS_PER_MESSAGE_MAX as u32 {
        event(
            &mut fixture,
            react(1000 + u64::from(number), 1, GENERAL, seq, &emoji(number)),
        );
    }
    let refused = fixture.refused(react(1, 2, GENERAL, seq, "👍"));
    assert_eq!(code(&refused), RefusalCode::BadRequest);
    for number in 0..machine::limits::PINS_PER_ROOM_MAX {
        let seq = posted(&mut fixture, 1, "pin me", 0);
        event(&mut fixture, pin(5000 + number, 1, GENERAL, seq));
    }
    let refused = fixture.refused(pin(2, 1, GENERAL, seq));
    assert_eq!(code(&refused), RefusalCode::BadRequest);
}

/// Property: pins are listed, the latest first, as the messages are now.
#[test]
fn pins_are_listed() {
    let (mut fixture, one) = with_message("one");
    let two = posted(&mut fixture, 2, "two", 0);
    event(&mut fixture, pin(1, 2, GENERAL, two));
    event(&mut fixture, pin(2, 2, GENERAL, one));
    nothing(&mut fixture, pin(3, 1, GENERAL, one));
    fixture.fresh(|cid| edit(cid, 2, GENERAL, two, "zwei"));
    let bodies = |fixture: &Fixture| -> Vec<String> {
        let (events, _) = related(fixture, Related::Pinned, 9);
        let body = |event: RoomEvent| match event.kind {
            Some(Kind::Message(message)) => message.body,
            other => panic!("{other:?}"),
        };
        events.into_iter().map(body).collect()
    };
    assert_eq!(bodies(&fixture), ["one", "zwei"]);
    event(&mut fixture, unpin(4, 1, GENERAL, one));
    nothing(&mut fixture, unpin(5, 1, GENERAL, one));
    assert_eq!(bodies(&fixture), ["zwei"]);
}

/// Property: the answers to a message come in pages, each once; the message says how many there
/// are, and whoever is not in the room reads none.
#[test]
fn answers_make_a_thread() {
    let (mut fixture, root) = with_message("question");
    let answers: Vec<u64> = (0..5)
        .map(|_| posted(&mut fixture, 2, "re", root))
        .collect();
    posted(&mut fixture, 2, "elsewhere", 0);
    let state = message(&fixture, root).state.unwrap();
    assert_eq!((state.replies, state.rev), (5, answers[4]));
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let (events, more) = related(&fixture, Related::Replies(Seq(root), Seq(after)), 2);
        after = events.last().unwrap().seq;
        found.extend(events.iter().map(|event| event.seq));
        if !more {
            break;
        }
    }
    assert_eq!(found, answers);
    let mut reader = fixture.machine.reader().unwrap();
    let none = reader.related(
        Asker::Gateway,
        RoomId(1),
        Related::Replies(Seq(1), Seq(0)),
        9,
    );
    assert_eq!(
        none.unwrap().value,
        Ok(None),
        "the room's creation is no message"
    );
    fixture.fresh(|cid| leave(cid, 2, GENERAL));
    let asker = Asker::User(UserId(2));
    let denied = reader.related(asker, RoomId(1), Related::Pinned, 9);
    assert!(denied.unwrap().value.is_err());
}

/// Property: whom a text mentions comes with the message, follows its edits, and does not include
/// its author, or anybody who had no account yet.
#[test]
fn mentions_follow_the_text() {
    let (mut fixture, seq) = with_message("@bob, @Ann, a@Bob.org @Eve");
    assert_eq!(message(&fixture, seq).mentions, [2]);
    fixture.fresh(|cid| support::sign_up(cid, "Eve", cid));
    fixture.fresh(|cid| edit(cid, 1, GENERAL, seq, "(@eve) @ROOM!"));
    assert_eq!(message(&fixture, seq).mentions, [0, 3]);
    fixture.fresh(|cid| edit(cid, 1, GENERAL, seq, "nobody"));
    assert_eq!(message(&fixture, seq).mentions, Vec::<u64>::new());
}

/// Property: a marker moves forward only, is told in the person's own stream, begins where the
/// person came in, and goes with the person.
#[test]
fn markers_merge_by_max() {
    let (mut fixture, seq) = with_message("hi @Bob");
    let bob = |fixture: &Fixture, room: usize| {
        let mut reader = fixture.machine.reader().unwrap();
        let room = reader.user_state(UserId(2)).unwrap().value.unwrap().rooms[room].clone();
        (room.read_seq, room.unread, room.mentions)
    };
    assert_eq!(
        bob(&fixture, 0),
        (seq - 1, 1, 1),
        "what came after the join"
    );
    let (_, effects) = fixture.one_applied(mark_read(1, 2, GENERAL, 999));
    let told = user_effects(&effects)[0];
    assert!(matches!(&told.kind, Some(user_event::Kind::Read(marker))
        if (marker.room, marker.seq) == (GENERAL, seq)));
    assert_eq!((told.user, effects.len()), (2, 1));
    assert_eq!(bob(&fixture, 0), (seq, 0, 0));
    nothing(&mut fixture, mark_read(2, 2, GENERAL, seq - 1));
    nothing(&mut fixture, mark_read(3, 2, GENERAL, seq));
    assert_eq!(bob(&fixture, 0), (seq, 0, 0));

    fixture.fresh(|cid| create_room(cid, 1, "lab"));
    fixture.fresh(|cid| post(cid, 1, 2, "before Bob"));
    fixture.fresh(|cid| join(cid, 2, 2));
    assert_eq!(bob(&fixture, 1), (4, 0, 0));
    fixture.fresh(|cid| leave(cid, 2, 2));
    fixture.fresh(|cid| post(cid, 1, 2, "without Bob"));
    fixture.fresh(|cid| join(cid, 2, 2));
    assert_eq!(bob(&fixture, 1), (7, 0, 0));
    let cluster = fixture.refused(mark_read(4, 2, RoomId::CLUSTER.0, 1));
    assert_eq!(
        code(&cluster),
        RefusalCode::NotFound,
        "before its first line"
    );
}

/// Property: what is counted is bounded, and says so.
#[test]
fn counting_is_bounded() {
    let (mut fixture, seq) = with_message("hi");
    for _ in 0..150 {
        posted(&mut fixture, 1, "more", 0);
    }
    let room = |fixture: &Fixture| {
        let mut reader = fixture.machine.reader().unwrap();
        reader.user_state(UserId(2)).unwrap().value.unwrap().rooms[0].clone()
    };
    let found = room(&fixture);
    assert_eq!((found.unread, found.unread_more), (100, true));
    let commands = (0..1100).map(|number| {
        let emoji = ["👍", "👎"][number as usize / 2 % 2];
        if number % 2 == 0 {
            react(9_000 + number, 1, GENERAL, seq, emoji)
        } else {
            unreact(9_000 + number, 1, GENERAL, seq, emoji)
        }
    });
    fixture.fresh(|cid| mark_read(cid, 2, GENERAL, u64::MAX));
    fixture.apply(commands.collect());
    posted(&mut fixture, 1, "behind them", 0);
    let found = room(&fixture);
    assert_eq!((found.unread, found.unread_more), (0, true));
}
