//! What may be broken at once, so that the protocol still promises everything: in every
//! configuration that may decide something, a minority. A run that broke more would find
//! "violations" that no protocol can avoid; one that broke less would prove less.
//!
//! A configuration is in force from its seal until the first entry of a later epoch is decided:
//! then a quorum of later voters holds the whole prefix on disk, and voters that left may be
//! switched off (docs/invariants.md, R4).

use std::collections::BTreeSet;

use paxos::{Configuration, DiskSeq, Epoch, NodeId};

use crate::disk::Image;
use crate::world::World;

impl World {
    /// The voters of every configuration that may decide something now or soon: those begun
    /// since the last one that is ready, and those that were proposed.
    pub fn in_force(&self) -> impl Iterator<Item = &BTreeSet<NodeId>> {
        let epochs = &self.invariants.epochs;
        let (ready, last) = (epochs.ready().0, epochs.last().epoch);
        let begun = (ready..=last.0).filter_map(move |e| epochs.configuration(Epoch(e)));
        let proposed = self.pending.iter().filter(move |(epoch, _)| *epoch > last);
        begun
            .map(|configuration| &configuration.voters)
            .chain(proposed.map(|(_, v)| v))
    }

    /// How many of these nodes cannot vote, now or after a start.
    #[must_use]
    pub fn not_whole(&self, voters: &BTreeSet<NodeId>) -> usize {
        let whole = |id: &NodeId| {
            let node = self.replica_of(*id);
            node.is_some_and(|node| self.replicas[node].is_whole())
        };
        voters.iter().filter(|id| !whole(id)).count()
    }

    /// Whether a node may lose its disk, or a row of it.
    #[must_use]
    pub fn may_lose(&self, node: usize) -> bool {
        let replica = &self.replicas[node];
        let (Some(id), true) = (replica.id(), replica.is_whole()) else {
            return false;
        };
        let bears = |voters: &BTreeSet<NodeId>| {
            let allowed = voters.len().saturating_sub(1) / 2;
            !voters.contains(&id) || self.not_whole(voters) < allowed
        };
        self.in_force().all(bears)
    }

    /// Whether a node's disk may be turned back to this image.
    ///
    /// The answer to it is best effort: a `Hello` is refused by those that have seen a later
    /// vote of this disk (section 2.9 of the design). Votes go to leaders and candidates only,
    /// so a node of three may find a majority that has seen none. A run turns a disk back only
    /// when every majority contains a witness whose knowledge is durable: then the node must
    /// never vote again. What is left out is what the design does not promise.
    ///
    /// That holds for the epochs that may decide something now, and for those that are over and
    /// that the image may still believe in: voters of an old epoch that were all turned back
    /// into it, or never left it, decide as they did then as long as they hear nobody who knows
    /// better. A single voter needs nobody at all.
    #[must_use]
    pub fn may_turn_back(&self, node: usize, image: &Image) -> bool {
        let Some(id) = self.replicas[node].id() else {
            return false;
        };
        let votes = self.in_force().any(|voters| voters.contains(&id));
        let witnessed = |voters| self.is_witnessed(id, image.disk_seq, voters);
        votes && self.may_lose(node) && self.in_force().all(witnessed) && self.is_refuted(id, image)
    }

    /// Whether every majority that contains this voter contains another that has durably seen
    /// a later vote of its disk.
    fn is_witnessed(&self, id: NodeId, to: DiskSeq, voters: &BTreeSet<NodeId>) -> bool {
        let has_seen = |other: &NodeId| {
            let other = self.replica_of(*other).map(|node| &self.replicas[node]);
            other.is_some_and(|other| other.is_whole() && other.disk.image.has_seen(id, to))
        };
        let others = voters.iter().filter(|other| **other != id);
        let blind = others.filter(|other| !has_seen(other)).count();
        // With itself, a majority needs this many others.
        !voters.contains(&id) || blind < voters.len() / 2
    }

    /// Whether, in each epoch from that of the image on, fewer voters than a majority, with
    /// this one, would believe that the epoch goes on and take the image for the latest.
    fn is_refuted(&self, id: NodeId, image: &Image) -> bool {
        let last = self.invariants.epochs.last().epoch;
        let past = image.configuration.epoch.0..=last.0;
        let mut past = past.filter_map(|epoch| self.invariants.epochs.configuration(Epoch(epoch)));
        past.all(|Configuration { epoch, voters, .. }| {
            let believes = |other: &NodeId| {
                let other = self.replica_of(*other).map(|node| &self.replicas[node]);
                other.is_some_and(|other| {
                    let log = &other.disk.image;
                    log.configuration.epoch <= *epoch && !log.has_seen(id, image.disk_seq)
                })
            };
            let others = voters.iter().filter(|other| **other != id);
            !voters.contains(&id)
                || others.filter(|other| believes(other)).count() < voters.len() / 2
        })
    }
}
