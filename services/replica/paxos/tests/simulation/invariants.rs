//! What must hold in every history: checked against everything that nodes send, write, decide
//! and apply, for all nodes and all time.
//!
//! Lamport, *Paxos Made Simple*, for agreement; sections 2.3 and 2.11 of the design for the
//! others.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use paxos::{Ballot, Chain, Entry, EntryKind, Message, Slot, message};

use crate::disk::Image;

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invariants {
    majority: usize,
    /// I4: the one value of each ballot and slot.
    proposed: BTreeMap<(Ballot, Slot), Chain>,
    /// R1: the first slot of each ballot.
    base: BTreeMap<Ballot, Slot>,
    /// I19: who leads at each ballot.
    leaders: BTreeMap<Ballot, usize>,
    /// I7: who has durably accepted a row, ever.
    votes: BTreeMap<(Slot, Ballot), BTreeSet<usize>>,
    /// The one value that a quorum has accepted at one ballot.
    chosen: BTreeMap<Slot, Chain>,
    /// I1, I9: the one chain of each decided slot.
    decided: BTreeMap<Slot, Chain>,
    /// I2: what clients asked for.
    asked: BTreeSet<Bytes>,
    /// I8: what clients were told, and where.
    acknowledged: BTreeMap<Slot, Chain>,
    /// I5: the highest ballot for which each node sent a `Promise`.
    promise_sent: BTreeMap<usize, Ballot>,
    /// I6: up to where each node's acceptance at a ballot was verified on its disk.
    verified: BTreeMap<(usize, Ballot), Slot>,
}

