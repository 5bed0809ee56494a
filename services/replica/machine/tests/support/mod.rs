//! Makes logs and commands for the tests.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "every test uses another part"
)]

use std::path::PathBuf;

use bytes::Bytes;
use machine::{AppliedEntry, Machine};
use paxos::config::Seal;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Slot, Timestamp};
use proto::v1::{
    AddReaction, CloseSenderSession, Command, CreateAccount, CreateRoom, DeleteMessage,
    EditMessage, Effect, JoinRoom, LeaderElected, LeaveRoom, MarkRead, NodeHeard, NodeSilent,
    OpenSenderSession, Outcome, PinMessage, PostMessage, Refusal, RefusalCode, RemoveReaction,
    RevokeSession, UnpinMessage, command::Body, effect, notice::Kind, outcome, room_event,
};
use uuid::Uuid;

/// A chained log that grows.
#[derive(Clone, Debug)]
pub struct Log {
    pub entries: Vec<Entry>,
    slot: Slot,
    chain: Chain,
}

impl Log {
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            slot: Slot::GENESIS,
            chain: Chain::GENESIS,
        }
    }

    /// A log of one batch per element.
    pub fn of(batches: Vec<Vec<Command>>) -> Self {
        let mut log = Self::new();
        for batch in batches {
            log.batch(batch);
        }
        log
    }

    pub fn batch(&mut self, commands: Vec<Command>) -> Entry {
        self.push(EntryKind::Batch, machine::encode_batch(commands))
    }

    pub fn push(&mut self, kind: EntryKind, payload: Bytes) -> Entry {
        self.slot = self.slot.next();
        let timestamp = Timestamp(1_700_000_000_000 + self.slot.0);
        let entry = Entry::new(
            self.chain,
            self.slot,
            Ballot::ZERO,
            kind,
            timestamp,
            payload,
        );
        self.chain = entry.chain;
        self.entries.push(entry.clone());
        entry
    }
}

/// A machine in a directory of its own.
pub struct Fixture {
    pub machine: Machine,
    pub log: Log,
    pub directory: tempfile::TempDir,
    next_cid: u64,
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(directory.path().join("state.db")).unwrap();
        // Apart from the numbers that tests write out.
        Self {
            machine,
            log: Log::new(),
            directory,
            next_cid: 1_000_000,
        }
    }

    /// With these people in `general`, as users 1, 2, 3 …
    pub fn with_people(names: &[&str]) -> Self {
        let mut fixture = Self::new();
        for name in names {
            let cid = fixture.fresh_cid();
            let answer = fixture.one(sign_up(cid, name, cid));
            assert!(
                matches!(answer, outcome::Result::AccountCreated(_)),
                "{answer:?}"
            );
        }
        fixture
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    pub fn fresh_cid(&mut self) -> u64 {
        self.next_cid += 1;
        self.next_cid
    }

    pub fn apply(&mut self, commands: Vec<Command>) -> AppliedEntry {
        let entry = self.log.batch(commands);
        let mut applied = self.machine.apply(&[entry]).unwrap();
        assert_eq!(applied.len(), 1);
        applied.remove(0)
    }

    pub fn one_applied(&mut self, command: Command) -> (Outcome, Vec<Effect>) {
        let mut applied = self.apply(vec![command]);
        assert_eq!(applied.outcomes.len(), 1);
        (applied.outcomes.remove(0), applied.effects)
    }

    /// What a replay of the log after this slot says.
    pub fn replayed_after(&self, slot: Slot) -> Vec<Effect> {
        let mut reader = self.machine.reader().unwrap();
        let page = reader.effects_between(slot, self.machine.applied().slot, 999);
        let slots = page.unwrap().value.slots.into_iter();
        slots.flat_map(|(_, effects)| effects).collect()
    }

    pub fn one(&mut self, command: Command) -> outcome::Result {
        self.one_applied(command).0.result.unwrap()
    }

    /// A command whose cid is set here.
    pub fn fresh(&mut self, command: impl FnOnce(u64) -> Command) -> outcome::Result {
        let cid = self.fresh_cid();
        self.one(command(cid))
    }

    /// Applies a command that must be refused, and checks that nothing but its memory changed
    /// and that it stays refused.
    pub fn refused(&mut self, command: Command) -> Refusal {
        let (first, effects) = self.one_applied(command.clone());
        assert_eq!(effects, [], "a refusal has no effect");
        assert!(!first.duplicate);
        let (again, effects) = self.one_applied(command);
        assert_eq!(effects, []);
        assert_eq!(again.result, first.result);
        let Some(outcome::Result::Refusal(refusal)) = first.result else {
            panic!("not refused: {first:?}");
        };
        refusal
    }
}

