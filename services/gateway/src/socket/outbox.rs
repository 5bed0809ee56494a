//! What waits for one client: a bounded queue that is cleared rather than grown.
//!
//! In: serialised frames from the hub and the session. Out: batches for the writer.
//! Must hold: never more than 512 frames or 1 MiB. When events overflow it they are cleared,
//! all of them, and the client hears `lag`; answers to its own requests stay. When those alone
//! overflow it, the socket is closed. What is ephemeral waits apart ([`Waiting`]): it never takes
//! the place of anything else, and goes out when nothing else waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::frames::{Presence, ServerFrame};
use crate::ids::{RoomId, UserId};
use crate::limits::{FLUSH_BYTES_MAX, FLUSH_FRAMES_MAX, OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};
use crate::metrics::METRICS;

use super::Close;
use super::waiting::Waiting;

/// What may be left out when the client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Cleared by `lag`, after which the client asks again.
    Event,
    /// Only the newest one matters.
    Cluster,
    /// Must arrive, or the socket ends.
    Control,
}

/// What became of an event that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// It waits, or the client lags already and will fetch it.
    Taken,
    /// It did not fit: the client lags from now on and must be told.
    Overflowed,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<(Class, Utf8Bytes)>,
    bytes: usize,
    /// Who writes, who is there.
    ephemeral: Waiting,
    /// From an overflow until `resume`: events are not taken.
    lagging: bool,
    /// Nothing is taken any more; the writer says this after what waits.
    close: Option<Close>,
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// The writer has something to do.
    ready: Notify,
    /// The queue is at most half full.
    room: Notify,
}

/// What the writer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these.
    Frames(Vec<Utf8Bytes>),
    /// Send this close frame and end.
    Close(Close),
}

