//! The commands without an outcome, in the order in which they came.

use std::collections::{BTreeMap, HashMap};

use ops::traces::Live;
use proto::v1::not_accepted::Reason;
use proto::v1::{Command, Outcome, SubmitRequest};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::SHARD;
use crate::errors::Error;
use crate::frames::SendState;
use crate::ids::Slot;
use crate::limits::{IN_FLIGHT_MAX, SUBMIT_PATIENCE};
use crate::metrics::METRICS;
use crate::traces;

use super::{Answer, Key, Submit};

/// A command without an outcome.
pub(super) struct Pending {
    pub(super) key: Key,
    pub(super) command: Command,
    /// Whoever asked for it: first the one who sent it first. A client that lost its socket
    /// and sends it again over another one waits here too.
    waiters: Vec<Waiter>,
    pub(super) deadline: Instant,
    /// When it was handed to the current stream; `None`: not yet.
    pub(super) sent: Option<Instant>,
    /// A replica that had no room asked to wait until then.
    pub(super) not_before: Option<Instant>,
    /// The last refusal, for the words at the end.
    pub(super) refusal: Option<(Reason, u32)>,
    /// Its span, if it is traced. A repetition that joins has none of its own.
    pub(super) trace: Option<Live>,
}

struct Waiter {
    answers: mpsc::Sender<Answer>,
    progress: bool,
}

impl Pending {
    /// As the leader gets it.
    pub(super) fn request(&self) -> SubmitRequest {
        let trace = self.trace.as_ref().map(Live::context);
        SubmitRequest {
            shard: SHARD,
            command: Some(self.command.clone()),
            progress: self.wants_progress(),
            traceparent: trace.map_or_else(String::new, |trace| trace.to_string()),
        }
    }

    fn wants_progress(&self) -> bool {
        self.waiters.iter().any(|waiter| waiter.progress)
    }

    pub(super) fn progress(&self, state: SendState, slot: Slot) {
        for waiter in self.waiters.iter().filter(|waiter| waiter.progress) {
            // Progress may be left out; the room for final answers may not be used up.
            if waiter.answers.capacity() > IN_FLIGHT_MAX {
                let cid = self.key.1;
                let _ = waiter
                    .answers
                    .try_send(Answer::Progress { cid, state, slot });
            }
        }
    }

    /// Ends it for everybody who waits. To any but the first it is a repetition.
    pub(super) fn finish(self, result: &Result<Outcome, Error>) {
        traces::ended(self.trace.as_ref(), result);
        let cid = self.key.1;
        let came = self.deadline - SUBMIT_PATIENCE;
        METRICS.answered(result, came.elapsed());
        for (index, waiter) in self.waiters.into_iter().enumerate() {
            let mut result = result.clone();
            if let (1.., Ok(outcome)) = (index, &mut result) {
                outcome.duplicate = true;
            }
            if let Err(mpsc::error::TrySendError::Full(_)) =
                waiter.answers.try_send(Answer::Final { cid, result })
            {
                tracing::error!(%cid, "a session with more in flight than its answers hold");
            }
        }
    }
}

/// All of them. Indices grow with time, so the lowest has the earliest deadline.
#[derive(Default)]
pub(super) struct Table {
    by_index: BTreeMap<u64, Pending>,
    by_key: HashMap<Key, u64>,
    next: u64,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Takes a wish in; a repetition joins the one that waits.
    pub(super) fn insert(&mut self, submit: Submit, now: Instant) {
        let waiter = Waiter {
            answers: submit.answers,
            progress: submit.progress,
        };
        if let Some(pending) = self
            .by_key
            .get(&submit.key)
            .and_then(|index| self.by_index.get_mut(index))
        {
            pending.waiters.push(waiter);
            return;
        }
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.by_key.insert(submit.key, index);
        self.by_index.insert(
            index,
            Pending {
                key: submit.key,
                command: submit.command,
                waiters: vec![waiter],
                deadline: now + SUBMIT_PATIENCE,
                sent: None,
                not_before: None,
                refusal: None,
                trace: submit.trace,
            },
        );
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Pending> {
        self.by_index.get_mut(self.by_key.get(key)?)
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Pending> {
        let index = self.by_key.remove(key)?;
        self.by_index.remove(&index)
    }

    /// From the given index on, in order.
    pub(super) fn starting_at(
        &mut self,
        index: u64,
    ) -> impl Iterator<Item = (u64, &mut Pending)> + '_ {
        self.by_index
            .range_mut(index..)
            .map(|(index, pending)| (*index, pending))
    }

    /// The oldest one.
    pub(super) fn first(&self) -> Option<&Pending> {
        self.by_index.values().next()
    }

    /// Removes the oldest one if its time is over.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Pending> {
        let key = self.first().filter(|pending| pending.deadline <= now)?.key;
        self.remove(&key)
    }

    /// The stream is gone: nothing counts as sent any more.
    pub(super) fn forget_sent(&mut self) {
        for pending in self.by_index.values_mut() {
            pending.sent = None;
        }
    }
}
