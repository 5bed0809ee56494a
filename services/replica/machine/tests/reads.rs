//! What readers see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{Asker, Denied, HistoryRange, Reader, RoomId, Seq, UserId, limits};
use paxos::ids::Slot;
use proto::v1::{JoinedRoom, Member, RoomKind, RoomSummary};
use support::{Fixture, create_room, join, leave, post, revoke, sign_up, token};

const LAB: RoomId = RoomId(2);
const ANN: Asker = Asker::User(UserId(1));
const BOB: Asker = Asker::User(UserId(2));

/// Ann and Bob in `general`, Ann alone in `Lab` with `messages` messages.
fn fixture(messages: u64) -> (Fixture, Reader) {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(create_room(1, 1, "Lab"));
    f.apply(
        (0..messages)
            .map(|n| post(100 + n, 1, 2, &format!("message {n}")))
            .collect(),
    );
    let reader = f.machine.reader().unwrap();
    (f, reader)
}

/// Property: a session is found by its token's hash until it is revoked, and says whose it is.
#[test]
fn sessions() {
    let mut f = Fixture::new();
    f.one(sign_up(1, "Zoë", 5));
    let mut reader = f.machine.reader().unwrap();
    let view = reader.session(&token(5)).unwrap();
    assert_eq!(view.applied, f.machine.applied().slot);
    let found = view.value.unwrap();
    assert_eq!((found.user, found.name.as_str()), (UserId(1), "Zoë"));
    assert_eq!(reader.session(&token(6)).unwrap().value, None);
    assert_eq!(reader.session(b"short").unwrap().value, None);
    f.one(revoke(2, 1, 5));
    assert_eq!(reader.session(&token(5)).unwrap().value, None);
}

/// Property: a person's state has the rooms with their heads and members as of one slot.
#[test]
fn user_states() {
    let (mut f, mut reader) = fixture(3);
    f.one(join(2, 2, 2));
    f.one(leave(3, 2, 1));
    let view = reader.user_state(UserId(2)).unwrap();
    assert_eq!(view.applied, f.machine.applied().slot);
    let state = view.value.unwrap();
    assert_eq!((state.name.as_str(), state.useq), ("Bob", 3));
    let lab = JoinedRoom {
        room: 2,
        name: "Lab".to_owned(),
        head: 6,
        members: 2,
        read_seq: 6,
        kind: RoomKind::Public.into(),
        ..JoinedRoom::default()
    };
    let cluster = JoinedRoom {
        room: u64::from(u32::MAX),
        name: "cluster".to_owned(),
        head: 0,
        members: 2,
        system: true,
        kind: RoomKind::Public.into(),
        ..JoinedRoom::default()
    };
    assert_eq!(state.rooms, [lab, cluster]);
    assert_eq!(reader.user_state(UserId(3)).unwrap().value, None);
    assert_eq!(reader.user_state(UserId(u64::MAX)).unwrap().value, None);
}

/// Property: the list of rooms is by name without regard to case and marks the own ones.
#[test]
fn room_lists() {
    let (mut f, mut reader) = fixture(1);
    f.one(create_room(2, 1, "alpha"));
    let summary = |room, name: &str, members, joined, head| RoomSummary {
        room,
        name: name.to_owned(),
        members,
        joined,
        head,
        kind: RoomKind::Public.into(),
        ..RoomSummary::default()
    };
    let found = reader.rooms(UserId(2)).unwrap().value;
    let expected = [
        summary(3, "alpha", 1, false, 2),
        summary(1, "general", 2, true, 3),
        summary(2, "Lab", 1, false, 3),
    ];
    assert_eq!(found, expected);
}

/// Property: what is in a room is for its members and the gateway, and the answer tells a
/// missing room from a closed one.
#[test]
fn rooms_are_for_members() {
    let (_f, mut reader) = fixture(1);
    let member = |user, name: &str| Member {
        user,
        name: name.to_owned(),
    };
    let found = reader.members(BOB, RoomId::GENERAL).unwrap().value;
    assert_eq!(found, Ok(vec![member(1, "Ann"), member(2, "Bob")]));
    for (asker, room, expected) in [
        (BOB, LAB, Some(Denied::NotMember)),
        (Asker::User(UserId(99)), LAB, Some(Denied::NoSuchRoom)),
        (ANN, LAB, None),
        (Asker::Gateway, LAB, None),
        (Asker::from_wire(0), LAB, None),
        (ANN, RoomId(9), Some(Denied::NoSuchRoom)),
        (Asker::Gateway, RoomId(u64::MAX), Some(Denied::NoSuchRoom)),
    ] {
        let members = reader.members(asker, room).unwrap().value;
        assert_eq!(members.err(), expected, "{asker:?} {room}");
        let history = reader
            .history(asker, room, HistoryRange::Newest, 10)
            .unwrap()
            .value;
        assert_eq!(history.err(), expected, "{asker:?} {room}");
    }
}

