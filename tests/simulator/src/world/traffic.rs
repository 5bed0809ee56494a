//! What clients do in a world: ask, hear the answer, try again.

use paxos::{Chain, EntryKind, Input, ProposalToken, ReadToken, RejectReason, Slot};

use super::{Asked, Event, Request, World};
use crate::clients::TIMEOUT_US;
use crate::command::Command;
use crate::network::Micros;
use crate::replica::Waiting;
use crate::report::Mark;
use crate::state::Outcome;

/// The longest way of a request to a replica.
const REQUEST_US: Micros = 2_000;

impl World {
    /// A client's alarm: makes new commands, and sends those that wait for too long.
    pub(super) fn on_client(&mut self, client: usize, alarm: u64) {
        if self.clients.writers[client].alarm != alarm {
            return;
        }
        self.clients.refill(&mut self.random, client, self.now);
        let now = self.now;
        let target = self.target_of_client(client);
        let mut due = Vec::new();
        for pending in &mut self.clients.writers[client].pending {
            if pending.again_at <= now {
                pending.again_at = now + TIMEOUT_US;
                pending.sent += 1;
                due.push((pending.command, pending.sent > 1));
            }
        }
        // A stream to a replica keeps its order; another one may be used for the next command.
        let way = self.random.between(1, REQUEST_US);
        for (command, again) in due {
            if again {
                self.counters.hit(Mark::Retries);
            }
            self.invariants.validity.on_command(&command);
            let other = self.random.per_mille(100);
            let way = if other {
                self.random.between(1, REQUEST_US)
            } else {
                way
            };
            self.ask(target, Request::Command(command), way);
        }
        self.set_alarm(client);
    }

    /// The replica that a client asks: the one it believes to lead, or any.
    fn target_of_client(&mut self, client: usize) -> usize {
        let mut target = self.clients.writers[client].target;
        if !self.replicas[target].is_up(self.now) || self.random.per_mille(50) {
            target = self.anyone();
            self.clients.writers[client].target = target;
        }
        target
    }

    /// The replica of some host.
    pub(crate) fn anyone(&mut self) -> usize {
        let host = self.random.index(self.hosts.len());
        self.hosts[host]
    }

    /// The next moment at which a client has something to do.
    fn set_alarm(&mut self, client: usize) {
        let rests = self.clients.wants_at(client);
        let state = &mut self.clients.writers[client];
        let again = state.pending.iter().map(|pending| pending.again_at).min();
        let idle = self.now + TIMEOUT_US;
        let at = again
            .unwrap_or(idle)
            .min(rests.unwrap_or(idle))
            .max(self.now + 1);
        state.alarm += 1;
        let alarm = state.alarm;
        self.schedule(at, Event::Client { client, alarm });
    }

    /// A request on its way to a replica; it may arrive twice.
    pub(super) fn ask(&mut self, node: usize, request: Request, way: Micros) {
        let copies = if self.random.per_mille(20) { 2 } else { 1 };
        for copy in 0..copies {
            let at = self.now + way + copy * self.random.between(0, REQUEST_US);
            let place = self.requests.len();
            self.requests.push(request.clone());
            self.schedule(
                at,
                Event::Request {
                    node,
                    request: place,
                },
            );
        }
    }

