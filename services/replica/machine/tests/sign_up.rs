//! Who may sign up, and what a guest sees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{HistoryRange, Role, UserId};
use proto::v1::{
    Command, CreateAccount, CreateInvitation, RefusalCode, RevokeInvitation, SetSignUpMode,
    SignUpMode, command::Body, outcome,
};
use support::{Fixture, code, command, create_room, join, post, sign_up, token};

fn by_invitation(number: u64, name: &str, secret: u64) -> Command {
    let body = CreateAccount {
        name: name.to_owned(),
        token_hash: token(number),
        invitation: token(secret),
        ..CreateAccount::default()
    };
    command(number, 0, Body::CreateAccount(body))
}

fn invite(number: u64, author: u64, secret: u64, uses: u32, role: Role, room: u64) -> Command {
    let body = CreateInvitation {
        secret_hash: token(secret),
        uses,
        role: role.to_wire().into(),
        room,
    };
    command(number, author, Body::CreateInvitation(body))
}

fn set_mode(number: u64, author: u64, mode: SignUpMode) -> Command {
    let body = SetSignUpMode { mode: mode.into() };
    command(number, author, Body::SetSignUpMode(body))
}

fn is_session(f: &mut Fixture, number: u64) -> bool {
    let mut reader = f.machine.reader().unwrap();
    reader.session(&token(number)).unwrap().value.is_some()
}

/// Property: who may sign up follows the setting, which an owner alone changes; the first account
/// may always. A refusal tells nothing of names.
#[test]
fn who_may_sign_up() {
    let mut f = Fixture::with_people(&["Owner", "Ann"]);
    assert_eq!(
        code(&f.refused(set_mode(10, 2, SignUpMode::Closed))),
        RefusalCode::Forbidden
    );
    f.one(set_mode(11, 1, SignUpMode::Closed));
    for (number, name) in [(12, "New"), (13, "Ann")] {
        assert_eq!(
            code(&f.refused(sign_up(number, name, number))),
            RefusalCode::SignUpClosed
        );
    }
    f.one(set_mode(14, 1, SignUpMode::Invitation));
    assert_eq!(
        code(&f.refused(sign_up(15, "Ann", 15))),
        RefusalCode::SignUpClosed
    );
    assert_eq!(
        code(&f.refused(invite(16, 2, 500, 1, Role::Member, 0))),
        RefusalCode::Forbidden
    );
    let made = f.one(invite(17, 1, 500, 1, Role::Member, 0));
    assert!(
        matches!(made, outcome::Result::InvitationCreated(_)),
        "{made:?}"
    );
    // A name that is taken costs no use.
    assert_eq!(
        code(&f.refused(by_invitation(18, "Ann", 500))),
        RefusalCode::NameTaken
    );
    f.one(by_invitation(19, "New", 500));
    assert!(is_session(&mut f, 19));
    assert_eq!(
        code(&f.refused(by_invitation(20, "Newer", 500))),
        RefusalCode::SignUpClosed
    );
    f.one(invite(21, 1, 501, 5, Role::Member, 0));
    let left = |f: &mut Fixture| {
        f.machine
            .reader()
            .unwrap()
            .invitations(UserId(1))
            .unwrap()
            .value
    };
    assert_eq!(left(&mut f).unwrap()[0].uses_left, 5);
    f.one(command(
        22,
        1,
        Body::RevokeInvitation(RevokeInvitation { invitation: 2 }),
    ));
    assert_eq!(left(&mut f), Some(Vec::new()));
    assert_eq!(
        f.machine
            .reader()
            .unwrap()
            .invitations(UserId(2))
            .unwrap()
            .value,
        None
    );
    assert_eq!(
        code(&f.refused(by_invitation(23, "Newer", 501))),
        RefusalCode::SignUpClosed
    );
}

/// Property: a guest is where the invitation leads, and nothing else exists for it: no room, no
/// people, by no read.
#[test]
fn a_guest_sees_its_room_only() {
    let mut f = Fixture::with_people(&["Owner", "Ann", "Bob"]);
    f.one(create_room(10, 1, "lab"));
    f.one(join(11, 2, 2));
    f.one(invite(12, 1, 500, 1, Role::Guest, 2));
    f.one(by_invitation(13, "Guest", 500));
    let guest = UserId(4);
    let mut reader = f.machine.reader().unwrap();
    let rooms = reader.rooms(guest).unwrap().value;
    let rooms: Vec<_> = rooms.iter().map(|room| room.room).collect();
    assert_eq!(rooms, [2]);
    let people = reader.people(guest).unwrap().value;
    let people: Vec<_> = people.iter().map(|person| person.user.0).collect();
    assert_eq!(people, [1, 2, 4], "not Bob, with whom it shares no room");
    let asker = machine::Asker::User(guest);
    let general = machine::RoomId::GENERAL;
    let denied = Err(machine::Denied::NoSuchRoom);
    assert_eq!(reader.members(asker, general).unwrap().value, denied);
    let history = reader.history(asker, general, HistoryRange::Newest, 9);
    assert_eq!(
        history.unwrap().value.unwrap_err(),
        machine::Denied::NoSuchRoom
    );
    assert_eq!(code(&f.refused(join(14, 4, 1))), RefusalCode::NotFound);
    assert_eq!(
        code(&f.refused(post(15, 4, 1, "hi"))),
        RefusalCode::NotFound
    );
    assert_eq!(
        code(&f.refused(create_room(16, 4, "own"))),
        RefusalCode::Forbidden
    );
    f.one(post(17, 4, 2, "hi"));
}
