//! Every message between replicas: who sends it, when, and what each field means.
//!
//! A receiver that is not in the epoch of a message does not act on it (D7).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::entry::{Chain, Entry};
use crate::ids::{Ballot, DiskSeq, Epoch, NodeId, Slot};

/// A message between two replicas of one shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// Every node to every other, at the start of each heartbeat round.
    Ping(Ping),
    /// The answer to a `Ping`; the evidence on which elections rest.
    Pong(Pong),
    /// A candidate to all: phase 1a. Sent only when its own promise is durable (D1).
    Prepare(Prepare),
    /// An acceptor to the candidate: phase 1b, in pages. Sent only when durable (D1).
    Promise(Promise),
    /// The leader to each acceptor: phase 2a, and with no entries the news of its commit index.
    Accept(Accept),
    /// An acceptor to the leader: phase 2b, cumulative. Sent only when durable (D2).
    Accepted(Accepted),
    /// An acceptor that has promised a higher ballot refuses a `Prepare` or `Accept`.
    Nack(Nack),
    /// An acceptor tells the leader from which slot on it needs entries.
    Gap(Gap),
    /// A replica that lacks decided entries asks any other for them.
    CatchUp(CatchUp),
    /// The answer to `CatchUp`: decided entries, contiguous from the slot asked for.
    Rows(Rows),
    /// The answer to a message of an epoch that the sender knows to be over.
    EpochEnded(EpochEnded),
    /// A leader asks the voters whether it still leads, for linearizable reads.
    Confirm(Confirm),
    /// An acceptor has promised nothing above the ballot of a `Confirm`.
    Confirmed(Confirmed),
    /// A leader that hands over tells the node that has everything to campaign at once.
    CampaignNow(CampaignNow),
    /// A replica that starts asks whether anybody has seen a later state of its disk.
    Hello(Hello),
    /// The answer to a `Hello`.
    HelloReply(HelloReply),
}

/// Starts a heartbeat round (section 2.4 of the design; Ng et al., *Omni-Paxos*, section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ping {
    /// The sender's active epoch.
    pub epoch: Epoch,
    /// The sender's count of its rounds; only an answer to its present round counts.
    pub round: u64,
    /// The sender's commit index: tells the leader how far a standby is.
    pub decided: Slot,
}

/// What a node says of itself in answer to a `Ping`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pong {
    /// The sender's active epoch.
    pub epoch: Epoch,
    /// Copied from the `Ping`.
    pub round: u64,
    /// The highest ballot that the sender has promised, durably or not yet.
    pub ballot: Ballot,
    /// The node that the sender follows, if any.
    pub following: Option<NodeId>,
    /// The ballot at which the sender leads (phase 1 complete), if it does.
    pub leading: Option<Ballot>,
    /// The ballot for which the sender is a live candidate, if it is.
    pub candidate: Option<Ballot>,
    /// Whether the sender is happy with its leader, or with itself as one.
    pub happy: bool,
    /// Whether the sender heard a majority in its last complete round.
    pub quorum_connected: bool,
    /// The sender's commit index. A hint to catch up, never proof.
    pub decided: Slot,
    /// The chain at `decided`, to notice a divergence.
    pub chain: Chain,
    /// The sender's recent commit latency of its disk, in milliseconds.
    pub commit_latency_ms: u64,
    /// The sender's disk is nearly full: it accepts nothing new.
    pub no_space: bool,
}

/// Phase 1a: "promise me to accept nothing below my ballot, and tell me what you have accepted"
/// (Lamport, *Paxos Made Simple*, section 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Prepare {
    /// The candidate's ballot.
    pub ballot: Ballot,
    /// The slot after the candidate's commit index.
    pub from: Slot,
}

