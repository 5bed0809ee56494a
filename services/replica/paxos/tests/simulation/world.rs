//! One simulated cluster: nodes, network, disks and clients in one thread, driven by a queue
//! of events in simulated time. What the clients do stands in `world/traffic.rs`.

mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use paxos::{
    Ballot, Configuration, Core, Entry, Epoch, Event as Trace, Input, Message, Millis, NodeId,
    Options, Output, Restored, RoleName, Slot, message,
};

use crate::clients::{Clients, Waiting};
use crate::disk::Disk;
use crate::invariants::Invariants;
use crate::network::{Micros, Network};
use crate::random::Random;
use crate::report::Counters;

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Event {
    Tick {
        node: usize,
        life: u32,
    },
    Deliver {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    DiskDone {
        node: usize,
        life: u32,
    },
    Applied {
        node: usize,
        life: u32,
        slot: Slot,
    },
    Client {
        client: usize,
        attempt: u64,
    },
    Restart {
        node: usize,
        life: u32,
    },
}

/// One replica's process and what surrounds it.
pub(crate) struct Node {
    pub(crate) core: Option<Core>,
    /// Counts processes, so that what was meant for an earlier one is dropped.
    pub(crate) life: u32,
    pub(crate) disk: Disk,
    /// The process does nothing before this moment.
    pub(crate) paused_until: Micros,
    /// The node's clock runs so many thousandths faster.
    pub(crate) drift: i64,
    /// How long the state machine takes to apply, at most.
    pub(crate) apply_us: Micros,
    /// The last slot handed to the state machine, and the last one it has applied.
    handed: Slot,
    applied: Slot,
    /// The state machine is at work; it takes everything handed to it meanwhile next.
    applying: bool,
    /// Proposals of this process whose slot is not applied yet.
    waiting: Vec<Waiting>,
}

/// A cluster.
pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) random: Random,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) invariants: Invariants,
    pub(crate) counters: Counters,
    /// Nodes that take part. The others are down for good.
    pub(crate) alive: BTreeSet<usize>,
    /// A node whose `Accept`s are lost, though its heartbeats are not.
    pub(crate) mute: Option<usize>,
    /// A hash over all that happened.
    pub(crate) trace: u64,
    /// How long a client waits between commands, at most.
    pub(crate) think_us: Micros,
    queue: BTreeMap<(Micros, u64), Event>,
    scheduled: u64,
    verbose: bool,
}

const CLIENT_TIMEOUT_US: Micros = 1_000_000;

impl World {
    pub(crate) fn new(seed: u64, count: usize, clients: Clients) -> Self {
        let mut world = Self {
            now: 0,
            random: Random::new(seed),
            nodes: Vec::new(),
            network: Network::new(count),
            invariants: Invariants::new(count),
            counters: Counters::default(),
            alive: (0..count).collect(),
            mute: None,
            trace: seed,
            think_us: 20_000,
            queue: BTreeMap::new(),
            scheduled: 0,
            clients,
            verbose: std::env::var("VERBOSE").is_ok(),
        };
        for _ in 0..count {
            world.nodes.push(Node {
                core: None,
                life: 0,
                disk: Disk::new((200, 2_000)),
                paused_until: 0,
                drift: 0,
                apply_us: 500,
                handed: Slot::GENESIS,
                applied: Slot::GENESIS,
                applying: false,
                waiting: Vec::new(),
            });
        }
        for node in 0..count {
            world.start(node);
        }
        for client in 0..world.clients.all.len() {
            let at = world.random.between(0, 300_000);
            world.schedule(at, Event::Client { client, attempt: 0 });
        }
        world
    }

