//! The end of one epoch and the beginning of the next: `Seal`, activation, fast start.
//!
//! Reads: `Reconfigure`, `EpochEnded`, decided `Seal` entries. Emits: `Persist` (activation),
//! `EpochBegan`, `EpochEnded`.
//! Invariants: R2–R5, D7, I12. Tests: below, tests/simulator, tests/model
//!
//! Lamport, Malkhi, Zhou, *Stoppable Paxos*: a chosen stop command ends the sequence of one
//! configuration. Section 2.7 of the design has the argument in ten lines.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::config::{Configuration, Seal};
use crate::core::{Core, Role};
use crate::durable::Held;
use crate::entry::EntryKind;
use crate::ids::{
    Ballot, Epoch, Millis, NodeId, PersistSeq, ProposalToken, Round, Slot, Timestamp,
};
use crate::limits::{CONTACTS_MAX, EARLY_MESSAGES_MAX, ELECTION_TIMEOUT_MS, VOTERS_MAX};
use crate::message::{EpochEnded, Message};
use crate::output::{Event, HaltReason, Output, PersistOp, RejectReason};
use crate::prepare::Candidate;
use crate::quorum::Quorum;

/// Where this node is between two epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Succession {
    /// A `Seal` of the active epoch was decided in this step.
    sealed: Option<Slot>,
    /// The active epoch is not durable yet: until this request is done the node takes part in
    /// none (D7).
    activating: Option<PersistSeq>,
    /// When somebody who knows a later epoch was last heard.
    overtaken: Option<Millis>,
    /// Messages of an epoch that is not active here yet, in the order of arrival: at most
    /// [`EARLY_MESSAGES_MAX`]. They are looked at once it is, as if the network had been slower.
    early: Vec<(NodeId, Message)>,
    /// Nodes beside the voters that may know more: told by the driver, or by who knows a later
    /// epoch.
    pub(crate) contacts: BTreeSet<NodeId>,
}

impl Core {
    /// Whether this node votes in the active epoch.
    pub(crate) fn is_voter(&self) -> bool {
        self.configuration.voters.contains(&self.me)
    }

    /// Whether somebody who knows a later epoch was heard of late. The `Seal` can be had from
    /// there. If only a node that is gone knew it, those who are left must find it by phase 1,
    /// and so vote in the epoch that it ends.
    pub(crate) fn is_overtaken(&self) -> bool {
        let heard = self.succession.overtaken;
        heard.is_some_and(|at| self.now.since(at) < ELECTION_TIMEOUT_MS)
    }

    /// Whether the active epoch is on its way to the disk, so that this node takes part in none.
    pub(crate) const fn is_activating(&self) -> bool {
        self.succession.activating.is_some()
    }

    /// Whether the `Seal` of the active epoch was decided in this step: nothing above it is.
    pub(crate) const fn is_sealed(&self) -> bool {
        self.succession.sealed.is_some()
    }

    /// Raises the commit index by one, and notes when that ends the epoch.
    pub(crate) fn decide_next(&mut self) {
        assert!(!self.is_sealed(), "nothing is decided above a Seal (I12)");
        self.log.decide_next();
        let slot = self.log.decided();
        let kind = self.log.get(slot).map(|entry| entry.kind);
        if kind == Some(EntryKind::Seal) {
            self.succession.sealed = Some(slot);
        }
    }

    /// The voters are to change.
    pub(crate) fn on_reconfigure(
        &mut self,
        token: ProposalToken,
        expected: Epoch,
        voters: BTreeSet<NodeId>,
        wall_clock: Timestamp,
    ) {
        if let Some(reason) = self.reconfigure_refusal(expected, &voters) {
            self.out.push(Output::Rejected { token, reason });
            return;
        }
        let starter = self.starter_of(&voters);
        let epoch = self.configuration.epoch.next();
        let seal = Seal {
            epoch,
            starter,
            voters,
        };
        // Above every slot that this leader has seen or proposed (R2), and the last one (R3):
        // `refusal` takes nothing while `sealed` is set.
        self.propose(token, EntryKind::Seal, seal.encode(), wall_clock);
        if let Role::Leader(leader) = &mut self.role {
            leader.sealed = Some(leader.last);
            let slot = leader.last;
            self.trace(Event::Sealing(slot));
        }
    }

