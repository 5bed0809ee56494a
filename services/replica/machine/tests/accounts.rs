//! Accounts: passwords, sessions, roles, who may sign up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::{HistoryRange, Role, UserId, Who};
use paxos::entry::EntryKind;
use prost::Message as _;
use proto::v1::{
    Batch, ChangeProfile, Command, CreateAccount, CreateSession, RefusalCode, ResetPassword,
    SetActive, SetPassword, SetRole, SetSignUpMode, SignUpMode, command::Body, outcome, user_event,
};
use support::{Fixture, Log, cid, code, command, post, revoke, sign_up, token, user_effects};

const PHC: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
const OTHER_PHC: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$b3RoZXJvdGhlcm90aGVy";

fn with_password(number: u64, name: &str, password: &str) -> Command {
    let body = CreateAccount {
        name: name.to_owned(),
        token_hash: token(number),
        password: password.to_owned(),
        device: "Firefox, Linux".to_owned(),
        ..CreateAccount::default()
    };
    command(number, 0, Body::CreateAccount(body))
}

fn sign_in(number: u64, user: u64, token_number: u64, password_slot: u64) -> Command {
    let body = CreateSession {
        token_hash: token(token_number),
        password_slot,
        device: String::new(),
    };
    command(number, user, Body::CreateSession(body))
}

fn set_password(number: u64, user: u64, password_slot: u64, kept: u64) -> Command {
    let body = SetPassword {
        password: OTHER_PHC.to_owned(),
        password_slot,
        kept_token_hash: token(kept),
    };
    command(number, user, Body::SetPassword(body))
}

fn rename(number: u64, user: u64, name: &str) -> Command {
    let body = ChangeProfile {
        name: name.to_owned(),
        colour: None,
    };
    command(number, user, Body::ChangeProfile(body))
}

fn set_role(number: u64, author: u64, user: u64, role: Role) -> Command {
    let role = role.to_wire().into();
    command(number, author, Body::SetRole(SetRole { user, role }))
}

fn set_active(number: u64, author: u64, user: u64, active: bool) -> Command {
    command(number, author, Body::SetActive(SetActive { user, active }))
}

fn set_mode(number: u64, author: u64, mode: SignUpMode) -> Command {
    let body = SetSignUpMode { mode: mode.into() };
    command(number, author, Body::SetSignUpMode(body))
}

fn is_session(f: &mut Fixture, number: u64) -> bool {
    let mut reader = f.machine.reader().unwrap();
    reader.session(&token(number)).unwrap().value.is_some()
}

fn password_slot(f: &mut Fixture, user: u64) -> u64 {
    let mut reader = f.machine.reader().unwrap();
    let found = reader.credentials(&Who::User(UserId(user))).unwrap();
    found.value.unwrap().password_slot
}

/// Property: a sign-in needs the password that is set when it is applied; what was verified against
/// an older one, or against none, is refused.
#[test]
fn a_sign_in_is_for_the_password_of_now() {
    let mut f = Fixture::new();
    f.one(with_password(1, "Ann", PHC));
    f.one(sign_up(2, "Bob", 2));
    let slot = password_slot(&mut f, 1);
    assert_eq!(
        f.one(sign_in(3, 1, 3, slot)),
        outcome::Result::Done(Default::default())
    );
    assert!(is_session(&mut f, 3));
    for (number, wrong) in [(4, slot + 1), (5, 0)] {
        assert_eq!(
            code(&f.refused(sign_in(number, 1, number, wrong))),
            RefusalCode::PasswordChanged
        );
    }
    // Bob has none: nobody can sign in as Bob.
    assert_eq!(
        code(&f.refused(sign_in(6, 2, 6, 0))),
        RefusalCode::PasswordChanged
    );
    f.one(set_password(7, 1, slot, 1));
    assert_eq!(
        code(&f.refused(sign_in(8, 1, 8, slot))),
        RefusalCode::PasswordChanged
    );
    assert!(!is_session(&mut f, 8));
}

