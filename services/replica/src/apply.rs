//! The thread that owns the state machine: decided entries in, answers and live effects out.
//!
//! What it tells, it tells as soon as the entries are applied. What others read of the state is
//! committed a little later, for many slots at once: a commit writes the same few pages however
//! many messages are in it. Whoever wants to read what was told has it committed at once.
//!
//! Must hold: no read that begins after an answer or a live effect misses what it told
//! ([`Signals::told`]). Why an answer need not wait: docs/adr/0012-answers-before-the-commit.md
//! Tests: apply/tests.rs

mod durable;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use machine::{AppliedEntry, Flusher, Machine};
use ops::traces::Context;
use paxos::entry::{Entry, EntryKind};
use paxos::ids::Slot;
use prost::Message as _;
use proto::v1::{RegisterNode, effect, room_event};
use uuid::Uuid;

use self::durable::Durable;
use crate::directory::Directory;
use crate::failpoints;
use crate::fatal;
use crate::limits::{
    APPLY_BYTES_MAX, APPLY_QUEUE_MAX, APPLY_SLOTS_MAX, COMMIT_EVERY, DURABLE_EVERY,
    DURABLE_EVERY_BYTES, DURABLE_EVERY_SLOTS, DURABLE_IDLE,
};
use crate::metrics::{METRICS, Step};
use crate::notices::Watched;
use crate::pins::Pins;
use crate::signals::Signals;
use crate::tail::Hub;
use crate::traces::Traces;
use crate::waiters::Waiters;

/// What the thread gets.
#[derive(Debug)]
enum Work {
    Entries(Vec<Entry>),
    /// Somebody waits to read what was told.
    Commit,
}

/// The driver's end: never waits, never drops.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: Arc<mpsc::SyncSender<Work>>,
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
            match self.sender.try_send(Work::Entries(entries)) {
                Ok(()) => {}
                Err(mpsc::TrySendError::Full(Work::Entries(entries))) => {
                    self.overflow.push_front(entries);
                    return;
                }
                // The process is ending.
                Err(_) => return,
            }
        }
    }
}

/// The readers' end. It does not keep the thread running.
#[derive(Debug)]
pub(crate) struct Hurry(Weak<mpsc::SyncSender<Work>>);

