//! Rooms that are not public: who knows of them, direct rooms, and what changes a room.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{Asker, Denied, HistoryRange, Reader, Related, Role, RoomId, Seq, UserId};
use proptest::prelude::*;
use proto::v1::{
    AddMember, ArchiveRoom, Command, CreateRoom, Effect, OpenDirectRoom, RefusalCode, RemoveMember,
    RenameRoom, RoomKind, SetRole, SetTopic, command::Body, effect, outcome, room_event,
    user_event,
};
use support::{
    Fixture, code, command, create_room, edit, join, leave, post, react, room_effects, user_effects,
};

const SECRET: &str = "sesame";

fn create_private(number: u64, author: u64, name: &str) -> Command {
    let body = CreateRoom {
        name: name.to_owned(),
        private: true,
    };
    command(number, author, Body::CreateRoom(body))
}

fn direct(number: u64, author: u64, people: &[u64]) -> Command {
    let people = people.to_vec();
    command(
        number,
        author,
        Body::OpenDirectRoom(OpenDirectRoom { people }),
    )
}

fn add(number: u64, author: u64, room: u64, user: u64) -> Command {
    command(number, author, Body::AddMember(AddMember { room, user }))
}

fn remove(number: u64, author: u64, room: u64, user: u64) -> Command {
    command(
        number,
        author,
        Body::RemoveMember(RemoveMember { room, user }),
    )
}

fn rename(number: u64, author: u64, room: u64, name: &str) -> Command {
    let name = name.to_owned();
    command(number, author, Body::RenameRoom(RenameRoom { room, name }))
}

fn topic(number: u64, author: u64, room: u64, topic: &str) -> Command {
    let topic = topic.to_owned();
    command(number, author, Body::SetTopic(SetTopic { room, topic }))
}

fn archive(number: u64, author: u64, room: u64, archived: bool) -> Command {
    command(
        number,
        author,
        Body::ArchiveRoom(ArchiveRoom { room, archived }),
    )
}

fn room_of(answer: &outcome::Result) -> u64 {
    match answer {
        outcome::Result::RoomChanged(changed) => changed.room,
        other => panic!("{other:?}"),
    }
}

