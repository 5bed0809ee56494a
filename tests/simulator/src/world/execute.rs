//! The driver's part: executes what the core asks for, in order, and looks after what the core
//! leaves to it (the state machine, compaction, the space on the disk).

use std::cmp::Ordering;
use std::rc::Rc;

use paxos::{
    Configuration, Entry, Epoch, Event as Trace, HaltReason, Input, Message, NodeId, Output,
    PersistOp, RejectReason, Slot, message,
};

use super::{Event, Packet, Request, World};
use crate::replica::{Fate, Waiting};
use crate::report::Mark;
use crate::violation::Broken;

impl World {
    /// Executes one output of a step.
    pub(super) fn execute(&mut self, node: usize, output: Output) {
        match output {
            Output::Persist { seq, ops } => {
                self.mix(seq.0);
                self.note_ops(node, &ops);
                let replica = &mut self.replicas[node];
                let life = replica.life;
                if let Some(latency) = replica.disk.submit(&mut self.random, seq, ops) {
                    self.schedule(self.now + latency, Event::DiskDone { node, life });
                }
            }
            Output::Send { to, message } => self.send(node, to, message),
            Output::Apply { entries } => self.apply(node, entries),
            Output::ServeRows { to, from, upto, .. } => self.serve_rows(node, to, from, upto),
            Output::Proposed {
                token, slot, chain, ..
            } => {
                let request = token.0 as usize;
                self.note_proposed(node, request);
                if let Some(process) = &mut self.replicas[node].process {
                    process.waiting.push(Waiting {
                        request,
                        slot,
                        chain,
                    });
                }
            }
            Output::Rejected { token, reason } => {
                self.on_rejected(node, token.0 as usize, reason);
            }
            Output::ReadReady { token, slot } => self.on_read_ready(node, token.0 as usize, slot),
            Output::ReadRejected { token, reason } => {
                self.on_read_rejected(node, token.0 as usize, reason);
            }
            Output::NeedSnapshot { from, at_least } => self.need_snapshot(node, from, at_least),
            Output::EpochBegan { configuration } => self.on_epoch(node, &configuration),
            Output::Trace(event) => self.on_trace(node, event),
            Output::Halt { reason } => self.on_halt(node, &reason),
        }
    }

    fn note_ops(&mut self, node: usize, ops: &[PersistOp]) {
        for op in ops {
            match op {
                PersistOp::Compact { .. } => self.counters.hit(Mark::Compactions),
                PersistOp::Activate { configuration, .. } => {
                    self.note(node, || format!("stores {configuration:?}"));
                }
                _ => {}
            }
        }
    }

    pub(super) fn send(&mut self, node: usize, to: NodeId, message: Message) {
        let replica = &self.replicas[node];
        let Some(process) = &replica.process else {
            return;
        };
        let (commit, _) = process.core.commit_index();
        let (who, life, image) = (replica.who(node), replica.life, &replica.disk.image);
        match self.invariants.on_send(who, life, &message, image, commit) {
            Ok(true) => self.counters.hit(Mark::ReProposals),
            Ok(false) => {}
            Err(broken) => self.invariants.judge(Err(broken)),
        }
        self.note_message(&message);
        self.carry(node, to, Packet::Core(message));
    }

    fn note_message(&mut self, message: &Message) {
        let mark = match message {
            Message::Nack(_) => Mark::Nacks,
            Message::Gap(_) => Mark::Gaps,
            Message::CatchUp(_) => Mark::CatchUps,
            Message::EpochEnded(_) => Mark::EpochEnded,
            Message::Promise(promise) if promise.pages > 1 => Mark::ManyPages,
            _ => return,
        };
        self.counters.hit(mark);
    }

    /// Puts a packet on its way.
    pub(super) fn carry(&mut self, node: usize, to: NodeId, packet: Packet) {
        let (Some(to), Some(from)) = (self.replica_of(to), self.replicas[node].id()) else {
            return;
        };
        let (here, there) = (self.replicas[node].host, self.replicas[to].host);
        let is_rows = matches!(packet, Packet::Core(Message::Accept(_)));
        if is_rows && self.network.is_muted(here, self.now) {
            return;
        }
        if here == there || self.hosts[there] != to {
            // A disk that is gone has no address any more.
            return;
        }
        let [first, second] = self
            .network
            .arrivals(&mut self.random, (here, there), self.now);
        if first.is_none() && second.is_none() {
            self.counters.hit(Mark::Lost);
        }
        if let (Some(at), Some(_)) = (second, first) {
            self.counters.hit(Mark::Duplicated);
            let packet = packet.clone();
            self.schedule(at, Event::Deliver { from, to, packet });
        }
        if let Some(at) = first.or(second) {
            self.schedule(at, Event::Deliver { from, to, packet });
        }
    }

