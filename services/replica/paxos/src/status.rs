//! What a replica knows of itself and its peers, for people: the cluster panel and metrics.
//!
//! Reads: the core. Emits: nothing.

use alloc::collections::BTreeMap;

use crate::config::Configuration;
use crate::core::{Core, Role};
use crate::entry::Chain;
use crate::ids::{Ballot, Millis, NodeId, Slot};
use crate::output::RejectReason;

/// What a node is doing at its promised ballot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleName {
    /// Answers others.
    Follower,
    /// In phase 1.
    Candidate,
    /// In phase 2.
    Leader,
}

/// The state of one core at the end of its last step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// The active epoch, where it began, and its voters.
    pub configuration: Configuration,
    /// Whether the active epoch is durable here; until then this node takes part in none.
    pub active: bool,
    /// Whether the epoch's `Ready` is decided: voters that left may be switched off.
    pub ready: bool,
    /// Whether this node votes in the active epoch.
    pub is_voter: bool,
    /// Whether a majority knows of no later state of this disk, so that it may vote.
    pub admitted: bool,
    /// Slots above the commit index whose rows are damaged here: nothing is promised before
    /// they are repaired.
    pub damaged_slots: u64,
    /// The disk is nearly full: nothing new is accepted here.
    pub no_space: bool,
    /// What it is doing.
    pub role: RoleName,
    /// The highest ballot promised, durably or not yet.
    pub promised: Ballot,
    /// The node that leads, as far as this one knows; itself included.
    pub leader: Option<NodeId>,
    /// The commit index.
    pub decided: Slot,
    /// The chain at it.
    pub chain: Chain,
    /// Everything up to here is decided and durable in this node's log.
    pub durable: Slot,
    /// Everything up to here is applied.
    pub applied: Slot,
    /// The log begins after this slot.
    pub compacted_to: Slot,
    /// Slots that this node has accepted above its commit index, or proposed if it leads.
    pub undecided_slots: u64,
    /// The weight of their rows, in bytes ([`crate::Entry::weight_bytes`]).
    pub undecided_bytes: usize,
    /// A majority answered in the last heartbeat round.
    pub quorum_connected: bool,
    /// Content with its leader.
    pub happy: bool,
    /// Whether a proposal would be taken but for the window.
    pub accepts_proposals: bool,
    /// Whether this node leads and an epoch is ending, or the lead is being handed over.
    pub unsettled: bool,
    /// The recent commit latency of this node's disk, in milliseconds.
    pub commit_latency_ms: u64,
    /// Whether the core has stopped for good.
    pub halted: bool,
    /// The other voters.
    pub peers: BTreeMap<NodeId, PeerStatus>,
    /// Nodes that do not vote and were heard by this one of late.
    pub learners: BTreeMap<NodeId, LearnerStatus>,
}

/// What a node knows of one that learns and does not vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnerStatus {
    /// When it last spoke.
    pub last_heard: Millis,
    /// The commit index that it last told.
    pub decided: Slot,
}

/// What a node knows of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    /// It answered in the last complete heartbeat round.
    pub heard: bool,
    /// When it last answered.
    pub last_heard: Option<Millis>,
    /// The commit index that it last told.
    pub decided: Slot,
    /// The ballot that it last told.
    pub ballot: Ballot,
    /// What it has acknowledged to this node as leader.
    pub upto: Option<Slot>,
    /// The commit latency of its disk, as it last told, in milliseconds.
    pub commit_latency_ms: u64,
    /// Its disk is nearly full, as it last told.
    pub no_space: bool,
}

impl Core {
    /// The commit index and the chain at it.
    #[must_use]
    pub fn commit_index(&self) -> (Slot, Chain) {
        (self.log.decided(), self.log.chain())
    }

    /// What this replica knows of itself and its peers.
    #[must_use]
    pub fn status(&self) -> Status {
        let role = match &self.role {
            Role::Follower => RoleName::Follower,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        };
        let undecided = u64::try_from(self.log.undecided(Slot::FIRST).count());
        let refused = self.refusal(0);
        let busy = matches!(refused, None | Some(RejectReason::WindowFull));
        Status {
            node: self.me,
            configuration: self.configuration.clone(),
            active: !self.is_activating(),
            ready: self.log.decided() >= self.configuration.ready(),
            is_voter: self.is_voter(),
            admitted: self.admission.is_admitted(),
            damaged_slots: u64::try_from(self.acceptor.damaged.len()).unwrap_or(u64::MAX),
            no_space: self.acceptor.no_space,
            role,
            promised: self.acceptor.promised,
            leader: self.leader_hint(),
            decided: self.log.decided(),
            chain: self.log.chain(),
            durable: self.log.durable(),
            applied: self.log.applied(),
            compacted_to: self.log.compacted_to(),
            undecided_slots: undecided.unwrap_or(u64::MAX),
            undecided_bytes: self.log.undecided_bytes(),
            quorum_connected: self.election.quorum_connected,
            happy: self.election.happy,
            accepts_proposals: role == RoleName::Leader && busy,
            unsettled: role == RoleName::Leader && refused == Some(RejectReason::Unsettled),
            commit_latency_ms: self.durable.latency_ms(self.now),
            halted: self.halted,
            peers: self
                .peers()
                .into_iter()
                .map(|peer| (peer, self.peer_status(peer)))
                .collect(),
            learners: self.learner_statuses(),
        }
    }

    fn learner_statuses(&self) -> BTreeMap<NodeId, LearnerStatus> {
        let learners = self.election.learners.iter();
        let status = |(node, learner): (&NodeId, &crate::election::Learner)| {
            let status = LearnerStatus {
                last_heard: learner.heard,
                decided: learner.decided,
            };
            (*node, status)
        };
        learners.map(status).collect()
    }

    fn peer_status(&self, peer: NodeId) -> PeerStatus {
        let pong = self.election.last_pong(peer);
        let upto = match &self.role {
            Role::Leader(leader) => leader.peers.get(&peer).map(|progress| progress.upto),
            Role::Candidate(_) | Role::Follower => None,
        };
        PeerStatus {
            heard: self.election.was_heard(peer),
            last_heard: self.election.last_heard(peer),
            decided: self.election.decided_of(peer),
            ballot: pong.map_or(Ballot::ZERO, |pong| pong.ballot),
            upto,
            commit_latency_ms: pong.map_or(0, |pong| pong.commit_latency_ms),
            no_space: pong.is_some_and(|pong| pong.no_space),
        }
    }
}
