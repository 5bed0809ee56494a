//! One room as the hub holds it: who listens, and the last events for those who come back.
//!
//! A listener is replaying until it has everything up to the ring, then live. The change is one
//! step under the hub's lock: what the ring holds above the replay's end goes into the queue,
//! and from then on every event does. So no window lies between replay and stream.
//! Must hold: per listener, `seq` grows by one from event to event; a hole makes it lag.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;

use crate::frames::ServerFrame;
use crate::ids::{RoomId, Seq, Slot};
use crate::limits::{RING_BYTES_MAX, RING_FRAMES_MAX};

use super::hub::Line;
use super::outbox::{Pushed, serialise};

/// How far a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    /// A replay is on its way; the stream does not touch it.
    Replaying,
    /// It has everything up to here.
    Live(Seq),
}

#[derive(Debug)]
struct Listener {
    line: Arc<Line>,
    state: Listening,
}

/// A room with at least one listener.
#[derive(Debug)]
pub(super) struct Room {
    /// The hub's position when this entry was made: every event above it came through here.
    since: Slot,
    /// Every event above it is in the ring or still to come. Unknown until a read of at least
    /// `since`, or the first event, has told.
    floor: Option<Seq>,
    /// The highest `seq` known.
    head: Seq,
    ring: VecDeque<(Seq, Utf8Bytes)>,
    ring_bytes: usize,
    listeners: Vec<Listener>,
}

impl Room {
    pub(super) fn new(since: Slot) -> Self {
        Self {
            since,
            floor: None,
            head: Seq(0),
            ring: VecDeque::new(),
            ring_bytes: 0,
            listeners: Vec::new(),
        }
    }

    pub(super) fn since(&self) -> Slot {
        self.since
    }

    pub(super) fn head(&self) -> Seq {
        self.head
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Everybody who listens.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.listeners.iter().map(|listener| &*listener.line)
    }

    /// Adds a listener, or puts one back to replaying.
    pub(super) fn enter(&mut self, line: &Arc<Line>) {
        match self
            .listeners
            .iter_mut()
            .find(|listener| listener.line.id == line.id)
        {
            Some(listener) => listener.state = Listening::Replaying,
            None => self.listeners.push(Listener {
                line: Arc::clone(line),
                state: Listening::Replaying,
            }),
        }
    }

    pub(super) fn leave(&mut self, line: u64) {
        if let Some(at) = self
            .listeners
            .iter()
            .position(|listener| listener.line.id == line)
        {
            self.listeners.swap_remove(at);
        }
    }

    /// A read of at least `as_of` found this head.
    pub(super) fn learn_head(&mut self, head: Seq, as_of: Slot) {
        if as_of < self.since {
            return;
        }
        self.head = self.head.max(head);
        if self.ring.is_empty() {
            self.floor = Some(self.floor.map_or(head, |floor| floor.max(head)));
        }
    }

    /// Makes a listener live that has everything up to `last`, if the ring has the rest: up to
    /// the head, for `live` says that the client has caught up with what `ready` told it.
    pub(super) fn go_live(&mut self, room: RoomId, line: &Line, last: Seq) -> bool {
        let end = self.ring.back().map_or(last, |(seq, _)| last.max(*seq));
        if end < self.head || self.floor.is_none_or(|floor| last < floor) {
            return false;
        }
        let Some(listener) = self
            .listeners
            .iter_mut()
            .find(|listener| listener.line.id == line.id)
        else {
            // It left while it replayed: there is nothing more to replay.
            return true;
        };
        let mut at = last;
        for (seq, text) in self.ring.iter().filter(|(seq, _)| *seq > last) {
            if line.outbox.push_event(text.clone()) == Pushed::Overflowed {
                line.lags();
                return true;
            }
            at = *seq;
        }
        listener.state = Listening::Live(at);
        if let Some(text) = serialise(&ServerFrame::Live { room, head: at })
            && line.outbox.push_event(text) == Pushed::Overflowed
        {
            line.lags();
        }
        true
    }

    /// An event came: keeps it and gives it to everybody who is live.
    pub(super) fn event(&mut self, seq: Seq, text: &Utf8Bytes) {
        if let Some((last, _)) = self.ring.back() {
            if seq <= *last {
                return;
            }
            if seq != last.next() {
                tracing::error!(%seq, %last, "a hole in the log that was followed");
                self.ring.clear();
                self.ring_bytes = 0;
            }
        }
        if self.ring.is_empty() {
            self.floor = Some(Seq(seq.0.saturating_sub(1)));
        }
        self.head = self.head.max(seq);
        self.keep(seq, text);
        for listener in &mut self.listeners {
            let Listening::Live(last) = listener.state else {
                continue;
            };
            if seq <= last {
                continue;
            }
            listener.state = Listening::Live(seq);
            let line = &listener.line;
            let whole = seq == last.next();
            if !whole && line.outbox.force_lag() || whole && overflows(line, text) {
                line.lags();
            }
        }
    }