/// Serialises a frame once, for as many queues as want it.
pub(crate) fn serialise(frame: &ServerFrame) -> Option<Utf8Bytes> {
    match serde_json::to_string(frame) {
        Ok(text) => Some(text.into()),
        Err(error) => {
            tracing::error!(%error, "a frame that cannot be written");
            None
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        let queue = Queue {
            frames: VecDeque::new(),
            bytes: 0,
            ephemeral: Waiting::default(),
            lagging: false,
            close: None,
        };
        Self {
            queue: Mutex::new(queue),
            ready: Notify::new(),
            room: Notify::new(),
        }
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event, or what belongs to the replay of events.
    pub(crate) fn push_event(&self, text: Utf8Bytes) -> Pushed {
        let mut queue = self.lock();
        if queue.lagging || queue.close.is_some() {
            return Pushed::Taken;
        }
        if queue.fits(text.len()) {
            queue.push(Class::Event, text);
            drop(queue);
            METRICS.passed_on();
            self.ready.notify_one();
            return Pushed::Taken;
        }
        METRICS.lags();
        queue.lagging = true;
        queue.clear_events();
        Pushed::Overflowed
    }

    /// Events are missing for this queue: it lags as if it had overflowed. Says whether this
    /// is news.
    pub(crate) fn force_lag(&self) -> bool {
        let mut queue = self.lock();
        let news = !queue.lagging && queue.close.is_none();
        queue.lagging = true;
        queue.clear_events();
        news
    }

    /// Something that must arrive. What does not fit ends the socket.
    pub(crate) fn push(&self, frame: &ServerFrame) {
        if let Some(text) = serialise(frame) {
            self.push_text(Class::Control, text);
        }
    }

    /// The cluster as it is now: replaces one that still waits.
    pub(crate) fn push_cluster(&self, text: Utf8Bytes) {
        self.push_text(Class::Cluster, text);
    }

    fn push_text(&self, class: Class, text: Utf8Bytes) {
        let mut queue = self.lock();
        if queue.close.is_some() {
            return;
        }
        if class == Class::Cluster {
            queue.remove(Class::Cluster);
        }
        if queue.fits(text.len()) {
            queue.push(class, text);
        } else {
            queue.frames.clear();
            queue.bytes = 0;
            METRICS.too_slow();
            queue.close = Some(Close::Slow);
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Somebody writes.
    pub(crate) fn push_writing(&self, room: RoomId, user: UserId, text: Utf8Bytes) {
        let taken = self
            .lock()
            .ephemeral
            .writing(room, user, text, Instant::now());
        if taken {
            self.ready.notify_one();
        } else {
            METRICS.unsaid();
        }
    }

    /// A person that the client watches is otherwise than before.
    pub(crate) fn push_presence(&self, user: UserId, presence: Presence) {
        self.lock().ephemeral.presence(user, presence);
        self.ready.notify_one();
    }

    /// The client watches these from now on, and nobody else.
    pub(crate) fn watch(&self, people: BTreeMap<UserId, Presence>) {
        self.lock().ephemeral.watch(people);
        self.ready.notify_one();
    }

    /// Ends the socket after what waits. The first reason counts.
    pub(crate) fn close(&self, close: Close) {
        self.lock().close.get_or_insert(close);
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    /// Whether the client must be told to fetch.
    pub(crate) fn is_lagging(&self) -> bool {
        self.lock().lagging
    }

    /// The client has asked to go on: events are taken again.
    pub(crate) fn resume(&self) {
        self.lock().lagging = false;
    }

    /// Waits until the queue is at most half full (or nothing is taken anyhow): the pace of a
    /// replay.
    pub(crate) async fn half_empty(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.lock().half_empty() {
                return;
            }
            room.await;
        }
    }

    /// Waits for something to send.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut queue = self.lock();
        let mut batch = Vec::new();
        let mut bytes: usize = 0;
        while batch.len() < FLUSH_FRAMES_MAX && bytes < FLUSH_BYTES_MAX {
            let Some((_, text)) = queue.frames.pop_front() else {
                break;
            };
            queue.bytes -= text.len();
            bytes += text.len();
            batch.push(text);
        }
        if queue.frames.is_empty() {
            // An idle connection keeps no memory of its busiest moment.
            queue.frames = VecDeque::new();
            if queue.close.is_none() {
                batch.extend(queue.ephemeral.take(Instant::now()));
            }
        }
        let (half_empty, close) = (queue.half_empty(), queue.close);
        drop(queue);
        if half_empty {
            self.room.notify_waiters();
        }
        if batch.is_empty() {
            close.map(Next::Close)
        } else {
            Some(Next::Frames(batch))
        }
    }

    #[cfg(test)]
    pub(crate) fn presence_waiting(&self) -> Vec<(UserId, Presence)> {
        self.lock().ephemeral.presences()
    }

    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.frames.len(), queue.bytes)
    }
}

impl Queue {
    fn fits(&self, bytes: usize) -> bool {
        self.frames.len() < OUTBOX_FRAMES_MAX && self.bytes + bytes <= OUTBOX_BYTES_MAX
    }

    fn half_empty(&self) -> bool {
        let small =
            self.frames.len() <= OUTBOX_FRAMES_MAX / 2 && self.bytes <= OUTBOX_BYTES_MAX / 2;
        small || self.lagging || self.close.is_some()
    }

    fn push(&mut self, class: Class, text: Utf8Bytes) {
        self.bytes += text.len();
        self.frames.push_back((class, text));
    }

    fn remove(&mut self, class: Class) {
        // At most one waits, and it is seldom there at all.
        if let Some(at) = self.frames.iter().position(|(other, _)| *other == class)
            && let Some((_, text)) = self.frames.remove(at)
        {
            self.bytes -= text.len();
        }
    }

    fn clear_events(&mut self) {
        self.frames.retain(|(class, _)| *class != Class::Event);
        self.bytes = self.frames.iter().map(|(_, text)| text.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Slot;

    fn pong(n: u64) -> ServerFrame {
        ServerFrame::Pong {
            n,
            head_slot: Slot(1),
        }
    }

    fn fill(outbox: &Outbox) {
        for _ in 0..OUTBOX_FRAMES_MAX {
            assert_eq!(outbox.push_event("event".into()), Pushed::Taken);
        }
    }

    #[test]
    fn an_overflow_clears_events_and_keeps_answers() {
        let outbox = Outbox::default();
        assert_eq!(outbox.push_event("event".into()), Pushed::Taken);
        outbox.push(&pong(7));
        for _ in 2..OUTBOX_FRAMES_MAX {
            assert_eq!(outbox.push_event("event".into()), Pushed::Taken);
        }
        assert_eq!(outbox.push_event("one too many".into()), Pushed::Overflowed);
        assert!(outbox.is_lagging());
        assert_eq!(outbox.size().0, 1, "only the answer is left");
        assert_eq!(outbox.push_event("while lagging".into()), Pushed::Taken);
        assert_eq!(
            outbox.size().0,
            1,
            "nothing is taken until the client resumes"
        );
        outbox.resume();
        assert_eq!(outbox.push_event("again".into()), Pushed::Taken);
        assert_eq!(outbox.size().0, 2);
    }

    #[test]
    fn bytes_are_a_limit_too() {
        let outbox = Outbox::default();
        let big: Utf8Bytes = "x".repeat(OUTBOX_BYTES_MAX / 4).into();
        for _ in 0..4 {
            assert_eq!(outbox.push_event(big.clone()), Pushed::Taken);
        }
        assert_eq!(outbox.push_event(big), Pushed::Overflowed);
        assert_eq!(outbox.size(), (0, 0));
    }

    #[test]
    fn what_cannot_be_left_out_ends_the_socket() {
        let outbox = Outbox::default();
        fill(&outbox);
        outbox.push(&pong(1));
        assert_eq!(outbox.take(), Some(Next::Close(Close::Slow)));
        assert_eq!(outbox.size(), (0, 0), "and frees its memory at once");
    }

    #[test]
    fn only_the_newest_cluster_waits() {
        let outbox = Outbox::default();
        outbox.push_cluster("old".into());
        outbox.push(&pong(1));
        outbox.push_cluster("new".into());
        let Some(Next::Frames(frames)) = outbox.take() else {
            panic!("frames wait")
        };
        assert_eq!(frames.len(), 2);
        assert_eq!(frames.last().map(Utf8Bytes::as_str), Some("new"));
    }

    #[test]
    fn frames_share_a_flush_up_to_a_size_and_the_close_comes_last() {
        let outbox = Outbox::default();
        fill(&outbox);
        outbox.close(Close::Drain);
        let mut taken = 0;
        loop {
            match outbox.take() {
                Some(Next::Frames(frames)) => {
                    assert!(frames.len() <= FLUSH_FRAMES_MAX);
                    taken += frames.len();
                }
                Some(Next::Close(close)) => {
                    assert_eq!((taken, close), (OUTBOX_FRAMES_MAX, Close::Drain));
                    return;
                }
                None => panic!("the close is missing"),
            }
        }
    }

    #[test]
    fn what_is_ephemeral_goes_last_and_takes_nobodys_place() {
        let outbox = Outbox::default();
        outbox.push_writing(RoomId(1), UserId(2), "writes".into());
        outbox.push_presence(UserId(2), Presence::Away);
        fill(&outbox);
        assert!(!outbox.is_lagging(), "all places were free");
        let mut frames = Vec::new();
        while let Some(Next::Frames(more)) = outbox.take() {
            frames.extend(more.iter().map(|text| text.as_str().to_owned()));
        }
        assert_eq!(frames.len(), OUTBOX_FRAMES_MAX + 2);
        let last = &frames[OUTBOX_FRAMES_MAX..];
        assert_eq!(last[0], "writes");
        assert!(last[1].contains(r#""presence":"away""#), "{last:?}");
    }

    #[test]
    fn a_socket_that_ends_says_nothing_ephemeral_any_more() {
        let outbox = Outbox::default();
        outbox.push_presence(UserId(2), Presence::Away);
        outbox.close(Close::Drain);
        assert_eq!(outbox.take(), Some(Next::Close(Close::Drain)));
    }

    #[tokio::test]
    async fn a_replay_waits_until_half_is_sent() {
        let outbox = Outbox::default();
        fill(&outbox);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), outbox.half_empty());
        assert!(waits.await.is_err());
        while outbox.size().0 > OUTBOX_FRAMES_MAX / 2 {
            let _ = outbox.take();
        }
        outbox.half_empty().await;
    }
}