pub fn cid(number: u64) -> Bytes {
    Bytes::copy_from_slice(&u128::from(number).to_be_bytes())
}

pub fn token(number: u64) -> Vec<u8> {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash.to_vec()
}

pub fn command(number: u64, author: u64, body: Body) -> Command {
    Command {
        cid: cid(number),
        author,
        body: Some(body),
        ..Command::default()
    }
}

pub fn sign_up(number: u64, name: &str, token_number: u64) -> Command {
    let body = CreateAccount {
        name: name.to_owned(),
        token_hash: token(token_number),
        ..CreateAccount::default()
    };
    command(number, 0, Body::CreateAccount(body))
}

pub fn revoke(number: u64, author: u64, token_number: u64) -> Command {
    let body = RevokeSession {
        token_hash: token(token_number),
    };
    command(number, author, Body::RevokeSession(body))
}

pub fn open(number: u64, author: u64) -> Command {
    command(
        number,
        author,
        Body::OpenSenderSession(OpenSenderSession {}),
    )
}

pub fn close(number: u64, author: u64, session: u64) -> Command {
    let body = CloseSenderSession { session };
    command(number, author, Body::CloseSenderSession(body))
}

/// The command as the one with this number of a sender session.
pub fn in_turn(session: u64, seq: u64, command: Command) -> Command {
    Command {
        sender_session: session,
        sender_seq: seq,
        ..command
    }
}

pub fn create_room(number: u64, author: u64, name: &str) -> Command {
    command(
        number,
        author,
        Body::CreateRoom(CreateRoom {
            name: name.to_owned(),
            private: false,
        }),
    )
}

pub fn join(number: u64, author: u64, room: u64) -> Command {
    command(number, author, Body::JoinRoom(JoinRoom { room }))
}

pub fn leave(number: u64, author: u64, room: u64) -> Command {
    command(number, author, Body::LeaveRoom(LeaveRoom { room }))
}

pub fn post(number: u64, author: u64, room: u64, body: &str) -> Command {
    reply(number, author, room, body, 0)
}

pub fn reply(number: u64, author: u64, room: u64, body: &str, reply_to: u64) -> Command {
    let body = PostMessage {
        room,
        body: body.to_owned(),
        reply_to,
    };
    command(number, author, Body::PostMessage(body))
}

pub fn edit(number: u64, author: u64, room: u64, seq: u64, body: &str) -> Command {
    let body = body.to_owned();
    let edit = EditMessage { room, seq, body };
    command(number, author, Body::EditMessage(edit))
}

pub fn delete(number: u64, author: u64, room: u64, seq: u64) -> Command {
    let delete = DeleteMessage { room, seq };
    command(number, author, Body::DeleteMessage(delete))
}

pub fn react(number: u64, author: u64, room: u64, seq: u64, emoji: &str) -> Command {
    let emoji = emoji.to_owned();
    let react = AddReaction { room, seq, emoji };
    command(number, author, Body::AddReaction(react))
}

pub fn unreact(number: u64, author: u64, room: u64, seq: u64, emoji: &str) -> Command {
    let emoji = emoji.to_owned();
    let react = RemoveReaction { room, seq, emoji };
    command(number, author, Body::RemoveReaction(react))
}

pub fn pin(number: u64, author: u64, room: u64, seq: u64) -> Command {
    command(number, author, Body::PinMessage(PinMessage { room, seq }))
}

