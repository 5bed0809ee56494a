//! The thread that owns the state machine: decided entries in, answers and live effects out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Instant;

use machine::{AppliedEntry, Machine};
use ops::traces::Context;
use paxos::entry::{Entry, EntryKind};
use paxos::ids::Slot;
use prost::Message as _;
use proto::v1::{RegisterNode, effect, room_event};
use uuid::Uuid;

use crate::directory::Directory;
use crate::failpoints;
use crate::fatal;
use crate::limits::{
    APPLY_BYTES_MAX, APPLY_QUEUE_MAX, APPLY_SLOTS_MAX, DURABLE_EVERY_BYTES, DURABLE_EVERY_SLOTS,
    DURABLE_IDLE,
};
use crate::metrics::{METRICS, Step};
use crate::notices::Watched;
use crate::pins::Pins;
use crate::signals::Signals;
use crate::tail::Hub;
use crate::traces::Traces;
use crate::waiters::Waiters;

/// The driver's end: never waits, never drops.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::SyncSender<Vec<Entry>>,
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
                Err(mpsc::TrySendError::Full(entries)) => {
                    self.overflow.push_front(entries);
                    return;
                }
                // The process is ending.
                Err(mpsc::TrySendError::Disconnected(_)) => return,
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
    /// Who knows the nodes.
    pub(crate) directory: Arc<Directory>,
    /// Who posts notices.
    pub(crate) watched: Arc<Watched>,
    /// Who waits for the state at a slot.
    pub(crate) pins: Pins,
    /// What is traced of what is not applied.
    pub(crate) traces: Arc<Traces>,
}

/// Starts the thread. It ends when the queue is dropped.
pub(crate) fn start(
    machine: Machine,
    listeners: Listeners,
) -> std::io::Result<(Queue, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::sync_channel(APPLY_QUEUE_MAX);
    let thread = std::thread::Builder::new()
        .name("apply".to_owned())
        .spawn(move || {
            let _vital = fatal::Vital("apply");
            run(machine, &receiver, &listeners);
        })?;
    Ok((
        Queue {
            sender,
            overflow: VecDeque::new(),
        },
        thread,
    ))
}

fn run(mut machine: Machine, queue: &mpsc::Receiver<Vec<Entry>>, listeners: &Listeners) {
    let mut flush = Flush::default();
    loop {
        let first = match next(queue, &flush) {
            Next::Entries(first) => first,
            Next::Idle => {
                flush.make_durable(&mut machine, listeners);
                continue;
            }
            Next::End => return,
        };
        let mut entries = gather(first, queue);
        let rest = listeners.pins.split(&mut entries);
        apply(&mut machine, &entries, listeners);
        flush.note_applied(&entries);
        if !rest.is_empty() {
            apply(&mut machine, &rest, listeners);
            flush.note_applied(&rest);
        }
        if flush.is_due() {
            flush.make_durable(&mut machine, listeners);
        }
    }
}

/// One transaction.
fn apply(machine: &mut Machine, entries: &[Entry], listeners: &Listeners) {
    let has_commands = entries.iter().any(|entry| entry.kind == EntryKind::Batch);
    if has_commands {
        failpoints::pass(failpoints::BEFORE_APPLY);
    }
    let _span = tracing::debug_span!("apply", slots = entries.len()).entered();
    let traced = listeners.traces.take(entries);
    let began = Instant::now();
    match machine.apply(entries) {
        Ok(applied) => {
            METRICS.step(Step::Apply, began);
            let traced = listeners.traces.applied(traced, began);
            listeners.pins.reached(machine);
            listeners.note_registered(entries, &applied);
            if applied.iter().any(has_notice) {
                listeners.note_watched(machine);
            }
            listeners.tell(applied, has_commands, &traced);
        }
        Err(error) => fatal::state_failed(&error),
    }
}

/// What comes next.
enum Next {
    Entries(Vec<Entry>),
    /// Nothing has come for a while, and something is to be made durable.
    Idle,
    /// The queue was dropped.
    End,
}

fn next(queue: &mpsc::Receiver<Vec<Entry>>, flush: &Flush) -> Next {
    let received = if flush.slots > 0 {
        queue.recv_timeout(DURABLE_IDLE)
    } else {
        queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
    };
    match received {
        Ok(entries) => Next::Entries(entries),
        Err(RecvTimeoutError::Timeout) => Next::Idle,
        Err(RecvTimeoutError::Disconnected) => Next::End,
    }
}

/// How much was applied and is not known to survive a loss of power. Only what does may leave
/// the log.
#[derive(Debug, Default)]
struct Flush {
    slots: usize,
    bytes: usize,
}

impl Flush {
    fn note_applied(&mut self, entries: &[Entry]) {
        self.slots += entries.len();
        self.bytes += entries.iter().map(Entry::weight_bytes).sum::<usize>();
    }

    /// Under load the syncs are few.
    const fn is_due(&self) -> bool {
        self.slots >= DURABLE_EVERY_SLOTS || self.bytes >= DURABLE_EVERY_BYTES
    }

    fn make_durable(&mut self, machine: &mut Machine, listeners: &Listeners) {
        match machine.checkpoint_durable() {
            Ok(applied) => listeners.signals.note_state_durable(applied.slot),
            Err(error) => fatal::state_failed(&error),
        }
        *self = Self::default();
    }
}

/// One transaction for everything that is ready, up to a bound.
fn gather(first: Vec<Entry>, queue: &mpsc::Receiver<Vec<Entry>>) -> Vec<Entry> {
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

/// Whether the room of the cluster got a line.
fn has_notice(applied: &AppliedEntry) -> bool {
    applied.effects.iter().any(|effect| {
        matches!(&effect.kind, Some(effect::Kind::Room(event))
            if matches!(event.kind, Some(room_event::Kind::Notice(_))))
    })
}

impl Listeners {
    /// In an order in which whoever has an answer can read its effect, here and at once.
    fn tell(&self, applied: Vec<AppliedEntry>, has_commands: bool, traced: &[(Slot, Context)]) {
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
        self.hub.publish(effects, traced);
        if has_commands {
            failpoints::pass(failpoints::AFTER_APPLY_BEFORE_ACK);
        }
        METRICS.applied(&outcomes);
        self.waiters.resolve(outcomes);
    }

    fn note_watched(&self, machine: &Machine) {
        match machine.watched() {
            Ok(watched) => self.watched.set(watched),
            Err(error) => fatal::state_failed(&error),
        }
    }

    fn note_registered(&self, entries: &[Entry], applied: &[AppliedEntry]) {
        let registrations = entries.iter().zip(applied);
        let named = |(entry, applied): (&Entry, &AppliedEntry)| {
            let registered = applied.registration.as_ref()?.result.ok()?;
            let payload = RegisterNode::decode(entry.payload.clone()).ok()?;
            let disk_id = Uuid::from_slice(&payload.disk_id).ok()?;
            Some((registered, disk_id, payload.address))
        };
        for (registered, disk_id, address) in registrations.filter_map(named) {
            let node = registered.node;
            tracing::info!(%node, %disk_id, address, new = registered.is_new, "node registered");
            self.directory.note_registered(node, disk_id, &address);
        }
    }
}