/// Phase 1b: one page of what an acceptor holds, frozen when it promised (*Paxos Made Simple*,
/// section 2.2; paged, because a window of rows does not fit one message).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Promise {
    /// The ballot promised.
    pub ballot: Ballot,
    /// The acceptor's commit index. The candidate fetches everything up to the highest one
    /// among its promises as decided rows (`CatchUp`) before it selects, so that decided slots
    /// never are selected anew.
    pub decided: Slot,
    /// The acceptor's log no longer holds slots up to this one.
    pub compacted_to: Slot,
    /// The number of this page, from 0.
    pub page: u32,
    /// How many pages there are, at least 1. The promise counts when all have arrived.
    pub pages: u32,
    /// Accepted, undecided rows above `decided`, rising over the pages; a base may leave a hole.
    pub entries: Vec<Entry>,
    /// The acceptor's durable transaction count, for `Hello`.
    pub disk_seq: DiskSeq,
}

/// Phase 2a: "accept these values at my ballot" (*Paxos Made Simple*, section 2.2; in slot order,
/// as in Omni-Paxos' *Sequence Paxos*).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Accept {
    /// The leader's ballot.
    pub ballot: Ballot,
    /// The first slot that the leader proposed at this ballot: its commit index after phase 1,
    /// plus one.
    pub base: Slot,
    /// The slot of the first entry, or the next one to be sent if there is none.
    pub first: Slot,
    /// Contiguous entries from `first`.
    pub entries: Vec<Entry>,
    /// The leader's own count at this ballot; `base - 1` before anything was chosen.
    pub decided: Slot,
}

/// Phase 2b, cumulative: acceptance in slot order lets one number stand for all below it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Accepted {
    /// The ballot at which the rows were accepted.
    pub ballot: Ballot,
    /// All rows from the ballot's base up to here are durable at this acceptor.
    pub upto: Slot,
    /// The acceptor's durable transaction count, for `Hello`.
    pub disk_seq: DiskSeq,
}

/// Refusal: a higher ballot was promised. Not needed for safety; it spares the refused one its
/// time-out (*Paxos Made Simple*, section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nack {
    /// The ballot that was refused.
    pub ballot: Ballot,
    /// The ballot that stands in the way.
    pub promised: Ballot,
}

/// The acceptor needs earlier entries first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Gap {
    /// The ballot of the `Accept` that did not fit.
    pub ballot: Ballot,
    /// The slot from which the acceptor can accept in order.
    pub expect: Slot,
}

/// A request for decided rows. Answered in every epoch, by voters and learners alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CatchUp {
    /// The asker's active epoch.
    pub epoch: Epoch,
    /// The first slot wanted.
    pub from: Slot,
}

/// Decided rows, at most [`crate::limits::PAGE_BYTES`] of them or one. True in every epoch: what
/// is decided stays so.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rows {
    /// The sender's active epoch.
    pub epoch: Epoch,
    /// Contiguous decided entries from the slot asked for; empty when the sender has none.
    pub entries: Vec<Entry>,
    /// The sender's commit index when it read them.
    pub decided: Slot,
    /// The sender's log no longer holds slots up to this one: an asker below it needs a
    /// snapshot.
    pub compacted_to: Slot,
}

/// The sender has activated a later epoch and answers nothing of an earlier one (D7; section 2.7
/// of the design).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EpochEnded {
    /// The sender's active epoch.
    pub epoch: Epoch,
    /// Its voters, of which the receiver may not have heard.
    pub voters: BTreeSet<NodeId>,
    /// The sender's commit index: the receiver lacks at least the `Seal` below it.
    pub decided: Slot,
}

/// Asks whether the sender's ballot was overtaken (Ongaro's dissertation, section 6.4; read
/// index).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Confirm {
    /// The ballot at which the sender leads.
    pub ballot: Ballot,
    /// The sender's count of these questions.
    pub sequence: u64,
}

/// Nothing above the ballot was promised when the question arrived.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Confirmed {
    /// The ballot asked about.
    pub ballot: Ballot,
    /// Copied from the `Confirm`.
    pub sequence: u64,
}

