//! How processes start and end: crashes, power losses, and what a start makes of the disk.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use paxos::{Core, Input, NodeId, Options, Slot};

use super::{Event, World, judge_op};
use crate::network::Micros;
use crate::replica::{Fate, Process, Replica};
use crate::report::Mark;
use crate::state::DiskId;
use crate::violation::Broken;

impl World {
    /// Ends a process by `kill -9`, or one that installs a snapshot. What the operating system
    /// holds survives. Its node may start again after `pause`.
    pub fn crash(&mut self, node: usize, pause: Option<Micros>) {
        let replica = &self.replicas[node];
        let ends = replica.process.is_some() || replica.installing;
        // A node whose disk was turned back stays up until it has halted: what it writes
        // meanwhile raises its count of transactions, so that after another start its peers
        // could not tell any more. The design does not promise more than that.
        if !ends || replica.turned_back {
            return;
        }
        self.counters.hit(Mark::Crashes);
        if replica.installing {
            self.counters.hit(Mark::InstallsCut);
        }
        self.note(node, || "crashes".to_owned());
        self.end(node);
        let life = self.replicas[node].life;
        if let Some(pause) = pause {
            self.schedule(self.now + pause, Event::Restart { node, life });
        }
    }

    /// The power of a node fails: its state may be an older one afterwards.
    pub fn lose_power(&mut self, node: usize, pause: Option<Micros>) {
        self.crash(node, pause);
        let replica = &mut self.replicas[node];
        if replica.process.is_some() {
            return;
        }
        if replica.stored.slot < replica.state.slot && self.random.per_mille(700) {
            replica.state = (*replica.stored).clone();
            self.counters.hit(Mark::StatesTurnedBack);
        } else {
            replica.stored = Rc::new(replica.state.clone());
        }
    }

    /// Ends a process. Of the running commit any part from the front may be durable.
    pub(super) fn end(&mut self, node: usize) {
        let (random, invariants) = (&mut self.random, &mut self.invariants);
        let replica = &mut self.replicas[node];
        let (who, stored) = (replica.who(node), replica.stored.slot);
        replica.disk.crash(random, |image, op| {
            judge_op(invariants, who, image, op, stored)
        });
        replica.process = None;
        replica.installing = false;
        replica.disk.fails = false;
        replica.life += 1;
    }

    /// Starts a node's process from what its disk holds.
    pub fn start(&mut self, node: usize) {
        let replica = &self.replicas[node];
        let runs = replica.process.is_some() || replica.installing;
        let gone = replica.fate == Fate::Lost && !replica.turned_back;
        if runs || replica.frozen || replica.id().is_none() {
            return;
        }
        if replica.disk.image.refused {
            self.refuse(node);
        } else if !gone && self.recover(node) {
            self.run_process(node);
        }
    }

    /// Makes log and state agree, and brings the state up to the commit index (D4). Answers
    /// whether the core can start from that.
    fn recover(&mut self, node: usize) -> bool {
        let replica = &mut self.replicas[node];
        let who = replica.who(node);
        let Replica {
            disk,
            state,
            stored,
            ..
        } = replica;
        let image = &mut disk.image;
        image.reconcile(state);
        if image.refused {
            self.refuse(node);
            return false;
        }
        if image.drop_damaged(state.slot) > 0 {
            self.counters.hit(Mark::DamagedBelow);
        }
        let upto = image.commit_index(state.slot);
        for slot in (state.slot.0 + 1..=upto.0).map(Slot) {
            let Some(row) = image.rows.get(&slot) else {
                let what = format!("n{node}: {slot} of {upto} is missing at a start");
                self.invariants.judge(Err(Broken::new("I16", what)));
                return false;
            };
            let outcome = state.apply(row);
            let verdict = self.invariants.on_applied(who, row, &outcome, state);
            self.invariants.judge(verdict);
        }
        // The process may have ended between the seal and its activation.
        image.reconcile(state);
        if !image.damaged.is_empty() {
            self.counters.hit(Mark::DamagedAbove);
        }
        // Whoever deletes rows has made their effects durable before.
        *stored = Rc::new(state.clone());
        let (slot, damaged) = (state.slot, image.damaged.clone());
        let reaches = slot >= image.configuration.start;
        self.note(node, || format!("starts at {slot}, damaged: {damaged:?}"));
        if !reaches {
            self.fetch_before_start(node);
        }
        reaches
    }

    fn refuse(&mut self, node: usize) {
        self.counters.hit(Mark::Quarantines);
        self.note(node, || "refuses its log and stays down".to_owned());
        self.replicas[node].fate = Fate::Lost;
    }

    fn run_process(&mut self, node: usize) {
        let seed = self.random.next();
        let replica = &mut self.replicas[node];
        let image = &replica.disk.image;
        let configuration = image.configuration.clone();
        let who = replica.who(node);
        if !configuration.voters.contains(&who.id) {
            self.counters.hit(Mark::Learners);
        }
        let options = Options {
            node: who.id,
            configuration,
            seed,
        };
        let restored = image.restored(&replica.state);
        let compacted = restored.compacted_to;
        replica.life += 1;
        replica.paused_until = 0;
        let now = replica.clock.monotonic(self.now);
        replica.process = Some(Process {
            core: Core::new(options, restored, now),
            handed: replica.state.slot,
            queue: VecDeque::new(),
            applying: None,
            waiting: Vec::new(),
            reads: Vec::new(),
            offer: None,
            told_low: false,
            compacted,
        });
        let verdict = self
            .invariants
            .on_start(who, replica.levels(), &replica.state);
        self.invariants.judge(verdict);
        let life = replica.life;
        let at = self.now + self.random.between(0, 10_000);
        self.schedule(at, Event::Tick { node, life });
        let at = self.now + self.random.between(0, self.knobs.upkeep_us);
        self.schedule(at, Event::Upkeep { node, life });
        self.tell_contacts(node);
    }

    /// Tells a core of the nodes that the operator knows.
    pub(super) fn tell_contacts(&mut self, node: usize) {
        let known = self
            .hosts
            .iter()
            .filter_map(|node| self.replicas[*node].id());
        let me = self.replicas[node].id();
        let nodes: BTreeSet<NodeId> = known.filter(|id| Some(*id) != me).collect();
        self.step(node, Input::Contacts { nodes });
    }

    /// A disk is replaced by an empty one: what runs on the host from now on is another node.
    pub fn replace_disk(&mut self, node: usize) {
        self.lose_power(node, None);
        self.note(node, || "loses its disk".to_owned());
        let host = self.replicas[node].host;
        self.replicas[node].fate = Fate::Lost;
        self.replicas[node].frozen = true;
        self.replicas[node].life += 1;
        if self.hosts[host] == node {
            let disk = DiskId(self.random.next());
            self.hosts[host] = self.replicas.len();
            let apply_us = self.knobs.apply_us;
            self.replicas
                .push(Replica::new(host, disk, &self.first, apply_us));
        }
    }
}
