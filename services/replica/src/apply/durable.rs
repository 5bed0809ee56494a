//! The thread that makes the state durable, so that the one that applies need not wait for the disk.
//!
//! In: up to which slot the state is committed. Out: up to which it survives a loss of power
//! ([`Signals::note_state_durable`]), which is what the log may forget.
//! Tests: apply/tests.rs, machine/tests/flusher.rs

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use machine::{Error, Flusher};
use paxos::ids::Slot;

use crate::fatal;
use crate::signals::Signals;

/// Its owner's end. Dropped, it waits for the thread.
#[derive(Debug)]
pub(super) struct Durable {
    /// `None` when it is being dropped.
    committed: Option<mpsc::Sender<Slot>>,
    /// The thread has copied the state's write-ahead log but for what was committed last.
    copied: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Durable {
    /// Starts the thread.
    pub(super) fn start(flusher: Flusher, signals: Arc<Signals>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let copied = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&copied);
        let thread = std::thread::Builder::new()
            .name("state-sync".to_owned())
            .spawn(move || {
                let _vital = fatal::Vital("state-sync");
                run(&flusher, &signals, &done, &receiver);
            })?;
        Ok(Self {
            committed: Some(sender),
            copied,
            thread: Some(thread),
        })
    }

    /// The state is committed up to here, and is to be made durable. A few times a second at most
    /// ([`crate::limits::DURABLE_EVERY`] and the two beside it); what gathers while the disk is slow is
    /// done in one go.
    pub(super) fn make(&self, committed: Slot) {
        if let Some(sender) = &self.committed {
            // A thread that has ended took the process with it.
            let _ = sender.send(committed);
        }
    }

    /// Whether the writer is to copy the rest of its write-ahead log, once each time.
    pub(super) fn wants_the_rest_copied(&self) -> bool {
        self.copied.load(Ordering::Relaxed) && self.copied.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.committed = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has aborted the process.
            let _ = thread.join();
        }
    }
}

fn run(
    flusher: &Flusher,
    signals: &Signals,
    copied: &AtomicBool,
    committed: &mpsc::Receiver<Slot>,
) {
    while let Ok(first) = committed.recv() {
        let slot = committed.try_iter().last().unwrap_or(first);
        match make(flusher, signals, slot) {
            Ok(is_copied) => copied.store(is_copied, Ordering::Relaxed),
            Err(error) => fatal::state_failed(&error),
        }
    }
}

fn make(flusher: &Flusher, signals: &Signals, slot: Slot) -> Result<bool, Error> {
    flusher.sync()?;
    signals.note_state_durable(slot);
    flusher.checkpoint()
}
