//! What the core may ask for.
//!
//! The driver executes outputs in order. It may drop a `Send` (the network may, too), never
//! anything else.

use alloc::vec::Vec;

use crate::config::Configuration;
use crate::entry::{Chain, Entry};
use crate::ids::{Ballot, DiskSeq, Epoch, NodeId, PersistSeq, ProposalToken, ReadToken, Slot};
use crate::message::Message;

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Make `ops` durable in one transaction, after all requests with a lower `seq`, then
    /// answer `Input::Persisted`. Several requests may share a transaction (group commit).
    Persist {
        /// Monotone in this process.
        seq: PersistSeq,
        /// What to write, in order.
        ops: Vec<PersistOp>,
    },
    /// Send a message to a replica, best effort.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Apply these decided entries, contiguous with what was handed out before. They are
    /// durable in this replica's log.
    Apply {
        /// In slot order.
        entries: Vec<Entry>,
    },
    /// Read the decided rows from `from` to `upto` out of the log and send them as `Rows`
    /// (at most [`crate::limits::PAGE_BYTES`] of them).
    ServeRows {
        /// The replica that asked.
        to: NodeId,
        /// The first slot wanted.
        from: Slot,
        /// This replica's commit index.
        upto: Slot,
        /// For the answer: this replica's log no longer holds slots up to this one.
        compacted_to: Slot,
    },
    /// A proposal got a slot; its fate is known when that slot is applied.
    Proposed {
        /// Which one.
        token: ProposalToken,
        /// Where it was put.
        slot: Slot,
        /// Under which ballot.
        ballot: Ballot,
        /// The prefix with it: the entry that is applied at `slot` is this proposal if and
        /// only if it has this chain, whoever led when it was decided.
        chain: Chain,
    },
    /// A proposal got no slot and never will under this token.
    Rejected {
        /// Which one.
        token: ProposalToken,
        /// Why.
        reason: RejectReason,
    },
    /// A linearizable read may be answered once everything up to `slot` is applied.
    ReadReady {
        /// Which one.
        token: ReadToken,
        /// The commit index when the read arrived, or later.
        slot: Slot,
    },
    /// A read cannot be confirmed here.
    ReadRejected {
        /// Which one.
        token: ReadToken,
        /// Why.
        reason: RejectReason,
    },
    /// What is missing here was compacted away at the peer, and at every other one that was
    /// asked. The driver fetches a snapshot, at this or another peer, installs it and starts
    /// the core anew; until then this core goes on. Asked for again at most once a round.
    NeedSnapshot {
        /// Who has one.
        from: NodeId,
        /// A snapshot at this slot or a higher one is of use.
        at_least: Slot,
    },
    /// An epoch began: these are the voters now. Durable here.
    EpochBegan {
        /// The new configuration.
        configuration: Configuration,
    },
    /// Something that people and metrics want to know.
    Trace(Event),
    /// Stop this replica at once and keep its files: continuing could lose or change a decided
    /// entry.
    Halt {
        /// What was found.
        reason: HaltReason,
    },
}

/// One change of the durable state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PersistOp {
    /// `promised` becomes this ballot. Never lower than before.
    Promise(Ballot),
    /// Write these rows, replacing what their slots held. `promised` is at least their ballot
    /// once the transaction commits.
    Accept(Vec<Entry>),
    /// The commit index is at least this slot, whose chain is this. May be lost: it is a hint
    /// that saves work at boot.
    Decided {
        /// The commit index.
        slot: Slot,
        /// The chain at it.
        chain: Chain,
    },
    /// An epoch begins (R4). In this one transaction: the configuration is the active one, the
    /// commit index is at least its `start`, and all rows above `start` are deleted: none is
    /// decided, and all are of earlier epochs.
    Activate {
        /// The configuration of the new epoch.
        configuration: Configuration,
        /// The chain at its `start`.
        chain: Chain,
    },
    /// Rows up to this slot may be deleted. Never above what `state.db` holds durably.
    Compact {
        /// The last of them.
        upto: Slot,
    },
    /// A vote of another node's disk was seen with this transaction count. May be lost.
    Witness {
        /// Whose disk.
        node: NodeId,
        /// Its count, at the time of the vote.
        disk_seq: DiskSeq,
    },
}

