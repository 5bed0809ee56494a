//! Who votes: the configuration of one epoch.

use alloc::collections::BTreeSet;

use crate::ids::{Epoch, NodeId};

/// The voters of one epoch. Fixed for as long as the epoch lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// The epoch that this configuration is for.
    pub epoch: Epoch,
    /// Its voters, 1 to [`crate::limits::VOTERS_MAX`].
    pub voters: BTreeSet<NodeId>,
}
