//! The room of the cluster: what makes a line in it, and what does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{Asker, HistoryRange, RoomId, UserId};
use paxos::entry::EntryKind;
use paxos::ids::{NodeId, Slot};
use prost::Message as _;
use proto::v1::{
    Batch, Command, Notice, PostNotice, RefusalCode, VotersChanged, command::Body, notice::Kind,
    outcome, room_event,
};
use support::{
    Fixture, Log, code, command, create_room, elected, heard, join, leave, post, room_effects,
    seal, sign_up, silent,
};

const CLUSTER: u64 = RoomId::CLUSTER.0;

/// What the room says, oldest first; each line is of nobody, and the numbers have no hole.
fn lines(fixture: &Fixture) -> Vec<Kind> {
    let mut reader = fixture.machine.reader().unwrap();
    let history = reader
        .history(
            Asker::User(UserId(1)),
            RoomId::CLUSTER,
            HistoryRange::Newest,
            500,
        )
        .unwrap();
    let events = history.value.unwrap().events;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1);
        assert_eq!((event.author, event.author_name.as_str()), (0, ""));
    }
    events
        .into_iter()
        .map(|event| match event.kind {
            Some(room_event::Kind::Notice(notice)) => notice.kind.unwrap(),
            other => panic!("no notice: {other:?}"),
        })
        .collect()
}

fn said(command: &Command) -> Kind {
    let Some(Body::PostNotice(post)) = &command.body else {
        panic!("no notice")
    };
    post.notice.clone().unwrap().kind.unwrap()
}

/// The slot of the last entry.
fn last(fixture: &Fixture) -> Slot {
    fixture.machine.applied().slot
}

/// Property: an election is one line, whoever posts it how often and in which slots.
#[test]
fn an_election_is_one_line() {
    let mut f = Fixture::with_people(&["Ann"]);
    let first = elected(4, 2);
    let (outcome, effects) = f.one_applied(first.clone());
    assert!(!outcome.duplicate);
    assert_eq!(room_effects(&effects).len(), 1);
    let again = f.apply(vec![first.clone(), first.clone()]);
    assert!(again.outcomes.iter().all(|outcome| outcome.duplicate));
    assert_eq!(again.effects, []);
    f.one(elected(5, 2));
    assert_eq!(lines(&f), [said(&first), said(&elected(5, 2))]);
}

/// Property: silence and voice come in turn, however often either is posted, and by whomever; a
/// voice ends the silence that it names and no other.
#[test]
fn silence_and_voice_alternate() {
    let mut f = Fixture::with_people(&["Ann"]);
    f.one(elected(1, 1));
    f.one(silent(2, 2_000));
    let at = last(&f);
    // Another leader saw the same a little later.
    f.one(silent(2, 2_100));
    f.one(heard(2, at.0 - 1));
    let watched = [(NodeId(1), None), (NodeId(2), Some(at)), (NodeId(3), None)];
    assert_eq!(f.machine.watched().unwrap(), watched);
    f.one(heard(2, at.0));
    f.one(heard(2, at.0));
    // Nobody who votes.
    f.one(silent(9, 2_000));
    f.one(heard(9, at.0));
    f.one(silent(2, 3_000));
    let expected = [
        said(&elected(1, 1)),
        said(&silent(2, 2_000)),
        said(&heard(2, at.0)),
        said(&silent(2, 3_000)),
    ];
    assert_eq!(lines(&f), expected);
}

/// Property: each change of the voters is a line, whoever wished it: who came, who went. A node
/// that went is not silent any more.
#[test]
fn a_seal_is_a_line() {
    let mut f = Fixture::with_people(&["Ann"]);
    f.one(elected(1, 1));
    f.one(silent(2, 2_000));
    let mut change = |epoch, voters: &[u64]| {
        let entry = f.log.push(EntryKind::Seal, seal(epoch, voters).encode());
        let applied = f.machine.apply(&[entry]).unwrap();
        assert_eq!(room_effects(&applied[0].effects).len(), 1);
    };
    change(2, &[1, 3, 1030]);
    change(3, &[1, 3, 1030, 2]);
    let changed = |epoch, voters: &[u64], added: &[u64], removed: &[u64]| {
        Kind::Voters(VotersChanged {
            epoch,
            voters: voters.to_vec(),
            added: added.to_vec(),
            removed: removed.to_vec(),
        })
    };
    let expected = [
        changed(2, &[1, 3, 1030], &[1030], &[2]),
        changed(3, &[1, 2, 3, 1030], &[2], &[]),
    ];
    assert_eq!(lines(&f)[2..], expected);
    let watched = [1, 2, 3, 1030].map(|node| (NodeId(node), None));
    assert_eq!(f.machine.watched().unwrap(), watched);
}

