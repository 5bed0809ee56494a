//! What a replica knows when its process starts.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::config::Configuration;
use crate::entry::{Chain, Entry};
use crate::ids::{Ballot, DiskSeq, NodeId, Slot, Timestamp};

/// Settings of one core.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node.
    pub node: NodeId,
    /// The active epoch and its voters: as the log stores them, or the genesis' ones. A node
    /// that is not among them learns, and votes in no epoch that does not name it.
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
    /// Slots above `decided` whose rows are on the disk but damaged. What they held may have
    /// been chosen by this acceptor's vote, so it promises nothing until each is overwritten
    /// (Alagappan et al., *Protocol-Aware Recovery*, FAST 2018).
    pub damaged: BTreeSet<Slot>,
    /// The disk's transaction count.
    pub disk_seq: DiskSeq,
    /// The highest transaction counts seen in votes of other nodes' disks.
    pub witnessed: BTreeMap<NodeId, DiskSeq>,
}

impl Restored {
    /// A disk without a past.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            promised: Ballot::ZERO,
            decided: Slot::GENESIS,
            chain: Chain::GENESIS,
            timestamp: Timestamp(0),
            undecided: Vec::new(),
            compacted_to: Slot::GENESIS,
            damaged: BTreeSet::new(),
            disk_seq: DiskSeq(0),
            witnessed: BTreeMap::new(),
        }
    }
}
