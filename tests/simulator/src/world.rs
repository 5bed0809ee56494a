//! One simulated cluster: replicas, network, disks, clients and an operator in one thread,
//! driven by a queue of events in simulated time.
//!
//! Every random choice comes from one generator in the order of events, so that a seed names
//! one history. Time jumps from event to event.

mod execute;
mod lifecycle;
mod operator;
mod queue;
mod snapshots;
mod traffic;
mod view;

use std::collections::BTreeSet;
use std::rc::Rc;

use paxos::{Configuration, Input, Message, NodeId, Output, PersistOp, Slot};

use crate::clients::Clients;
use crate::command::Command;
use crate::disk::Completion;
use crate::invariants::{Invariants, Who};
use crate::knobs::Knobs;
use crate::network::{Micros, Network};
use crate::random::Random;
use crate::replica::Replica;
use crate::report::{Counters, Mark};
use crate::state::{DiskId, State};
use crate::violation::set_at_us;
use queue::Queue;

/// What travels between replicas.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    /// A message of the protocol.
    Core(Message),
    /// The driver asks for a chunk of a snapshot: of the one at this slot, if it has begun one.
    SnapshotAsk { slot: Option<Slot>, chunk: u32 },
    /// A chunk; the whole snapshot goes along, for the last one.
    SnapshotChunk {
        chunk: u32,
        of: u32,
        snapshot: Rc<State>,
    },
}

/// What happens at a moment. What is meant for a process names its `life`.
#[derive(Debug)]
pub(crate) enum Event {
    Tick {
        node: usize,
        life: u32,
    },
    Deliver {
        from: NodeId,
        to: usize,
        packet: Packet,
    },
    DiskDone {
        node: usize,
        life: u32,
    },
    Applied {
        node: usize,
        life: u32,
    },
    Upkeep {
        node: usize,
        life: u32,
    },
    Restart {
        node: usize,
        life: u32,
    },
    Installed {
        node: usize,
        life: u32,
    },
    Client {
        client: usize,
        alarm: u64,
    },
    Request {
        node: usize,
        request: usize,
    },
    Reader {
        reader: usize,
        number: u64,
    },
    Operator,
    /// A host is cut off from all others, or joined with all.
    Isolate {
        host: usize,
        isolated: bool,
    },
}

/// What somebody asked a replica for; its place in the list is the token.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Command(Command),
    Node(DiskId),
    Voters {
        expected_epoch: paxos::Epoch,
        voters: BTreeSet<NodeId>,
    },
}

/// A read; its place in the list is the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) reader: usize,
    pub(crate) number: u64,
    pub(crate) floor: Slot,
}

/// A cluster.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Micros,
    /// The source of chance.
    pub random: Random,
    /// One for each disk that ever was.
    pub replicas: Vec<Replica>,
    /// By host: the replica that runs there now.
    pub hosts: Vec<usize>,
    /// The network between hosts.
    pub network: Network,
    /// The clients.
    pub clients: Clients,
    /// What must hold.
    pub invariants: Invariants,
    /// What was reached.
    pub counters: Counters,
    /// The knobs of the run.
    pub knobs: Knobs,
    /// A hash over all that happened.
    pub trace: u64,
    /// Faults are over: what was still to come of them does not, and the operator changes no
    /// voters.
    pub healed: bool,
    /// Voters that were proposed for an epoch that nobody has begun yet.
    pub pending: Vec<(paxos::Epoch, BTreeSet<NodeId>)>,
    first: Configuration,
    /// The highest epoch that some node has begun.
    began: paxos::Epoch,
    requests: Vec<Request>,
    reads: Vec<Asked>,
    queue: Queue<Event>,
    /// Reused by every step.
    out: Vec<Output>,
    /// 0: silent; 1: what is interesting; 2: every input and output.
    verbose: u8,
}

impl World {
    /// A cluster that starts.
    #[must_use]
    pub fn new(seed: u64, knobs: Knobs, verbose: u8) -> Self {
        let mut random = Random::new(seed);
        let hosts = knobs.voters + knobs.spares;
        let voters = (1..=knobs.voters as u64).map(NodeId).collect();
        let first = Configuration::first(voters);
        let clients = Clients::new(&mut random, &knobs);
        let mut network = Network::new(hosts);
        network.delay_us = knobs.delay_us;
        let mut world = Self {
            now: 0,
            random,
            replicas: Vec::new(),
            hosts: (0..hosts).collect(),
            network,
            clients,
            invariants: Invariants::new(first.clone()),
            counters: Counters::default(),
            knobs,
            trace: seed,
            healed: false,
            pending: Vec::new(),
            first,
            began: paxos::Epoch::FIRST,
            requests: Vec::new(),
            reads: Vec::new(),
            queue: Queue::new(),
            out: Vec::new(),
            verbose,
        };
        world.begin(hosts);
        world
    }

