//! What the system asks of a node and of a message again and again, worked out once.
//!
//! In: a node or a message. Out: numbers. Invariants: what is called futile has no effect in any
//! state that the receiver can be in afterwards. Tested by: tests/worlds.rs
//! (`forgetting_messages_changes_no_verdict`).

use std::collections::BTreeSet;

use paxos::{Ballot, Chain, Epoch, Message, NodeId, Slot};

use paxos::status::RoleName;

use crate::node::Node;

/// One node, for the system.
#[derive(Debug)]
pub struct Summary {
    /// Requests under way.
    pub under_way: usize,
    /// It follows and may vote.
    pub may_campaign: bool,
    /// It leads.
    pub leads: bool,
    /// It votes in its epoch, but waits until enough know of no later state of its disk.
    pub waits: bool,
    /// Its active epoch, durable.
    pub epoch: Epoch,
    /// Its commit index and the chain at it.
    pub decided: (Slot, Chain),
    /// Up to where what is decided is durable, so that it serves it to others.
    pub durable: Slot,
    /// The last slot that it applied.
    pub applied: Slot,
    /// A crash may lose applied slots that the log has not marked.
    pub may_forget: bool,
    /// It needs a snapshot at this slot or a higher one.
    pub wants: Option<Slot>,
    /// Somebody has a copy of its disk.
    pub is_copied: bool,
    /// The other voters.
    pub peers: Vec<NodeId>,
    /// The ballot at which it campaigns.
    campaigns_at: Option<Ballot>,
    /// The ballot at which it leads.
    leads_at: Option<Ballot>,
    /// What each peer has acknowledged to it as leader.
    acknowledged: Vec<(NodeId, Slot)>,
    /// The promise, and the durable one.
    promised: (Ballot, Ballot),
    /// The next slot that it takes at its promise.
    next: Option<Slot>,
    /// The durable commit index.
    marked: Slot,
    /// The log begins after this slot.
    compacted_to: Slot,
    /// The voters of its active epoch.
    pub voters: BTreeSet<NodeId>,
    /// The chain of each row on disk.
    rows: Vec<(Slot, Chain)>,
    /// Rows that were there and cannot be read.
    damaged: BTreeSet<Slot>,
}

impl Summary {
    /// Of this node.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let status = node.core.status();
        let disk = &node.disk;
        let marked = disk.decided.max(disk.state.slot);
        let at = |role| (status.role == role).then_some(status.promised);
        let acknowledged = status.peers.iter();
        let acknowledged = acknowledged.filter_map(|(id, peer)| Some((*id, peer.upto?)));
        Self {
            under_way: node.under_way.len(),
            may_campaign: status.role == RoleName::Follower && status.is_voter && status.active,
            leads: status.role == RoleName::Leader,
            waits: status.is_voter && !status.admitted,
            epoch: disk.configuration.epoch,
            decided: (status.decided, status.chain),
            durable: status.durable,
            applied: node.applied.slot,
            may_forget: node.applied.slot > marked,
            wants: node.wants,
            is_copied: node.copy.is_some(),
            peers: status.peers.keys().copied().collect(),
            campaigns_at: at(RoleName::Candidate),
            leads_at: at(RoleName::Leader),
            acknowledged: acknowledged.collect(),
            promised: (status.promised, disk.promised),
            next: node.core.model_next(),
            marked,
            compacted_to: disk.compacted_to,
            voters: disk.configuration.voters.clone(),
            rows: disk.rows.iter().map(|(s, row)| (*s, row.chain)).collect(),
            damaged: disk.damaged.clone(),
        }
    }

    /// Whether the prefix with this chain at a slot is durable here, or was until it was damaged.
    #[must_use]
    pub fn holds(&self, slot: Slot, chain: Chain) -> bool {
        let row = self.rows.contains(&(slot, chain));
        slot <= self.compacted_to || row || self.damaged.contains(&slot)
    }

    /// What never falls again: its promise and its commit index. `mortal` says whether its
    /// process may still end, and lose what is not durable.
    const fn floor(&self, mortal: bool) -> (Ballot, Slot) {
        if mortal {
            (self.promised.1, self.marked)
        } else {
            (self.promised.0, self.decided.0)
        }
    }

    /// Whether this node will never again campaign, and never again lead, at one of its ballots:
    /// it does not now, and can never use it twice (D1).
    #[must_use]
    pub fn is_done_with(&self, ballot: Ballot) -> (bool, bool) {
        let durable = self.promised.1 >= ballot;
        let campaigned = durable && self.campaigns_at != Some(ballot);
        (campaigned, campaigned && self.leads_at != Some(ballot))
    }

    /// Whether this node can only ignore the message, now and later. The caller has seen that it
    /// ignores it now.
    #[must_use]
    pub fn is_futile(&self, letter: &Letter, fate: Fate) -> bool {
        let Fate {
            mortal,
            elected,
            over,
            last,
            letters,
        } = fate;
        let (promised, decided) = self.floor(mortal);
        let passed = |ballot: Ballot| ballot < promised || ballot.epoch < self.epoch;
        match letter.until {
            // It has nothing more to say to a candidate that is none any more.
            Until::Prepared(ballot) => passed(ballot) || (elected && last && ballot == promised),
            Until::Asked(ballot) => passed(ballot) || (over && last),
            Until::Promised(ballot) => passed(ballot) || elected,
            Until::Answered(ballot) => passed(ballot) || over,
            Until::Counted(ballot, from, upto) => {
                passed(ballot)
                    || over
                    || self.acknowledged.iter().any(|(peer, slot)| {
                        self.leads_at == Some(ballot) && *peer == from && *slot >= upto
                    })
            }
            // All of it is taken in, and no crash makes it needed again. One that came before its
            // time is ignored now, and not later.
            Until::Accepted(ballot, base, first) => {
                let whole = base <= decided.next() || !letters;
                let in_order = self.next.is_some_and(|next| first <= next);
                passed(ballot) || (last && whole && in_order && !mortal && ballot == promised)
            }
            Until::Ballot(ballot) => passed(ballot),
            Until::Epoch(epoch) => epoch <= self.epoch,
            Until::Decided(slot, ballot) => slot <= decided && ballot <= promised,
            Until::Never => false,
        }
    }
}

