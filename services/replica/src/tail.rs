//! The live log: what was applied, to every gateway that follows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops::traces::Context;
use paxos::ids::Slot;
use prost::Message as _;
use proto::v1::{Effect, TailResponse};
use tokio::sync::mpsc;

use crate::limits::{TAIL_EFFECTS_MAX, TAIL_QUEUE_BYTES_MAX, TAIL_QUEUE_MAX, TAILS_MAX};
use crate::traces;

/// What one transaction applied, shared by all who follow.
type Shared = Arc<Vec<TailResponse>>;

/// Knows who follows.
#[derive(Debug)]
pub(crate) struct Hub(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Everything up to here was published.
    last: Slot,
    followers: Vec<Follower>,
}

#[derive(Debug)]
struct Follower {
    sender: mpsc::Sender<(Shared, usize)>,
    gauge: Arc<Gauge>,
}

/// How much waits for one follower.
#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicUsize,
    /// It was too slow and gets nothing any more.
    lagging: AtomicBool,
}

/// One who follows.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Everything up to here was published before; what comes is above.
    pub(crate) from: Slot,
    receiver: mpsc::Receiver<(Shared, usize)>,
    gauge: Arc<Gauge>,
}

/// The follower was too slow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lagging;

impl Hub {
    /// At start.
    pub(crate) fn new(applied: Slot) -> Self {
        Self(Mutex::new(State {
            last: applied,
            followers: Vec::new(),
        }))
    }

    /// Follows from what is applied next; `None` when too many do.
    pub(crate) fn subscribe(&self) -> Option<Subscription> {
        let (sender, receiver) = mpsc::channel(TAIL_QUEUE_MAX);
        let gauge = Arc::new(Gauge::default());
        let mut state = self.lock();
        state
            .followers
            .retain(|follower| !follower.sender.is_closed());
        if state.followers.len() >= TAILS_MAX {
            return None;
        }
        state.followers.push(Follower {
            sender,
            gauge: Arc::clone(&gauge),
        });
        Some(Subscription {
            from: state.last,
            receiver,
            gauge,
        })
    }

    /// Tells what was applied, in slot order. Whoever is too slow is dropped, never waited for.
    /// `traces` are those of commands in these slots.
    pub(crate) fn publish(&self, effects: Vec<(Slot, Vec<Effect>)>, traces: &[(Slot, Context)]) {
        let Some(last) = effects.last().map(|(slot, _)| *slot) else {
            return;
        };
        let mut state = self.lock();
        state.last = last;
        if state.followers.is_empty() {
            return;
        }
        let mut answers = answers(effects, last);
        for traced in traces::to_wire(traces) {
            let of_slot = answers.iter_mut().find(|answer| answer.slot >= traced.slot);
            if let Some(answer) = of_slot {
                answer.traces.push(traced);
            }
        }
        let bytes = answers.iter().map(TailResponse::encoded_len).sum();
        let shared = Arc::new(answers);
        state
            .followers
            .retain(|follower| follower.offer(&shared, bytes));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before the guard is dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// Whether it stays.
    fn offer(&self, shared: &Shared, bytes: usize) -> bool {
        let waiting = self.gauge.bytes.fetch_add(bytes, Ordering::Relaxed);
        let room = waiting.saturating_add(bytes) <= TAIL_QUEUE_BYTES_MAX;
        if room && self.sender.try_send((Arc::clone(shared), bytes)).is_ok() {
            return true;
        }
        if !self.sender.is_closed() {
            self.gauge.lagging.store(true, Ordering::Release);
        }
        false
    }
}

impl Subscription {
    /// What was applied next; `None` when the replica stops.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<TailResponse>>, Lagging> {
        match self.receiver.recv().await {
            Some((shared, bytes)) => {
                self.gauge.bytes.fetch_sub(bytes, Ordering::Relaxed);
                Ok(Some(Arc::unwrap_or_clone(shared)))
            }
            None if self.gauge.lagging.load(Ordering::Acquire) => Err(Lagging),
            None => Ok(None),
        }
    }
}

/// Effects of consecutive slots as answers of bounded size; the last one names `upto`.
pub(crate) fn answers(effects: Vec<(Slot, Vec<Effect>)>, upto: Slot) -> Vec<TailResponse> {
    let mut answers = Vec::new();
    let mut open = TailResponse::default();
    for (slot, effects) in effects {
        open.slot = slot.0;
        open.effects.extend(effects);
        if open.effects.len() >= TAIL_EFFECTS_MAX {
            answers.push(std::mem::take(&mut open));
        }
    }
    if !open.effects.is_empty() || answers.last().is_none_or(|last| last.slot < upto.0) {
        open.slot = upto.0;
        answers.push(open);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(count: usize) -> Vec<Effect> {
        vec![Effect::default(); count]
    }

    #[tokio::test]
    async fn a_follower_gets_what_is_applied_after_it_came() {
        let hub = Hub::new(Slot(1030));
        hub.publish(vec![(Slot(1031), effects(1))], &[]);
        let mut subscription = hub.subscribe().expect("room");
        assert_eq!(subscription.from, Slot(1031));
        hub.publish(
            vec![(Slot(1032), effects(2)), (Slot(1033), Vec::new())],
            &[],
        );
        let answers = subscription.next().await.expect("in time").expect("live");
        assert_eq!(answers.len(), 1);
        assert_eq!((answers[0].slot, answers[0].effects.len()), (1033, 2));
        drop(hub);
        assert_eq!(subscription.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_slow_follower_is_sent_away_after_what_it_had_room_for() {
        let hub = Hub::new(Slot(1023));
        let mut subscription = hub.subscribe().expect("room");
        for slot in 0..=TAIL_QUEUE_MAX as u64 {
            hub.publish(vec![(Slot(1024 + slot), effects(1))], &[]);
        }
        for _ in 0..TAIL_QUEUE_MAX {
            assert!(subscription.next().await.expect("queued").is_some());
        }
        assert_eq!(subscription.next().await, Err(Lagging));
    }

    #[test]
    fn the_number_of_followers_is_bounded_and_the_gone_make_room() {
        let hub = Hub::new(Slot(1023));
        let mut all: Vec<_> = (0..TAILS_MAX)
            .map(|_| hub.subscribe().expect("room"))
            .collect();
        assert!(hub.subscribe().is_none());
        all.pop();
        assert!(hub.subscribe().is_some());
    }

    #[test]
    fn answers_are_bounded_whole_slots_and_name_the_last() {
        let many = (0..10)
            .map(|slot| (Slot(2000 + slot), effects(100)))
            .collect();
        let answers = answers(many, Slot(2012));
        assert_eq!(
            answers
                .iter()
                .map(|answer| answer.effects.len())
                .sum::<usize>(),
            1000
        );
        assert!(
            answers
                .iter()
                .all(|answer| answer.effects.len() < 2 * TAIL_EFFECTS_MAX)
        );
        assert!(answers.windows(2).all(|pair| pair[0].slot < pair[1].slot));
        assert_eq!(answers.last().expect("some").slot, 2012);
    }
}
