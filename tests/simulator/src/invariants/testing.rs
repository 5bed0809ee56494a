//! Small histories for the tests of the invariants.

use bytes::Bytes;
use paxos::{
    Ballot, Chain, Configuration, Entry, EntryKind, Epoch, NodeId, Round, Slot, Timestamp,
};

use super::Who;
use crate::command::Command;
use crate::disk::Image;
use crate::state::DiskId;
use crate::violation::Verdict;

/// Node `number` on its first disk.
pub(crate) fn who(number: u64) -> Who {
    Who {
        index: number as usize - 1,
        id: NodeId(number),
        disk: DiskId(100 + number),
    }
}

pub(crate) fn ballot(round: u64, node: u64) -> Ballot {
    let (epoch, round) = (Epoch::FIRST, Round(round));
    Ballot {
        epoch,
        round,
        node: NodeId(node),
    }
}

/// The slot with this number, counted from 1.
pub(crate) fn at(number: u64) -> Slot {
    Slot(Slot::GENESIS.0 + number)
}

/// A command of client 0.
pub(crate) fn command(cid: u32) -> Command {
    Command {
        client: 0,
        cid,
        session: None,
    }
}

/// One entry at slot `number` after `previous`.
pub(crate) fn entry(previous: Chain, number: u64, ballot: Ballot, payload: Bytes) -> Entry {
    let time = Timestamp(number);
    Entry::new(
        previous,
        at(number),
        ballot,
        EntryKind::Batch,
        time,
        payload,
    )
}

/// Entries that follow each other from the first slot on, told apart by `name`.
pub(crate) fn entries(ballot: Ballot, count: u64, name: u8) -> Vec<Entry> {
    let mut chain = Chain::GENESIS;
    let make = |number| {
        let made = entry(chain, number, ballot, Bytes::copy_from_slice(&[name]));
        chain = made.chain;
        made
    };
    (1..=count).map(make).collect()
}

/// The first configuration of three voters.
pub(crate) fn three() -> Configuration {
    Configuration::first((1..=3).map(NodeId).collect())
}

/// A log of one of three voters that holds `rows` and has promised `promised`.
pub(crate) fn image(promised: Ballot, rows: &[Entry]) -> Image {
    let mut image = Image::new(three());
    image.promised = promised;
    image.rows = rows.iter().map(|row| (row.slot, row.clone())).collect();
    image
}

/// The invariant that a verdict says is broken.
pub(crate) fn broken(verdict: Verdict) -> Option<&'static str> {
    verdict.err().map(|broken| broken.invariant)
}
