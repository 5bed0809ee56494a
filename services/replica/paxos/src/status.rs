//! What a replica knows of itself and its peers, for people: the cluster panel and metrics.
//!
//! Reads: the core. Emits: nothing.

use alloc::collections::BTreeMap;

use crate::core::{Core, Role};
use crate::entry::Chain;
use crate::ids::{Ballot, Epoch, Millis, NodeId, Slot};

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

/// The state of one core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// The active epoch.
    pub epoch: Epoch,
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
    /// The weight of their rows.
    pub undecided_bytes: usize,
    /// A majority answered in the last heartbeat round.
    pub quorum_connected: bool,
    /// Content with its leader.
    pub happy: bool,
    /// Whether a proposal would be taken but for the window.
    pub accepts_proposals: bool,
    /// The recent commit latency of this node's disk, in milliseconds.
    pub commit_latency_ms: u64,
    /// Whether the core has stopped for good.
    pub halted: bool,
    /// The other voters.
    pub peers: BTreeMap<NodeId, PeerStatus>,
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
        Status {
            node: self.me,
            epoch: self.configuration.epoch,
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
            accepts_proposals: role == RoleName::Leader && !self.election.is_disconnected(),
            commit_latency_ms: self.durable.latency_ms(self.now),
            halted: self.halted,
            peers: self
                .peers()
                .into_iter()
                .map(|peer| (peer, self.peer_status(peer)))
                .collect(),
        }
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
        }
    }
}