    fn schedule(&mut self, at: Micros, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at.max(self.now), self.scheduled), event);
    }

    /// Runs until a moment, or until `until` holds. Answers whether it did.
    pub(crate) fn run(&mut self, end: Micros, until: impl Fn(&Self) -> bool) -> bool {
        while let Some(((at, number), event)) = self.queue.pop_first() {
            if at > end {
                self.queue.insert((at, number), event);
                self.now = end;
                return false;
            }
            self.now = at;
            self.handle(event);
            if until(self) {
                return true;
            }
        }
        unreachable!("clients always have something scheduled")
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { node, life } if self.is_life(node, life) => {
                if !self.postpone(node, Event::Tick { node, life }) {
                    let pause = 9_000 + self.random.between(0, 1_000);
                    self.schedule(self.now + pause, Event::Tick { node, life });
                    self.step(node, Input::Tick);
                }
            }
            Event::Deliver { from, to, message } if self.nodes[to].core.is_some() => {
                let event = Event::Deliver {
                    from,
                    to,
                    message: message.clone(),
                };
                if !self.postpone(to, event) {
                    let from = NodeId(from as u64 + 1);
                    self.step(
                        to,
                        Input::Message {
                            from,
                            message: *message,
                        },
                    );
                }
            }
            Event::DiskDone { node, life } if self.is_life(node, life) => {
                if !self.postpone(node, Event::DiskDone { node, life }) {
                    let (seq, rows, next) = self.nodes[node].disk.complete(&mut self.random);
                    self.invariants.on_durable(node, &rows);
                    if let Some(latency) = next {
                        self.schedule(self.now + latency, Event::DiskDone { node, life });
                    }
                    let disk_seq = self.nodes[node].disk.image.disk_seq;
                    self.step(node, Input::Persisted { seq, disk_seq });
                }
            }
            Event::Applied { node, life, slot } if self.is_life(node, life) => {
                if !self.postpone(node, Event::Applied { node, life, slot }) {
                    self.on_applied(node, slot);
                }
            }
            Event::Client { client, attempt } => self.on_client(client, attempt),
            Event::Restart { node, life } if self.nodes[node].life == life => self.start(node),
            Event::Tick { .. }
            | Event::Deliver { .. }
            | Event::DiskDone { .. }
            | Event::Applied { .. }
            | Event::Restart { .. } => {}
        }
    }

    fn is_life(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life == life && self.nodes[node].core.is_some()
    }

    /// A paused process gets everything later.
    fn postpone(&mut self, node: usize, event: Event) -> bool {
        let until = self.nodes[node].paused_until;
        let paused = until > self.now;
        if paused {
            self.schedule(until, event);
        }
        paused
    }

    /// The clock of a node.
    fn clock(&self, node: usize) -> Millis {
        let start = 10_000 * (node as i64 + 1);
        let ms = (self.now / 1_000) as i64;
        Millis((start + ms + ms * self.nodes[node].drift / 1_000) as u64)
    }

    fn step(&mut self, node: usize, input: Input) {
        let now = self.clock(node);
        let Some(core) = &mut self.nodes[node].core else {
            return;
        };
        if self.verbose {
            println!("{:>9} n{} <- {input:?}", self.now, node + 1);
        }
        let mut out = Vec::new();
        let before = core.commit_index().0;
        core.step(now, input, &mut out);
        let (decided, chain) = core.commit_index();
        assert!(decided >= before, "I16: the commit index never falls");
        if decided > before {
            self.invariants.note_decided(decided, chain);
        }
        self.counters.steps += 1;
        self.mix(node as u64);
        self.mix(decided.0);
        for output in out {
            if self.verbose {
                println!("{:>9} n{} -> {output:?}", self.now, node + 1);
            }
            self.execute(node, output);
        }
    }

    fn mix(&mut self, number: u64) {
        self.trace = (self.trace ^ number)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(17)
            ^ self.now;
    }

    /// The driver's part: executes one output.
    fn execute(&mut self, node: usize, output: Output) {
        match output {
            Output::Persist { seq, ops } => {
                self.mix(seq.0);
                let life = self.nodes[node].life;
                let latency = self.nodes[node].disk.submit(&mut self.random, seq, ops);
                if let Some(latency) = latency {
                    self.schedule(self.now + latency, Event::DiskDone { node, life });
                }
            }
            Output::Send { to, message } => self.send(node, to, message),
            Output::Apply { entries } => self.apply(node, entries),
            Output::ServeRows {
                to,
                from,
                upto,
                compacted_to,
            } => {
                self.counters.rows_served_from_disk += 1;
                let entries = self.nodes[node].disk.image.page(from, upto);
                let rows = message::Rows {
                    epoch: Epoch::FIRST,
                    entries,
                    decided: upto,
                    compacted_to,
                };
                self.send(node, to, Message::Rows(rows));
            }
            Output::Proposed {
                token,
                slot,
                ballot: _,
                chain,
            } => {
                let (client, attempt) = self.clients.named(token);
                let waiting = Waiting {
                    client,
                    attempt,
                    slot,
                    chain,
                };
                self.nodes[node].waiting.push(waiting);
            }
            Output::Rejected { token, reason } => self.on_rejected(token, reason),
            Output::ReadReady { .. }
            | Output::ReadRejected { .. }
            | Output::NeedSnapshot { .. }
            | Output::EpochBegan { .. } => panic!("nothing asked for it: {output:?}"),
            Output::Trace(event) => self.on_trace(node, event),
            Output::Halt { reason } => panic!("I20: node {} halts: {reason:?}", node + 1),
        }
    }

    fn send(&mut self, node: usize, to: NodeId, message: Message) {
        let to = (to.0 - 1) as usize;
        self.invariants
            .on_send(node, to, &message, &self.nodes[node].disk.image);
        self.counters.note_message(&message);
        if self.mute == Some(node) && matches!(message, Message::Accept(_)) {
            return;
        }
        for at in self
            .network
            .arrivals(&mut self.random, (node, to), self.now)
        {
            let message = Box::new(message.clone());
            self.schedule(
                at,
                Event::Deliver {
                    from: node,
                    to,
                    message,
                },
            );
        }
    }

    fn apply(&mut self, node: usize, entries: Vec<Entry>) {
        let state = &mut self.nodes[node];
        let mut last = state.handed;
        for entry in &entries {
            let row = state.disk.image.rows.get(&entry.slot);
            assert!(
                row.is_some_and(|row| row.chain == entry.chain),
                "D5: applied what is durable"
            );
            assert_eq!(
                entry.slot,
                last.next(),
                "applied in order, once, without a gap"
            );
            last = entry.slot;
        }
        state.handed = last;
        for entry in &entries {
            self.invariants.on_applied(entry);
        }
        self.start_applying(node);
    }

    fn start_applying(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if !state.applying && state.handed > state.applied {
            state.applying = true;
            let at = self.now + self.random.between(0, state.apply_us);
            let (life, slot) = (state.life, state.handed);
            self.schedule(at, Event::Applied { node, life, slot });
        }
    }

    fn on_applied(&mut self, node: usize, slot: Slot) {
        let state = &mut self.nodes[node];
        (state.applied, state.applying) = (slot, false);
        if self.random.per_mille(100) {
            state.disk.image.applied = slot;
        }
        let waiting = std::mem::take(&mut state.waiting);
        let (ready, later) = waiting
            .into_iter()
            .partition(|waiting| waiting.slot <= slot);
        state.waiting = later;
        for waiting in ready {
            self.answer(node, waiting);
        }
        self.step(node, Input::Applied { slot });
        self.start_applying(node);
    }

    fn on_trace(&mut self, node: usize, event: Trace) {
        self.counters.note_event(event);
        if let Trace::Leading(ballot) = event {
            self.invariants.on_leading(node, ballot);
        }
        if let Trace::SuffixDropped { hole, .. } = event {
            assert!(!hole, "in-order acceptance leaves no hole");
        }
    }

    /// Ends a process. Its node may start again after `pause`.
    pub(crate) fn crash(&mut self, node: usize, pause: Option<Micros>) {
        if self.nodes[node].core.take().is_none() {
            return;
        }
        let state = &mut self.nodes[node];
        let rows = state.disk.crash(&mut self.random);
        state.life += 1;
        state.waiting.clear();
        self.invariants.on_durable(node, &rows);
        self.counters.crashes += 1;
        let life = self.nodes[node].life;
        if let Some(pause) = pause {
            self.schedule(self.now + pause, Event::Restart { node, life });
        }
    }

    /// Starts a node's process from what its disk holds.
    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].core.is_some() || !self.alive.contains(&node) {
            return;
        }
        let now = self.clock(node);
        let voters = (1..=self.nodes.len() as u64).map(NodeId).collect();
        let seed = self.random.next();
        let state = &mut self.nodes[node];
        let image = &state.disk.image;
        let decided = image.decided.max(image.applied);
        let (chain, timestamp) = image.prefix(decided);
        let restored = Restored {
            promised: image.promised,
            decided,
            chain,
            timestamp,
            undecided: image
                .rows
                .range(decided.next()..)
                .map(|(_, row)| row.clone())
                .collect(),
            disk_seq: image.disk_seq,
            witnessed: image.witnessed.clone(),
            ..Restored::empty()
        };
        let configuration = Configuration::first(voters);
        let options = Options {
            node: NodeId(node as u64 + 1),
            configuration,
            seed,
        };
        state.life += 1;
        (state.handed, state.applied, state.applying) = (decided, decided, false);
        state.paused_until = 0;
        state.core = Some(Core::new(options, restored, now));
        let life = state.life;
        let at = self.now + self.random.between(0, 10_000);
        self.schedule(at, Event::Tick { node, life });
    }

    /// The node that leads and whom every other living node follows, all of them content.
    pub(crate) fn settled_leader(&self) -> Option<(usize, Ballot)> {
        let statuses: Vec<_> = self.alive.iter().map(|node| self.status(*node)).collect();
        let mut leaders = statuses
            .iter()
            .flatten()
            .filter(|s| s.role == RoleName::Leader);
        let leader = leaders.next()?;
        let agree = |status: &Option<paxos::Status>| {
            let status = status.as_ref();
            status.is_some_and(|status| status.happy && status.promised == leader.promised)
        };
        let settled = statuses.iter().all(agree);
        settled.then_some(((leader.node.0 - 1) as usize, leader.promised))
    }

    pub(crate) fn status(&self, node: usize) -> Option<paxos::Status> {
        self.nodes[node].core.as_ref().map(Core::status)
    }

    /// Every living node has applied the same prefix, and no client waits.
    pub(crate) fn is_quiet(&self) -> bool {
        if !self.clients.idle() {
            return false;
        }
        let prefixes: BTreeSet<_> = self.alive.iter().map(|node| self.prefix(*node)).collect();
        prefixes.len() == 1 && prefixes.first().is_some_and(Option::is_some)
    }

    fn prefix(&self, node: usize) -> Option<(Slot, Slot, paxos::Chain)> {
        let core = self.nodes[node].core.as_ref()?;
        let (decided, chain) = core.commit_index();
        (self.nodes[node].handed == decided).then_some((decided, self.nodes[node].handed, chain))
    }
}
