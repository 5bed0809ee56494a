//! Who waits for the answer to which command.
//!
//! The driver enters a command before it is proposed and says how it goes on; the thread that
//! applies the log gives the answer. A success is said by that thread only (rule D5).
//! Tests: waiters/tests.rs

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops::traces::Live;
use paxos::ids::{NodeId, Slot};
use proto::v1::not_accepted::Reason;
use proto::v1::progress::Stage;
use proto::v1::submit_response::Kind;
use proto::v1::{Command, NotAccepted, Outcome, Progress, SubmitResponse};
use tokio::sync::mpsc;

use crate::limits::{RETRY_MS, STREAM_OUTSTANDING_MAX, WAITERS_MAX};

/// What identifies a command for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    /// The account; 0 for a sign-up.
    pub(crate) author: u64,
    /// The client's id for it.
    pub(crate) cid: [u8; 16],
}

impl Key {
    /// The key of a command, if its cid is one.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        let cid = command.cid.as_ref().try_into().ok()?;
        Some(Self {
            author: command.author,
            cid,
        })
    }

    fn of_outcome(outcome: &Outcome) -> Option<Self> {
        let cid = outcome.cid.as_slice().try_into().ok()?;
        Some(Self {
            author: outcome.author,
            cid,
        })
    }
}

/// The way back to one gateway.
#[derive(Debug)]
pub(crate) struct ReplyStream {
    id: u64,
    /// Has room for the final answers of [`STREAM_OUTSTANDING_MAX`] commands, and as many
    /// messages of progress.
    answers: mpsc::Sender<Vec<SubmitResponse>>,
}

static NEXT_STREAM: AtomicU64 = AtomicU64::new(1);

impl ReplyStream {
    /// A stream and what is to be sent on it.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Vec<SubmitResponse>>) {
        let (answers, receiver) = mpsc::channel(2 * STREAM_OUTSTANDING_MAX);
        let id = NEXT_STREAM.fetch_add(1, Ordering::Relaxed);
        (Arc::new(Self { id, answers }), receiver)
    }

    /// Sends answers. Progress is left out when the reader is slow; final answers have room,
    /// because the stream takes no more than [`STREAM_OUTSTANDING_MAX`] commands at a time.
    pub(crate) fn send(&self, mut answers: Vec<SubmitResponse>) {
        if self.answers.capacity() <= STREAM_OUTSTANDING_MAX {
            answers.retain(|answer| !matches!(answer.kind, Some(Kind::Progress(_))));
        }
        if !answers.is_empty() {
            // Closed: the gateway is gone and asks again elsewhere.
            let _ = self.answers.try_send(answers);
        }
    }
}

/// A command on its way in.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Identifies it.
    pub(crate) key: Key,
    /// What is wished.
    pub(crate) command: Command,
    /// Its encoded size in bytes.
    pub(crate) bytes: usize,
    /// Whether stages are to be reported.
    pub(crate) progress: bool,
    /// Who asked.
    pub(crate) stream: Arc<ReplyStream>,
    /// Its span at this replica, if it is traced.
    pub(crate) trace: Option<Live>,
}

/// A command that is to be proposed.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Identifies it.
    pub(crate) key: Key,
    /// What is wished.
    pub(crate) command: Command,
    /// Its encoded size in bytes.
    pub(crate) bytes: usize,
    /// Its span at this replica, if it is traced.
    pub(crate) trace: Option<Live>,
}

/// One who waits.
#[derive(Debug)]
struct Waiter {
    stream: Arc<ReplyStream>,
    progress: bool,
    /// Others that sent the same command meanwhile: a retry over another gateway.
    also: Vec<(Arc<ReplyStream>, bool)>,
}

/// All who wait at this replica.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    waiters: HashMap<Key, Waiter>,
    closed: bool,
}

/// What became of a command that was to be entered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It must be proposed.
    New,
    /// It is under way already; its answer goes to both.
    Joined,
    /// It was refused, and the refusal was sent.
    Refused,
}

impl Waiters {
    /// Enters commands, and gives those that are to be proposed.
    pub(crate) fn enter(&self, submissions: Vec<Submission>) -> Vec<Fresh> {
        let mut answers = Answers::default();
        let mut fresh = Vec::with_capacity(submissions.len());
        let mut table = self.lock();
        for submission in submissions {
            let Submission {
                key,
                command,
                bytes,
                progress,
                stream,
                trace,
            } = submission;
            if table.enter(key, &stream, progress, &mut answers) == Entered::New {
                fresh.push(Fresh {
                    key,
                    command,
                    bytes,
                    trace,
                });
            }
        }
        drop(table);
        answers.send();
        fresh
    }

    /// Tells those who asked for it where their commands are.
    pub(crate) fn progress(&self, keys: &[Key], slot: Slot, stage: Stage) {
        let mut answers = Answers::default();
        let table = self.lock();
        for key in keys {
            let Some(waiter) = table.waiters.get(key) else {
                continue;
            };
            for stream in waiter
                .streams()
                .filter(|(_, wanted)| *wanted)
                .map(|(stream, _)| stream)
            {
                answers.add(stream, progress(key, slot, stage));
            }
        }
        drop(table);
        answers.send();
    }

