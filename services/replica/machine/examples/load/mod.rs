//! A log of people who write messages, for the measurements.

#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each measurement uses a part"
)]

use bytes::Bytes;
use machine::Machine;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Slot, Timestamp};
use proto::v1::{Command, CreateAccount, CreateRoom, JoinRoom, PostMessage, command::Body};

pub const PEOPLE: u64 = 100;
pub const ROOMS: u64 = 20;

/// A chained log that grows.
pub struct Log {
    slot: Slot,
    chain: Chain,
    pub cids: u64,
}

impl Log {
    pub fn entry(&mut self, commands: Vec<Command>) -> Entry {
        self.slot = self.slot.next();
        let payload = machine::encode_batch(commands);
        let timestamp = Timestamp(self.slot.0);
        let (chain, slot) = (self.chain, self.slot);
        let entry = Entry::new(
            chain,
            slot,
            Ballot::ZERO,
            EntryKind::Batch,
            timestamp,
            payload,
        );
        self.chain = entry.chain;
        entry
    }

    /// Like a UUIDv7: the time first, then what looks random.
    pub fn command(&mut self, author: u64, body: Body) -> Command {
        self.cids += 1;
        let scattered = self.cids.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cid = (u128::from(self.cids / 60) << 80) | u128::from(scattered);
        Command {
            cid: Bytes::copy_from_slice(&cid.to_be_bytes()),
            author,
            body: Some(body),
            ..Command::default()
        }
    }

    /// The next batch of 128-byte messages.
    pub fn messages(&mut self, count: u64) -> Entry {
        let commands = (0..count)
            .map(|_| {
                let (author, room) = (self.cids * 7 % PEOPLE + 1, self.cids % ROOMS + 1);
                let body = "x".repeat(128);
                let post = PostMessage {
                    room,
                    body,
                    reply_to: 0,
                };
                self.command(author, Body::PostMessage(post))
            })
            .collect();
        self.entry(commands)
    }
}

/// People, rooms, and everybody in every room.
pub fn prepare(machine: &mut Machine) -> Log {
    let mut log = Log {
        slot: Slot::GENESIS,
        chain: Chain::GENESIS,
        cids: 0,
    };
    let mut commands = Vec::new();
    for user in 1..=PEOPLE {
        let mut token_hash = vec![0; 32];
        token_hash[..8].copy_from_slice(&user.to_le_bytes());
        let name = format!("person {user}");
        let body = Body::CreateAccount(CreateAccount {
            name,
            token_hash,
            ..Default::default()
        });
        commands.push(log.command(0, body));
    }
    for room in 2..=ROOMS {
        let name = format!("room-{room}");
        commands.push(log.command(
            1,
            Body::CreateRoom(CreateRoom {
                name,
                private: false,
            }),
        ));
        for user in 2..=PEOPLE {
            commands.push(log.command(user, Body::JoinRoom(JoinRoom { room })));
        }
    }
    let entry = log.entry(commands);
    machine.apply(&[entry]).unwrap();
    log
}
