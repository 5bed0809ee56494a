//! Connections that read the state, beside the one that writes it.

use std::sync::{Arc, Mutex, PoisonError};

use machine::Reader;
use paxos::ids::Slot;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::errors::Refused;
use crate::limits::{READ_WAIT, READS_WAITING_MAX};

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reads(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    /// Those that nobody uses.
    idle: Mutex<Vec<Reader>>,
    /// As many as there are readers.
    readers: Semaphore,
    /// Those who wait, and those who read.
    queue: Semaphore,
    applied: watch::Receiver<Slot>,
}

impl Reads {
    /// A pool over open connections.
    pub(crate) fn new(readers: Vec<Reader>, applied: watch::Receiver<Slot>) -> Self {
        Self(Arc::new(Pool {
            readers: Semaphore::new(readers.len()),
            queue: Semaphore::new(READS_WAITING_MAX),
            idle: Mutex::new(readers),
            applied,
        }))
    }

    /// Reads from a state that has at least `min_slot`, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        min_slot: u64,
        work: impl FnOnce(&mut Reader) -> Result<T, machine::Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let _place = self
            .0
            .queue
            .try_acquire()
            .map_err(|_| Refused::Busy("reads"))?;
        self.wait_for(Slot(min_slot)).await?;
        let Ok(_reader) = self.0.readers.acquire().await else {
            return Err(Refused::Stopping);
        };
        let pool = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            // One is idle for each permit of `readers`.
            let mut reader = pool.take().ok_or(Refused::Stopping)?;
            let result = work(&mut reader);
            pool.put(reader);
            Ok(result?)
        });
        task.await.unwrap_or(Err(Refused::Stopping))
    }

    async fn wait_for(&self, wanted: Slot) -> Result<(), Refused> {
        let mut applied = self.0.applied.clone();
        if *applied.borrow() >= wanted {
            return Ok(());
        }
        match timeout(READ_WAIT, applied.wait_for(|applied| *applied >= wanted)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Refused::Stopping),
            Err(_) => {
                let applied = *self.0.applied.borrow();
                Err(Refused::Behind { applied, wanted })
            }
        }
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