/// What else decides whether a message can still matter.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// The receiver's process may still end, and lose what is not durable.
    pub mortal: bool,
    /// The owner of the message's ballot does not campaign at it any more.
    pub elected: bool,
    /// Nor does it lead at it.
    pub over: bool,
    /// Nobody tells its sender of a later epoch in answer to it: the epoch of its ballot is the
    /// last one of the world, or such news need no cause.
    pub last: bool,
    /// It may cause a request for decided rows.
    pub letters: bool,
}

/// A message under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Envelope {
    /// Who sent it.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// What it says.
    pub message: Message,
}

/// Up to when a message may matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    /// A higher ballot is promised, or this one is and its candidate is gone.
    Prepared(Ballot),
    /// A higher ballot is promised, or the owner of this one campaigns no more.
    Promised(Ballot),
    /// A higher ballot is promised, or the owner of this one is done with it.
    Answered(Ballot),
    /// As before, or so much of this peer is counted.
    Counted(Ballot, NodeId, Slot),
    /// A higher ballot is promised, or everything from the first slot on is accepted.
    Accepted(Ballot, Slot, Slot),
    /// A higher ballot is promised, or nobody waits for the answer.
    Asked(Ballot),
    /// A higher ballot is promised.
    Ballot(Ballot),
    /// This epoch is active.
    Epoch(Epoch),
    /// This slot is decided, and this ballot is promised.
    Decided(Slot, Ballot),
    /// For ever.
    Never,
}

/// One message, for the system.
#[derive(Debug)]
pub struct Letter {
    /// To whom.
    pub to: NodeId,
    /// The values that it proposes.
    pub proposes: Vec<(Ballot, Slot, Chain)>,
    /// Its ballot.
    pub ballot: Option<Ballot>,
    until: Until,
}

impl Letter {
    /// Of this message.
    #[must_use]
    pub fn of(envelope: &Envelope) -> Self {
        let mut proposes = Vec::new();
        let until = match &envelope.message {
            Message::Prepare(prepare) => Until::Prepared(prepare.ballot),
            Message::Promise(promise) => Until::Promised(promise.ballot),
            Message::Accept(accept) => {
                let value = |entry: &paxos::Entry| (accept.ballot, entry.slot, entry.chain);
                proposes.extend(accept.entries.iter().map(value));
                Until::Accepted(accept.ballot, accept.base, accept.first)
            }
            Message::Accepted(accepted) => {
                Until::Counted(accepted.ballot, envelope.from, accepted.upto)
            }
            Message::Gap(gap) => Until::Answered(gap.ballot),
            Message::Confirm(confirm) => Until::Asked(confirm.ballot),
            Message::Confirmed(confirmed) => Until::Answered(confirmed.ballot),
            Message::CampaignNow(request) => Until::Ballot(request.ballot),
            Message::EpochEnded(ended) => Until::Epoch(ended.epoch),
            Message::Rows(rows) => match rows.entries.last() {
                Some(last) => {
                    let highest = rows.entries.iter().map(|entry| entry.ballot).max();
                    Until::Decided(last.slot, highest.unwrap_or(Ballot::ZERO))
                }
                None => Until::Never,
            },
            _ => Until::Never,
        };
        let ballot = match until {
            Until::Prepared(ballot)
            | Until::Promised(ballot)
            | Until::Answered(ballot)
            | Until::Asked(ballot)
            | Until::Counted(ballot, ..)
            | Until::Accepted(ballot, ..)
            | Until::Ballot(ballot) => Some(ballot),
            Until::Epoch(_) | Until::Decided(..) | Until::Never => None,
        };
        Self {
            to: envelope.to,
            proposes,
            ballot,
            until,
        }
    }
}
