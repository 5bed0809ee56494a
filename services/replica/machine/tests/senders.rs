//! Sender sessions: commands take effect in the order of their sender, whatever happened to them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::collections::BTreeSet;

use machine::limits::SENDER_SESSIONS_MAX;
use machine::{Asker, Error, HistoryRange, Machine, RoomId, Seq};
use paxos::entry::EntryKind;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::{Batch, Command, Outcome, Refusal, RefusalCode, outcome, room_event};
use support::{Fixture, close, in_turn, leave, open, post, sign_up};

fn opened(f: &mut Fixture, author: u64) -> u64 {
    match f.fresh(|cid| open(cid, author)) {
        outcome::Result::SenderSessionOpened(opened) => opened.session,
        other => panic!("{other:?}"),
    }
}

fn refusal(outcome: &Outcome) -> &Refusal {
    match outcome.result.as_ref().unwrap() {
        outcome::Result::Refusal(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Applies a command that is refused for its order, and nothing else happens.
fn out_of_turn(f: &mut Fixture, command: Command) -> (RefusalCode, u64) {
    let before = f.machine.reader().unwrap().state_hash().unwrap();
    let (refused, effects) = f.one_applied(command);
    assert!(!refused.duplicate && effects.is_empty());
    let after = f.machine.reader().unwrap().state_hash().unwrap();
    assert_ne!(before.value, after.value, "the slot moved on");
    let found = refusal(&refused);
    assert!(!found.message.is_empty());
    (found.code(), found.next_sender_seq)
}

fn bodies(machine: &Machine, room: u64) -> Vec<String> {
    let (mut said, mut after) = (Vec::new(), Seq(0));
    let mut reader = machine.reader().unwrap();
    loop {
        let range = HistoryRange::After(after);
        let page = reader.history(Asker::Gateway, RoomId(room), range, 500);
        let page = page.unwrap().value.unwrap();
        let Some(last) = page.events.last() else {
            break;
        };
        after = Seq(last.seq);
        for event in page.events {
            if let Some(room_event::Kind::Message(message)) = event.kind {
                said.push(message.body);
            }
        }
    }
    said
}

/// Property: only the next number is executed; a gap is refused, is not the answer of that number
/// nor of that cid, and the same command is executed when its turn comes.
#[test]
fn only_the_next_number_is_executed() {
    let mut f = Fixture::with_people(&["Ann"]);
    let session = opened(&mut f, 1);
    let say = |number: u64| in_turn(session, number, post(number, 1, 1, &number.to_string()));
    assert_eq!(out_of_turn(&mut f, say(3)), (RefusalCode::SequenceGap, 1));
    assert_eq!(out_of_turn(&mut f, say(2)), (RefusalCode::SequenceGap, 1));
    for number in 1..=3 {
        let (outcome, _) = f.one_applied(say(number));
        assert!(!outcome.duplicate);
        assert!(matches!(
            outcome.result,
            Some(outcome::Result::MessagePosted(_))
        ));
    }
    assert_eq!(bodies(&f.machine, 1), ["1", "2", "3"]);
    // A restart forgets no number.
    f.machine = Machine::open(f.path()).unwrap();
    assert_eq!(out_of_turn(&mut f, say(5)), (RefusalCode::SequenceGap, 4));
}

/// Property: a copy is answered with the first answer; a number that was answered is not given to
/// another command, and that one can still be sent under the right number.
#[test]
fn a_number_has_one_answer() {
    let mut f = Fixture::with_people(&["Ann"]);
    let session = opened(&mut f, 1);
    let first = in_turn(session, 1, post(1, 1, 1, "first"));
    let (answer, _) = f.one_applied(first.clone());
    let (again, effects) = f.one_applied(first);
    assert!(again.duplicate && effects.is_empty());
    assert_eq!((again.result, again.slot), (answer.result, answer.slot));
    let other = post(2, 1, 1, "other");
    for seq in [0, 1] {
        let found = out_of_turn(&mut f, in_turn(session, seq, other.clone()));
        assert_eq!(found, (RefusalCode::SequenceUsed, 2));
    }
    f.one(in_turn(session, 2, other));
    assert_eq!(bodies(&f.machine, 1), ["first", "other"]);
}

/// Property: a refusal of the command itself is the answer of its number, so the next one may
/// come; a command without a usable cid takes no number.
#[test]
fn a_refusal_takes_its_number() {
    let mut f = Fixture::with_people(&["Ann"]);
    let session = opened(&mut f, 1);
    let refused = in_turn(session, 1, leave(1, 1, 77));
    let (answer, _) = f.one_applied(refused.clone());
    assert_eq!(refusal(&answer).code(), RefusalCode::NotFound);
    let (again, _) = f.one_applied(refused);
    assert!(again.duplicate);
    let mut short = in_turn(session, 2, post(2, 1, 1, "short"));
    short.cid = short.cid.slice(..7);
    let (answer, _) = f.one_applied(short);
    assert_eq!(refusal(&answer).code(), RefusalCode::BadRequest);
    f.one(in_turn(session, 2, post(3, 1, 1, "second")));
    assert_eq!(bodies(&f.machine, 1), ["second"]);
}

/// Property: in a session that is closed, unknown or another's, nothing is executed, and nothing is
/// remembered: in a new session the same command takes effect, once.
#[test]
fn nothing_is_executed_in_a_closed_session() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    let session = opened(&mut f, 1);
    let foreign = opened(&mut f, 2);
    let answered = in_turn(session, 1, post(1, 1, 1, "before"));
    f.one(answered.clone());
    assert_eq!(
        f.fresh(|cid| close(cid, 1, session)),
        outcome::Result::Done(proto::v1::Done {})
    );
    for bad in [session, foreign, 5, u64::MAX] {
        for seq in [0, 1, 2] {
            let found = out_of_turn(&mut f, in_turn(bad, seq, post(2, 1, 1, "after")));
            assert_eq!(found, (RefusalCode::SenderSessionClosed, 0));
        }
    }
    // A number without a session is no order.
    let found = out_of_turn(&mut f, in_turn(0, 1, post(2, 1, 1, "after")));
    assert_eq!(found, (RefusalCode::SenderSessionClosed, 0));
    let (copy, effects) = f.one_applied(answered);
    assert!(copy.duplicate && effects.is_empty(), "it was answered once");

    // The sender does not know which of its commands arrived: it numbers all of them anew.
    let session = opened(&mut f, 1);
    let (copy, _) = f.one_applied(in_turn(session, 1, post(1, 1, 1, "before")));
    assert!(copy.duplicate, "and takes the number");
    f.one(in_turn(session, 2, post(2, 1, 1, "after")));
    assert_eq!(bodies(&f.machine, 1), ["before", "after"]);
}

/// Property: a copy whose number is too high is no answer either, or its number would be missing.
#[test]
fn a_copy_ahead_of_its_turn_is_a_gap() {
    let mut f = Fixture::with_people(&["Ann"]);
    let (first, second) = (post(1, 1, 1, "first"), post(2, 1, 1, "second"));
    f.one(first.clone());
    f.one(second.clone());
    let session = opened(&mut f, 1);
    let ahead = in_turn(session, 2, second);
    let found = out_of_turn(&mut f, ahead.clone());
    assert_eq!(found, (RefusalCode::SequenceGap, 1));
    assert!(f.one_applied(in_turn(session, 1, first)).0.duplicate);
    assert!(f.one_applied(ahead).0.duplicate);
    f.one(in_turn(session, 3, post(3, 1, 1, "third")));
    assert_eq!(bodies(&f.machine, 1), ["first", "second", "third"]);
}

/// Property: only the owner closes a session; closing again is no error; a session may close
/// itself.
#[test]
fn only_the_owner_closes_a_session() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    let session = opened(&mut f, 1);
    let refused = f.refused(close(1, 2, session));
    assert_eq!(refused.code(), RefusalCode::Forbidden);
    f.one(in_turn(session, 1, close(2, 1, session)));
    f.one(close(3, 1, session));
    let found = out_of_turn(&mut f, in_turn(session, 2, post(4, 1, 1, "x")));
    assert_eq!(found, (RefusalCode::SenderSessionClosed, 0));
    let refused = f.refused(open(5, 9));
    assert_eq!(refused.code(), RefusalCode::Unauthenticated);
}

/// Property: opening is a command like any other: a repetition gives the same session; several in
/// one slot give several.
#[test]
fn opening_is_idempotent() {
    let mut f = Fixture::with_people(&["Ann"]);
    let applied = f.apply(vec![open(1, 1), open(2, 1), open(1, 1)]);
    let sessions: Vec<u64> = applied
        .outcomes
        .iter()
        .map(|outcome| match outcome.result.as_ref().unwrap() {
            outcome::Result::SenderSessionOpened(opened) => opened.session,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sessions[0], sessions[2]);
    assert_ne!(sessions[0], sessions[1]);
    assert_eq!(sessions[0], applied.slot.0 << 16);
    assert!(applied.outcomes[2].duplicate);
}

/// Property: with one session too many, the author's oldest is closed, nobody else's.
#[test]
fn the_oldest_session_makes_room() {
    let mut f = Fixture::with_people(&["Ann", "Bob"]);
    let other = opened(&mut f, 2);
    let sessions: Vec<u64> = (0..=SENDER_SESSIONS_MAX)
        .map(|_| opened(&mut f, 1))
        .collect();
    for (index, session) in sessions.iter().enumerate() {
        let cid = 10 + index as u64;
        let (outcome, _) = f.one_applied(in_turn(*session, 1, post(cid, 1, 1, "x")));
        let is_closed = matches!(outcome.result, Some(outcome::Result::Refusal(_)));
        assert_eq!(is_closed, index == 0, "{index}");
    }
    f.one(in_turn(other, 1, post(1, 2, 1, "other")));
    assert_eq!(bodies(&f.machine, 1).len(), SENDER_SESSIONS_MAX + 1);
}

/// Property: batches without sender sessions keep the version that an older program reads; in such
/// a batch the new fields and commands mean what they mean to it.
#[test]
fn versions_are_as_low_as_possible() {
    let version = |commands| {
        let payload = machine::encode_batch(commands);
        Batch::decode(payload).unwrap().version
    };
    assert_eq!(version(vec![]), 1);
    assert_eq!(version(vec![post(1, 1, 1, "x"), sign_up(2, "Ann", 2)]), 1);
    assert_eq!(version(vec![post(1, 1, 1, "x"), open(2, 1)]), 2);
    assert_eq!(version(vec![close(2, 1, 7)]), 2);
    assert_eq!(version(vec![in_turn(7, 1, post(1, 1, 1, "x"))]), 2);
    assert_eq!(version(vec![in_turn(0, 1, post(1, 1, 1, "x"))]), 2);

    let mut f = Fixture::with_people(&["Ann"]);
    let batch = |commands| {
        let version = 1;
        Batch { version, commands }.encode_to_vec().into()
    };
    let ignored = batch(vec![in_turn(7, 9, post(1, 1, 1, "unordered"))]);
    let entry = f.log.push(EntryKind::Batch, ignored);
    f.machine.apply(&[entry]).unwrap();
    assert_eq!(bodies(&f.machine, 1), ["unordered"]);
    let unknown = batch(vec![open(2, 1)]);
    let entry = f.log.push(EntryKind::Batch, unknown);
    let error = f.machine.apply(&[entry]).unwrap_err();
    assert!(
        matches!(error, Error::UnknownCommand { index: 0, .. }),
        "{error}"
    );
}

/// A sender that sends ahead, loses messages and answers, and goes on from what it is told.
struct Sender {
    author: u64,
    session: u64,
    /// The number of the first command that is not known to be answered.
    next: u64,
    /// The commands, by number.
    said: Vec<(u64, String)>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Property (I11, and C2 with it): whatever is lost, repeated or reordered on the way, what
    /// each sender said stands in the room in its order, without a gap, each once; also when its
    /// session is closed in between and it goes on in another.
    #[test]
    fn a_sender_is_heard_in_order(steps in vec((0..3_usize, 0..8_u64, 0..12_u8), 1..120)) {
        let mut f = Fixture::with_people(&["Ann", "Bob"]);
        let mut senders: Vec<Sender> = [(1, 0), (2, 1), (1, 2)]
            .map(|(author, index)| Sender {
                author,
                session: opened(&mut f, author),
                next: 1,
                said: (0..6).map(|n| (100 * (index + 1) + n, format!("{index}.{n}"))).collect(),
            })
            .into();
        // After the random part everybody sends until everything is answered.
        let end = (0..60).map(|step| (step % 3, 0, 0));
        for (who, ahead, kind) in steps.into_iter().chain(end) {
            let sender = &mut senders[who];
            if kind == 11 {
                let session = sender.session;
                f.fresh(|cid| close(cid, sender.author, session));
                continue;
            }
            // Number `next` is command `done`: those before are answered.
            let base = sender.said.iter().position(|(cid, _)| *cid != 0);
            let Some(base) = base else { continue };
            let index = base + usize::try_from(ahead).unwrap();
            let Some((cid, body)) = sender.said.get(index).cloned() else { continue };
            let seq = sender.next + ahead;
            let wish = in_turn(sender.session, seq, post(cid, sender.author, 1, &body));
            let (outcome, _) = f.one_applied(wish);
            // Some answers are lost.
            if kind % 4 == 3 {
                continue;
            }
            match outcome.result.unwrap() {
                outcome::Result::MessagePosted(_) => {
                    // An answer in turn answers everything before it.
                    for (cid, _) in &mut sender.said[..=index] {
                        *cid = 0;
                    }
                    sender.next = seq + 1;
                }
                outcome::Result::Refusal(refusal) => match refusal.code() {
                    RefusalCode::SequenceGap => {}
                    RefusalCode::SenderSessionClosed => {
                        let author = sender.author;
                        senders[who].session = opened(&mut f, author);
                        senders[who].next = 1;
                    }
                    other => prop_assert!(false, "{other:?}"),
                },
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let said = bodies(&f.machine, 1);
        let distinct: BTreeSet<&String> = said.iter().collect();
        prop_assert_eq!(distinct.len(), said.len());
        for (index, sender) in senders.iter().enumerate() {
            let own: Vec<&String> = said
                .iter()
                .filter(|body| body.starts_with(&format!("{index}.")))
                .collect();
            let expected: Vec<&String> = sender.said.iter().map(|(_, body)| body).collect();
            prop_assert_eq!(own, expected);
        }
    }
}
