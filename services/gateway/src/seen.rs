//! The highest slot that a client may have seen through this gateway.
//!
//! Reads ask for at least this slot, so that nobody who was told of a message looks at a state
//! without it, whichever replica answers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::Slot;

/// Only grows.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicU64);

impl Seen {
    /// Something of this slot is about to be shown.
    pub(crate) fn raise(&self, slot: Slot) {
        self.0.fetch_max(slot.0, Ordering::AcqRel);
    }

    /// The highest so far.
    pub(crate) fn get(&self) -> Slot {
        Slot(self.0.load(Ordering::Acquire))
    }
}