impl Invariants {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            majority: nodes / 2 + 1,
            ..Self::default()
        }
    }

    /// A client asks for something.
    pub(crate) fn on_asked(&mut self, payload: &Bytes) {
        self.asked.insert(payload.clone());
    }

    /// A client is told that its command took effect.
    pub(crate) fn on_acknowledged(&mut self, slot: Slot, chain: Chain) {
        self.acknowledged.insert(slot, chain);
    }

    /// A node begins to lead.
    pub(crate) fn on_leading(&mut self, node: usize, ballot: Ballot) {
        assert_eq!(
            self.leaders.insert(ballot, node),
            None,
            "I19: {ballot} is led once"
        );
        assert_eq!(ballot.node.0, node as u64 + 1, "I19: by its owner");
    }

    /// A node sends a message; `image` is what its disk holds at that moment.
    pub(crate) fn on_send(&mut self, node: usize, to: usize, message: &Message, image: &Image) {
        match message {
            Message::Prepare(prepare) => {
                assert_eq!(
                    prepare.ballot.node.0,
                    node as u64 + 1,
                    "a ballot has one owner"
                );
                assert!(
                    image.promised >= prepare.ballot,
                    "D1: promised before Prepare"
                );
            }
            Message::Promise(promise) => self.check_promise(node, to, promise, image),
            Message::Accept(accept) => self.check_accept(node, accept, image),
            Message::Accepted(accepted) => self.check_accepted(node, accepted, image),
            Message::Rows(rows) => {
                for entry in &rows.entries {
                    self.note_decided(entry.slot, entry.chain);
                }
            }
            Message::Ping(_)
            | Message::Pong(_)
            | Message::Nack(_)
            | Message::Gap(_)
            | Message::CatchUp(_)
            | Message::EpochEnded(_)
            | Message::Confirm(_)
            | Message::Confirmed(_)
            | Message::CampaignNow(_)
            | Message::Hello(_)
            | Message::HelloReply(_) => {}
        }
    }

    fn check_promise(&mut self, node: usize, to: usize, promise: &message::Promise, image: &Image) {
        assert!(
            image.promised >= promise.ballot,
            "I6: Promise before it is durable"
        );
        assert_eq!(
            promise.ballot.node.0,
            to as u64 + 1,
            "a promise goes to its candidate"
        );
        for entry in &promise.entries {
            let row = image
                .rows
                .get(&entry.slot)
                .expect("I6: a reported row is durable");
            // A decided row, or one of this very ballot, may replace it while the page waits.
            let replaced = row.ballot > entry.ballot;
            assert!(
                row == entry || replaced,
                "I6: promised {entry:?}, durable {row:?}"
            );
        }
        let sent = self.promise_sent.entry(node).or_insert(promise.ballot);
        assert!(promise.ballot >= *sent, "I3: promises never fall");
        *sent = promise.ballot;
    }

    fn check_accept(&mut self, node: usize, accept: &message::Accept, image: &Image) {
        assert_eq!(
            accept.ballot.node.0,
            node as u64 + 1,
            "I19: one proposer for each ballot"
        );
        assert!(
            image.promised >= accept.ballot,
            "D1: promised before Accept"
        );
        let base = *self.base.entry(accept.ballot).or_insert(accept.base);
        assert_eq!(base, accept.base, "R1: a ballot has one base");
        for entry in &accept.entries {
            assert!(entry.is_intact() && entry.ballot == accept.ballot && entry.slot >= base);
            let known = self
                .proposed
                .entry((entry.ballot, entry.slot))
                .or_insert(entry.chain);
            assert_eq!(
                *known, entry.chain,
                "I4: one value for {}, {}",
                entry.ballot, entry.slot
            );
        }
    }

    fn check_accepted(&mut self, node: usize, accepted: &message::Accepted, image: &Image) {
        let ballot = accepted.ballot;
        let promised = self
            .promise_sent
            .get(&node)
            .copied()
            .unwrap_or(Ballot::ZERO);
        assert!(
            ballot >= promised,
            "I5: Accepted at {ballot} after Promise at {promised}"
        );
        assert!(image.promised >= ballot, "D2: promised before Accepted");
        let base = *self.base.get(&ballot).expect("accepted what was sent");
        let verified = self
            .verified
            .entry((node, ballot))
            .or_insert_with(|| base.prev());
        for slot in verified.0 + 1..=accepted.upto.0 {
            let slot = Slot(slot);
            let row = image
                .rows
                .get(&slot)
                .expect("I6, I14: Accepted before it is durable");
            let value = self.proposed.get(&(ballot, slot)).copied();
            if row.ballot != ballot {
                let decided = self.decided.get(&slot).copied();
                assert_eq!(Some(row.chain), decided, "I6: neither accepted nor decided");
            }
            assert!(
                value.is_none_or(|chain| chain == row.chain),
                "I6: another value"
            );
        }
        *verified = (*verified).max(accepted.upto);
    }

    /// Rows have become durable at a node.
    pub(crate) fn on_durable(&mut self, node: usize, rows: &[Entry]) {
        for row in rows {
            let key = (row.slot, row.ballot);
            let votes = self.votes.entry(key).or_default();
            votes.insert(node);
            if votes.len() >= self.majority {
                let chosen = *self.chosen.entry(row.slot).or_insert(row.chain);
                assert_eq!(chosen, row.chain, "I1: two values chosen at {}", row.slot);
            }
        }
    }

    /// A node's commit index has risen to a slot.
    pub(crate) fn note_decided(&mut self, slot: Slot, chain: Chain) {
        if slot == Slot::GENESIS {
            return;
        }
        let decided = *self.decided.entry(slot).or_insert(chain);
        assert_eq!(decided, chain, "I1, I9: two histories up to {slot}");
        let chosen = self.chosen.get(&slot).copied();
        assert_eq!(
            chosen,
            Some(chain),
            "I7: decided {slot} is not on a quorum's disks"
        );
    }

    /// A node applies an entry.
    pub(crate) fn on_applied(&mut self, entry: &Entry) {
        self.note_decided(entry.slot, entry.chain);
        if entry.kind == EntryKind::Batch {
            assert!(
                self.asked.contains(&entry.payload),
                "I2: nobody asked for {}",
                entry.slot
            );
        }
        assert_ne!(entry.kind, EntryKind::Noop, "no hole is ever filled");
    }

    /// The end of a run: what was acknowledged is on a quorum of disks.
    pub(crate) fn at_end(&self, images: &[&Image]) {
        for (slot, chain) in self.acknowledged.iter().chain(&self.decided) {
            assert_eq!(
                self.decided.get(slot),
                Some(chain),
                "I8: acknowledged {slot} is lost"
            );
            let holds = |image: &&&Image| image.rows.get(slot).is_some_and(|r| r.chain == *chain);
            let holders = images.iter().filter(holds).count();
            assert!(
                holders >= self.majority,
                "I7: decided {slot} is on {holders} disks"
            );
        }
    }

    /// How many slots were decided.
    pub(crate) fn decided_len(&self) -> usize {
        self.decided.len()
    }
}
