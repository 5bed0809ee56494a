//! How fast messages are applied: `cargo run --release -p machine --example apply_rate`.
//!
//! 128-byte messages of 100 people into 20 rooms, in batches (slots) of 1, 64 and 1 000, one call
//! per batch and one per 8 batches. Prints medians over rounds, microseconds of this thread's
//! time per message, and bytes of the file per message. One machine's absolute figures mean
//! little; what counts is the ratio to another run on the same machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people"
)]

use std::time::Instant;

use bytes::Bytes;
use machine::Machine;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Slot, Timestamp};
use proto::v1::{Command, CreateAccount, CreateRoom, JoinRoom, PostMessage, command::Body};

const PEOPLE: u64 = 100;
const ROOMS: u64 = 20;
const MESSAGES: u64 = 200_000;
const ROUNDS: usize = 5;

struct Log {
    slot: Slot,
    chain: Chain,
    cids: u64,
}

impl Log {
    fn entry(&mut self, commands: Vec<Command>) -> Entry {
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
    fn command(&mut self, author: u64, body: Body) -> Command {
        self.cids += 1;
        let scattered = self.cids.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cid = (u128::from(self.cids / 60) << 80) | u128::from(scattered);
        Command {
            cid: Bytes::copy_from_slice(&cid.to_be_bytes()),
            author,
            body: Some(body),
        }
    }
}

fn prepare(machine: &mut Machine) -> Log {
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
        let body = Body::CreateAccount(CreateAccount { name, token_hash });
        commands.push(log.command(0, body));
    }
    for room in 2..=ROOMS {
        let name = format!("room-{room}");
        commands.push(log.command(1, Body::CreateRoom(CreateRoom { name })));
        for user in 2..=PEOPLE {
            commands.push(log.command(user, Body::JoinRoom(JoinRoom { room })));
        }
    }
    let entry = log.entry(commands);
    machine.apply(&[entry]).unwrap();
    log
}

fn measure(batch: u64, batches_per_call: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut machine = Machine::open(&path).unwrap();
    let mut log = prepare(&mut machine);
    let mut rates = Vec::new();
    // A transaction per message is slow: fewer of them say as much.
    let batches = (MESSAGES / batch).min(5_000);
    for _ in 0..ROUNDS {
        let entries: Vec<Entry> = (0..batches)
            .map(|_| {
                let commands = (0..batch)
                    .map(|_| {
                        let (author, room) = (log.cids * 7 % PEOPLE + 1, log.cids % ROOMS + 1);
                        let body = "x".repeat(128);
                        let post = PostMessage {
                            room,
                            body,
                            reply_to: 0,
                        };
                        log.command(author, Body::PostMessage(post))
                    })
                    .collect();
                log.entry(commands)
            })
            .collect();
        let messages = entries.len() as f64 * batch as f64;
        let start = Instant::now();
        let mut slowest = 0.0_f64;
        for call in entries.chunks(batches_per_call) {
            let start = Instant::now();
            machine.apply(call).unwrap();
            slowest = slowest.max(start.elapsed().as_secs_f64());
        }
        rates.push((messages / start.elapsed().as_secs_f64(), slowest * 1e3));
    }
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (rate, slowest_ms) = rates[ROUNDS / 2];
    drop(machine);
    let bytes = std::fs::metadata(&path).unwrap().len() as f64;
    println!(
        "batch {batch:>4}, {batches_per_call} per call: {rate:>7.0} messages/s, {:>5.2} µs each, \
         slowest call {slowest_ms:>5.1} ms, {:>4.0} bytes on disk each",
        1e6 / rate,
        bytes / (batches * batch * ROUNDS as u64) as f64,
    );
}

fn main() {
    for batches_per_call in [1, 8] {
        for batch in [1, 64, 1000] {
            measure(batch, batches_per_call);
        }
    }
}