/// Property: the same people have one direct room, whoever asks, in whatever order and how often;
/// others have others. Everybody in it is told, with who is in it.
#[test]
fn the_same_people_have_one_direct_room() {
    let mut f = Fixture::with_people(&["Ann", "Bob", "Cleo"]);
    let (opened, effects) = f.one_applied(direct(10, 1, &[2]));
    let pair = room_of(&opened.result.unwrap());
    let told: Vec<_> = user_effects(&effects)
        .into_iter()
        .map(|event| match event.kind.as_ref().unwrap() {
            user_event::Kind::Joined(joined) => (
                event.user,
                joined.kind(),
                joined.people.clone(),
                joined.name.clone(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    let of = |user| (user, RoomKind::Direct, vec![1, 2], "Ann, Bob".to_owned());
    assert_eq!(told, [of(1), of(2)]);
    for (number, author, people) in [(11, 2, &[1_u64][..]), (12, 1, &[1, 2, 2]), (13, 1, &[2])] {
        let (again, effects) = f.one_applied(direct(number, author, people));
        assert_eq!(room_of(&again.result.unwrap()), pair);
        assert_eq!(effects, []);
    }
    let group = room_of(&f.one(direct(14, 3, &[1, 2])));
    assert_ne!(group, pair);
    assert_eq!(room_of(&f.one(direct(15, 1, &[3, 2]))), group);
    // Also after somebody has another name.
    f.one(post(16, 1, pair, "hi"));
    for (number, people) in [(20, &[][..]), (21, &[1]), (22, &[2; 9])] {
        let refusal = f.refused(direct(number, 1, people));
        assert_eq!(code(&refusal), RefusalCode::BadRequest, "{people:?}");
    }
    assert_eq!(
        code(&f.refused(direct(23, 1, &[99]))),
        RefusalCode::NotFound
    );
    for wish in [
        leave(30, 1, pair),
        add(31, 1, pair, 3),
        remove(32, 1, pair, 2),
        rename(33, 1, pair, "x"),
        archive(34, 1, pair, true),
    ] {
        assert_eq!(code(&f.refused(wish)), RefusalCode::Forbidden);
    }
}

/// Property: each change of a room is an event of it, and is there in every read afterwards.
#[test]
fn changes_are_events() {
    let mut f = Fixture::with_people(&["Owner", "Ann", "Bob"]);
    f.one(create_room(10, 2, "lab"));
    let batch = vec![
        topic(11, 2, 2, " what we do "),
        rename(12, 2, 2, "labor"),
        add(13, 2, 2, 3),
        archive(14, 2, 2, true),
        archive(15, 2, 2, false),
        remove(16, 2, 2, 3),
    ];
    let before = f.machine.applied().slot;
    let applied = f.apply(batch);
    let kinds: Vec<_> = room_effects(&applied.effects)
        .into_iter()
        .map(|event| match event.kind.as_ref().unwrap() {
            room_event::Kind::Topic(topic) => format!("topic {}", topic.topic),
            room_event::Kind::Renamed(renamed) => format!("renamed {}", renamed.name),
            room_event::Kind::Added(added) => format!("{} added by {}", event.author, added.by),
            room_event::Kind::Archived(archived) => format!("archived {}", archived.archived),
            room_event::Kind::Removed(removed) => {
                format!("{} removed by {}", event.author, removed.by)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "topic what we do",
            "renamed labor",
            "3 added by 2",
            "archived true",
            "archived false",
            "3 removed by 2"
        ]
    );
    let mut reader = f.machine.reader().unwrap();
    assert_eq!(f.replayed_after(before), applied.effects, "word for word");
    let rooms = reader.rooms(UserId(3)).unwrap().value;
    let lab = rooms.iter().find(|room| room.room == 2).unwrap();
    assert_eq!(
        (&*lab.name, &*lab.topic, lab.joined),
        ("labor", "what we do", false)
    );
    // The old name is free, the new one is not.
    f.one(create_room(20, 3, "lab"));
    assert_eq!(
        code(&f.refused(create_room(21, 3, "LABOR"))),
        RefusalCode::NameTaken
    );
    assert_eq!(
        code(&f.refused(rename(22, 2, 2, "general"))),
        RefusalCode::NameTaken
    );
    assert_eq!(
        code(&f.refused(topic(23, 2, 2, &"x".repeat(251)))),
        RefusalCode::BadRequest
    );
}

/// Property: an archived room is read and left, and nothing else.
#[test]
fn an_archived_room_is_read_only() {
    let mut f = Fixture::with_people(&["Owner", "Ann", "Bob"]);
    f.one(create_room(10, 2, "lab"));
    f.one(post(11, 2, 2, "hi"));
    f.one(archive(12, 2, 2, true));
    for wish in [
        post(13, 2, 2, "again"),
        join(14, 3, 2),
        add(15, 2, 2, 3),
        rename(16, 2, 2, "x"),
        topic(17, 2, 2, "x"),
        edit(22, 2, 2, 3, "x"),
        react(23, 2, 2, 3, "👍"),
    ] {
        assert_eq!(code(&f.refused(wish)), RefusalCode::RoomArchived);
    }
    let mut reader = f.machine.reader().unwrap();
    let history = reader.history(Asker::User(UserId(2)), RoomId(2), HistoryRange::Newest, 9);
    assert_eq!(history.unwrap().value.unwrap().events.len(), 4);
    f.one(archive(18, 2, 2, false));
    f.one(post(19, 2, 2, "again"));
    f.one(leave(20, 2, 2));
    assert_eq!(
        code(&f.refused(archive(21, 1, 1, true))),
        RefusalCode::Forbidden
    );
}

/// Property: a room is managed by whoever made it and by moderators in it, not by other members.
#[test]
fn who_manages_a_room() {
    let mut f = Fixture::with_people(&["Owner", "Maker", "Member", "Mod"]);
    let role = Role::Moderator.to_wire().into();
    f.one(command(9, 1, Body::SetRole(SetRole { user: 4, role })));
    f.one(create_room(10, 2, "lab"));
    f.one(join(11, 3, 2));
    for wish in [
        rename(12, 3, 2, "x"),
        archive(13, 3, 2, true),
        remove(14, 3, 2, 2),
    ] {
        assert_eq!(code(&f.refused(wish)), RefusalCode::Forbidden);
    }
    // A moderator who is not in it.
    assert_eq!(
        code(&f.refused(rename(15, 4, 2, "x"))),
        RefusalCode::NotMember
    );
    f.one(join(16, 4, 2));
    f.one(rename(17, 4, 2, "x"));
    f.one(remove(18, 4, 2, 3));
    f.one(topic(19, 2, 2, "by the maker"));
    assert_eq!(code(&f.refused(remove(20, 4, 2, 3))), RefusalCode::NotFound);
}

/// Everything that a person can be told of a room.
fn seen(reader: &mut Reader, user: UserId, room: RoomId) -> Vec<String> {
    let asker = Asker::User(user);
    let mut seen = Vec::new();
    if reader.members(asker, room).unwrap().value != Err(Denied::NoSuchRoom) {
        seen.push("members".to_owned());
    }
    for range in [
        HistoryRange::Newest,
        HistoryRange::Before(Seq(9)),
        HistoryRange::After(Seq(0)),
    ] {
        let history = reader.history(asker, room, range, 9).unwrap().value;
        if !matches!(history, Err(Denied::NoSuchRoom)) {
            seen.push(format!("{range:?}"));
        }
    }
    for which in [
        Related::Pinned,
        Related::Replies(Seq(2), Seq(0)),
        Related::Versions(Seq(2), Seq(0)),
    ] {
        let related = reader.related(asker, room, which, 9).unwrap().value;
        if !matches!(related, Err(Denied::NoSuchRoom)) {
            seen.push(format!("{which:?}"));
        }
    }
    let listed = reader.rooms(user).unwrap().value;
    seen.extend(
        listed
            .iter()
            .filter(|one| one.room == room.0)
            .map(|one| one.name.clone()),
    );
    let own = reader.user_state(user).unwrap().value.unwrap().rooms;
    seen.extend(
        own.iter()
            .filter(|one| one.room == room.0)
            .map(|one| one.name.clone()),
    );
    seen
}

/// A step of the random life of a private room: who does what to whom.
fn any_step() -> impl Strategy<Value = (u8, u64, u64)> {
    (0..9_u8, 1..5_u64, 1..5_u64)
}

fn step_of(number: u64, room: u64, (what, author, user): (u8, u64, u64)) -> Command {
    match what {
        0 | 1 => add(number, author, room, user),
        2 => remove(number, author, room, user),
        3 => leave(number, author, room),
        4 => rename(number, author, room, SECRET),
        5 => topic(number, author, room, SECRET),
        6 => archive(number, author, room, user % 2 == 0),
        7 => join(number, author, room),
        _ => post(number, author, room, SECRET),
    }
}

/// Whom the effects of the room concern: those who are, or were until now, in it.
fn told(effects: &[Effect], room: u64) -> Vec<u64> {
    let mut told = Vec::new();
    for effect in effects {
        if let Some(effect::Kind::User(event)) = &effect.kind {
            match event.kind.as_ref().unwrap() {
                user_event::Kind::Joined(joined) if joined.room == room => told.push(event.user),
                user_event::Kind::Left(left) if *left == room => told.push(event.user),
                _ => {}
            }
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Property: whatever happened, whoever is not in a private room is told the same of it as of a
    /// number that no room has, by every read and by the refusal of every command; and nothing of
    /// it is addressed to anybody but those who came or went.
    #[test]
    fn who_is_not_in_it_does_not_know_of_it(steps in prop::collection::vec(any_step(), 0..24)) {
        let mut f = Fixture::with_people(&["Owner", "Ann", "Bob", "Cleo"]);
        let room = room_of(&f.one(create_private(100, 2, SECRET)));
        let mut inside = std::collections::BTreeSet::from([2]);
        for (index, step) in steps.into_iter().enumerate() {
            let (_, author, _) = step;
            let (done, effects) = f.one_applied(step_of(200 + index as u64, room, step));
            let told = told(&effects, room);
            let refused = matches!(done.result, Some(outcome::Result::Refusal(_)));
            prop_assert!(refused || inside.contains(&author), "{step:?} by an outsider");
            prop_assert!(!refused || effects.is_empty());
            for user in told {
                prop_assert!(inside.remove(&user) || inside.insert(user));
            }
        }
        let nowhere = RoomId(4711);
        for user in (1..5_u64).filter(|user| !inside.contains(user)) {
            let mut reader = f.machine.reader().unwrap();
            prop_assert_eq!(seen(&mut reader, UserId(user), RoomId(room)), Vec::<String>::new());
            for what in 0..9 {
                let number = 1000 + user * 100 + u64::from(what);
                let real = f.refused(step_of(number, room, (what, user, 1)));
                let unreal = f.refused(step_of(number + 5000, nowhere.0, (what, user, 1)));
                prop_assert_eq!(real, unreal);
            }
            // Not even the name: it is free for another room.
            let free = f.one(create_private(2000 + user, user, SECRET));
            room_of(&free);
        }
        let public = f.one(create_room(3000, 1, SECRET));
        room_of(&public);
    }
}
