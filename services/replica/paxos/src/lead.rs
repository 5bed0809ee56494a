//! Phase 2, leader side: proposes within the window, counts, decides.
//!
//! Reads: `Propose`, `Accepted`, `Gap`. Emits: `Persist`, `Accept`, `Proposed`, `Rejected`.
//! Invariants: D3, I4, I19; a slot is chosen when a quorum has accepted it at this ballot.
//! Tests: tests/simulator

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::core::{Core, Role};
use crate::durable::Held;
use crate::entry::{Chain, Entry, EntryKind};
use crate::ids::{Ballot, Millis, NodeId, ProposalToken, Slot, Timestamp};
use crate::limits::{BATCH_BYTES_MAX, CLOCK_MAX, WINDOW_BYTES_MAX, WINDOW_SLOTS_MAX};
use crate::message::{Accepted, Gap};
use crate::output::{Event, Output, RejectReason};
use crate::progress::Progress;
use crate::quorum::Quorum;
use crate::transfer::Transfer;

/// Phase 2 of one ballot at its owner.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Leader {
    /// The ballot. Equal to this node's promise.
    pub(crate) ballot: Ballot,
    /// Its first slot: the commit index after phase 1, plus one. The same in every `Accept`,
    /// because an acceptor outside the promise quorum cannot know it otherwise.
    pub(crate) base: Slot,
    /// The last slot proposed; `base - 1` at first.
    pub(crate) last: Slot,
    /// The chain at `last`.
    chain: Chain,
    /// The timestamp at `last`.
    timestamp: Timestamp,
    /// Weight of the rows in `(decided, last]`.
    pending_bytes: usize,
    /// What this node itself has durably accepted at this ballot (D3).
    own_upto: Slot,
    /// The other voters.
    pub(crate) peers: BTreeMap<NodeId, Progress>,
    /// When something was last accepted somewhere, or there was nothing to accept.
    pub(crate) moved: Millis,
    /// The last slot that phase 1 selected. What earlier leaders may have acknowledged lies at
    /// or below it.
    pub(crate) settled: Slot,
    /// The slot of the `Seal` that it selected or proposed: nothing is proposed above it (R3).
    pub(crate) sealed: Option<Slot>,
    /// The hand-over under way.
    pub(crate) transfer: Option<Transfer>,
}

impl Leader {
    /// The highest slot that a quorum has accepted at this ballot.
    fn reached(&self, quorum: Quorum) -> Slot {
        let peers = self.peers.values().map(|progress| progress.upto);
        quorum.reached(peers.chain([self.own_upto]))
    }

    fn count(&self, slot: Slot) -> u64 {
        assert!(slot <= self.last, "only what was proposed is counted");
        self.last.distance_above(slot)
    }
}

impl Core {
    /// Begins phase 2: proposes again, under this ballot, what phase 1 selected.
    pub(crate) fn lead(&mut self, ballot: Ballot, selected: Vec<Entry>) {
        assert!(
            ballot == self.acceptor.promised,
            "a leader has promised itself"
        );
        assert!(
            ballot.node == self.me,
            "a node leads at its own ballots only"
        );
        let decided = self.log.decided();
        let base = decided.next();
        let peers = self
            .peers()
            .into_iter()
            .map(|peer| (peer, Progress::new(base, self.now)));
        let mut leader = Leader {
            ballot,
            base,
            last: decided,
            chain: self.log.chain(),
            timestamp: self.log.timestamp(),
            pending_bytes: 0,
            own_upto: decided,
            peers: peers.collect(),
            moved: self.now,
            settled: decided,
            sealed: None,
            transfer: None,
        };
        let mut rows = Vec::new();
        for entry in selected {
            let again = entry.reproposed(leader.chain, ballot);
            assert!(
                again.chain == entry.chain,
                "a value proposed again keeps its place"
            );
            leader.extend(&again);
            rows.push(again);
        }
        leader.settled = leader.last;
        let last = rows.last().map(|entry| entry.kind);
        leader.sealed = (last == Some(EntryKind::Seal)).then_some(leader.last);
        if leader.last == self.configuration.start && self.configuration.ready() > leader.last {
            rows.push(leader.ready());
        }
        let upto = leader.last;
        if let Some(slot) = leader.sealed {
            self.trace(Event::Sealing(slot));
        }
        self.fetching = None;
        self.role = Role::Leader(leader);
        self.on_leading(ballot);
        if !rows.is_empty() {
            self.write_rows(rows);
            self.hold(Held::Accepted { ballot, upto });
        }
    }

    /// A client's batch.
    pub(crate) fn on_propose(
        &mut self,
        token: ProposalToken,
        kind: EntryKind,
        payload: Bytes,
        wall_clock: Timestamp,
    ) {
        assert!(
            !matches!(kind, EntryKind::Seal | EntryKind::Ready),
            "epochs end by themselves"
        );
        if let Some(reason) = self.refusal(payload.len()) {
            self.out.push(Output::Rejected { token, reason });
            return;
        }
        self.propose(token, kind, payload, wall_clock);
    }

