//! What may enter the core.

use bytes::Bytes;

use crate::entry::EntryKind;
use crate::ids::{NodeId, PersistSeq, ProposalToken, Slot, Timestamp};
use crate::message::Message;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
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
        /// The driver's wall clock; the core makes it strictly increasing.
        wall_clock: Timestamp,
    },
    /// All persist requests up to this one are durable.
    Persisted {
        /// The last of them.
        seq: PersistSeq,
    },
    /// The state machine has applied everything up to this slot.
    Applied {
        /// The last slot applied.
        slot: Slot,
    },
}
