//! What other threads tell the driver. Everything here only rises, so that a number and a wake
//! are enough and no queue can be full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use paxos::ids::{PersistSeq, Slot};
use tokio::sync::{Notify, watch};

/// Shared by the driver, the log's writer, the thread that applies, and those who look.
#[derive(Debug)]
pub(crate) struct Signals {
    persisted: AtomicU64,
    commit_us: AtomicU64,
    space_low: AtomicBool,
    /// Everything up to here is applied. Readers wait on it.
    applied: watch::Sender<Slot>,
    wake: Notify,
}

impl Signals {
    /// At start.
    pub(crate) fn new(applied: Slot) -> Arc<Self> {
        Arc::new(Self {
            persisted: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            space_low: AtomicBool::new(false),
            applied: watch::Sender::new(applied),
            wake: Notify::new(),
        })
    }

    /// Requests up to this one are durable.
    pub(crate) fn note_persisted(&self, seq: PersistSeq, commit_us: u64) {
        self.persisted.fetch_max(seq.0, Ordering::AcqRel);
        // A moving average over about 8 commits. Only the log's writer writes it.
        let before = self.commit_us.load(Ordering::Relaxed);
        let after = if before == 0 {
            commit_us
        } else {
            (before * 7 + commit_us) / 8
        };
        self.commit_us.store(after, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Entries up to this one are applied.
    pub(crate) fn note_applied(&self, slot: Slot) {
        self.applied.send_replace(slot);
        self.wake.notify_one();
    }

    /// Whether the disk is nearly full.
    pub(crate) fn note_space_low(&self, low: bool) {
        self.space_low.store(low, Ordering::Relaxed);
    }

    /// See [`Signals::note_persisted`].
    pub(crate) fn persisted(&self) -> PersistSeq {
        PersistSeq(self.persisted.load(Ordering::Acquire))
    }

    /// See [`Signals::note_applied`].
    pub(crate) fn applied(&self) -> Slot {
        *self.applied.borrow()
    }

    /// To wait for a slot.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<Slot> {
        self.applied.subscribe()
    }

    /// See [`Signals::note_space_low`].
    pub(crate) fn is_space_low(&self) -> bool {
        self.space_low.load(Ordering::Relaxed)
    }

    /// The recent duration of a commit, in microseconds.
    pub(crate) fn commit_us(&self) -> u64 {
        self.commit_us.load(Ordering::Relaxed)
    }

    /// Ends when one of the numbers has risen since the last call.
    pub(crate) async fn risen(&self) {
        self.wake.notified().await;
    }
}