pub fn unpin(number: u64, author: u64, room: u64, seq: u64) -> Command {
    let unpin = UnpinMessage { room, seq };
    command(number, author, Body::UnpinMessage(unpin))
}

pub fn mark_read(number: u64, author: u64, room: u64, seq: u64) -> Command {
    command(number, author, Body::MarkRead(MarkRead { room, seq }))
}

/// What a reader of the log's own effects finds now in the place of what was emitted: without the
/// texts of what was deleted since. Mentions are left out, which are as of the moment of reading.
pub fn as_read_later(effects: &mut [Effect]) {
    use std::collections::BTreeSet;
    let deleted: BTreeSet<(u64, u64)> = room_effects(effects)
        .iter()
        .filter_map(|event| match &event.kind {
            Some(room_event::Kind::Deleted(deleted)) => Some((event.room, deleted.target)),
            _ => None,
        })
        .collect();
    for effect in effects {
        let Some(effect::Kind::Room(event)) = &mut effect.kind else {
            continue;
        };
        match &mut event.kind {
            Some(room_event::Kind::Message(message)) => {
                message.mentions.clear();
                if deleted.contains(&(event.room, event.seq)) {
                    message.body.clear();
                    message.deleted = true;
                }
            }
            Some(room_event::Kind::Edited(edited)) => {
                edited.mentions.clear();
                if deleted.contains(&(event.room, edited.target)) {
                    edited.body.clear();
                }
            }
            _ => {}
        }
    }
}

/// The line of the leader of ballot (1, `round`, `node`), of the voters 1 to 3.
pub fn elected(round: u64, node: u64) -> Command {
    machine::notice_command(Kind::Elected(LeaderElected {
        epoch: 1,
        round,
        node,
        previous: 0,
        gap_ms: 0,
        voters: vec![1, 2, 3],
    }))
}

pub fn silent(node: u64, for_ms: u64) -> Command {
    machine::notice_command(Kind::Silent(NodeSilent { node, for_ms }))
}

pub fn heard(node: u64, silent_slot: u64) -> Command {
    machine::notice_command(Kind::Heard(NodeHeard {
        node,
        silent_slot,
        after_ms: 9_000,
    }))
}

/// The checksum that the `applied` row must have: written out once more, so that a change of the
/// form is noticed.
pub fn applied_crc(slot: u64, chain: &[u8], timestamp: u64, configuration: Option<&[u8]>) -> i32 {
    let blob = |bytes: &[u8]| {
        let length = (bytes.len() as u64).to_le_bytes();
        [&[3][..], &length, bytes].concat()
    };
    let number = |number: u64| [&[1][..], &number.to_le_bytes()].concat();
    let row = [
        number(slot),
        blob(chain),
        number(timestamp),
        configuration.map_or_else(|| vec![0], blob),
    ];
    crc32fast::hash(&row.concat()).cast_signed()
}

/// The disk with this number.
pub fn disk(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) << 64 | 0xd15c)
}

/// The payload that registers this disk.
pub fn register(number: u64, address: &str) -> Bytes {
    machine::encode_register_node(disk(number), address)
}

/// What begins `epoch` with these voters.
pub fn seal(epoch: u64, voters: &[u64]) -> Seal {
    Seal {
        epoch: Epoch(epoch),
        starter: NodeId(voters[0]),
        voters: voters.iter().copied().map(NodeId).collect(),
    }
}

pub fn room_effects(effects: &[Effect]) -> Vec<&proto::v1::RoomEvent> {
    effects
        .iter()
        .filter_map(|effect| match &effect.kind {
            Some(effect::Kind::Room(event)) => Some(event),
            _ => None,
        })
        .collect()
}

pub fn user_effects(effects: &[Effect]) -> Vec<&proto::v1::UserEvent> {
    effects
        .iter()
        .filter_map(|effect| match &effect.kind {
            Some(effect::Kind::User(event)) => Some(event),
            _ => None,
        })
        .collect()
}

pub fn code(refusal: &Refusal) -> RefusalCode {
    refusal.code()
}