    /// Tells that commands got no slot here, or that their fate is not known here.
    pub(crate) fn refuse(&self, keys: &[Key], reason: Reason, leader: Option<NodeId>) {
        let mut answers = Answers::default();
        let mut table = self.lock();
        for key in keys {
            if let Some(waiter) = table.waiters.remove(key) {
                answers.add_to_all(&waiter, &not_accepted(key, reason, leader));
            }
        }
        drop(table);
        answers.send();
    }

    /// Gives the answers of commands that were applied here, whoever had proposed them.
    pub(crate) fn resolve(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        let mut answers = Answers::default();
        let mut table = self.lock();
        for outcome in outcomes {
            if table.waiters.is_empty() {
                break;
            }
            let Some(key) = Key::of_outcome(&outcome) else {
                continue;
            };
            if let Some(waiter) = table.waiters.remove(&key) {
                answers.add_outcome(waiter, outcome);
            }
        }
        drop(table);
        answers.send();
    }

    /// Refuses everybody, now and from now on: the process stops.
    pub(crate) fn close(&self) {
        let mut answers = Answers::default();
        let mut table = self.lock();
        table.closed = true;
        for (key, waiter) in table.waiters.drain() {
            answers.add_to_all(&waiter, &not_accepted(&key, Reason::ShuttingDown, None));
        }
        drop(table);
        answers.send();
    }

    /// Forgets those whose streams are gone.
    pub(crate) fn sweep(&self) {
        let gone = |stream: &Arc<ReplyStream>| stream.answers.is_closed();
        self.lock().waiters.retain(|_, waiter| {
            waiter.also.retain(|(stream, _)| !gone(stream));
            !waiter.also.is_empty() || !gone(&waiter.stream)
        });
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Every change is whole before the guard is dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn enter(
        &mut self,
        key: Key,
        stream: &Arc<ReplyStream>,
        progress: bool,
        answers: &mut Answers,
    ) -> Entered {
        let refusal = if self.closed {
            Some(Reason::ShuttingDown)
        } else if self.waiters.len() >= WAITERS_MAX {
            Some(Reason::Overloaded)
        } else {
            None
        };
        if let Some(reason) = refusal {
            answers.add(stream, not_accepted(&key, reason, None));
            return Entered::Refused;
        }
        match self.waiters.entry(key) {
            Entry::Vacant(vacant) => {
                let stream = Arc::clone(stream);
                vacant.insert(Waiter {
                    stream,
                    progress,
                    also: Vec::new(),
                });
                Entered::New
            }
            Entry::Occupied(mut waiter) => {
                waiter.get_mut().also.push((Arc::clone(stream), progress));
                Entered::Joined
            }
        }
    }
}

impl Waiter {
    fn streams(&self) -> impl Iterator<Item = (&Arc<ReplyStream>, bool)> {
        let also = self
            .also
            .iter()
            .map(|(stream, progress)| (stream, *progress));
        std::iter::once((&self.stream, self.progress)).chain(also)
    }
}

/// Answers by stream, so that each stream gets them in one go, after the lock is released.
#[derive(Default)]
struct Answers(BTreeMap<u64, (Arc<ReplyStream>, Vec<SubmitResponse>)>);

impl Answers {
    fn add(&mut self, stream: &Arc<ReplyStream>, answer: SubmitResponse) {
        let (_, answers) = self
            .0
            .entry(stream.id)
            .or_insert_with(|| (Arc::clone(stream), Vec::new()));
        answers.push(answer);
    }

    fn add_to_all(&mut self, waiter: &Waiter, answer: &SubmitResponse) {
        for (stream, _) in waiter.streams() {
            self.add(stream, answer.clone());
        }
    }

    /// As `add_to_all`, but without a copy in the usual case. To any but the first it is a
    /// repetition.
    fn add_outcome(&mut self, waiter: Waiter, outcome: Outcome) {
        for (stream, _) in &waiter.also {
            let repeated = Outcome {
                duplicate: true,
                ..outcome.clone()
            };
            self.add(
                stream,
                SubmitResponse {
                    kind: Some(Kind::Outcome(repeated)),
                },
            );
        }
        self.add(
            &waiter.stream,
            SubmitResponse {
                kind: Some(Kind::Outcome(outcome)),
            },
        );
    }

    fn send(self) {
        for (stream, answers) in self.0.into_values() {
            stream.send(answers);
        }
    }
}

/// The answer to a command whose fate is not known here.
pub(crate) fn not_accepted(key: &Key, reason: Reason, leader: Option<NodeId>) -> SubmitResponse {
    let answer = NotAccepted {
        cid: key.cid.to_vec(),
        author: key.author,
        reason: reason.into(),
        leader: leader.map_or(0, |node| node.0),
        retry_ms: RETRY_MS,
    };
    SubmitResponse {
        kind: Some(Kind::NotAccepted(answer)),
    }
}

fn progress(key: &Key, slot: Slot, stage: Stage) -> SubmitResponse {
    let answer = Progress {
        cid: key.cid.to_vec(),
        author: key.author,
        slot: slot.0,
        stage: stage.into(),
    };
    SubmitResponse {
        kind: Some(Kind::Progress(answer)),
    }
}
