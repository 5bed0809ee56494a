//! The state right after one slot, for a hash that can be compared with other replicas'.
//!
//! In: a slot that somebody waits for. Out: the hash of the state at exactly that slot. The thread
//! that applies ends a transaction there, opens one connection, and goes on; the hash is made
//! beside it. One at a time: it reads the whole state once. Tests: below, tests/scenarios.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use machine::{Applied, Machine, Pinned, Reader, StateHash};
use paxos::entry::Entry;
use paxos::ids::Slot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::timeout;

use crate::errors::Refused;
use crate::limits::HASH_WAIT;
use crate::signals::Signals;

type Reply = oneshot::Sender<Result<Pinned, machine::Error>>;

/// Who waits for which slot. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pins(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    signals: Arc<Signals>,
    /// As in `wanted`, 0 for none: the thread that applies looks here at every transaction.
    slot: AtomicU64,
    wanted: Mutex<Option<(Slot, Reply)>>,
    /// Held by whoever waits, until its connection is closed.
    one: Arc<Semaphore>,
}

/// Withdraws a wish, also when its RPC was given up.
struct Wish<'a>(&'a Inner);

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Pins {
    /// Of the state in this file.
    pub(crate) fn new(state: PathBuf, signals: Arc<Signals>) -> Self {
        Self(Arc::new(Inner {
            state,
            signals,
            slot: AtomicU64::new(0),
            wanted: Mutex::new(None),
            one: Arc::new(Semaphore::new(1)),
        }))
    }

    /// The state at this slot: how far it is, and its hash. Waits some seconds for the slot.
    pub(crate) async fn hash_at(&self, slot: Slot) -> Result<(Applied, StateHash), Refused> {
        let one = Arc::clone(&self.0.one).try_acquire_owned();
        let one = one.map_err(|error| match error {
            TryAcquireError::NoPermits => Refused::Busy("hashes of the state"),
            TryAcquireError::Closed => Refused::Restoring,
        })?;
        let (reply, pinned) = oneshot::channel();
        self.0.set(Some((slot, reply)));
        let wish = Wish(&self.0);
        match timeout(HASH_WAIT, self.0.signals.reach(slot)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refused::Stopping),
            Err(_) => {
                let (applied, wanted) = (self.0.signals.applied(), slot);
                return Err(Refused::Behind { applied, wanted });
            }
        }
        drop(wish);
        self.hash(slot, pinned, one).await
    }

    /// Hashes what the thread that applies has pinned. It did so before it said that the slot is
    /// applied; if it did not, the slot was applied before it was asked for.
    async fn hash(
        &self,
        slot: Slot,
        mut pinned: oneshot::Receiver<Result<Pinned, machine::Error>>,
        one: OwnedSemaphorePermit,
    ) -> Result<(Applied, StateHash), Refused> {
        let inner = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let pinned = match pinned.try_recv() {
                Ok(pinned) => pinned?,
                Err(_) => Reader::open(&inner.state)?.pin()?,
            };
            let applied = pinned.applied().clone();
            if applied.slot != slot {
                return Err(Refused::Passed {
                    applied: applied.slot,
                    wanted: slot,
                });
            }
            let hash = pinned.state_hash();
            let hash = hash.inspect_err(|error| inner.signals.note_state_error(error))?;
            // The file is closed before another one may ask for it, or replace it.
            drop(pinned);
            drop(one);
            Ok((applied, hash))
        });
        task.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Cuts off what lies behind the slot that somebody waits for, so that a transaction ends
    /// there.
    pub(crate) fn split(&self, entries: &mut Vec<Entry>) -> Vec<Entry> {
        let slot = Slot(self.0.slot.load(Ordering::Acquire));
        match entries.partition_point(|entry| entry.slot <= slot) {
            0 => Vec::new(),
            upto => entries.split_off(upto),
        }
    }

    /// A transaction has ended. Pins its state if somebody waits for it.
    pub(crate) fn reached(&self, machine: &Machine) {
        let slot = machine.applied().slot;
        if self.0.slot.load(Ordering::Acquire) != slot.0 {
            return;
        }
        let wanted = self.0.lock().take_if(|(wanted, _)| *wanted == slot);
        if let Some((_, reply)) = wanted {
            // Given up meanwhile: nothing to do.
            let _ = reply.send(machine.reader().and_then(Reader::pin));
        }
    }

    /// Waits until no connection is open any more, and refuses further ones.
    pub(crate) async fn close(&self) {
        // An error means that it is closed already.
        let _last = self.0.one.acquire().await;
        self.0.one.close();
    }
}

impl Inner {
    fn set(&self, wanted: Option<(Slot, Reply)>) {
        let mut now = self.lock();
        let slot = wanted.as_ref().map_or(0, |(slot, _)| slot.0);
        *now = wanted;
        self.slot.store(slot, Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Slot, Reply)>> {
        // Every change is whole before the guard is dropped.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paxos::entry::{Chain, EntryKind};
    use paxos::ids::{Ballot, Timestamp};

    use super::*;

    fn entries(count: u64) -> Vec<Entry> {
        let mut chain = Chain::GENESIS;
        (0..count)
            .map(|number| {
                let slot = Slot(Slot::FIRST.0 + number);
                let (kind, stamp) = (EntryKind::Noop, Timestamp(slot.0));
                let entry = Entry::new(chain, slot, Ballot::ZERO, kind, stamp, bytes::Bytes::new());
                chain = entry.chain;
                entry
            })
            .collect()
    }

    /// What the thread that applies does with a group of entries.
    fn apply(pins: &Pins, machine: &mut Machine, mut entries: Vec<Entry>) {
        let rest = pins.split(&mut entries);
        for part in [entries, rest] {
            if let Some(last) = part.last().map(|entry| entry.slot) {
                machine.apply(&part).expect("applied");
                pins.reached(machine);
                pins.0.signals.note_applied(last);
            }
        }
    }

    /// Property: the hash is of exactly the wanted slot, whether it lies in the middle of a
    /// transaction, is the present one, or is passed; and only one is made at a time.
    #[tokio::test]
    async fn the_hash_is_of_the_wanted_slot() {
        let directory = tempfile::tempdir().expect("directory");
        let state = directory.path().join("state.db");
        let mut machine = Machine::open(&state).expect("opens");
        let signals = Signals::new(machine.applied().slot);
        let pins = Pins::new(state, signals);
        let all = entries(9);
        let middle = all[4].slot;
        let waits = tokio::spawn({
            let pins = pins.clone();
            async move { pins.hash_at(middle).await }
        });
        while pins.0.slot.load(Ordering::Acquire) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let second = pins.hash_at(middle).await;
        assert!(matches!(second, Err(Refused::Busy(_))), "{second:?}");
        apply(&pins, &mut machine, all.clone());
        let (applied, in_the_middle) = waits.await.expect("joined").expect("hashed");
        assert_eq!((applied.slot, applied.chain), (middle, all[4].chain));
        let last = machine.applied().slot;
        let (applied, present) = pins.hash_at(last).await.expect("hashed");
        assert_eq!(applied.slot, last);
        assert_eq!(present, machine.state_hash().expect("hashed"));
        assert_ne!(present, in_the_middle);
        let passed = pins.hash_at(middle).await;
        assert!(matches!(passed, Err(Refused::Passed { .. })), "{passed:?}");
        pins.close().await;
        let closed = pins.hash_at(last).await;
        assert!(matches!(closed, Err(Refused::Restoring)), "{closed:?}");
    }
}