    /// Who comes back reads from a replica what happened before.
    pub(super) fn forget_texts(&mut self) {
        if let Some((last, _)) = self.ring.back() {
            self.floor = Some(*last);
        }
        self.ring.clear();
        self.ring_bytes = 0;
    }

    fn keep(&mut self, seq: Seq, text: &Utf8Bytes) {
        self.ring_bytes += text.len();
        self.ring.push_back((seq, text.clone()));
        while self.ring.len() > RING_FRAMES_MAX || self.ring_bytes > RING_BYTES_MAX {
            let Some((dropped, text)) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= text.len();
            self.floor = Some(dropped);
        }
    }
}

fn overflows(line: &Line, text: &Utf8Bytes) -> bool {
    line.outbox.push_event(text.clone()) == Pushed::Overflowed
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::hub::Note;
    use super::super::outbox::Next;
    use super::*;
    use crate::ids::UserId;
    use crate::limits::INBOX_MAX;

    const ROOM: RoomId = RoomId(1);

    fn line(id: u64) -> (Arc<Line>, mpsc::Receiver<Note>) {
        let (inbox, notes) = mpsc::channel(INBOX_MAX);
        (Arc::new(Line::new(id, UserId(id), [0; 32], inbox)), notes)
    }

    fn event(room: &mut Room, seq: u64) {
        room.event(Seq(seq), &format!("e{seq}").into());
    }

    async fn taken(line: &Line) -> Vec<String> {
        match line.outbox.next().await {
            Next::Frames(frames) => frames.iter().map(|text| text.as_str().to_owned()).collect(),
            Next::Close(close) => panic!("{close:?}"),
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_or_doubled_between_replay_and_stream() {
        let (line, _notes) = line(1);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        assert!(!room.go_live(ROOM, &line, Seq(5)), "nobody has read yet");
        room.learn_head(Seq(5), Slot(99));
        assert!(
            !room.go_live(ROOM, &line, Seq(5)),
            "a read of an older state proves nothing"
        );
        event(&mut room, 6);
        event(&mut room, 7);
        assert!(
            !room.go_live(ROOM, &line, Seq(4)),
            "5 is neither read nor in the ring"
        );
        assert!(room.go_live(ROOM, &line, Seq(6)));
        event(&mut room, 8);
        event(&mut room, 8);
        assert_eq!(
            taken(&line).await,
            ["e7", r#"{"t":"live","room":1,"head":7}"#, "e8"]
        );
    }

    #[tokio::test]
    async fn a_read_may_be_ahead_of_the_stream() {
        let (line, _notes) = line(1);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        room.learn_head(Seq(9), Slot(120));
        assert!(room.go_live(ROOM, &line, Seq(9)));
        event(&mut room, 8);
        event(&mut room, 9);
        event(&mut room, 10);
        assert_eq!(
            taken(&line).await,
            [r#"{"t":"live","room":1,"head":9}"#, "e10"]
        );
    }

    #[tokio::test]
    async fn nobody_is_live_below_the_head_that_is_known() {
        let (line, _notes) = line(1);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        event(&mut room, 8);
        room.learn_head(Seq(9), Slot(120));
        assert!(
            !room.go_live(ROOM, &line, Seq(8)),
            "a read found 9, and the stream is late"
        );
        event(&mut room, 9);
        assert!(room.go_live(ROOM, &line, Seq(8)));
        assert_eq!(
            taken(&line).await,
            ["e9", r#"{"t":"live","room":1,"head":9}"#]
        );
    }

    #[tokio::test]
    async fn a_hole_makes_a_listener_lag_instead_of_showing_it() {
        let (line, mut notes) = line(1);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        room.learn_head(Seq(1), Slot(100));
        assert!(room.go_live(ROOM, &line, Seq(1)));
        event(&mut room, 3);
        assert!(line.outbox.is_lagging());
        assert_eq!(notes.try_recv().ok(), Some(Note::Lags));
    }

    #[test]
    fn the_ring_is_bounded_and_says_from_where_it_is_whole() {
        let (line, _notes) = line(1);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        for seq in 1..=200 {
            event(&mut room, seq);
        }
        assert_eq!(room.ring.len(), RING_FRAMES_MAX);
        assert!(!room.go_live(ROOM, &line, Seq(100)));
        assert!(room.go_live(ROOM, &line, Seq(200 - RING_FRAMES_MAX as u64)));
    }

    #[test]
    fn who_left_hears_nothing_more() {
        let (line, _notes) = line(7);
        let mut room = Room::new(Slot(100));
        room.enter(&line);
        room.leave(7);
        assert!(room.is_empty());
    }
}
