//! What must be on the disk: the acceptor's state after each request, by the rules alone.
//!
//! Purpose: the other side of every comparison. In: the requests in order. Out: the state after
//! each. Nothing here reads a file.

use std::collections::{BTreeMap, BTreeSet};

use paxos::config::Configuration;
use paxos::entry::{Chain, Entry};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Slot};
use paxos::output::PersistOp;
use wal::{Base, Genesis, Identity, Peers};

/// Something that the log is asked to make durable: one transaction when asked alone.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// What the core emits.
    Ops(Vec<PersistOp>),
    /// The genesis is stored.
    Genesis(Genesis),
    /// The genesis is confirmed.
    Confirm,
    /// Addresses are stored.
    Peers(Peers),
    /// A snapshot is announced.
    Announce(Base),
    /// A snapshot, which state.db holds by now, is installed.
    Install(Base),
}

/// The durable state of an acceptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) identity: Identity,
    pub(crate) peers: Peers,
    pub(crate) disk_seq: DiskSeq,
    pub(crate) promised: Ballot,
    pub(crate) configuration: Option<Configuration>,
    /// The stored commit index.
    pub(crate) decided: Slot,
    /// The chain at it.
    pub(crate) chain: Chain,
    pub(crate) compacted_to: Slot,
    /// Every row above `compacted_to`, decided or not.
    pub(crate) rows: BTreeMap<Slot, Entry>,
    pub(crate) witnessed: BTreeMap<NodeId, DiskSeq>,
    /// The announced snapshot. Not read back: seen by what opening does with it.
    pub(crate) incoming: Option<(Slot, Chain)>,
}

impl State {
    /// The epoch in which this node votes, if it is a voter.
    pub(crate) fn active_epoch(&self) -> Epoch {
        let active = self.configuration.as_ref();
        active.map_or(Epoch::FIRST, |configuration| configuration.epoch)
    }

    /// The state after a request that is a transaction of its own.
    pub(crate) fn after(&self, request: &Request) -> Self {
        let mut state = self.clone();
        state.disk_seq.0 += 1;
        match request {
            Request::Ops(ops) => ops.iter().for_each(|op| state.execute(op)),
            Request::Genesis(genesis) => state.identity.genesis = Some(genesis.clone()),
            Request::Confirm => state.identity.confirmed = true,
            Request::Peers(peers) => state.peers = peers.clone(),
            Request::Announce(base) => state.incoming = Some((base.slot, base.chain)),
            Request::Install(base) => state.install(base),
        }
        state
    }

    fn execute(&mut self, op: &PersistOp) {
        match op {
            PersistOp::Promise(ballot) => self.promised = self.promised.max(*ballot),
            PersistOp::Accept(entries) => {
                for entry in entries {
                    self.promised = self.promised.max(entry.ballot);
                    self.rows.insert(entry.slot, entry.clone());
                }
            }
            PersistOp::Decided { slot, chain } => self.decide(*slot, *chain),
            PersistOp::Activate {
                configuration,
                chain,
            } => {
                self.decide(configuration.start, *chain);
                self.begin_epoch(configuration);
            }
            PersistOp::Compact { upto } => self.compact((*upto).min(self.decided)),
            PersistOp::Witness { node, disk_seq } => {
                let seen = self.witnessed.entry(*node).or_default();
                *seen = (*seen).max(*disk_seq);
            }
        }
    }

    fn decide(&mut self, slot: Slot, chain: Chain) {
        if slot > self.decided {
            (self.decided, self.chain) = (slot, chain);
        }
    }

    /// R4.
    fn begin_epoch(&mut self, configuration: &Configuration) {
        let decided = self.decided;
        self.rows.retain(|slot, _| *slot <= decided);
        self.witnessed
            .retain(|node, _| configuration.voters.contains(node));
        self.configuration = Some(configuration.clone());
    }

    fn compact(&mut self, upto: Slot) {
        self.compacted_to = self.compacted_to.max(upto);
        self.rows.retain(|slot, _| *slot > upto);
    }

    fn install(&mut self, base: &Base) {
        self.decide(base.slot, base.chain);
        self.compact(base.slot);
        self.begin_newer(base);
        self.incoming = None;
    }

    fn begin_newer(&mut self, base: &Base) -> bool {
        let newer = base.configuration.as_ref();
        let newer = newer.filter(|next| next.epoch > self.active_epoch());
        if let Some(next) = newer {
            self.begin_epoch(next);
        }
        newer.is_some()
    }