/// Hands the lead over (Ongaro's dissertation, section 3.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CampaignNow {
    /// The ballot at which the sender leads, which the receiver must have promised.
    pub ballot: Ballot,
}

/// Section 2.9 of the design: the first thing that a replica says after a start. It votes when
/// a majority, itself included, knows of no later state of its disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hello {
    /// The sender's active epoch.
    pub epoch: Epoch,
    /// Its durable transaction count at the start of its process.
    pub disk_seq: DiskSeq,
}

/// What an acceptor knows of the asker's disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HelloReply {
    /// The epoch of the `Hello`.
    pub epoch: Epoch,
    /// Copied from the `Hello`.
    pub disk_seq: DiskSeq,
    /// The highest count that the sender has seen in a vote of the asker's disk; 0 for none.
    pub seen: DiskSeq,
}

impl Message {
    /// The epoch to which it belongs.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::Ping(ping) => ping.epoch,
            Self::Pong(pong) => pong.epoch,
            Self::Prepare(prepare) => prepare.ballot.epoch,
            Self::Promise(promise) => promise.ballot.epoch,
            Self::Accept(accept) => accept.ballot.epoch,
            Self::Accepted(accepted) => accepted.ballot.epoch,
            Self::Nack(nack) => nack.ballot.epoch,
            Self::Gap(gap) => gap.ballot.epoch,
            Self::CatchUp(request) => request.epoch,
            Self::Rows(rows) => rows.epoch,
            Self::EpochEnded(ended) => ended.epoch,
            Self::Confirm(confirm) => confirm.ballot.epoch,
            Self::Confirmed(confirmed) => confirmed.ballot.epoch,
            Self::CampaignNow(request) => request.ballot.epoch,
            Self::Hello(hello) => hello.epoch,
            Self::HelloReply(reply) => reply.epoch,
        }
    }

    /// Every ballot that it names.
    pub(crate) fn ballots(&self) -> Vec<Ballot> {
        let of_rows = |entries: &[Entry]| entries.iter().map(|entry| entry.ballot).collect();
        match self {
            Self::Ping(_)
            | Self::CatchUp(_)
            | Self::EpochEnded(_)
            | Self::Hello(_)
            | Self::HelloReply(_) => Vec::new(),
            Self::Pong(pong) => {
                let named = [Some(pong.ballot), pong.leading, pong.candidate];
                named.into_iter().flatten().collect()
            }
            Self::Prepare(prepare) => Vec::from([prepare.ballot]),
            Self::Promise(promise) => {
                let mut all: Vec<Ballot> = of_rows(&promise.entries);
                all.push(promise.ballot);
                all
            }
            Self::Accept(accept) => Vec::from([accept.ballot]),
            Self::Accepted(accepted) => Vec::from([accepted.ballot]),
            Self::Nack(nack) => Vec::from([nack.ballot, nack.promised]),
            Self::Gap(gap) => Vec::from([gap.ballot]),
            Self::Rows(rows) => of_rows(&rows.entries),
            Self::Confirm(confirm) => Vec::from([confirm.ballot]),
            Self::Confirmed(confirmed) => Vec::from([confirmed.ballot]),
            Self::CampaignNow(request) => Vec::from([request.ballot]),
        }
    }

    /// The commit index of the sender, where it tells one; else the lowest.
    pub(crate) const fn decided(&self) -> Slot {
        if let Self::Ping(Ping { decided, .. }) | Self::Pong(Pong { decided, .. }) = self {
            return *decided;
        }
        Slot::GENESIS
    }

    /// Whether the sender waits for an answer, so that it learns from one that its epoch is
    /// over.
    pub(crate) const fn is_question(&self) -> bool {
        matches!(
            self,
            Self::Ping(_) | Self::Prepare(_) | Self::Accept(_) | Self::Confirm(_) | Self::Hello(_)
        )
    }
}