    /// A request arrives.
    pub(super) fn on_request(&mut self, node: usize, request: usize) {
        if self.replicas[node].process.is_none() {
            // Nobody listens: the client notices, and tries elsewhere.
            if let Request::Command(command) = self.requests[request] {
                let client = usize::from(command.client);
                self.clients.writers[client].target = self.anyone();
                self.send_again(&command, 20_000);
            }
            return;
        }
        if !self.replicas[node].is_up(self.now) {
            return;
        }
        let wall_clock = self.replicas[node].clock.wall(self.now);
        let token = ProposalToken(request as u64);
        let (kind, payload) = match &self.requests[request] {
            Request::Command(command) => {
                let client = &self.clients.writers[usize::from(command.client)];
                let mut pending = client.pending.iter();
                match pending.find(|pending| pending.command.cid == command.cid) {
                    Some(pending) => (pending.kind, pending.payload.clone()),
                    // It arrives after another copy was acknowledged.
                    None => (EntryKind::Batch, command.encode(0)),
                }
            }
            Request::Node(disk) => {
                let payload = bytes::Bytes::copy_from_slice(&disk.0.to_le_bytes());
                (EntryKind::RegisterNode, payload)
            }
            Request::Voters {
                expected_epoch,
                voters,
            } => {
                if self.is_a_mistake_by_now(voters) {
                    return;
                }
                let (expected_epoch, voters) = (*expected_epoch, voters.clone());
                let input = Input::Reconfigure {
                    token,
                    expected_epoch,
                    voters,
                    wall_clock,
                };
                self.step(node, input);
                return;
            }
        };
        self.step(
            node,
            Input::Propose {
                token,
                kind,
                payload,
                wall_clock,
            },
        );
    }

    /// An entry is applied: whoever waits for it at this node, with this chain, is answered.
    pub(super) fn on_outcome(
        &mut self,
        node: usize,
        ready: &[Waiting],
        (slot, chain): (Slot, Chain),
        outcome: &Outcome,
    ) {
        if matches!(outcome, Outcome::Done { repeated: true, .. }) {
            self.counters.hit(Mark::Repeated);
        }
        if matches!(outcome, Outcome::Gap { .. }) {
            self.counters.hit(Mark::SessionGaps);
        }
        let mine = ready
            .iter()
            .any(|waiting| waiting.slot == slot && waiting.chain == chain);
        if !mine {
            return;
        }
        self.note_more(node, || format!("answers {outcome:?}"));
        match outcome {
            Outcome::Done { command, slot, .. } => {
                self.invariants.on_acknowledged(*command, *slot);
                self.on_acknowledged(node, command);
            }
            Outcome::Session { command, id } => {
                self.invariants.reads.on_acknowledged(*id);
                self.clients.note_session(command, *id);
                self.on_acknowledged(node, command);
            }
            Outcome::Gap { command } => self.send_again(command, 20_000),
            Outcome::Node { .. } | Outcome::Nothing => {}
        }
    }

    fn on_acknowledged(&mut self, node: usize, command: &Command) {
        let Some(since) = self.clients.acknowledge(command) else {
            return;
        };
        let wait = self.now - since;
        self.counters.wait_us_max = self.counters.wait_us_max.max(wait);
        let client = usize::from(command.client);
        let think = self.random.between(1, self.knobs.think_us);
        let state = &mut self.clients.writers[client];
        state.target = node;
        state.rests_until = self.now + think;
        self.set_alarm(client);
    }

    /// Proposals whose slots hold something else now.
    pub(super) fn forget_lost(&mut self, node: usize, ready: &[Waiting], upto: Slot) {
        for waiting in ready {
            if let Request::Command(command) = &self.requests[waiting.request] {
                let command = *command;
                let state = &self.replicas[node].state;
                let done = state.effect(command.client, command.cid).is_some();
                if !done && waiting.slot <= upto {
                    self.send_again(&command, 1_000);
                }
            }
        }
    }

    /// A client tries a command again, within a time.
    fn send_again(&mut self, command: &Command, within_us: Micros) {
        let client = usize::from(command.client);
        let at = self.now + self.random.between(1, within_us);
        let pending = &mut self.clients.writers[client].pending;
        let Some(pending) = pending.iter_mut().find(|p| p.command.cid == command.cid) else {
            return;
        };
        pending.again_at = pending.again_at.min(at);
        self.set_alarm(client);
    }

    pub(super) fn on_rejected(&mut self, node: usize, request: usize, reason: RejectReason) {
        self.note_refusal(reason);
        let Request::Command(command) = &self.requests[request] else {
            return;
        };
        let (command, client) = (*command, usize::from(command.client));
        let (target, pause) = self.after_refusal(node, reason);
        self.clients.writers[client].target = target;
        self.send_again(&command, pause);
    }