    fn reconfigure_refusal(
        &self,
        expected: Epoch,
        voters: &BTreeSet<NodeId>,
    ) -> Option<RejectReason> {
        let epoch = self.configuration.epoch;
        if let Some(reason) = self.refusal(0) {
            return Some(reason);
        }
        let decided = self.log.decided();
        let settled = matches!(&self.role, Role::Leader(leader) if decided >= leader.settled);
        if expected != epoch {
            Some(RejectReason::EpochChanged { epoch })
        } else if voters.is_empty()
            || voters.len() > VOTERS_MAX
            || *voters == self.configuration.voters
        {
            Some(RejectReason::BadVoters)
        } else if !settled || decided < self.configuration.ready() {
            Some(RejectReason::Unsettled)
        } else {
            None
        }
    }

    /// Who begins the next epoch: this node if it stays, else the voter that has the most.
    fn starter_of(&self, voters: &BTreeSet<NodeId>) -> NodeId {
        if voters.contains(&self.me) {
            return self.me;
        }
        let upto = |node: &NodeId| match &self.role {
            Role::Leader(leader) => leader.peers.get(node).map(|progress| progress.upto),
            Role::Candidate(_) | Role::Follower => None,
        };
        let best = voters.iter().max_by_key(|node| upto(node));
        best.copied().unwrap_or(self.me)
    }

    /// Ends the epoch whose `Seal` was decided in this step (R4). Runs after the leader's last
    /// news of it went out, because nothing of the old epoch leaves afterwards.
    pub(crate) fn begin_epoch_if_sealed(&mut self) {
        let Some(slot) = self.succession.sealed.take() else {
            return;
        };
        assert!(
            slot == self.log.decided(),
            "nothing is decided above a Seal (I12)"
        );
        let payload = self.log.get(slot).map(|entry| entry.payload.clone());
        let seal = payload.and_then(|payload| Seal::decode(&payload));
        let Some(seal) = seal.filter(|seal| seal.epoch == self.configuration.epoch.next()) else {
            self.halt(HaltReason::Unreadable { slot });
            return;
        };
        self.step_down();
        self.fetching = None;
        self.succession.overtaken = None;
        self.log.truncate_undecided();
        self.acceptor.stream = None;
        self.acceptor.starved = false;
        self.acceptor.damaged.clear();
        let configuration = seal.configuration(slot);
        self.quorum = Quorum::new(configuration.voters.len());
        self.configuration = configuration.clone();
        self.election.begin_epoch(self.now);
        self.forget_strangers();
        let chain = self.log.chain();
        self.durable.mark(slot);
        self.durable.write(PersistOp::Activate {
            configuration,
            chain,
        });
        self.succession.activating = Some(self.durable.next());
        self.hold(Held::Activated(seal.epoch));
        if seal.starter == self.me && self.may_vote() {
            self.fast_start();
        }
    }

    /// Leads the new epoch at its lowest ballot. No acceptor can have accepted anything below
    /// it, so phase 1 has nothing to find. Only the node that the `Seal` names may do so, and
    /// only once: after a restart it uses a higher round, like everybody.
    fn fast_start(&mut self) {
        let ballot = Ballot {
            epoch: self.configuration.epoch,
            round: Round(0),
            node: self.me,
        };
        assert!(
            ballot > self.acceptor.promised,
            "an epoch begins above all earlier ballots (R5)"
        );
        self.promise_to(ballot);
        let deadline = self.now.plus(self.election_timeout_ms());
        let from = self.log.decided().next();
        self.role = Role::Candidate(Candidate::starter(ballot, from, deadline));
        self.trace(Event::Campaigning(ballot));
    }