/// Property: a new password ends every session but the one that set it, and the person's stream
/// says so; it takes effect only over the password that was verified.
#[test]
fn a_new_password_ends_the_other_sessions() {
    let mut f = Fixture::new();
    f.one(with_password(1, "Ann", PHC));
    let slot = password_slot(&mut f, 1);
    f.one(sign_in(2, 1, 2, slot));
    f.one(sign_in(3, 1, 3, slot));
    assert_eq!(
        code(&f.refused(set_password(4, 1, slot + 1, 2))),
        RefusalCode::PasswordChanged
    );
    let (_, effects) = f.one_applied(set_password(5, 1, slot, 2));
    let kinds: Vec<_> = user_effects(&effects)
        .into_iter()
        .map(|event| event.kind.clone().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            user_event::Kind::SessionsEnded(token(2)),
            user_event::Kind::ProfileChanged(Default::default())
        ]
    );
    assert_eq!(
        [1, 2, 3].map(|number| is_session(&mut f, number)),
        [false, true, false]
    );
    // An account of an older log has none, and sets one without having had one.
    f.one(sign_up(6, "Bob", 6));
    f.one(set_password(7, 2, 0, 6));
    let found = f
        .machine
        .reader()
        .unwrap()
        .credentials(&Who::Name("BOB".to_owned()));
    let found = found.unwrap().value.unwrap();
    assert_eq!(
        (found.user, found.password.as_str()),
        (UserId(2), OTHER_PHC)
    );
    assert!(is_session(&mut f, 6));
}

/// Property: whoever manages an account can give it another password, which ends its sessions; nobody
/// else can, and nobody gets around the old password of the own account.
#[test]
fn a_forgotten_password_is_set_by_an_admin() {
    let mut f = Fixture::with_people(&["Owner", "Admin"]);
    f.one(with_password(10, "Ann", PHC));
    f.one(set_role(11, 1, 2, Role::Admin));
    let reset = |number, author, user, password: &str| {
        let password = password.to_owned();
        command(
            number,
            author,
            Body::ResetPassword(ResetPassword { user, password }),
        )
    };
    for (number, author, user) in [(20, 3, 1), (21, 3, 3), (22, 2, 1), (23, 2, 2), (24, 1, 1)] {
        assert_eq!(
            code(&f.refused(reset(number, author, user, OTHER_PHC))),
            RefusalCode::Forbidden,
            "{author} {user}"
        );
    }
    for (number, wrong) in [(30, ""), (31, "secret")] {
        let refusal = f.refused(reset(number, 2, 3, wrong));
        assert_eq!(code(&refusal), RefusalCode::BadRequest);
    }
    let nobody = f.refused(reset(32, 2, 9, OTHER_PHC));
    assert_eq!(code(&nobody), RefusalCode::NotFound);
    let before = password_slot(&mut f, 3);
    assert!(is_session(&mut f, 10));
    let (_, effects) = f.one_applied(reset(40, 2, 3, OTHER_PHC));
    let kinds: Vec<_> = user_effects(&effects)
        .into_iter()
        .map(|event| (event.user, event.kind.clone().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            (3, user_event::Kind::SessionsEnded(Default::default())),
            (3, user_event::Kind::ProfileChanged(Default::default()))
        ]
    );
    assert!(!is_session(&mut f, 10));
    let slot = password_slot(&mut f, 3);
    assert!(slot > before);
    f.one(sign_in(41, 3, 41, slot));
}

/// Property: the number of an account's sessions is bounded; the oldest one goes, with an event.
#[test]
fn sessions_are_bounded() {
    let mut f = Fixture::new();
    f.one(with_password(1, "Ann", PHC));
    let slot = password_slot(&mut f, 1);
    for number in 2..=64 {
        f.one(sign_in(number, 1, number, slot));
    }
    assert!(is_session(&mut f, 1));
    let (_, effects) = f.one_applied(sign_in(65, 1, 65, slot));
    let ended = user_event::Kind::SessionRevoked(token(1));
    assert_eq!(user_effects(&effects)[0].kind, Some(ended));
    assert!(!is_session(&mut f, 1) && is_session(&mut f, 65));
    let sessions = f
        .machine
        .reader()
        .unwrap()
        .sessions(UserId(1))
        .unwrap()
        .value;
    assert_eq!(sessions.len(), 64);
    assert_eq!(sessions[0].token_hash, token(65), "the newest first");
}