    fn serve_rows(&mut self, node: usize, to: NodeId, from: Slot, upto: Slot) {
        self.counters.hit(Mark::RowsFromDisk);
        let image = &self.replicas[node].disk.image;
        let rows = message::Rows {
            epoch: image.configuration.epoch,
            entries: image.page(from, upto),
            decided: upto,
            compacted_to: image.compacted_to,
        };
        self.send(node, to, Message::Rows(rows));
    }

    fn apply(&mut self, node: usize, entries: Vec<Entry>) {
        let replica = &mut self.replicas[node];
        let Some(process) = &mut replica.process else {
            return;
        };
        for entry in entries {
            let in_order = entry.slot == process.handed.next();
            let held = replica.disk.image.rows.get(&entry.slot);
            let durable = entry.slot <= replica.disk.image.compacted_to
                || held.is_some_and(|row| row.chain == entry.chain);
            if !in_order || !durable {
                let what = format!(
                    "n{node} applies {} (in order: {in_order}, durable: {durable})",
                    entry.slot
                );
                self.invariants.judge(Err(Broken::new("I16", what)));
                return;
            }
            process.handed = entry.slot;
            process.queue.push_back(entry);
        }
        self.start_applying(node);
    }

    /// The state machine takes everything that is handed to it.
    fn start_applying(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        let Some(process) = &mut replica.process else {
            return;
        };
        if process.applying.is_some() || process.queue.is_empty() {
            return;
        }
        process.applying = Some(process.handed);
        let (life, most) = (replica.life, replica.apply_us);
        let at = self.now + self.random.between(most / 10, most);
        self.schedule(at, Event::Applied { node, life });
    }

    /// The state machine has applied a group, in one transaction.
    pub(super) fn on_applied(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        let who = replica.who(node);
        let Some(process) = &mut replica.process else {
            return;
        };
        let Some(upto) = process.applying.take() else {
            return;
        };
        let mut answers = Vec::new();
        while process
            .queue
            .front()
            .is_some_and(|entry| entry.slot <= upto)
        {
            let Some(entry) = process.queue.pop_front() else {
                break;
            };
            let outcome = replica.state.apply(&entry);
            let verdict = self
                .invariants
                .on_applied(who, &entry, &outcome, &replica.state);
            self.invariants.judge(verdict);
            answers.push((entry.slot, entry.chain, outcome));
        }
        let waiting = std::mem::take(&mut process.waiting);
        let (ready, later) = waiting
            .into_iter()
            .partition(|waiting| waiting.slot <= upto);
        process.waiting = later;
        for (slot, chain, outcome) in answers {
            self.on_outcome(node, &ready, (slot, chain), &outcome);
        }
        self.forget_lost(node, &ready, upto);
        self.answer_reads(node);
        self.step(node, Input::Applied { slot: upto });
        self.start_applying(node);
    }

    /// Makes the state durable and has the log compacted behind it, but for a tail.
    pub(super) fn on_upkeep(&mut self, node: usize, life: u32) {
        self.schedule(
            self.now + self.knobs.upkeep_us,
            Event::Upkeep { node, life },
        );
        let tail = self.knobs.tail;
        let replica = &mut self.replicas[node];
        if replica.stored.slot < replica.state.slot {
            replica.stored = Rc::new(replica.state.clone());
        }
        let upto = Slot(replica.stored.slot.0.saturating_sub(tail));
        let Some(process) = &mut replica.process else {
            return;
        };
        if upto > process.compacted && upto > Slot::GENESIS {
            process.compacted = upto;
            self.step(node, Input::Compact { upto });
        }
    }

    /// The driver looks at the free space.
    pub(super) fn watch_space(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        let low = replica.full_until > self.now;
        let Some(process) = &mut replica.process else {
            return;
        };
        if process.told_low != low {
            process.told_low = low;
            self.note(node, || format!("the disk is nearly full: {low}"));
            self.step(node, Input::Space { low });
        }
    }

    fn on_epoch(&mut self, node: usize, configuration: &Configuration) {
        let active = self.replicas[node].disk.image.configuration.epoch;
        if active < configuration.epoch {
            let what = format!(
                "n{node} begins {} while {active} is durable",
                configuration.epoch
            );
            self.invariants.judge(Err(Broken::new("I12", what)));
        }
        let verdict = self.invariants.epochs.on_configuration(configuration);
        self.invariants.judge(verdict);
        self.note(node, || format!("begins {configuration:?}"));
        if configuration.epoch > self.began {
            self.began = configuration.epoch;
            self.note_change(configuration);
        }
    }

