//! Connections that read the state, beside the one that writes it.

use std::sync::{Arc, Mutex, PoisonError};

use machine::Reader;
use paxos::ids::Slot;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;

use crate::errors::Refused;
use crate::limits::{READ_WAIT, READS_WAITING_MAX};
use crate::signals::Signals;

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reads(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    /// Those that nobody uses.
    idle: Mutex<Vec<Reader>>,
    /// As many as there are readers.
    count: usize,
    /// A permit for each.
    readers: Semaphore,
    /// Those who wait, and those who read.
    queue: Semaphore,
    signals: Arc<Signals>,
}

impl Reads {
    /// A pool over open connections.
    pub(crate) fn new(readers: Vec<Reader>, signals: Arc<Signals>) -> Self {
        Self(Arc::new(Pool {
            count: readers.len(),
            readers: Semaphore::new(readers.len()),
            queue: Semaphore::new(READS_WAITING_MAX),
            idle: Mutex::new(readers),
            signals,
        }))
    }

    /// Reads from a state that has at least `min_slot`, and all that was told here before, on a
    /// thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        min_slot: u64,
        work: impl FnOnce(&mut Reader) -> Result<T, machine::Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let _place = self.0.queue.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => Refused::Busy("reads"),
            TryAcquireError::Closed => Refused::Restoring,
        })?;
        self.wait_for(Slot(min_slot).max(self.0.signals.told()))
            .await?;
        let Ok(reading) = self.0.readers.acquire().await else {
            return Err(Refused::Stopping);
        };
        // Given back by the thread that reads: the asker may be gone before it has ended.
        reading.forget();
        let pool = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let _reading = Reading(&pool);
            // One is idle for each permit of `readers`.
            let mut reader = pool.take().ok_or(Refused::Stopping)?;
            let result = work(&mut reader);
            pool.put(reader);
            Ok(result.inspect_err(|error| pool.signals.note_state_error(error))?)
        });
        task.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Waits until nobody reads any more, and closes the connections. Later reads are refused.
    pub(crate) async fn close(&self) {
        self.0.queue.close();
        let all = u32::try_from(self.0.count).unwrap_or(u32::MAX);
        // An error means that it is closed already.
        let _last = self.0.readers.acquire_many(all).await;
        self.0.readers.close();
        while self.0.take().is_some() {}
    }

    async fn wait_for(&self, wanted: Slot) -> Result<(), Refused> {
        match timeout(READ_WAIT, self.0.signals.reach(wanted)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Refused::Stopping),
            Err(_) => {
                let applied = self.0.signals.applied();
                Err(Refused::Behind { applied, wanted })
            }
        }
    }
}

/// Gives a permit back.
struct Reading<'a>(&'a Pool);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.readers.add_permits(1);
    }
}

impl Pool {
    fn take(&self) -> Option<Reader> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn put(&self, reader: Reader) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reader);
    }
}
