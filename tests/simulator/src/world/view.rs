//! What can be seen of a world: who leads, who knows what, whether it is at rest.

use std::collections::BTreeSet;

use paxos::{Ballot, Chain, Epoch, NodeId, RoleName, Slot, Status};

use super::World;
use crate::replica::Replica;

impl World {
    /// The replica with an id, by its place.
    #[must_use]
    pub fn replica_of(&self, id: NodeId) -> Option<usize> {
        self.replicas
            .iter()
            .position(|replica| replica.id() == Some(id))
    }

    /// What a running replica knows of itself.
    #[must_use]
    pub fn status(&self, node: usize) -> Option<Status> {
        let process = self.replicas[node].process.as_ref()?;
        Some(process.core.status())
    }

    /// The running replicas that lead, as they believe.
    pub fn leaders(&self) -> impl Iterator<Item = usize> {
        let leads = |node: &usize| {
            self.status(*node)
                .is_some_and(|s| s.role == RoleName::Leader)
        };
        (0..self.replicas.len()).filter(leads)
    }

    /// The node that leads and whom every other running voter follows, all of them content.
    #[must_use]
    pub fn settled_leader(&self) -> Option<(usize, Ballot)> {
        let statuses: Vec<Status> = (0..self.replicas.len())
            .filter_map(|node| self.status(node))
            .collect();
        let epoch = statuses
            .iter()
            .map(|status| status.configuration.epoch)
            .max()?;
        let leads = |status: &&Status| {
            status.role == RoleName::Leader && status.configuration.epoch == epoch
        };
        let leader = statuses.iter().find(leads)?;
        let configuration = self.invariants.epochs.configuration(epoch)?;
        let agree = |status: &Status| {
            !configuration.voters.contains(&status.node)
                || (status.happy && status.promised == leader.promised)
        };
        let node = self.replica_of(leader.node)?;
        statuses
            .iter()
            .all(agree)
            .then_some((node, leader.promised))
    }

    /// Whether a node leads the last epoch, and a quorum is content with it.
    #[must_use]
    pub fn is_led(&self) -> bool {
        let last = self.invariants.epochs.last();
        let voters = last.voters.iter().filter_map(|id| self.replica_of(*id));
        let statuses: Vec<Status> = voters.filter_map(|node| self.status(node)).collect();
        let leads = |status: &&Status| {
            status.role == RoleName::Leader && status.configuration.epoch == last.epoch
        };
        statuses.iter().filter(leads).any(|leader| {
            let follows = |status: &&Status| status.happy && status.promised == leader.promised;
            statuses.iter().filter(follows).count() > last.voters.len() / 2
        })
    }

    /// Every running replica has applied the same prefix, and no client waits.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        if !self.clients.idle() {
            return false;
        }
        let prefixes: BTreeSet<_> = self
            .replicas
            .iter()
            .filter(|replica| !replica.frozen)
            .map(prefix)
            .collect();
        prefixes.len() == 1 && prefixes.first().is_some_and(Option::is_some)
    }

    /// The highest slot that any node has decided.
    #[must_use]
    pub fn highest_decided(&self) -> Slot {
        self.invariants.history.agreement.highest()
    }
}

/// What a replica has applied, if that is all that it knows to be decided.
fn prefix(replica: &Replica) -> Option<(Slot, Chain, Epoch)> {
    let process = replica.process.as_ref()?;
    let (decided, chain) = process.core.commit_index();
    let epoch = replica.disk.image.configuration.epoch;
    let applied = replica.state.slot == decided;
    applied.then_some((decided, chain, epoch))
}