    /// The first node begins an epoch.
    fn note_change(&mut self, configuration: &Configuration) {
        self.counters.hit(Mark::Epochs);
        self.pending
            .retain(|(epoch, _)| *epoch > configuration.epoch);
        let before = Epoch(configuration.epoch.0 - 1);
        let Some(before) = self.invariants.epochs.configuration(before) else {
            return;
        };
        let (old, new) = (&before.voters, &configuration.voters);
        let lost = |id: &NodeId| {
            let node = self.replica_of(*id);
            node.is_some_and(|node| self.replicas[node].fate == Fate::Lost)
        };
        let replaces_lost = old.difference(new).any(lost) && new.difference(old).next().is_some();
        self.counters.hit(match new.len().cmp(&old.len()) {
            Ordering::Greater => Mark::Grown,
            Ordering::Less => Mark::Shrunk,
            Ordering::Equal => Mark::Replaced,
        });
        if replaces_lost {
            self.counters.hit(Mark::LostReplaced);
        }
    }

    fn on_trace(&mut self, node: usize, event: Trace) {
        let replica = &mut self.replicas[node];
        let (who, life) = (replica.who(node), replica.life);
        match event {
            Trace::Campaigning(_) => self.counters.hit(Mark::Campaigns),
            Trace::Leading(ballot) => {
                self.counters.hit(Mark::Elections);
                if ballot.round.0 == 0 {
                    self.counters.hit(Mark::FastStarts);
                }
                let verdict = self.invariants.on_leading(who, life, ballot);
                self.invariants.judge(verdict);
            }
            Trace::SteppedDown(_) => self.counters.hit(Mark::StepDowns),
            Trace::SuffixDropped { from, hole, .. } => {
                self.counters.hit(Mark::SuffixesDropped);
                let verdict = self.invariants.on_suffix_dropped(who, from, hole);
                self.invariants.judge(verdict);
            }
            Trace::Sealing(_) => self.counters.hit(Mark::Seals),
            Trace::EpochReady(_) => self.counters.hit(Mark::Ready),
            Trace::HandingOver { .. } => {
                self.counters.hit(Mark::HandOvers);
                if replica
                    .process
                    .as_ref()
                    .is_some_and(|process| process.told_low)
                {
                    self.counters.hit(Mark::DiskFullHandOvers);
                }
            }
            Trace::Admitted => self.counters.hit(Mark::Admitted),
            Trace::Repaired => self.counters.hit(Mark::Repaired),
            Trace::Differs { slot, peer } => {
                let verdict = self.invariants.on_differs(who, slot, peer);
                self.invariants.judge(verdict);
            }
            Trace::Decided(_) | Trace::CatchingUp { .. } | Trace::QuorumConnected(_) => return,
            Trace::Following(_) | Trace::Leaderless => {}
        }
        self.note(node, || format!("{event:?}"));
    }

    /// The replica stops for good, and keeps its files.
    fn on_halt(&mut self, node: usize, reason: &HaltReason) {
        let replica = &self.replicas[node];
        let verdict = self
            .invariants
            .on_halt(replica.who(node), reason, replica.turned_back);
        self.invariants.judge(verdict);
        if matches!(reason, HaltReason::DiskTurnedBack { .. }) {
            self.counters.hit(Mark::TurnedBackFound);
        }
        self.note(node, || format!("halts: {reason:?}"));
        let replica = &mut self.replicas[node];
        replica.turned_back = false;
        self.end(node);
        self.replicas[node].fate = Fate::Lost;
    }

    fn note_proposed(&mut self, node: usize, request: usize) {
        if let Request::Voters {
            expected_epoch,
            voters,
        } = &self.requests[request]
        {
            let proposed = (expected_epoch.next(), voters.clone());
            self.note(node, || format!("proposes {proposed:?}"));
            self.pending.push(proposed);
        }
    }

    /// Counts a refusal.
    pub(super) const fn note_refusal(&mut self, reason: RejectReason) {
        let mark = match reason {
            RejectReason::NoQuorum => Mark::NoQuorum,
            RejectReason::WindowFull => Mark::WindowFull,
            RejectReason::Unsettled => Mark::Unsettled,
            RejectReason::NoSpace => Mark::NoSpace,
            RejectReason::EpochChanged { .. } => Mark::Stale,
            RejectReason::NotLeader { .. } | RejectReason::TooLarge | RejectReason::BadVoters => {
                return;
            }
        };
        self.counters.hit(mark);
    }
}