/// Property: a page is next to the bound that was given, in ascending order, and no longer than
/// asked for or allowed.
#[test]
fn history_pages() {
    let (f, mut reader) = fixture(600);
    let mut seqs = |range, limit| {
        let view = reader.history(ANN, LAB, range, limit).unwrap();
        assert_eq!(view.applied, f.machine.applied().slot);
        let history = view.value.unwrap();
        assert_eq!(history.head, Seq(602));
        history
            .events
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(HistoryRange::Newest, 3), [600, 601, 602]);
    assert_eq!(seqs(HistoryRange::Before(Seq(10)), 3), [7, 8, 9]);
    assert_eq!(seqs(HistoryRange::Before(Seq(2)), 3), [1]);
    assert_eq!(seqs(HistoryRange::Before(Seq(u64::MAX)), 1), [602]);
    assert_eq!(seqs(HistoryRange::After(Seq(0)), 2), [1, 2]);
    assert_eq!(seqs(HistoryRange::After(Seq(600)), 9), [601, 602]);
    assert_eq!(seqs(HistoryRange::After(Seq(u64::MAX)), 9), [0; 0]);
    assert_eq!(seqs(HistoryRange::Before(Seq(0)), 9), [0; 0]);
    assert_eq!(seqs(HistoryRange::Newest, 0), [0; 0]);
    assert_eq!(
        seqs(HistoryRange::Newest, 9999).len(),
        limits::HISTORY_EVENTS_MAX
    );
}

/// Property: pages of large messages end before they exceed a gRPC message, without a hole.
#[test]
fn pages_are_bounded_in_bytes() {
    let (mut f, mut reader) = fixture(0);
    let large = "x".repeat(limits::MESSAGE_BYTES_MAX);
    for n in 0..30 {
        f.apply(
            (0..10)
                .map(|m| post(100 + n * 10 + m, 1, 2, &large))
                .collect(),
        );
    }
    let events_max = limits::PAGE_BYTES_MAX / limits::MESSAGE_BYTES_MAX;
    let newest = reader
        .history(ANN, LAB, HistoryRange::Newest, 500)
        .unwrap()
        .value
        .unwrap();
    assert_eq!(newest.events.last().unwrap().seq, 302);
    assert!(newest.events.len() <= events_max, "{}", newest.events.len());
    assert!(
        newest
            .events
            .windows(2)
            .all(|pair| pair[1].seq == pair[0].seq + 1)
    );
    let oldest = reader
        .history(ANN, LAB, HistoryRange::After(Seq(0)), 500)
        .unwrap();
    assert_eq!(oldest.value.unwrap().events[0].seq, 1);

    let page = reader
        .effects_between(Slot::GENESIS, Slot(u64::MAX), usize::MAX)
        .unwrap()
        .value;
    let effects: usize = page.slots.iter().map(|(_, effects)| effects.len()).sum();
    assert!(
        (events_max..events_max + 20).contains(&effects),
        "{effects}"
    );
    assert!(page.upto < f.machine.applied().slot);
    assert_eq!(page.upto, page.slots.last().unwrap().0);
}

/// Property: an empty range of slots is answered, also by a replica that is behind the caller.
#[test]
fn empty_ranges_of_effects() {
    let (f, mut reader) = fixture(1);
    let applied = f.machine.applied().slot;
    for (after, upto) in [
        (applied, applied),
        (applied, Slot(u64::MAX)),
        (applied.next(), applied),
        (applied, Slot(5)),
    ] {
        let page = reader.effects_between(after, upto, 10).unwrap().value;
        assert_eq!((page.slots, page.upto), (vec![], after));
    }
    let first = reader
        .effects_between(Slot::GENESIS, Slot::FIRST, 1)
        .unwrap()
        .value;
    assert_eq!((first.slots[0].1.len(), first.upto), (3, Slot::FIRST));
}

/// Property: readers see whole calls only, while the writer goes on.
#[test]
fn readers_see_whole_calls() {
    let (mut f, _) = fixture(0);
    let path = f.path();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reader = Reader::open(&path).unwrap();
                    loop {
                        let view = reader.history(ANN, LAB, HistoryRange::Newest, 1).unwrap();
                        let head = view.value.unwrap().head.0;
                        // Slot 1027 is the last of the fixture; each later one has 7 messages,
                        // and each call two slots.
                        assert_eq!(head, 2 + (view.applied.0 - 1027) * 7);
                        assert_eq!((view.applied.0 - 1027) % 2, 0);
                        if head == 2 + 7 * 100 {
                            break;
                        }
                    }
                })
            })
            .collect();
        for call in 0..50 {
            let entries: Vec<_> = (0..2)
                .map(|slot| {
                    let first = 1000 + call * 14 + slot * 7;
                    f.log
                        .batch((first..first + 7).map(|n| post(n, 1, 2, "hi")).collect())
                })
                .collect();
            f.machine.apply(&entries).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}