/// Why a proposal or a read was refused. Nothing of it was written: it may be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RejectReason {
    /// Another node leads, or may.
    NotLeader {
        /// The node to try.
        leader: Option<NodeId>,
    },
    /// This node leads but cannot reach a majority. It resumes by itself, or another one leads.
    NoQuorum,
    /// The window of undecided or unapplied slots is full. Try again shortly.
    WindowFull,
    /// Larger than [`crate::limits::BATCH_BYTES_MAX`]. It never fits: split it.
    TooLarge,
    /// This node leads, but an epoch is ending or has just begun, or the lead is being handed
    /// over. Try again shortly; the node that leads next may be another.
    Unsettled,
    /// A quorum's disks are nearly full. It needs a person.
    NoSpace,
    /// The epoch is not the one that the asker expects: somebody else has changed the voters.
    /// Look at the present ones before asking again.
    EpochChanged {
        /// The active epoch.
        epoch: Epoch,
    },
    /// No such configuration can be: none or too many voters, or the present ones.
    BadVoters,
}

/// What changed, for logs, metrics, the cluster panel and tests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// This node started phase 1 at a ballot.
    Campaigning(Ballot),
    /// This node leads at a ballot.
    Leading(Ballot),
    /// This node stopped leading or campaigning. Proposals in flight may or may not be chosen.
    SteppedDown(Ballot),
    /// This node follows another at a ballot.
    Following(Ballot),
    /// This node's leader is gone or not believed any more.
    Leaderless,
    /// The number of peers heard crossed the quorum, upwards or downwards.
    QuorumConnected(bool),
    /// The commit index rose.
    Decided(Slot),
    /// Phase 1 found rows that cannot have been chosen, and left them out.
    SuffixDropped {
        /// The first of them.
        from: Slot,
        /// The last of them.
        upto: Slot,
        /// Whether `from` was not reported at all. In-order acceptance excludes this.
        hole: bool,
    },
    /// Missing decided rows are being fetched.
    CatchingUp {
        /// From this slot.
        from: Slot,
        /// To a commit index that was heard of.
        upto: Slot,
    },
    /// A `Seal` was proposed, or selected in phase 1.
    Sealing(Slot),
    /// A replica's history differs from the one here: it is ignored from now on. It needs a
    /// person.
    Differs {
        /// Where it was noticed.
        slot: Slot,
        /// The replica.
        peer: NodeId,
    },
    /// The `Ready` of an epoch is decided: voters that left may be switched off.
    EpochReady(Epoch),
    /// The lead is handed over: the target was told to campaign.
    HandingOver {
        /// The target.
        to: NodeId,
    },
    /// Nobody knows of a later state of this disk: this replica votes.
    Admitted,
    /// Rows above the commit index that were damaged on this disk are repaired: this replica
    /// promises again.
    Repaired,
}

/// Why the replica must stop. Each one is for a person: starting it again cures none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HaltReason {
    /// The decided prefix here differs from another replica's, or an entry does not follow it.
    Diverged {
        /// Where it was noticed.
        slot: Slot,
        /// The replica that holds the other history, if it was another's.
        peer: Option<NodeId>,
    },
    /// This node's ballot came from elsewhere: two processes run under one identity.
    DuplicateIdentity {
        /// The ballot seen.
        ballot: Ballot,
    },
    /// This disk holds an older state than the one that voted: it was restored from a copy, or
    /// lost writes that it had confirmed. Its promises cannot be trusted any more.
    DiskTurnedBack {
        /// What this disk says.
        own: DiskSeq,
        /// What a peer has seen of it.
        seen: DiskSeq,
        /// The peer.
        peer: NodeId,
    },
    /// A decided entry cannot be understood: this program is too old for the log.
    Unreadable {
        /// Where it is.
        slot: Slot,
    },
}