    /// The state that a process finds, and goes on from, whose state machine holds `base`.
    pub(crate) fn opened_with(&self, base: &Base) -> Self {
        let mut state = self.clone();
        if state.incoming == Some((base.slot, base.chain)) {
            state = state.after(&Request::Install(base.clone()));
        }
        // D4: applied is decided.
        state.decide(base.slot, base.chain);
        if state.begin_newer(base) {
            state.disk_seq.0 += 1;
        }
        state
    }

    /// Says in which fields two states differ, in words short enough for a failure.
    pub(crate) fn difference(&self, found: &Self) -> String {
        let mut told = Vec::new();
        let mut compare = |name: &str, expected: String, found: String| {
            if expected != found {
                told.push(format!("{name} {expected}, found {found}"));
            }
        };
        macro_rules! fields {
            ($($field:ident),*) => {$(
                let texts = (format!("{:?}", self.$field), format!("{:?}", found.$field));
                compare(stringify!($field), texts.0, texts.1);
            )*};
        }
        fields!(disk_seq, promised, configuration, decided, chain);
        fields!(compacted_to, witnessed, peers, identity);
        let slots: BTreeSet<Slot> = self.rows.keys().chain(found.rows.keys()).copied().collect();
        for slot in slots {
            let row = |state: &Self| {
                let row = state.rows.get(&slot);
                row.map_or_else(
                    || "none".to_owned(),
                    |row| format!("{} {} ({} bytes)", row.ballot, row.chain, row.payload.len()),
                )
            };
            compare(&format!("row {slot}"), row(self), row(found));
        }
        told.join("; ")
    }
}

/// What was asked, in order, and the state after each.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// `states[i]` holds after `i` requests.
    pub(crate) states: Vec<State>,
    /// What state.db may hold, and holds at least, when so many requests were asked.
    applied: Vec<(Slot, Slot)>,
    /// The state machine at every slot that was chosen.
    bases: BTreeMap<Slot, Base>,
    /// With group commit a transaction holds several requests: the count of transactions that
    /// was reported with the last request of each. `None` when each request is one.
    pub(crate) groups: Option<Vec<(usize, DiskSeq)>>,
}

impl History {
    /// A log that holds `state`, with a state machine that holds `base`.
    pub(crate) fn new(state: State, base: &Base) -> Self {
        Self {
            states: vec![state],
            applied: vec![(base.slot, base.slot)],
            bases: BTreeMap::from([(base.slot, base.clone())]),
            groups: None,
        }
    }

    /// The state after everything asked so far.
    pub(crate) fn last(&self) -> &State {
        self.states.last().unwrap()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        self.states.len() - 1
    }

    /// A slot was chosen.
    pub(crate) fn choose(&mut self, base: &Base) {
        self.bases.insert(base.slot, base.clone());
    }

    /// Another request. The state machine holds at least `applied_min` durably by now, and may
    /// hold anything up to `applied_max` once the request is acknowledged.
    pub(crate) fn ask(&mut self, request: &Request, applied_min: Slot, applied_max: Slot) {
        let next = self.last().after(request);
        self.states.push(next);
        self.applied.push((applied_min, applied_max));
    }

    /// The last request is not made after all.
    pub(crate) fn forget_last(&mut self) {
        self.states.pop();
        self.applied.pop();
    }

    /// The state machine at a chosen slot.
    pub(crate) fn base(&self, slot: Slot) -> &Base {
        &self.bases[&slot]
    }

    /// What state.db may hold after a crash: its extremes, and an announced snapshot.
    pub(crate) fn bases_after(&self, acked: usize, asked: usize) -> Vec<&Base> {
        let (lowest, highest) = (self.applied[asked].0, self.applied[acked].1);
        let announced = self.states[acked].incoming;
        let mut slots = BTreeSet::from([lowest, highest.max(lowest)]);
        slots.extend(announced.map(|(slot, _)| slot));
        slots.iter().map(|slot| self.base(*slot)).collect()
    }

    /// The lowest and the highest count of transactions that may be found after request
    /// `number`, when `acked` were acknowledged.
    pub(crate) fn disk_seqs(&self, number: usize, acked: usize) -> (DiskSeq, DiskSeq) {
        let alone = self.states[number].disk_seq;
        let Some(groups) = &self.groups else {
            return (alone, alone);
        };
        let before = groups.iter().rev().find(|(last, _)| *last <= acked);
        let (last, lowest) = before.map_or((0, self.states[0].disk_seq), |group| *group);
        // Each later request may have been a transaction of its own, and the writer may have
        // sealed or swept.
        let highest = lowest.0 + (number - last) as u64 + 2;
        (lowest, DiskSeq(highest))
    }
}