    /// Puts an entry into the next slot.
    pub(crate) fn propose(
        &mut self,
        token: ProposalToken,
        kind: EntryKind,
        payload: Bytes,
        wall_clock: Timestamp,
    ) {
        let now = self.now;
        let decided = self.log.decided();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.last == decided {
            leader.moved = now;
        }
        let (ballot, slot) = (leader.ballot, leader.last.next());
        let timestamp = Timestamp(
            wall_clock
                .min(CLOCK_MAX)
                .0
                .max(leader.timestamp.0.saturating_add(1)),
        );
        let entry = Entry::new(leader.chain, slot, ballot, kind, timestamp, payload);
        leader.extend(&entry);
        let chain = entry.chain;
        self.write_rows(Vec::from([entry]));
        self.hold(Held::Accepted { ballot, upto: slot });
        self.out.push(Output::Proposed {
            token,
            slot,
            ballot,
            chain,
        });
    }

    /// Why a proposal cannot be taken, if so.
    pub(crate) fn refusal(&self, bytes: usize) -> Option<RejectReason> {
        let Role::Leader(leader) = &self.role else {
            return Some(self.no_leader_here());
        };
        let pending = leader.pending_bytes.saturating_add(bytes);
        // A batch by itself always fits (`limits`).
        let full =
            leader.count(self.log.decided()) >= WINDOW_SLOTS_MAX || pending > WINDOW_BYTES_MAX;
        if bytes > BATCH_BYTES_MAX {
            Some(RejectReason::TooLarge)
        } else if leader.sealed.is_some() || leader.transfer.is_some() {
            Some(RejectReason::Unsettled)
        } else if self.election.is_disconnected() {
            Some(RejectReason::NoQuorum)
        } else if self.acceptor.no_space || self.quorum_lacks_space() {
            Some(RejectReason::NoSpace)
        } else if full || !self.log.has_room() || !self.durable.has_room() {
            Some(RejectReason::WindowFull)
        } else {
            None
        }
    }

    /// Why a node that does not lead takes nothing. The one that begins an epoch leads in a
    /// moment.
    pub(crate) fn no_leader_here(&self) -> RejectReason {
        if self.is_starting() {
            RejectReason::Unsettled
        } else {
            let leader = self.leader_hint();
            RejectReason::NotLeader { leader }
        }
    }

    /// An acceptor has made rows durable.
    pub(crate) fn on_accepted(&mut self, from: NodeId, accepted: Accepted) {
        self.witness(from, accepted.disk_seq);
        let now = self.now;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if accepted.ballot != leader.ballot || accepted.upto > leader.last {
            return;
        }
        let reached = leader.reached(self.quorum);
        let Some(progress) = leader.peers.get_mut(&from) else {
            return;
        };
        // One that is ahead of what a quorum has reached does not bring a decision nearer.
        let helps = progress.upto <= reached;
        if progress.acknowledge(accepted.upto, now) && helps {
            leader.moved = now;
        }
        self.count();
        self.advance_transfer();
    }

    /// This node's own rows are durable.
    pub(crate) fn on_own_accepted(&mut self, ballot: Ballot, upto: Slot) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        assert!(
            leader.ballot == ballot,
            "this ballot's acceptance, not an older one's"
        );
        assert!(upto <= leader.last, "only what was proposed is accepted");
        leader.own_upto = leader.own_upto.max(upto);
        self.count();
    }

    /// An acceptor needs earlier entries.
    pub(crate) fn on_gap(&mut self, from: NodeId, gap: Gap) {
        let now = self.now;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let known = leader.base <= gap.expect && gap.expect <= leader.last.next();
        if gap.ballot != leader.ballot || !known {
            return;
        }
        let here = gap.expect > leader.last || self.log.holds(gap.expect);
        if let Some(progress) = leader.peers.get_mut(&from) {
            progress.rewind(gap.expect, here, now);
        }
    }

    /// Decides what a quorum has accepted at this ballot.
    fn count(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let reached = leader.reached(self.quorum);
        assert!(reached <= leader.last, "only what was proposed is chosen");
        while self.log.decided() < reached && !self.is_sealed() {
            let Role::Leader(leader) = &mut self.role else {
                return;
            };
            let slot = self.log.decided().next();
            let row = self.log.get(slot);
            // Its chain was computed here, over the prefix that is decided here.
            assert!(
                row.is_some_and(|row| row.ballot == leader.ballot),
                "chosen at this ballot"
            );
            let weight = row.map_or(0, Entry::weight_bytes);
            leader.pending_bytes = leader.pending_bytes.saturating_sub(weight);
            self.decide_next();
        }
        assert!(
            self.log.decided() >= reached || self.is_sealed(),
            "what a quorum has accepted is decided"
        );
        self.ask_for_reads();
    }
}

impl Leader {
    /// Appends an entry to the proposals.
    fn extend(&mut self, entry: &Entry) {
        assert!(entry.slot == self.last.next(), "proposed in order");
        assert!(entry.timestamp > self.timestamp, "time rises along the log");
        self.last = entry.slot;
        self.chain = entry.chain;
        self.timestamp = entry.timestamp;
        self.pending_bytes = self.pending_bytes.saturating_add(entry.weight_bytes());
    }

    /// The first entry of an epoch: once it is chosen, a quorum of its voters has the prefix.
    fn ready(&mut self) -> Entry {
        let (slot, timestamp) = (self.last.next(), self.timestamp.0.saturating_add(1));
        let kind = EntryKind::Ready;
        let timestamp = Timestamp(timestamp);
        let entry = Entry::new(self.chain, slot, self.ballot, kind, timestamp, Bytes::new());
        self.extend(&entry);
        entry
    }
}

#[cfg(test)]
mod tests;
