//! One replica: its disk, and while it runs, its core with the driver's bookkeeping.
//!
//! In: outputs of the core that concern this node alone. Out: which answers clients get.
//! Invariants: a client is answered when its slot is applied here with the chain that was
//! proposed (D5). Tests: every script

use std::collections::{BTreeMap, VecDeque};

use paxos::{Chain, Core, Entry, NodeId, PersistOp, PersistSeq, ProposalToken, ReadToken, Slot};

use crate::disk::Disk;

/// A replica.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) disk: Disk,
    /// A copy of the disk that a script made.
    pub(crate) saved: Option<Disk>,
    /// `None` while it is down.
    pub(crate) process: Option<Process>,
    /// Its disk answers only when a script says `persist`.
    pub(crate) stuck: bool,
}

/// A running replica.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) core: Core,
    /// Writes that are not done.
    pub(crate) writes: VecDeque<(PersistSeq, Vec<PersistOp>)>,
    /// Rows that the state machine has not applied.
    pub(crate) handed: VecDeque<Entry>,
    /// Proposals of which the fate is not known.
    pub(crate) proposals: BTreeMap<ProposalToken, (Slot, Chain)>,
    /// Reads that wait until a slot is applied.
    pub(crate) reads: Vec<(ReadToken, Slot)>,
    /// The number of its first heartbeat round, which is random.
    first_round: Option<u64>,
}

impl Node {
    pub(crate) const fn new(disk: Disk) -> Self {
        Self {
            disk,
            saved: None,
            process: None,
            stuck: false,
        }
    }
}

impl Process {
    pub(crate) const fn new(core: Core) -> Self {
        Self {
            core,
            writes: VecDeque::new(),
            handed: VecDeque::new(),
            proposals: BTreeMap::new(),
            reads: Vec::new(),
            first_round: None,
        }
    }

    /// A `Ping` of this process left.
    pub(crate) fn note_round(&mut self, round: u64) {
        self.first_round.get_or_insert(round);
    }

    /// A round of this process, counted from 1; one of an earlier process is `old`.
    pub(crate) fn round(&self, round: u64) -> String {
        let first = self.first_round.unwrap_or(round);
        match round.checked_sub(first) {
            Some(since) if since < 1 << 32 => since.saturating_add(1).to_string(),
            _ => "old".to_owned(),
        }
    }

    /// What clients hear now that `row` is applied at this node.
    pub(crate) fn answers(&mut self, node: NodeId, row: &Entry) -> Vec<String> {
        let mut lines = Vec::new();
        let mut answer = |token: &ProposalToken, (slot, chain): &mut (Slot, Chain)| {
            if *slot == row.slot {
                lines.push(if *chain == row.chain {
                    format!("{node} acknowledges {token}")
                } else {
                    format!("{node} answers {token}: another value is at {slot}, ask again")
                });
            }
            *slot != row.slot
        };
        self.proposals.retain(|token, place| answer(token, place));
        lines
    }

    /// The reads that everything applied up to `slot` is enough for.
    pub(crate) fn readable(&mut self, node: NodeId, slot: Slot) -> Vec<String> {
        let ready = self.reads.iter().filter(|(_, at)| *at <= slot);
        let lines = ready
            .map(|(token, _)| format!("{node} answers the read {token} from the state at {slot}"))
            .collect();
        self.reads.retain(|(_, at)| *at > slot);
        lines
    }
}
