//! The thread that owns the state machine: decided entries in, answers and live effects out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use machine::{AppliedEntry, Machine};
use paxos::entry::{Entry, EntryKind};
use tokio::sync::mpsc;

use crate::failpoints;
use crate::fatal;
use crate::limits::{APPLY_BYTES_MAX, APPLY_QUEUE_MAX, APPLY_SLOTS_MAX};
use crate::signals::Signals;
use crate::tail::Hub;
use crate::waiters::Waiters;

/// The driver's end: never waits, never drops.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Vec<Entry>>,
    /// What did not fit. The core bounds how much is on its way, so this stays small.
    overflow: VecDeque<Vec<Entry>>,
}

impl Queue {
    /// Hands entries over.
    pub(crate) fn push(&mut self, entries: Vec<Entry>) {
        self.overflow.push_back(entries);
        self.flush();
    }

    /// Hands over what did not fit before.
    pub(crate) fn flush(&mut self) {
        while let Some(entries) = self.overflow.pop_front() {
            match self.sender.try_send(entries) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(entries)) => {
                    self.overflow.push_front(entries);
                    return;
                }
                // The process is ending.
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}

/// Whom the thread tells.
#[derive(Debug, Clone)]
pub(crate) struct Listeners {
    /// Readers and the driver.
    pub(crate) signals: Arc<Signals>,
    /// Gateways that follow.
    pub(crate) hub: Arc<Hub>,
    /// Who waits for an answer.
    pub(crate) waiters: Arc<Waiters>,
}

/// Starts the thread. It ends when the queue is dropped.
pub(crate) fn start(
    machine: Machine,
    listeners: Listeners,
) -> std::io::Result<(Queue, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(APPLY_QUEUE_MAX);
    let thread = std::thread::Builder::new()
        .name("apply".to_owned())
        .spawn(move || {
            let _vital = fatal::Vital("apply");
            run(machine, receiver, &listeners);
        })?;
    Ok((
        Queue {
            sender,
            overflow: VecDeque::new(),
        },
        thread,
    ))
}

fn run(mut machine: Machine, mut queue: mpsc::Receiver<Vec<Entry>>, listeners: &Listeners) {
    while let Some(first) = queue.blocking_recv() {
        let entries = gather(first, &mut queue);
        let has_commands = entries.iter().any(|entry| entry.kind == EntryKind::Batch);
        if has_commands {
            failpoints::pass(failpoints::BEFORE_APPLY);
        }
        let _span = tracing::debug_span!("apply", slots = entries.len()).entered();
        match machine.apply(&entries) {
            Ok(applied) => listeners.tell(applied, has_commands),
            Err(error) => fatal::state_failed(&error),
        }
    }
}

/// One transaction for everything that is ready, up to a bound.
fn gather(first: Vec<Entry>, queue: &mut mpsc::Receiver<Vec<Entry>>) -> Vec<Entry> {
    let weight = |entries: &[Entry]| entries.iter().map(Entry::weight_bytes).sum::<usize>();
    let mut bytes = weight(&first);
    let mut entries = first;
    while entries.len() < APPLY_SLOTS_MAX && bytes < APPLY_BYTES_MAX {
        let Ok(more) = queue.try_recv() else { break };
        bytes += weight(&more);
        entries.extend(more);
    }
    entries
}

impl Listeners {
    /// In an order in which whoever has an answer can read its effect, here and at once.
    fn tell(&self, applied: Vec<AppliedEntry>, has_commands: bool) {
        let Some(slot) = applied.last().map(|entry| entry.slot) else {
            return;
        };
        let mut outcomes = Vec::new();
        let mut effects = Vec::with_capacity(applied.len());
        for entry in applied {
            outcomes.extend(entry.outcomes);
            effects.push((entry.slot, entry.effects));
        }
        self.signals.note_applied(slot);
        self.hub.publish(effects);
        if has_commands {
            failpoints::pass(failpoints::AFTER_APPLY_BEFORE_ACK);
        }
        self.waiters.resolve(outcomes);
    }
}
