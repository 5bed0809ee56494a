//! What the core would ask of the log: random, by a seed, and within the contract.
//!
//! One acceptor's view of a cluster with changing leaders: promises, rows accepted in slot order
//! under rising ballots, rows overwritten by a later leader with the same value or another,
//! rows caught up under older ballots, commit indices that lag, epochs that end, compaction,
//! snapshots. A chosen value never changes.

use std::collections::BTreeSet;

use bytes::Bytes;
use fastrand::Rng;
use paxos::config::Seal;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use uuid::Uuid;
use wal::{Base, Genesis, Peers};

use crate::model::{History, Request, State};

/// How large payloads are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payloads {
    /// Mostly small, a few that take pages of their own.
    Mixed,
    /// So large that the log's writer makes checkpoints.
    Large,
}

/// The generator: what the acceptor's core and driver remember between requests.
#[derive(Debug)]
pub(crate) struct Workload {
    random: Rng,
    payloads: Payloads,
    /// The ballot that is being followed, with the last slot accepted at it.
    following: Option<(Ballot, Slot)>,
    /// Up to here a quorum has chosen; known durable here, or fetched from others.
    chosen: Base,
    /// What was chosen since the last request.
    trail: Vec<Base>,
    /// What state.db holds durably.
    applied: Slot,
    /// A snapshot on its way.
    snapshot: Option<Base>,
    clock: u64,
}

impl Workload {
    /// Goes on from a log that was opened with this state machine.
    pub(crate) fn new(seed: u64, payloads: Payloads, base: &Base) -> Self {
        Self {
            random: Rng::with_seed(seed),
            payloads,
            following: None,
            chosen: base.clone(),
            trail: Vec::new(),
            applied: base.slot,
            snapshot: None,
            clock: 0,
        }
    }

    /// Takes down the next request. `acked` of the earlier ones were acknowledged.
    pub(crate) fn ask(&mut self, history: &mut History, acked: usize) -> Request {
        let request = self.next(history, acked);
        for base in self.trail.drain(..).chain(self.snapshot.clone()) {
            history.choose(&base);
        }
        history.ask(&request, self.applied, self.chosen.slot);
        request
    }

    fn next(&mut self, history: &mut History, acked: usize) -> Request {
        let state = history.last().clone();
        if state.identity.genesis.is_none() {
            return Request::Genesis(genesis(&mut self.random));
        }
        if !state.identity.confirmed {
            return Request::Confirm;
        }
        if let Some(base) = self.snapshot.take() {
            // state.db was swapped when the announcement was acknowledged.
            (self.chosen, self.applied) = (base.clone(), base.slot);
            self.following = None;
            return Request::Install(base);
        }
        self.choose(history, acked);
        match self.random.u8(0..24) {
            0 => return Request::Peers(peers(&mut self.random)),
            1 if self.payloads == Payloads::Mixed => {
                let base = self.foreign_snapshot(&state);
                self.snapshot = Some(base.clone());
                return Request::Announce(base);
            }
            _ => {}
        }
        let mut scratch = state;
        let mut ops = Vec::new();
        for _ in 0..self.random.usize(1..4) {
            for op in self.op(&scratch, history) {
                scratch = scratch.after(&Request::Ops(vec![op.clone()]));
                ops.push(op);
            }
        }
        Request::Ops(ops)
    }

    /// A quorum chooses some of what is durable here at the followed ballot. A `Seal` is
    /// activated before anything else is chosen.
    fn choose(&mut self, history: &mut History, acked: usize) {
        let Some((ballot, upto)) = self.following else {
            return;
        };
        while self.chosen.slot < upto && self.random.u8(0..4) != 0 {
            let slot = self.chosen.slot.next();
            let durable = history.states[acked].rows.get(&slot);
            let same = durable.is_some() && durable == history.last().rows.get(&slot);
            let Some(row) = durable.filter(|row| same && row.ballot == ballot) else {
                return;
            };
            if self.pending_seal(history.last()).is_some() {
                return;
            }
            self.chosen = extended(&self.chosen, row);
            self.trail.push(self.chosen.clone());
        }
    }

    /// The chosen `Seal` whose epoch has not begun here.
    fn pending_seal(&self, state: &State) -> Option<PersistOp> {
        let next = self.chosen.configuration.as_ref()?;
        (next.epoch > state.active_epoch()).then(|| PersistOp::Activate {
            configuration: next.clone(),
            chain: self.chosen.chain,
        })
    }