impl Hurry {
    /// Somebody waits to read what was told. The thread looks for that after every group of entries;
    /// this is for one that sleeps.
    pub(crate) fn say(&self) {
        if let Some(sender) = self.0.upgrade() {
            // Full: it does not sleep.
            let _ = sender.try_send(Work::Commit);
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

/// Starts the thread, and the one that makes durable what it commits. Both end when the queue is
/// dropped.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn start(
    machine: Machine,
    flusher: Flusher,
    listeners: Listeners,
) -> std::io::Result<(Queue, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::sync_channel(APPLY_QUEUE_MAX);
    let sender = Arc::new(sender);
    let hurry = Hurry(Arc::downgrade(&sender));
    listeners.signals.set_hurry(hurry);
    let durable = Durable::start(flusher, Arc::clone(&listeners.signals))?;
    let thread = std::thread::Builder::new()
        .name("apply".to_owned())
        .spawn(move || {
            let _vital = fatal::Vital("apply");
            Applier::new(machine, listeners, durable).run(&receiver);
        })?;
    Ok((
        Queue {
            sender,
            overflow: VecDeque::new(),
        },
        thread,
    ))
}

/// The thread's state.
struct Applier {
    machine: Machine,
    listeners: Listeners,
    /// Told and not committed.
    open: Open,
    /// Committed and not made durable, or open.
    flush: Flush,
    durable: Durable,
}

/// What comes next.
enum Next {
    Entries(Vec<Entry>),
    /// What was told is to be committed.
    Commit,
    /// Nothing has come for a while, and something is to be made durable.
    Idle,
    /// The queue was dropped.
    End,
}

impl Applier {
    fn new(machine: Machine, listeners: Listeners, durable: Durable) -> Self {
        Self {
            machine,
            listeners,
            open: Open::default(),
            flush: Flush::default(),
            durable,
        }
    }

    fn run(mut self, queue: &mpsc::Receiver<Work>) {
        loop {
            match self.next(queue) {
                Next::Entries(first) => self.take(gather(first, queue)),
                Next::Commit => self.commit(),
                Next::Idle => self.make_durable(),
                Next::End => return self.commit(),
            }
        }
    }

    fn next(&self, queue: &mpsc::Receiver<Work>) -> Next {
        let (received, then) = if let Some(rest) = self.open.rest() {
            (queue.recv_timeout(rest), Next::Commit)
        } else if self.flush.since.is_some() {
            (queue.recv_timeout(DURABLE_IDLE), Next::Idle)
        } else {
            let received = queue.recv().map_err(|_| RecvTimeoutError::Disconnected);
            (received, Next::Idle)
        };
        match received {
            Ok(Work::Entries(entries)) => Next::Entries(entries),
            Ok(Work::Commit) => Next::Commit,
            Err(RecvTimeoutError::Timeout) => then,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn take(&mut self, mut entries: Vec<Entry>) {
        let rest = self.listeners.pins.split(&mut entries);
        self.advance(&entries);
        if !rest.is_empty() {
            // Somebody wants the state exactly here.
            self.commit();
            self.advance(&rest);
        }
        if self.open.is_due() || self.listeners.signals.is_awaited() {
            self.commit();
        }
        if self.flush.is_due() {
            self.make_durable();
        }
    }

    /// Applies entries and tells what they did.
    fn advance(&mut self, entries: &[Entry]) {
        let has_commands = entries.iter().any(|entry| entry.kind == EntryKind::Batch);
        if has_commands {
            failpoints::pass(failpoints::BEFORE_APPLY);
        }
        let _span = tracing::debug_span!("apply", slots = entries.len()).entered();
        let traced = self.listeners.traces.take(entries);
        let began = Instant::now();
        match self.machine.advance(entries) {
            Ok(applied) => {
                METRICS.step(Step::Apply, began);
                let traced = self.listeners.traces.applied(traced, began);
                self.open.note_applied(entries);
                self.flush.note_applied(entries);
                self.listeners.note_registered(entries, &applied);
                if applied.iter().any(has_notice) {
                    self.listeners.note_watched(&self.machine);
                }
                self.listeners.tell(applied, has_commands, &traced);
            }
            Err(error) => fatal::state_failed(&error),
        }
    }

    /// Lets everybody read what was told.
    fn commit(&mut self) {
        if self.open.since.is_none() {
            return;
        }
        let committed = match self.durable.wants_the_rest_copied() {
            true => self.machine.finish_checkpoint(),
            false => self.machine.commit(),
        };
        if let Err(error) = committed {
            fatal::state_failed(&error);
        }
        self.open = Open::default();
        self.listeners.pins.reached(&self.machine);
        let applied = self.machine.applied().slot;
        self.listeners.signals.note_applied(applied);
    }

    fn make_durable(&mut self) {
        self.commit();
        self.durable.make(self.machine.applied().slot);
        self.flush = Flush::default();
    }
}

/// What the open transaction holds.
#[derive(Debug, Default)]
struct Open {
    /// When it began; `None`: there is none.
    since: Option<Instant>,
    slots: usize,
    bytes: usize,
}

impl Open {
    fn note_applied(&mut self, entries: &[Entry]) {
        self.since.get_or_insert_with(Instant::now);
        self.slots += entries.len();
        self.bytes += weight(entries);
    }

    /// How long it may stay open; `None`: there is none.
    fn rest(&self) -> Option<Duration> {
        self.since
            .map(|since| COMMIT_EVERY.saturating_sub(since.elapsed()))
    }

    fn is_due(&self) -> bool {
        let is_full = self.slots >= APPLY_SLOTS_MAX || self.bytes >= APPLY_BYTES_MAX;
        is_full || self.rest().is_some_and(|rest| rest.is_zero())
    }
}

/// How much was applied and is not known to survive a loss of power. Only what does may leave
/// the log.
#[derive(Debug, Default)]
struct Flush {
    /// The first of it; `None`: there is none.
    since: Option<Instant>,
    slots: usize,
    bytes: usize,
}

impl Flush {
    fn note_applied(&mut self, entries: &[Entry]) {
        self.since.get_or_insert_with(Instant::now);
        self.slots += entries.len();
        self.bytes += weight(entries);
    }

    /// Under load the syncs are few.
    fn is_due(&self) -> bool {
        let is_much = self.slots >= DURABLE_EVERY_SLOTS || self.bytes >= DURABLE_EVERY_BYTES;
        is_much || (self.since).is_some_and(|since| since.elapsed() >= DURABLE_EVERY)
    }
}

/// One call for everything that is ready, up to a bound. Who waits for a commit is asked after it.
fn gather(first: Vec<Entry>, queue: &mpsc::Receiver<Work>) -> Vec<Entry> {
    let mut bytes = weight(&first);
    let mut entries = first;
    while entries.len() < APPLY_SLOTS_MAX && bytes < APPLY_BYTES_MAX {
        match queue.try_recv() {
            Ok(Work::Entries(more)) => {
                bytes += weight(&more);
                entries.extend(more);
            }
            Ok(Work::Commit) => {}
            Err(_) => break,
        }
    }
    entries
}

fn weight(entries: &[Entry]) -> usize {
    entries.iter().map(Entry::weight_bytes).sum()
}

/// Whether the room of the cluster got a line.
fn has_notice(applied: &AppliedEntry) -> bool {
    applied.effects.iter().any(|effect| {
        matches!(&effect.kind, Some(effect::Kind::Room(event))
            if matches!(event.kind, Some(room_event::Kind::Notice(_))))
    })
}

impl Listeners {
    /// In an order in which whoever has an answer can read its effect, here and at once: a read
    /// waits for what was told.
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
        self.signals.note_told(slot);
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
