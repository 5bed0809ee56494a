//! What other threads tell the driver. Everything here only rises, so that a number and a wake
//! are enough and no queue can be full.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use paxos::ids::{DiskSeq, PersistSeq, Slot};
use tokio::sync::{Notify, watch};

use crate::apply::Hurry;
use crate::limits::SNAPSHOT_LINGER;

/// Shared by the driver, the log's writer, the thread that applies, and those who look.
#[derive(Debug)]
pub(crate) struct Signals {
    persisted: AtomicU64,
    disk_seq: AtomicU64,
    state_durable: AtomicU64,
    log_begins_after: AtomicU64,
    unreadable: AtomicU64,
    /// A snapshot at this slot travels, or did a moment ago.
    serving: Mutex<Option<(Slot, Instant)>>,
    commit_us: AtomicU64,
    space_low: AtomicBool,
    /// What was found to be damaged in the state on disk.
    state_damage: watch::Sender<Option<Arc<str>>>,
    /// Everything up to here is applied, and every connection sees it. Readers wait on it.
    applied: watch::Sender<Slot>,
    /// Up to here answers and effects were told: at `applied` or above it.
    told: AtomicU64,
    /// How many wait for `applied` to rise.
    awaiting: AtomicUsize,
    /// Tells the thread that applies that somebody does.
    hurry: OnceLock<Hurry>,
    wake: Notify,
}

impl Signals {
    /// At start.
    pub(crate) fn new(applied: Slot) -> Arc<Self> {
        Arc::new(Self {
            persisted: AtomicU64::new(0),
            disk_seq: AtomicU64::new(0),
            // Not known to be: a log that brought the state forward may be needed once more.
            state_durable: AtomicU64::new(Slot::GENESIS.0),
            log_begins_after: AtomicU64::new(Slot::GENESIS.0),
            unreadable: AtomicU64::new(Slot::GENESIS.0),
            serving: Mutex::new(None),
            commit_us: AtomicU64::new(0),
            space_low: AtomicBool::new(false),
            state_damage: watch::Sender::new(None),
            applied: watch::Sender::new(applied),
            told: AtomicU64::new(applied.0),
            awaiting: AtomicUsize::new(0),
            hurry: OnceLock::new(),
            wake: Notify::new(),
        })
    }

    /// Requests up to this one are durable, and so is the transaction of this number.
    pub(crate) fn note_persisted(&self, seq: PersistSeq, disk_seq: DiskSeq, commit_us: u64) {
        // Before `seq`, so that who reads that first sees a count that is at least its own.
        self.disk_seq.fetch_max(disk_seq.0, Ordering::AcqRel);
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

    /// Answers and effects of entries up to this one are told from now on.
    pub(crate) fn note_told(&self, slot: Slot) {
        self.told.fetch_max(slot.0, Ordering::AcqRel);
    }

    /// See [`Signals::note_told`]: what begins to read now must see at least this.
    pub(crate) fn told(&self) -> Slot {
        Slot(self.told.load(Ordering::Acquire))
    }

    /// How the thread that applies is told to hurry. Once, at its start.
    pub(crate) fn set_hurry(&self, hurry: Hurry) {
        assert!(
            self.hurry.set(hurry).is_ok(),
            "one thread applies, and it starts once"
        );
    }

    /// Whether somebody waits for `applied` to rise.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaiting.load(Ordering::SeqCst) > 0
    }

    /// Waits until the state that is read has this slot, and has it committed at once.
    ///
    /// # Errors
    /// When nobody applies any more.
    pub(crate) async fn reach(&self, wanted: Slot) -> Result<(), watch::error::RecvError> {
        let mut applied = self.watch_applied();
        if *applied.borrow() >= wanted {
            return Ok(());
        }
        let _awaited = Awaited::begin(self);
        applied.wait_for(|applied| *applied >= wanted).await?;
        Ok(())
    }

    /// Entries up to this one are applied, and every connection sees them.
    pub(crate) fn note_applied(&self, slot: Slot) {
        self.applied.send_replace(slot);
        self.wake.notify_one();
    }

    /// The state on disk survives a loss of power up to this slot.
    pub(crate) fn note_state_durable(&self, slot: Slot) {
        self.state_durable.fetch_max(slot.0, Ordering::AcqRel);
    }

    /// The log holds no slot up to this one.
    pub(crate) fn note_log_begins_after(&self, slot: Slot) {
        self.log_begins_after.fetch_max(slot.0, Ordering::AcqRel);
    }

    /// The row of this decided slot is damaged on this disk.
    pub(crate) fn note_unreadable(&self, slot: Slot) {
        self.unreadable.fetch_max(slot.0, Ordering::AcqRel);
    }

    /// A snapshot at this slot is being sent: what follows it is needed for a while.
    pub(crate) fn note_serving(&self, slot: Slot) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some((slot, Instant::now()));
    }

    /// Whether the disk is nearly full.
    pub(crate) fn note_space_low(&self, low: bool) {
        self.space_low.store(low, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Reading the state failed. If it is damaged, this replica needs another one's.
    pub(crate) fn note_state_error(&self, error: &machine::Error) {
        if !error.is_replaceable() {
            return;
        }
        let news = self.state_damage.send_if_modified(|known| {
            let news = known.is_none();
            if news {
                *known = Some(ops::errors::chain(error).into());
            }
            news
        });
        if news {
            tracing::error!(
                error = ops::errors::chain(error),
                "the state on this disk is damaged and is replaced by another replica's as soon \
                 as that has arrived; check the disk"
            );
        }
    }

    /// Waits until the state is known to be damaged; what was found.
    pub(crate) async fn state_damaged(&self) -> Arc<str> {
        let mut damage = self.state_damage.subscribe();
        // No error: the sender is part of what is borrowed here.
        let known = damage
            .wait_for(Option::is_some)
            .await
            .map(|found| found.clone());
        match known {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// See [`Signals::note_persisted`].
    pub(crate) fn persisted(&self) -> (PersistSeq, DiskSeq) {
        let seq = PersistSeq(self.persisted.load(Ordering::Acquire));
        (seq, DiskSeq(self.disk_seq.load(Ordering::Acquire)))
    }

    /// See [`Signals::note_state_durable`].
    pub(crate) fn state_durable(&self) -> Slot {
        Slot(self.state_durable.load(Ordering::Acquire))
    }

    /// See [`Signals::note_log_begins_after`].
    pub(crate) fn log_begins_after(&self) -> Slot {
        Slot(self.log_begins_after.load(Ordering::Acquire))
    }

    /// See [`Signals::note_unreadable`].
    pub(crate) fn unreadable(&self) -> Slot {
        Slot(self.unreadable.load(Ordering::Acquire))
    }

    /// See [`Signals::note_serving`].
    pub(crate) fn serving(&self) -> Option<Slot> {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = serving.filter(|(_, sent)| sent.elapsed() < SNAPSHOT_LINGER);
        recent.map(|(slot, _)| slot)
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

/// Somebody waits for `applied` to rise.
struct Awaited<'a>(&'a Signals);

impl<'a> Awaited<'a> {
    fn begin(signals: &'a Signals) -> Self {
        // In this order: a thread that looks before it is counted finds the word in its queue.
        signals.awaiting.fetch_add(1, Ordering::SeqCst);
        if let Some(hurry) = signals.hurry.get() {
            hurry.say();
        }
        Self(signals)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.awaiting.fetch_sub(1, Ordering::SeqCst);
    }
}
