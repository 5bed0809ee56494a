//! What waits to be sent to one peer. Bounded; full means dropped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ops::traces::Context;
use paxos::ids::Slot;
use paxos::message::Message;
use tokio::sync::Notify;

use crate::limits::{
    PEER_FRAME_BYTES, PEER_FRAME_MESSAGES_MAX, PEER_QUEUE_BYTES_MAX, PEER_QUEUE_MESSAGES_MAX,
    TRACES_FRAME_MAX,
};
use crate::wire;

/// What is sent together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outgoing {
    /// In order.
    pub(crate) messages: Vec<Message>,
    /// The traces of the commands in their rows, and perhaps of rows that follow.
    pub(crate) traces: Vec<(Slot, Context)>,
}

/// A queue between the driver, which never waits, and the stream to one peer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Something was put in.
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Of the rows that wait, or waited and were dropped: a trace may be lost, a row may not wait
    /// for it.
    traces: Vec<(Slot, Context)>,
    bytes: usize,
    /// There is a stream that takes messages. Without one they are old when it comes.
    open: bool,
    dropped: u64,
}

impl Outbox {
    /// Queues a message, or drops it.
    pub(crate) fn push(&self, message: Message, traces: Vec<(Slot, Context)>) {
        let weight = wire::weight_bytes(&message);
        let mut queue = self.lock();
        let full = queue.messages.len() >= PEER_QUEUE_MESSAGES_MAX
            || queue.bytes.saturating_add(weight) > PEER_QUEUE_BYTES_MAX;
        if full || !queue.open {
            queue.dropped += 1;
            return;
        }
        queue.bytes += weight;
        queue.messages.push_back(message);
        let room = TRACES_FRAME_MAX.saturating_sub(queue.traces.len());
        queue.traces.extend(traces.into_iter().take(room));
        drop(queue);
        self.filled.notify_one();
    }

    /// The messages of the next frame; waits for the first one.
    pub(crate) async fn next_frame(&self) -> Outgoing {
        loop {
            let frame = self.take_frame();
            if !frame.messages.is_empty() {
                return frame;
            }
            self.filled.notified().await;
        }
    }

    /// Begins and ends a stream. What waited is gone either way.
    pub(crate) fn set_open(&self, open: bool) {
        let mut queue = self.lock();
        queue.open = open;
        queue.messages.clear();
        queue.traces.clear();
        queue.bytes = 0;
    }

    /// Whether a stream is open.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Whether an open stream has something left to take.
    #[cfg(feature = "failpoints")]
    pub(crate) fn has_waiting(&self) -> bool {
        let queue = self.lock();
        queue.open && !queue.messages.is_empty()
    }

    /// Messages dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn take_frame(&self) -> Outgoing {
        let mut queue = self.lock();
        let mut messages = Vec::new();
        let mut bytes = 0;
        while bytes < PEER_FRAME_BYTES && messages.len() < PEER_FRAME_MESSAGES_MAX {
            let Some(message) = queue.messages.pop_front() else {
                break;
            };
            bytes += wire::weight_bytes(&message);
            messages.push(message);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        let traces = std::mem::take(&mut queue.traces);
        Outgoing { messages, traces }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change is whole before the guard is dropped.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;
    use crate::limits::{PEER_FRAME_MESSAGES_MAX, PEER_QUEUE_MESSAGES_MAX};
    use paxos::ids::{Epoch, Slot};
    use paxos::message::{Message, Ping};

    fn ping(round: u64) -> Message {
        Message::Ping(Ping {
            epoch: Epoch::FIRST,
            round,
            decided: Slot::GENESIS,
            disk_seq: paxos::DiskSeq(0),
        })
    }

    #[tokio::test]
    async fn what_waits_goes_in_one_frame_and_in_order() {
        let outbox = Outbox::default();
        outbox.set_open(true);
        (0..3).for_each(|round| outbox.push(ping(round), Vec::new()));
        assert_eq!(
            outbox.next_frame().await.messages,
            [ping(0), ping(1), ping(2)]
        );
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_newest() {
        let outbox = Outbox::default();
        outbox.set_open(true);
        for round in 0..PEER_QUEUE_MESSAGES_MAX as u64 + 5 {
            outbox.push(ping(round), Vec::new());
        }
        assert_eq!(outbox.dropped(), 5);
        let frame = outbox.next_frame().await.messages;
        assert_eq!(frame.len(), PEER_FRAME_MESSAGES_MAX);
        assert_eq!(frame.first(), Some(&ping(0)));
    }

    #[test]
    fn nothing_waits_for_a_stream_that_is_not_there() {
        let outbox = Outbox::default();
        outbox.push(ping(1), Vec::new());
        outbox.set_open(true);
        outbox.push(ping(2), Vec::new());
        outbox.set_open(false);
        assert_eq!(outbox.dropped(), 1);
        assert!(!outbox.is_open());
    }
}