    fn begin(&mut self, hosts: usize) {
        for host in 0..hosts {
            let disk = DiskId(self.random.next());
            let mut replica = Replica::new(host, disk, &self.first, self.knobs.apply_us);
            let id = NodeId(host as u64 + 1);
            if self.first.voters.contains(&id) {
                replica.disk.image.node = Some(id);
                let image = replica.disk.image.clone();
                replica.backup = Some(Box::new((image, Rc::clone(&replica.stored))));
            }
            self.replicas.push(replica);
        }
        for node in 0..hosts {
            self.start(node);
        }
        for client in 0..self.clients.writers.len() {
            let at = self.random.between(0, 300_000);
            self.schedule(at, Event::Client { client, alarm: 0 });
        }
        for reader in 0..self.clients.readers.len() {
            let at = self.random.between(0, 300_000);
            self.schedule(at, Event::Reader { reader, number: 0 });
        }
        let at = self.random.between(0, 300_000);
        self.schedule(at, Event::Operator);
    }

    pub(crate) fn schedule(&mut self, at: Micros, event: Event) {
        self.queue.push(at.max(self.now), event);
    }

    /// Whether an invariant is broken: nothing after that means anything.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.invariants.broken.is_some()
    }

    /// Runs until a moment, or until something is broken.
    pub fn run(&mut self, end: Micros) {
        while !self.is_broken() {
            let Some((at, event)) = self.queue.pop(end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = at;
            set_at_us(at);
            self.counters.events += 1;
            self.handle(event);
        }
    }

    /// Runs in slices until something holds, at most for a time. Answers whether it does.
    pub fn run_until(
        &mut self,
        within: Micros,
        slice: Micros,
        holds: impl Fn(&Self) -> bool,
    ) -> bool {
        let end = self.now + within;
        while self.now < end && !self.is_broken() && !holds(self) {
            self.run(self.now + slice);
        }
        holds(self)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { node, .. }
            | Event::DiskDone { node, .. }
            | Event::Applied { node, .. }
            | Event::Upkeep { node, .. }
            | Event::Deliver { to: node, .. }
                if self.replicas[node].paused_until > self.now =>
            {
                // A paused process gets everything later.
                let until = self.replicas[node].paused_until;
                self.schedule(until, event);
            }
            Event::Tick { node, life } if self.is_life(node, life) => self.on_tick(node, life),
            Event::Deliver { from, to, packet } if self.replicas[to].process.is_some() => {
                self.on_packet(from, to, packet);
            }
            Event::DiskDone { node, life } if self.is_life(node, life) => {
                self.on_disk_done(node, life);
            }
            Event::Applied { node, life } if self.is_life(node, life) => self.on_applied(node),
            Event::Upkeep { node, life } if self.is_life(node, life) => {
                self.on_upkeep(node, life);
            }
            Event::Restart { node, life } if self.replicas[node].life == life => self.start(node),
            Event::Installed { node, life } if self.replicas[node].life == life => {
                self.on_installed(node);
            }
            Event::Client { client, alarm } => self.on_client(client, alarm),
            Event::Request { node, request } => self.on_request(node, request),
            Event::Reader { reader, number } => self.on_reader(reader, number),
            Event::Operator => self.on_operator(),
            Event::Isolate { host, isolated } if !self.healed => {
                self.network.isolate(host, isolated);
            }
            Event::Tick { .. }
            | Event::Deliver { .. }
            | Event::DiskDone { .. }
            | Event::Applied { .. }
            | Event::Upkeep { .. }
            | Event::Restart { .. }
            | Event::Isolate { .. }
            | Event::Installed { .. } => {}
        }
    }

    fn is_life(&self, node: usize, life: u32) -> bool {
        self.replicas[node].life == life && self.replicas[node].process.is_some()
    }

    fn on_tick(&mut self, node: usize, life: u32) {
        let pause = 9_000 + self.random.between(0, 1_000);
        self.schedule(self.now + pause, Event::Tick { node, life });
        self.watch_space(node);
        self.step(node, Input::Tick);
        self.ask_for_snapshot_again(node);
    }

    fn on_packet(&mut self, from: NodeId, to: usize, packet: Packet) {
        match packet {
            Packet::Core(message) => self.step(to, Input::Message { from, message }),
            Packet::SnapshotAsk { slot, chunk } => self.serve_snapshot(to, from, slot, chunk),
            Packet::SnapshotChunk {
                chunk,
                of,
                snapshot,
            } => {
                self.take_snapshot(to, from, (chunk, of), &snapshot);
            }
        }
    }

    fn on_disk_done(&mut self, node: usize, life: u32) {
        let invariants = &mut self.invariants;
        let replica = &mut self.replicas[node];
        let (who, stored) = (replica.who(node), replica.stored.slot);
        let completion = replica.disk.complete(&mut self.random, |image, op| {
            judge_op(invariants, who, image, op, stored);
        });
        match completion {
            Completion::Done(seq, next) => {
                let disk_seq = replica.disk_seq();
                if let Some(latency) = next {
                    self.schedule(self.now + latency, Event::DiskDone { node, life });
                }
                self.step(node, Input::Persisted { seq, disk_seq });
            }
            Completion::Failed => {
                self.counters.hit(Mark::SyncErrors);
                self.note(node, || {
                    "the disk reports an error: the process ends".to_owned()
                });
                let pause = self.random.between(5_000, 500_000);
                self.crash(node, Some(pause));
            }
        }
    }

    /// Gives the core one input and executes what it asks for.
    pub(crate) fn step(&mut self, node: usize, input: Input) {
        let now = self.now;
        let replica = &mut self.replicas[node];
        let time = replica.clock.monotonic(now);
        let Some(process) = &mut replica.process else {
            return;
        };
        if self.verbose >= 2 {
            println!("{now:>9} n{node} <- {input:?}");
        }
        let mut out = std::mem::take(&mut self.out);
        let before = process.core.commit_index().0;
        process.core.step(time, input, &mut out);
        let (decided, chain) = process.core.commit_index();
        let requests = replica.disk.queued();
        let replica = &self.replicas[node];
        let (who, levels) = (replica.who(node), replica.levels());
        let Some(process) = &replica.process else {
            return;
        };
        let mut verdict = self.invariants.on_step(who, levels, requests);
        if decided > before {
            verdict = verdict.and_then(|()| self.invariants.on_decided(who, decided, chain));
            let configuration = process.core.configuration();
            let epochs = &mut self.invariants.epochs;
            verdict = verdict.and_then(|()| epochs.on_configuration(configuration));
        }
        self.invariants.judge(verdict);
        self.counters.steps += 1;
        self.mix(node as u64 ^ decided.0 << 8 ^ (out.len() as u64) << 48);
        for output in out.drain(..) {
            if self.verbose >= 2 {
                println!("{now:>9} n{node} -> {output:?}");
            }
            self.execute(node, output);
        }
        self.out = out;
    }

    fn mix(&mut self, number: u64) {
        let mixed = (self.trace ^ number).wrapping_mul(0x0100_0000_01b3);
        self.trace = mixed.rotate_left(17) ^ self.now;
    }

    /// Prints one line of the trace.
    pub(crate) fn note(&self, node: usize, what: impl FnOnce() -> String) {
        if self.verbose >= 1 {
            let id = self.replicas[node].id();
            let id = id.map_or_else(|| "--".to_owned(), |id| id.to_string());
            println!("{:>9} n{node} {id:<6} {}", self.now, what());
        }
    }

    /// Prints one line of the full trace.
    pub(crate) fn note_more(&self, node: usize, what: impl FnOnce() -> String) {
        if self.verbose >= 2 {
            self.note(node, what);
        }
    }

    /// Prints one line that is about no node.
    pub(crate) fn note_all(&self, what: impl FnOnce() -> String) {
        if self.verbose >= 1 {
            println!("{:>9} -- ------ {}", self.now, what());
        }
    }
}

/// A disk is about to make a change durable.
pub(crate) fn judge_op(
    invariants: &mut Invariants,
    who: Who,
    image: &crate::disk::Image,
    op: &PersistOp,
    stored: Slot,
) {
    let verdict = invariants.on_op(who, image, op, stored);
    invariants.judge(verdict);
}