/// Property: what is listed of a session is what was said at its start, and is gone with it.
#[test]
fn sessions_have_a_device() {
    let mut f = Fixture::new();
    f.one(with_password(1, "Ann", PHC));
    let sessions = |f: &mut Fixture| {
        f.machine
            .reader()
            .unwrap()
            .sessions(UserId(1))
            .unwrap()
            .value
    };
    assert_eq!(sessions(&mut f)[0].device, "Firefox, Linux");
    f.one(revoke(2, 1, 1));
    assert_eq!(sessions(&mut f), []);
    for bad in ["a\nb", &*"x".repeat(65)] {
        let mut body = with_password(3, "Bob", PHC);
        if let Some(Body::CreateAccount(create)) = &mut body.body {
            create.device = bad.to_owned();
        }
        body.cid = cid(bad.len() as u64 + 100);
        assert_eq!(code(&f.refused(body)), RefusalCode::BadRequest);
    }
}

/// Property: nothing but a PHC string of argon2id gets into the state as a password.
#[test]
fn no_clear_text_is_stored() {
    let mut f = Fixture::with_people(&["Ann"]);
    let long = format!("{PHC}{}", "x".repeat(256));
    for (number, bad) in ["secret", "$argon2i$v=19$x", "$argon2id$ä", &long]
        .into_iter()
        .enumerate()
    {
        let refusal = f.refused(with_password(10 + number as u64, "Bob", bad));
        assert_eq!(code(&refusal), RefusalCode::BadRequest, "{bad}");
    }
}

/// Property: events keep the name that their author had, in history and in a replay of the log;
/// later ones have the new one. The answer to a repeated sign-up stays what it was.
#[test]
fn a_name_changes_from_here_on() {
    let mut f = Fixture::new();
    f.one(sign_up(1, "Ann", 1));
    f.one(sign_up(2, "Bob", 2));
    let before = f.machine.applied().slot;
    let mut emitted = f.apply(vec![post(10, 1, 1, "one")]).effects;
    let renamed = f.apply(vec![rename(11, 1, "Anna"), post(12, 1, 1, "two")]);
    emitted.extend(renamed.effects);
    emitted.extend(
        f.apply(vec![rename(13, 1, "Anne"), rename(14, 1, "Änne")])
            .effects,
    );
    emitted.extend(f.apply(vec![post(15, 1, 1, "three")]).effects);

    let mut reader = f.machine.reader().unwrap();
    let history = reader.history(
        machine::Asker::User(UserId(2)),
        machine::RoomId(1),
        HistoryRange::Newest,
        3,
    );
    let events = history.unwrap().value.unwrap().events;
    let names: Vec<_> = events.iter().map(|event| &*event.author_name).collect();
    assert_eq!(names, ["Ann", "Anna", "Änne"]);
    assert_eq!(f.replayed_after(before), emitted);

    assert_eq!(
        code(&f.refused(rename(16, 2, "änne"))),
        RefusalCode::NameTaken
    );
    assert_eq!(
        f.one(rename(17, 1, "ÄNNE")),
        outcome::Result::Done(Default::default()),
        "the own name in other letters"
    );
    assert_eq!(
        code(&f.refused(rename(18, 1, " "))),
        RefusalCode::BadRequest
    );
    // The name is free again.
    let (again, _) = f.one_applied(rename(19, 2, "Ann"));
    assert!(!again.duplicate);
    let (first, _) = f.one_applied(sign_up(1, "Ann", 1));
    assert!(first.duplicate);
    let Some(outcome::Result::AccountCreated(created)) = first.result else {
        panic!("{first:?}");
    };
    assert_eq!((created.user, created.name.as_str()), (1, "Ann"));
}