/// Property: before the first notice a log means what it means to a program that knows none: there
/// is no such room, a seal is no line, and the name is free.
#[test]
fn the_room_begins_with_the_first_leader() {
    let mut f = Fixture::with_people(&["Ann"]);
    for command in [join(1, 1, CLUSTER), post(2, 1, CLUSTER, "hi")] {
        assert_eq!(code(&f.refused(command)), RefusalCode::NotFound);
    }
    let entry = f.log.push(EntryKind::Seal, seal(2, &[1, 2, 3]).encode());
    let applied = f.machine.apply(&[entry]).unwrap();
    assert_eq!(applied[0].effects, []);
    assert_eq!(lines(&f), []);
    let made = f.one(create_room(3, 1, "cluster"));
    assert!(matches!(made, outcome::Result::RoomChanged(_)), "{made:?}");
    f.one(elected(1, 1));
    assert_eq!(lines(&f).len(), 1);
    // The next room is counted on from the others.
    let outcome::Result::RoomChanged(next) = f.one(create_room(4, 1, "next")) else {
        panic!("refused")
    };
    assert_eq!(next.room, 3);
}

/// Property: everybody reads the room, and nobody writes into it, leaves it, or takes its name.
#[test]
fn the_room_is_nobodys() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(elected(1, 1));
    for command in [post(1, 2, CLUSTER, "hi"), leave(2, 1, CLUSTER)] {
        assert_eq!(code(&f.refused(command)), RefusalCode::Forbidden);
    }
    let taken = f.refused(create_room(3, 1, "Cluster"));
    assert_eq!(code(&taken), RefusalCode::NameTaken);
    let (joined, effects) = f.one_applied(join(4, 2, CLUSTER));
    assert!(matches!(
        joined.result,
        Some(outcome::Result::RoomChanged(_))
    ));
    assert_eq!(effects, [], "who is in it need not join");
    let mut reader = f.machine.reader().unwrap();
    for user in [1, 2] {
        let state = reader.user_state(UserId(user)).unwrap().value.unwrap();
        let room = state.rooms.last().unwrap();
        assert_eq!(
            (room.room, room.head, room.members, room.system),
            (CLUSTER, 1, 2, true)
        );
    }
    assert!(
        reader
            .rooms(UserId(1))
            .unwrap()
            .value
            .iter()
            .all(|room| room.room != CLUSTER)
    );
    let members = reader.members(Asker::User(UserId(1)), RoomId::CLUSTER);
    assert_eq!(members.unwrap().value.unwrap().len(), 2);
}

/// Property: only what a leader can have made is a notice: of no person, under its own cid, and
/// nothing that the log says by itself.
#[test]
fn nobody_else_posts() {
    let mut f = Fixture::with_people(&["Ann"]);
    let real = elected(1, 1);
    let of = |author: u64, number: u64| command(number, author, real.body.clone().unwrap());
    for forged in [of(1, 50), of(0, 51), of(u64::MAX, 52)] {
        assert_eq!(code(&f.refused(forged)), RefusalCode::BadRequest);
    }
    let theirs = Command {
        author: 1,
        ..real.clone()
    };
    assert_eq!(code(&f.refused(theirs)), RefusalCode::BadRequest);
    let changed = machine::notice_command(Kind::Voters(VotersChanged::default()));
    assert_eq!(code(&f.refused(changed)), RefusalCode::BadRequest);
    let foreign = machine::notice_command(match said(&elected(2, 9)) {
        Kind::Elected(elected) => Kind::Elected(elected),
        _ => unreachable!(),
    });
    assert_eq!(code(&f.refused(foreign)), RefusalCode::BadRequest);
    let empty = Body::PostNotice(PostNotice {
        notice: Some(Notice { kind: None }),
    });
    let refused = f.refused(command(53, u64::MAX, empty));
    assert_eq!(code(&refused), RefusalCode::BadRequest);
    // The author of notices is no person either.
    let refused = f.refused(join(54, u64::MAX, 1));
    assert_eq!(code(&refused), RefusalCode::Unauthenticated);
    assert_eq!(lines(&f), []);
    f.one(real);
    assert_eq!(lines(&f).len(), 1);
}

/// Property: a person's command cannot take a notice's place: the same cid under another author is
/// another command.
#[test]
fn a_cid_cannot_be_taken_away() {
    let mut f = Fixture::new();
    let notice = elected(1, 1);
    let thief = Command {
        cid: notice.cid.clone(),
        ..sign_up(1, "Eve", 1)
    };
    f.one(thief);
    f.one(notice);
    assert_eq!(lines(&f).len(), 1);
}

/// Property: a batch without notices is written as a program without them reads it, and one that
/// says it is of an earlier version holds none.
#[test]
fn a_batch_says_that_it_has_notices() {
    let version = |commands| {
        Batch::decode(machine::encode_batch(commands))
            .unwrap()
            .version
    };
    assert_eq!(version(vec![sign_up(1, "Ann", 1)]), 1);
    assert_eq!(version(vec![support::open(1, 1)]), 2);
    assert_eq!(version(vec![sign_up(1, "Ann", 1), elected(1, 1)]), 3);
    let older = Batch {
        version: 2,
        commands: vec![elected(1, 1)],
    };
    let mut f = Fixture::with_people(&["Ann"]);
    let entry = Log::clone(&f.log).push(EntryKind::Batch, older.encode_to_vec().into());
    let error = f.machine.apply(&[entry]).unwrap_err();
    assert!(
        matches!(error, machine::Error::UnknownCommand { .. }),
        "{error}"
    );
}