    /// Whom to ask after a refusal, and within which time.
    fn after_refusal(&mut self, node: usize, reason: RejectReason) -> (usize, Micros) {
        match reason {
            RejectReason::NotLeader {
                leader: Some(leader),
            } => (self.replica_of(leader).unwrap_or(node), 2_000),
            RejectReason::WindowFull | RejectReason::Unsettled | RejectReason::NoSpace => {
                (node, 20_000)
            }
            RejectReason::NotLeader { leader: None }
            | RejectReason::NoQuorum
            | RejectReason::TooLarge
            | RejectReason::EpochChanged { .. }
            | RejectReason::BadVoters => (self.anyone(), 50_000),
        }
    }

    /// A reader's alarm: begins a read, or gives the present attempt up and tries elsewhere.
    pub(super) fn on_reader(&mut self, reader: usize, number: u64) {
        let state = &mut self.clients.readers[reader];
        if state.number != number {
            return;
        }
        if state.waits.is_none() {
            if !self.clients.active {
                let at = self.now + TIMEOUT_US;
                self.schedule(at, Event::Reader { reader, number });
                return;
            }
            state.waits = Some((self.now, Slot::GENESIS));
        }
        state.number += 1;
        let number = state.number;
        let target = self.clients.readers[reader].target;
        let at = self.now + TIMEOUT_US;
        self.schedule(at, Event::Reader { reader, number });
        let target = if self.replicas[target].is_up(self.now) {
            target
        } else {
            self.anyone()
        };
        self.clients.readers[reader].target = target;
        if self.replicas[target].process.is_none() {
            self.wake_reader(reader, 20_000);
        } else if self.replicas[target].is_up(self.now) {
            let token = ReadToken(self.reads.len() as u64);
            let floor = self.invariants.reads.on_begun();
            self.reads.push(Asked {
                reader,
                number,
                floor,
            });
            self.step(target, Input::Read { token });
        }
    }

    /// A read is confirmed: it is answered when the state is there.
    pub(super) fn on_read_ready(&mut self, node: usize, read: usize, slot: Slot) {
        if let Some(process) = &mut self.replicas[node].process {
            process.reads.push((slot, read));
        }
        self.answer_reads(node);
    }

    pub(super) fn answer_reads(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        let applied = replica.state.slot;
        let Some(process) = &mut replica.process else {
            return;
        };
        if process.reads.iter().all(|(slot, _)| *slot > applied) {
            return;
        }
        let (ready, later) = process.reads.iter().partition(|(slot, _)| *slot <= applied);
        process.reads = later;
        let ready: Vec<(Slot, usize)> = ready;
        for (_, read) in ready {
            let Asked {
                reader,
                number,
                floor,
            } = self.reads[read];
            let verdict = self.invariants.reads.on_answered(floor, applied);
            self.invariants.judge(verdict);
            self.counters.hit(Mark::Reads);
            let state = &mut self.clients.readers[reader];
            if state.number == number {
                state.waits = None;
                state.done += 1;
                self.wake_reader(reader, self.knobs.think_us);
            }
        }
    }

    pub(super) fn on_read_rejected(&mut self, node: usize, read: usize, reason: RejectReason) {
        self.counters.hit(Mark::ReadsRefused);
        let Asked { reader, number, .. } = self.reads[read];
        let (target, pause) = self.after_refusal(node, reason);
        let state = &mut self.clients.readers[reader];
        if state.number == number {
            state.target = target;
            self.wake_reader(reader, pause);
        }
    }

    fn wake_reader(&mut self, reader: usize, within_us: Micros) {
        let at = self.now + self.random.between(1, within_us);
        let state = &mut self.clients.readers[reader];
        state.number += 1;
        let number = state.number;
        self.schedule(at, Event::Reader { reader, number });
    }
}