/// Property: who may give which role to whom; never is there no owner.
#[test]
fn roles_are_given_from_above() {
    let mut f = Fixture::with_people(&["Owner", "Admin", "Mod", "Member", "Other"]);
    let mut number = 100;
    let mut next = || {
        number += 1;
        number
    };
    for (user, role) in [(2, Role::Admin), (3, Role::Moderator)] {
        f.one(set_role(next(), 1, user, role));
    }
    for (author, user, role, wanted) in [
        (2, 4, Role::Moderator, true),
        (2, 4, Role::Guest, true),
        (2, 4, Role::Member, true),
        (2, 4, Role::Admin, false),
        (2, 4, Role::Owner, false),
        (2, 1, Role::Member, false),
        (2, 2, Role::Owner, false),
        (3, 4, Role::Guest, false),
        (4, 5, Role::Guest, false),
        (4, 4, Role::Owner, false),
        // The last one.
        (1, 1, Role::Member, false),
    ] {
        let wish = set_role(next(), author, user, role);
        if wanted {
            assert_eq!(f.one(wish), outcome::Result::Done(Default::default()));
        } else {
            assert_eq!(
                code(&f.refused(wish)),
                RefusalCode::Forbidden,
                "{author} {user} {role:?}"
            );
        }
    }
    assert_eq!(
        code(&f.refused(set_role(next(), 1, 99, Role::Guest))),
        RefusalCode::NotFound
    );
    f.one(set_role(next(), 1, 2, Role::Owner));
    f.one(set_role(next(), 1, 1, Role::Member));
    assert_eq!(
        code(&f.refused(set_role(next(), 2, 2, Role::Bot))),
        RefusalCode::Forbidden
    );
    let people = f.machine.reader().unwrap().people(UserId(4)).unwrap().value;
    let roles: Vec<_> = people.iter().map(|person| person.profile.role).collect();
    assert_eq!(
        roles,
        [
            Role::Member,
            Role::Owner,
            Role::Moderator,
            Role::Member,
            Role::Member
        ]
    );
}

/// Property: a deactivated account has no session, can do nothing and cannot sign in, until it is
/// active again; never is there no owner who can sign in.
#[test]
fn a_deactivated_account_is_out() {
    let mut f = Fixture::with_people(&["Owner", "Ann", "Bob"]);
    for (author, user) in [(2, 3), (3, 1), (1, 1)] {
        let wish = set_active(20 + author * 10 + user, author, user, false);
        assert_eq!(code(&f.refused(wish)), RefusalCode::Forbidden);
    }
    let (_, effects) = f.one_applied(set_active(100, 1, 2, false));
    let ended = user_event::Kind::SessionsEnded(Vec::new());
    assert_eq!(user_effects(&effects)[0].kind, Some(ended));
    assert!(!is_session(&mut f, 2));
    assert_eq!(
        code(&f.refused(post(101, 2, 1, "hi"))),
        RefusalCode::Unauthenticated
    );
    let mut reader = f.machine.reader().unwrap();
    assert!(
        reader
            .credentials(&Who::User(UserId(2)))
            .unwrap()
            .value
            .is_none()
    );
    f.one(set_active(102, 1, 2, true));
    f.one(post(103, 2, 1, "hi"));
    // Oneself.
    f.one(set_active(104, 3, 3, false));
    assert_eq!(
        code(&f.refused(post(105, 3, 1, "hi"))),
        RefusalCode::Unauthenticated
    );
}

/// Property: a batch of an older version means what it meant to a program that knew no passwords:
/// their fields do not exist.
#[test]
fn older_batches_mean_what_they_meant() {
    let batch = Batch {
        version: 5,
        commands: vec![with_password(1, "Ann", PHC)],
    };
    let mut log = Log::new();
    log.push(EntryKind::Batch, batch.encode_to_vec().into());
    let mut old = Fixture::new();
    old.machine.apply(&log.entries).unwrap();
    let found = old
        .machine
        .reader()
        .unwrap()
        .credentials(&Who::User(UserId(1)));
    assert_eq!(found.unwrap().value.unwrap().password, "");
    let sessions = old.machine.reader().unwrap().sessions(UserId(1)).unwrap();
    assert_eq!(sessions.value[0].device, "");

    let mut log = Log::new();
    let batch = Batch {
        version: 5,
        commands: vec![set_mode(1, 1, SignUpMode::Closed)],
    };
    log.push(EntryKind::Batch, batch.encode_to_vec().into());
    let unknown = Fixture::new().machine.apply(&log.entries).unwrap_err();
    assert!(
        matches!(unknown, machine::Error::UnknownCommand { .. }),
        "{unknown}"
    );
    let version = |commands| {
        Batch::decode(machine::encode_batch(commands))
            .unwrap()
            .version
    };
    assert_eq!(version(vec![sign_up(1, "Ann", 1)]), 1);
    assert_eq!(version(vec![with_password(1, "Ann", PHC)]), 6);
}
