//! Each refusal: its code, no effect, and the same answer at every repetition (the last two are
//! checked by `Fixture::refused`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use proto::v1::{CreateAccount, RefusalCode, RevokeSession, command::Body, outcome};
use support::{Fixture, code, command, create_room, join, leave, post, reply, revoke, sign_up};

/// Property: whoever has no account may only sign up, and whoever has one may not.
#[test]
fn authors() {
    let mut f = Fixture::with_people(&["Ann"]);
    for author in [0, 2, u64::MAX] {
        let refusal = f.refused(post(1, author, 1, "hi"));
        assert_eq!(
            code(&refusal),
            RefusalCode::Unauthenticated,
            "author {author}"
        );
    }
    let mut by_somebody = sign_up(2, "Bob", 2);
    by_somebody.author = 1;
    assert_eq!(code(&f.refused(by_somebody)), RefusalCode::BadRequest);
}

/// Property: a cid that is no UUID is refused each time, without a memory of it.
#[test]
fn cids() {
    let mut f = Fixture::with_people(&["Ann"]);
    for length in [0, 15, 17, 1000] {
        let mut bad = post(1, 1, 1, "hi");
        bad.cid = vec![1; length].into();
        let refusal = f.refused(bad.clone());
        assert_eq!(code(&refusal), RefusalCode::BadRequest);
        let (answer, _) = f.one_applied(bad.clone());
        assert!(!answer.duplicate);
        assert_eq!(
            answer.cid,
            bad.cid.to_vec(),
            "so that the gateway can match it"
        );
    }
}

/// Property: names of people are checked and unique without regard to case.
#[test]
fn names_of_people() {
    let mut f = Fixture::with_people(&["Ann", "Straße"]);
    let bad = ["", "   ", &"x".repeat(33), "a\u{7}b", "a\u{202e}b"];
    for (number, name) in bad.into_iter().enumerate() {
        let refusal = f.refused(sign_up(number as u64, name, 50));
        assert_eq!(code(&refusal), RefusalCode::BadRequest, "{name:?}");
        assert!(refusal.message.starts_with("name:"), "{refusal:?}");
    }
    for (number, name) in ["aNN ", "STRASSE"].into_iter().enumerate() {
        let refusal = f.refused(sign_up(100 + number as u64, name, 50));
        assert_eq!(code(&refusal), RefusalCode::NameTaken, "{name:?}");
    }
    // The refused ones have not used up the token, the id or the room's seq.
    let (answer, effects) = f.one_applied(sign_up(200, "Bob", 50));
    assert!(matches!(answer.result, Some(outcome::Result::AccountCreated(a)) if a.user == 3));
    assert_eq!(support::room_effects(&effects)[0].seq, 4);
}

/// Property: a token's hash is 32 bytes and belongs to one session.
#[test]
fn token_hashes() {
    let mut f = Fixture::new();
    f.one(sign_up(1, "Ann", 1));
    f.one(sign_up(2, "Bob", 2));
    for length in [0, 31, 33] {
        let token_hash = vec![9; length];
        let create = CreateAccount {
            name: "Cid".to_owned(),
            token_hash: token_hash.clone(),
            ..CreateAccount::default()
        };
        let refusal = f.refused(command(10 + length as u64, 0, Body::CreateAccount(create)));
        assert_eq!(code(&refusal), RefusalCode::BadRequest);
        let revoke = RevokeSession { token_hash };
        let refusal = f.refused(command(10 + length as u64, 1, Body::RevokeSession(revoke)));
        assert_eq!(code(&refusal), RefusalCode::BadRequest);
    }
    assert_eq!(
        code(&f.refused(sign_up(3, "Cid", 1))),
        RefusalCode::BadRequest
    );
    assert_eq!(code(&f.refused(revoke(4, 1, 2))), RefusalCode::Forbidden);
}

/// Property: names of rooms are checked and unique without regard to case, `general` included.
#[test]
fn names_of_rooms() {
    let mut f = Fixture::with_people(&["Ann"]);
    for (number, name) in ["", "a b", "#a", "a.b", &"x".repeat(65)]
        .into_iter()
        .enumerate()
    {
        let refusal = f.refused(create_room(number as u64, 1, name));
        assert_eq!(code(&refusal), RefusalCode::BadRequest, "{name:?}");
    }
    f.one(create_room(10, 1, "Küche"));
    for (number, name) in ["GENERAL", "küche", "KÜCHE"].into_iter().enumerate() {
        let refusal = f.refused(create_room(20 + number as u64, 1, name));
        assert_eq!(code(&refusal), RefusalCode::NameTaken, "{name:?}");
    }
}

/// Property: what concerns a room needs the room, and what concerns members needs one.
#[test]
fn rooms_and_members() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    f.one(create_room(1, 1, "lab"));
    for room in [0, 3, u64::MAX] {
        for bad in [join(2, 2, room), leave(3, 2, room), post(4, 2, room, "hi")] {
            let mut bad = bad;
            bad.cid = support::cid(f.fresh_cid());
            assert_eq!(code(&f.refused(bad)), RefusalCode::NotFound, "room {room}");
        }
    }
    assert_eq!(code(&f.refused(leave(5, 2, 2))), RefusalCode::NotMember);
    assert_eq!(
        code(&f.refused(post(6, 2, 2, "hi"))),
        RefusalCode::NotMember
    );
    f.one(leave(7, 2, 1));
    assert_eq!(code(&f.refused(leave(8, 2, 1))), RefusalCode::NotMember);
    assert_eq!(
        code(&f.refused(post(9, 2, 1, "hi"))),
        RefusalCode::NotMember
    );
}

/// Property: a message says something, and no more than 16 KiB.
#[test]
fn messages() {
    let mut f = Fixture::with_people(&["Ann"]);
    let too_large = "é".repeat(8 * 1024) + "x";
    for (number, body) in ["", " \n\t\u{a0}\u{3000}", &too_large]
        .into_iter()
        .enumerate()
    {
        let refusal = f.refused(post(number as u64, 1, 1, body));
        assert_eq!(code(&refusal), RefusalCode::BadRequest);
        assert!(refusal.message.starts_with("body:"), "{refusal:?}");
    }
    let largest = "é".repeat(8 * 1024);
    assert!(matches!(
        f.one(post(10, 1, 1, &largest)),
        outcome::Result::MessagePosted(_)
    ));
}

/// Property: one answers messages of the same room that exist already, and nothing else.
#[test]
fn replies() {
    let mut f = Fixture::with_people(&["Ann"]);
    f.one(create_room(1, 1, "lab"));
    f.one(post(2, 1, 1, "erste"));
    // In room 1: created 1, joined 2, message 3. In room 2: created 1, joined 2.
    for (number, (room, seq)) in [(1, 1), (1, 2), (1, 4), (2, 3), (1, u64::MAX)]
        .iter()
        .enumerate()
    {
        let refusal = f.refused(reply(10 + number as u64, 1, *room, "hi", *seq));
        assert_eq!(code(&refusal), RefusalCode::BadRequest, "{room} {seq}");
    }
    assert!(matches!(
        f.one(reply(20, 1, 1, "hi", 3)),
        outcome::Result::MessagePosted(_)
    ));
}
