//! The operator: what membership does for a real cluster. Registers disks through the log,
//! starts what is registered as a learner, and asks for other voters. It never votes, and what
//! it believes may be out of date.

use std::collections::BTreeSet;

use paxos::NodeId;

use super::{Event, Request, World};
use crate::replica::{Fate, Replica};
use crate::report::Mark;

/// How far a node may be behind to be proposed as a voter, in slots, most of the time.
const LAG_SLOTS_MAX: u64 = 30;

impl World {
    pub(super) fn on_operator(&mut self) {
        let at = self.now + self.random.between(1, 2 * self.knobs.operator_us);
        self.schedule(at, Event::Operator);
        self.register();
        let known = self.anyone();
        if self.replicas[known].is_up(self.now) {
            self.tell_contacts(known);
        }
        if !self.healed && self.random.per_mille(self.knobs.changes) {
            self.change_voters();
        }
    }

    /// Asks for ids for disks that have none, and starts those that got one.
    fn register(&mut self) {
        for host in 0..self.hosts.len() {
            let node = self.hosts[host];
            if self.replicas[node].id().is_some() {
                continue;
            }
            let disk = self.replicas[node].disk.id;
            let asked = self.anyone();
            match self.replicas[asked].state.node_of(disk) {
                Some(id) => {
                    self.replicas[node].disk.image.node = Some(id);
                    self.counters.hit(Mark::Registered);
                    self.note(node, || "is registered".to_owned());
                    self.start(node);
                }
                None => {
                    self.invariants.validity.on_registration(disk);
                    let target = self.believed_leader();
                    self.ask(target, Request::Node(disk), 1_000);
                }
            }
        }
    }

    /// The node that leads as far as somebody knows; sometimes anybody.
    fn believed_leader(&mut self) -> usize {
        let leaders: Vec<usize> = self.leaders().collect();
        if self.random.per_mille(100) {
            return self.anyone();
        }
        match self.random.pick_any(&leaders) {
            Some(leader) => leader,
            None => self.anyone(),
        }
    }

    /// Asks for another configuration than the one that some node knows.
    fn change_voters(&mut self) {
        let asked = self.anyone();
        let known = self.replicas[asked].disk.image.configuration.clone();
        let Some(voters) = self.choose_voters(&known.voters) else {
            return;
        };
        if voters == known.voters {
            return;
        }
        self.counters.hit(Mark::Reconfigurations);
        self.invariants.validity.on_reconfiguration(&voters);
        let expected_epoch = known.epoch;
        let target = self.believed_leader();
        self.note(target, || {
            format!("is asked for {voters:?} after {expected_epoch}")
        });
        self.ask(
            target,
            Request::Voters {
                expected_epoch,
                voters,
            },
            1_000,
        );
    }

    /// Other voters: with lost ones replaced, one more or less, or any.
    fn choose_voters(&mut self, present: &BTreeSet<NodeId>) -> Option<BTreeSet<NodeId>> {
        let mut voters = present.clone();
        let mut others = self.candidates(present);
        self.random.shuffle(&mut others);
        let mut members: Vec<NodeId> = present.iter().copied().collect();
        self.random.shuffle(&mut members);
        // What is lost goes first.
        members.sort_by_key(|id| self.is_sound(*id));
        match self.random.index(10) {
            0..5 => {
                voters.remove(members.first()?);
                voters.insert(*others.first()?);
            }
            5..7 => {
                let most = self.knobs.voters_max.saturating_sub(voters.len()).min(2);
                voters.extend(others.into_iter().take(most));
            }
            7..9 => {
                let least = if self.random.per_mille(100) { 1 } else { 3 };
                let fewer = voters.len().saturating_sub(least).min(2);
                for id in members.iter().take(fewer) {
                    voters.remove(id);
                }
            }
            _ => {
                let count = self.random.pick(&[3, 3, 4, 5]);
                others.extend(members);
                self.random.shuffle(&mut others);
                voters = others.into_iter().take(count).collect();
            }
        }
        (!voters.is_empty() && self.bears_its_losses(&voters)).then_some(voters)
    }

    /// A configuration of which more are lost than it bears would be a mistake of the operator
    /// that no protocol can mend.
    fn bears_its_losses(&self, voters: &BTreeSet<NodeId>) -> bool {
        self.not_whole(voters) <= voters.len().saturating_sub(1) / 2
    }

    /// Whether what was asked for became such a mistake on its way: disks were lost meanwhile,
    /// or those who were not healed stand still for ever.
    pub(super) fn is_a_mistake_by_now(&self, voters: &BTreeSet<NodeId>) -> bool {
        self.healed || !self.bears_its_losses(voters)
    }

    /// Nodes that could become voters; most of the time only those that have caught up.
    fn candidates(&mut self, present: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let careless = self.random.per_mille(200);
        let highest = self.highest_decided();
        let fits = |replica: &Replica| {
            let near = highest.distance_above(replica.state.slot) <= LAG_SLOTS_MAX;
            replica.is_whole() && replica.process.is_some() && (near || careless)
        };
        let running = self.hosts.iter().map(|node| &self.replicas[*node]);
        let ids = running
            .filter(|replica| fits(replica))
            .filter_map(Replica::id);
        ids.filter(|id| !present.contains(id)).collect()
    }

    fn is_sound(&self, id: NodeId) -> bool {
        let node = self.replica_of(id);
        node.is_some_and(|node| self.replicas[node].fate == Fate::Sound)
    }
}
