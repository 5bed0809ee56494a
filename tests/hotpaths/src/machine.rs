//! `state.db`: a slot of messages per step, in a transaction of its own or in one of many.

use anyhow::{Result, ensure};
use machine::Machine;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Slot, Timestamp};
use proto::v1::command::Body;
use proto::v1::{Command, CreateAccount, PostMessage, outcome};
use uuid::Uuid;

use crate::{BATCH, body};

/// The first room, and the first account.
const FIRST: u64 = 1;

fn command(number: u64, author: u64, body: Body) -> Command {
    Command {
        cid: Uuid::from_u128(u128::from(number))
            .into_bytes()
            .to_vec()
            .into(),
        author,
        body: Some(body),
        ..Command::default()
    }
}

struct Log {
    machine: Machine,
    chain: Chain,
    slot: Slot,
}

impl Log {
    /// Applies a slot; `commit`: and lets everybody read it.
    fn apply(&mut self, commands: Vec<Command>, commit: bool) -> Result<()> {
        let payload = machine::encode_batch(commands);
        let entry = Entry::new(
            self.chain,
            self.slot,
            Ballot::ZERO,
            EntryKind::Batch,
            Timestamp(self.slot.0),
            payload,
        );
        self.chain = entry.chain;
        self.slot = self.slot.next();
        let applied = self.machine.advance(&[entry])?;
        if commit {
            self.machine.commit()?;
        }
        for applied in applied {
            for outcome in applied.outcomes {
                let refused = matches!(outcome.result, Some(outcome::Result::Refusal(_)));
                ensure!(!refused, "refused: {outcome:?}");
            }
        }
        Ok(())
    }
}

/// `slots`: how many share a transaction.
pub(crate) fn steps(slots: u64) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let directory = tempfile::tempdir()?;
    let mut log = Log {
        machine: Machine::open(directory.path().join("state.db"))?,
        chain: Chain::GENESIS,
        slot: Slot::FIRST,
    };
    let account = CreateAccount {
        name: "alice".to_owned(),
        token_hash: vec![7; 32],
        ..CreateAccount::default()
    };
    log.apply(vec![command(1, 0, Body::CreateAccount(account))], true)?;
    let mut number = 1;
    Ok(Box::new(move || {
        // Lives as long as its state.
        let _open = &directory;
        let mut commands = Vec::new();
        for _ in 0..BATCH {
            number += 1;
            let post = PostMessage {
                room: FIRST,
                body: body(number),
                reply_to: 0,
            };
            commands.push(command(number, FIRST, Body::PostMessage(post)));
        }
        let commit = log.slot.0.is_multiple_of(slots);
        log.apply(commands, commit)
    }))
}