    /// The epoch is durable here: this node takes part in it from now on.
    pub(crate) fn on_activated(&mut self, epoch: Epoch) {
        assert!(
            epoch == self.configuration.epoch,
            "epochs are activated one after the other"
        );
        self.succession.activating = None;
        self.out.push(Output::EpochBegan {
            configuration: self.configuration.clone(),
        });
        self.begin_round();
    }

    /// Keeps a ballot's message until its epoch is active here. The first ones matter: they come
    /// from the node that began the epoch a moment earlier, and are sent again only much later.
    pub(crate) fn keep_early(&mut self, from: NodeId, message: Message) {
        let early = &mut self.succession.early;
        early.retain(|(_, message)| message.epoch() >= self.configuration.epoch);
        let counts = matches!(message, Message::Accept(_) | Message::Prepare(_));
        if counts && early.len() < EARLY_MESSAGES_MAX {
            early.push((from, message));
        }
    }

    /// Looks at what came too early, once the epoch is active. Runs in the step that activated
    /// it.
    pub(crate) fn take_early(&mut self) {
        if self.is_activating() {
            return;
        }
        let epoch = self.configuration.epoch;
        let (now, later) = core::mem::take(&mut self.succession.early)
            .into_iter()
            .partition(|(_, message)| message.epoch() <= epoch);
        self.succession.early = later;
        for (from, message) in now {
            if !self.halted && !self.is_sealed() && message.epoch() == epoch {
                self.on_message(from, message);
            }
        }
    }

    /// For `model`: the same early message twice is one, or all are as if they were slower; an
    /// activation has no number; nobody is pinged, so nobody need be known for it.
    #[cfg(feature = "model")]
    pub(crate) fn forget_early(&mut self, keep: bool) {
        let early = core::mem::take(&mut self.succession.early);
        for message in early {
            if keep && !self.succession.early.contains(&message) {
                self.succession.early.push(message);
            }
        }
        self.succession.activating = self.succession.activating.map(|_| PersistSeq(0));
        self.succession.contacts.clear();
    }

    /// The node that may propose the first entry of the epoch is this one, but cannot yet.
    pub(crate) const fn is_starting(&self) -> bool {
        matches!(&self.role, Role::Candidate(candidate) if candidate.skips_phase_one())
    }

    /// Tells the sender of a message of an earlier epoch that this one is over.
    pub(crate) fn tell_epoch_ended(&mut self, to: NodeId) {
        let ended = EpochEnded {
            epoch: self.configuration.epoch,
            voters: self.configuration.voters.clone(),
            decided: self.log.decided(),
        };
        self.send(to, Message::EpochEnded(ended));
    }

    /// Somebody knows a later epoch.
    pub(crate) fn on_epoch_ended(&mut self, from: NodeId, ended: EpochEnded) {
        if ended.voters.len() <= VOTERS_MAX {
            self.note_contacts(&ended.voters);
        }
        self.on_later_epoch(from, ended.decided);
    }

    /// The epoch that is active here is over: nothing more is decided in it. What is missing,
    /// its `Seal` at least, is fetched from who knows.
    pub(crate) fn on_later_epoch(&mut self, from: NodeId, decided: Slot) {
        self.step_down();
        self.succession.overtaken = Some(self.now);
        let target = decided.max(self.log.decided().next());
        self.fetch(from, target);
    }

    /// Nodes to ask, beside the voters.
    pub(crate) fn note_contacts(&mut self, nodes: &BTreeSet<NodeId>) {
        for node in nodes {
            if *node != self.me {
                self.succession.contacts.insert(*node);
            }
            // The lowest id is the oldest node.
            if self.succession.contacts.len() > CONTACTS_MAX {
                self.succession.contacts.pop_first();
            }
        }
    }

    /// The driver knows who else is there.
    pub(crate) fn on_contacts(&mut self, nodes: &BTreeSet<NodeId>) {
        self.succession.contacts.clear();
        self.note_contacts(nodes);
    }

    /// The active epoch and its voters.
    #[must_use]
    pub const fn configuration(&self) -> &Configuration {
        &self.configuration
    }
}

#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod ready_tests;
#[cfg(test)]
mod seal_tests;
#[cfg(test)]
mod tests;
