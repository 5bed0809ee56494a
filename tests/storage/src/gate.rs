//! Holds up syncs, so that a test decides what is queued meanwhile.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Every sync of a recorded file passes it.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
}

/// A lock is poisoned by a failed assertion of another thread, which is reported there.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// Waits while it is closed.
    pub(crate) fn pass(&self) {
        let mut state = lock(&self.state);
        state.waiting += 1;
        self.changed.notify_all();
        while state.closed {
            state = self.wait(state);
        }
        state.waiting -= 1;
    }

    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
    }

    pub(crate) fn open(&self) {
        lock(&self.state).closed = false;
        self.changed.notify_all();
    }

    /// Waits until somebody waits here.
    pub(crate) fn await_one(&self) {
        let mut state = lock(&self.state);
        while state.waiting == 0 {
            state = self.wait(state);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
