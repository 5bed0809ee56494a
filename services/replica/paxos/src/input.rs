//! What may enter the core.

use alloc::collections::BTreeSet;

use bytes::Bytes;

use crate::entry::EntryKind;
use crate::ids::{DiskSeq, Epoch, NodeId, PersistSeq, ProposalToken, ReadToken, Slot, Timestamp};
use crate::message::Message;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// Time passed. The driver sends one at least every [`crate::limits::TICK_MS`].
    Tick,
    /// A message arrived. Its sender was authenticated by the driver, its rows' CRCs were
    /// checked by it.
    Message {
        /// The replica that sent it.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// A client's batch is to be put into the log.
    Propose {
        /// Comes back in `Proposed` or `Rejected`.
        token: ProposalToken,
        /// `Batch` for clients' commands.
        kind: EntryKind,
        /// The batch, at most [`crate::limits::BATCH_BYTES_MAX`].
        payload: Bytes,
        /// The driver's wall clock, in milliseconds since 1970; the core makes it strictly
        /// increasing along the log, so it may stand still or run backwards.
        wall_clock: Timestamp,
    },
    /// All persist requests up to this one are durable.
    Persisted {
        /// The last of them.
        seq: PersistSeq,
        /// The disk's transaction count as of the last one that is durable.
        disk_seq: DiskSeq,
    },
    /// The state machine has applied everything up to this slot.
    Applied {
        /// The last slot applied.
        slot: Slot,
    },
    /// A client wants to read what was acknowledged before this moment (Ongaro's dissertation,
    /// section 6.4).
    Read {
        /// Comes back in `ReadReady` or `ReadRejected`.
        token: ReadToken,
    },
    /// The voters are to become these, if the epoch is still the expected one
    /// (compare-and-swap). The answer is `Proposed` or `Rejected`, as for `Propose`.
    Reconfigure {
        /// Comes back in the answer.
        token: ProposalToken,
        /// The epoch that the asker knows.
        expected_epoch: Epoch,
        /// 1 to [`crate::limits::VOTERS_MAX`] registered nodes.
        voters: BTreeSet<NodeId>,
        /// The driver's wall clock, in milliseconds since 1970.
        wall_clock: Timestamp,
    },
    /// The lead is to be handed to another voter, as soon as it has everything. Ignored when
    /// this node does not lead.
    TransferLead {
        /// The node.
        to: NodeId,
    },
    /// `state.db` holds everything up to this slot durably, and the log need not keep it.
    Compact {
        /// At most the applied slot.
        upto: Slot,
    },
    /// The disk is nearly full, or has room again.
    Space {
        /// Whether it is nearly full.
        low: bool,
    },
    /// Nodes beside the voters that may have decided rows: replaces what was told before. A
    /// node that missed an epoch reaches the cluster by them.
    Contacts {
        /// At most [`crate::limits::CONTACTS_MAX`] are kept.
        nodes: BTreeSet<NodeId>,
    },
}
