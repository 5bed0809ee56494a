//! What a replica knows when its process starts.

use alloc::vec::Vec;

use crate::config::Configuration;
use crate::entry::{Chain, Entry};
use crate::ids::{Ballot, NodeId, Slot, Timestamp};

/// Settings of one core.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node.
    pub node: NodeId,
    /// The active epoch and its voters.
    pub configuration: Configuration,
    /// Seeds the random waits. Different on each node.
    pub seed: u64,
}

/// The durable state, read back by the driver.
///
/// The driver has applied everything up to `decided` before it makes the core, so the commit
/// index is `max(applied, the log's own mark)` (D4).
#[derive(Clone, Debug)]
pub struct Restored {
    /// The highest ballot promised; [`Ballot::ZERO`] at first.
    pub promised: Ballot,
    /// The commit index; [`Slot::GENESIS`] at first.
    pub decided: Slot,
    /// The chain at `decided`.
    pub chain: Chain,
    /// The timestamp of the entry at `decided`; 0 at first.
    pub timestamp: Timestamp,
    /// Accepted rows above `decided`, in slot order.
    pub undecided: Vec<Entry>,
    /// The log no longer holds slots up to this one; [`Slot::GENESIS`] at first.
    pub compacted_to: Slot,
}