    fn op(&mut self, state: &State, history: &History) -> Vec<PersistOp> {
        if let Some(activate) = self.pending_seal(state) {
            self.following = None;
            return vec![activate];
        }
        match self.random.u8(0..14) {
            0 | 1 => {
                self.following = None;
                vec![PersistOp::Promise(self.higher(state))]
            }
            2..4 if self.chosen.slot > state.decided => {
                let slot = Slot(self.random.u64(state.decided.0 + 1..=self.chosen.slot.0));
                let row = state.rows.get(&slot);
                let chain = row.map_or(self.chosen.chain, |row| row.chain);
                let slot = row.map_or(self.chosen.slot, |row| row.slot);
                vec![PersistOp::Decided { slot, chain }]
            }
            4 | 5 => self.caught_up(state),
            6 => vec![PersistOp::Witness {
                node: NodeId(self.random.u64(1..6)),
                disk_seq: DiskSeq(self.random.u64(1..1_000)),
            }],
            7 => self.compact(state, history),
            _ => vec![PersistOp::Accept(self.accept(state))],
        }
    }

    /// The state machine became durable up to some slot, and the rows below are dropped, or a
    /// few of them kept.
    fn compact(&mut self, state: &State, history: &History) -> Vec<PersistOp> {
        let tail = self.random.u64(0..8);
        let upto = Slot(state.decided.0.saturating_sub(tail));
        let durable = history.last().decided;
        if upto <= state.compacted_to || upto > durable {
            return Vec::new();
        }
        self.applied = self.applied.max(upto);
        vec![PersistOp::Compact { upto }]
    }

    /// A ballot that nobody used.
    fn higher(&mut self, state: &State) -> Ballot {
        let epoch = state.active_epoch();
        let round = if state.promised.epoch == epoch {
            state.promised.round.0
        } else {
            0
        };
        Ballot {
            epoch,
            round: Round(round + self.random.u64(1..4)),
            node: NodeId(self.random.u64(1..4)),
        }
    }

    /// Rows at the followed ballot, or at a new one from its base on.
    fn accept(&mut self, state: &State) -> Vec<Entry> {
        let sealed = |slot: Slot| {
            let row = state.rows.get(&slot);
            row.is_some_and(|row| row.kind == EntryKind::Seal)
        };
        let changes_leader = self.random.u8(0..5) == 0;
        let (ballot, upto) = match self.following {
            Some((ballot, upto))
                if !changes_leader && upto >= self.chosen.slot && !sealed(upto) =>
            {
                (ballot, upto)
            }
            _ => (self.higher(state), self.chosen.slot),
        };
        // In order, and never again what is chosen.
        let mut chain = if upto == self.chosen.slot {
            self.chosen.chain
        } else {
            state.rows[&upto].chain
        };
        let mut entries: Vec<Entry> = Vec::new();
        for number in 0..self.random.u64(1..5) {
            let slot = Slot(upto.0 + 1 + number);
            let held = state.rows.get(&slot).filter(|_| self.random.bool());
            let entry = match held {
                // Phase 1 found it: the same value again.
                Some(held) => held.reproposed(chain, ballot),
                None if self.random.u8(0..24) == 0 => self.seal(state, chain, slot, ballot),
                None => self.entry(chain, slot, ballot),
            };
            chain = entry.chain;
            entries.push(entry);
            // R2, R3: nothing above a Seal.
            if entries.last().unwrap().kind == EntryKind::Seal {
                break;
            }
        }
        self.following = Some((ballot, Slot(upto.0 + entries.len() as u64)));
        entries
    }

    /// Decided rows from a peer, under a ballot that may be older than the promise.
    fn caught_up(&mut self, state: &State) -> Vec<PersistOp> {
        let ballot = Ballot {
            epoch: state.active_epoch(),
            round: Round(self.random.u64(1..=state.promised.round.0 + 1)),
            node: NodeId(self.random.u64(1..4)),
        };
        let mut entries = Vec::new();
        for _ in 0..self.random.u64(1..4) {
            let (chain, slot) = (self.chosen.chain, self.chosen.slot.next());
            let entry = if self.random.u8(0..24) == 0 {
                self.seal(state, chain, slot, ballot)
            } else {
                self.entry(chain, slot, ballot)
            };
            // Chosen elsewhere, so no leader proposes anything else there.
            self.chosen = extended(&self.chosen, &entry);
            self.trail.push(self.chosen.clone());
            entries.push(entry);
            if self.pending_seal(state).is_some() {
                break;
            }
        }
        self.following = None;
        let decided = PersistOp::Decided {
            slot: self.chosen.slot,
            chain: self.chosen.chain,
        };
        let last = self.pending_seal(state).unwrap_or(decided);
        vec![PersistOp::Accept(entries), last]
    }

