//! Random logs: a few people, rooms and cids, so that everything collides.

use machine::RoomId;
use paxos::entry::EntryKind;
use paxos::ids::Slot;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::v1::{Command, command::Body};

use crate::support::{
    Log, close, command, create_room, delete, edit, elected, in_turn, join, leave, mark_read, open,
    pin, react, register, reply, revoke, seal, sign_up, silent, unpin, unreact,
};

fn any_body() -> impl Strategy<Value = Body> {
    let person = prop::sample::select(vec!["Ann", "ann", "Bob", "Zoë", "ZOË", "日本", " ", "Eve"]);
    let room_name = prop::sample::select(vec![
        "lab", "LAB", "general", "küche", "a b", "x", "Cluster",
    ]);
    let text = prop::sample::select(vec![
        "hi",
        "",
        " \n",
        "ja\0nein",
        "👩‍👩‍👧",
        "@Second, hi",
        "@room",
    ]);
    let emoji = prop::sample::select(vec!["👍", "❤️", "ok"]);
    let (token, seq) = (0..6_u64, 0..12_u64);
    let room = any_room();
    prop_oneof![
        2 => (person, token.clone()).prop_map(|(name, token)| sign_up(0, name, token)),
        1 => token.prop_map(|token| revoke(0, 0, token)),
        2 => room_name.prop_map(|name| create_room(0, 0, name)),
        3 => room.clone().prop_map(|room| join(0, 0, room)),
        2 => room.clone().prop_map(|room| leave(0, 0, room)),
        8 => (room, text.clone(), seq).prop_map(|(room, text, seq)| {
            // Most messages answer nothing.
            reply(0, 0, room, text, if seq < 6 { 0 } else { seq })
        }),
        1 => Just(reply(0, 0, 1, &"é".repeat(8 * 1024 + 1), 0)),
        4 => any_change(),
        2 => (any_room(), text, 0..14_u64).prop_map(|(room, text, seq)| edit(0, 0, room, seq, text)),
        2 => (any_room(), 0..14_u64, emoji, any::<bool>()).prop_map(|(room, seq, emoji, on)| {
            if on {
                react(0, 0, room, seq, emoji)
            } else {
                unreact(0, 0, room, seq, emoji)
            }
        }),
    ]
    .prop_map(|command| command.body.unwrap())
}

fn any_room() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![9 => 0..5_u64, 1 => Just(RoomId::CLUSTER.0)]
}

/// What needs a message, or a place in a room, and nothing else.
fn any_change() -> impl Strategy<Value = Command> {
    (any_room(), 0..14_u64, 0..6_u8).prop_map(|(room, seq, kind)| match kind {
        0 => delete(0, 0, room, seq),
        1 => pin(0, 0, room, seq),
        2 => unpin(0, 0, room, seq),
        _ => mark_read(0, 0, room, seq),
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    (0..48_u64, 0..5_u64, any_body(), 0..20).prop_map(|(number, author, body, oddity)| {
        let is_sign_up = matches!(body, Body::CreateAccount(_));
        // Now and then a sign-up with an author, or another command without one.
        let author = if is_sign_up && oddity != 0 { 0 } else { author };
        let mut made = command(number, author, body);
        if oddity == 1 {
            made.cid = made.cid.slice(..7);
        }
        made
    })
}

/// A log of batches, with another kind of entry here and there: of each kind that a leader makes.
pub(crate) fn any_log() -> impl Strategy<Value = Log> {
    vec((vec(any_command(), 0..8), 0..8), 1..24).prop_map(|batches| {
        let mut log = Log::new();
        // A first account in most logs, or nearly everything would be refused.
        log.batch(vec![
            sign_up(999, "Owner", 999),
            sign_up(998, "Second", 998),
        ]);
        let mut epoch = 1;
        for (batch, oddity) in batches {
            log.batch(batch);
            match oddity {
                0 => {
                    log.push(EntryKind::Noop, bytes::Bytes::new());
                }
                // Now and then a disk that is known already.
                1 => {
                    let address = format!("host-{}:1", log.entries.len());
                    let number = log.entries.len() as u64 % 4;
                    log.push(EntryKind::RegisterNode, register(number, &address));
                }
                2 => {
                    epoch += 1;
                    log.push(EntryKind::Seal, seal(epoch, &[1, 2, 2 + epoch]).encode());
                    log.push(EntryKind::Ready, bytes::Bytes::new());
                }
                // Now and then a ballot whose line is there already, and a silence that is known.
                3 => {
                    let round = log.entries.len() as u64 % 6;
                    log.batch(vec![elected(round, 1 + round % 3)]);
                }
                4 => {
                    let node = log.entries.len() as u64 % 4;
                    log.batch(vec![silent(node, 2_000)]);
                }
                _ => {}
            }
        }
        log
    })
}

/// What a sender session is called that the command at this place opens.
pub(crate) fn place(slot: Slot, index: usize) -> u64 {
    slot.0 << 16 | index as u64
}

/// Such a log with sender sessions: opened, used in and out of turn, closed, foreign, unknown.
pub(crate) fn any_ordered_log() -> impl Strategy<Value = Log> {
    let wish = (
        0..48_u64,
        1..4_u64,
        any_body(),
        0..10_u8,
        any::<Index>(),
        1..4_u64,
    );
    vec(vec(wish, 0..8), 1..24).prop_map(|batches| {
        let mut log = Log::new();
        log.batch(vec![
            sign_up(999, "Owner", 999),
            sign_up(998, "Second", 998),
            open(997, 1),
            open(996, 2),
        ]);
        let first = Slot::FIRST;
        // Where a session may be, its author's command said, and how many numbers were sent in it.
        let mut sessions = vec![(place(first, 2), 1, 0), (place(first, 3), 2, 0)];
        for wishes in batches {
            let slot = Slot(first.0 + log.entries.len() as u64);
            let mut batch = Vec::new();
            for (number, author, body, kind, pick, step) in wishes {
                let pick = pick.index(sessions.len());
                let (session, owner, sent) = sessions[pick];
                let made = command(number, author, body);
                batch.push(match kind {
                    0 => {
                        sessions.push((place(slot, batch.len()), author, 0));
                        open(number, author)
                    }
                    1 => close(number, author, session),
                    // Not the owner's, or no session at all.
                    2 => in_turn(session, step, made),
                    3 => in_turn(step, step, made),
                    // Mostly the next number, sometimes the same again or one too far.
                    4..=8 => {
                        let seq = sent + step - 1;
                        sessions[pick].2 = seq.min(sent + 1);
                        in_turn(session, seq, command(number, owner, made.body.unwrap()))
                    }
                    _ => made,
                });
            }
            log.batch(batch);
        }
        log
    })
}