    /// A snapshot of a peer that is ahead, perhaps by an epoch.
    fn foreign_snapshot(&mut self, state: &State) -> Base {
        let ahead = self.random.u64(1..40);
        let slot = Slot(self.chosen.slot.0.max(state.decided.0) + ahead);
        self.clock += 1;
        let mut chain = [0; 32];
        self.random.fill(&mut chain);
        let mut base = Base {
            slot,
            chain: Chain(chain),
            timestamp: Timestamp(1_700_000_000_000 + self.clock),
            configuration: self.chosen.configuration.clone(),
        };
        if self.random.u8(0..3) == 0 {
            let start = Slot(slot.0 - self.random.u64(0..ahead));
            let seal = self.next_epoch(base.configuration.as_ref().map(|active| active.epoch));
            base.configuration = Some(seal.configuration(start));
        }
        base
    }

    fn next_epoch(&mut self, active: Option<Epoch>) -> Seal {
        let voters: BTreeSet<NodeId> = (1..8)
            .filter(|node| *node < 3 || self.random.bool())
            .map(NodeId)
            .take(5)
            .collect();
        Seal {
            epoch: Epoch(active.unwrap_or(Epoch::FIRST).0 + 1),
            starter: NodeId(1),
            voters,
        }
    }

    fn seal(&mut self, state: &State, chain: Chain, slot: Slot, ballot: Ballot) -> Entry {
        let payload = self.next_epoch(Some(state.active_epoch())).encode();
        self.clock += 1;
        let timestamp = Timestamp(1_700_000_000_000 + self.clock);
        Entry::new(chain, slot, ballot, EntryKind::Seal, timestamp, payload)
    }

    fn entry(&mut self, previous: Chain, slot: Slot, ballot: Ballot) -> Entry {
        let bytes = match (self.payloads, self.random.u8(0..16)) {
            (Payloads::Mixed, 0) => self.random.usize(4_000..12_000),
            (Payloads::Mixed, 1..4) => self.random.usize(400..1_500),
            (Payloads::Mixed, _) => self.random.usize(0..200),
            (Payloads::Large, _) => self.random.usize(60_000..200_000),
        };
        let mut payload = vec![self.random.u8(..); bytes];
        // Every page differs from every other.
        for chunk in payload.chunks_mut(500) {
            let number = self.random.u64(..).to_le_bytes();
            let length = chunk.len().min(8);
            chunk[..length].copy_from_slice(&number[..length]);
        }
        self.clock += 1;
        let timestamp = Timestamp(1_700_000_000_000 + self.clock);
        let payload = Bytes::from(payload);
        Entry::new(previous, slot, ballot, EntryKind::Batch, timestamp, payload)
    }
}

/// The state machine after one more chosen entry.
fn extended(base: &Base, entry: &Entry) -> Base {
    let seal = (entry.kind == EntryKind::Seal)
        .then(|| Seal::decode(&entry.payload))
        .flatten();
    Base {
        slot: entry.slot,
        chain: entry.chain,
        timestamp: entry.timestamp,
        configuration: match seal {
            Some(seal) => Some(seal.configuration(entry.slot)),
            None => base.configuration.clone(),
        },
    }
}

fn genesis(random: &mut Rng) -> Genesis {
    Genesis {
        cluster_id: Uuid::from_u128(random.u128(..)),
        cluster_name: "faults".to_owned(),
        node_id: NodeId(random.u64(1..4)),
        bytes: Bytes::from(vec![random.u8(..); random.usize(1..800)]),
    }
}

fn peers(random: &mut Rng) -> Peers {
    (1..random.u64(2..6))
        .map(|node| (NodeId(node), format!("host-{}:1054", random.u16(..))))
        .collect()
}
