//! Where the followed log meets the sockets.
//!
//! In: effects from the tail, slot after slot; sessions that come and go. Out: frames in the
//! queues of the sessions.
//! Must hold: position, rooms and listeners change together under one lock, so that "from here
//! on I hear everything" is one moment. Nothing waits while the lock is held. A line acts on
//! its person's own events once and in order: the state that it began with comes from a replica
//! that may be ahead of the followed log, and what that state contains comes late.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use proto::v1::{RoomEvent, UserEvent, effect, room_event, user_event};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::auth::Sessions;
use crate::convert;
use crate::frames::{Joined, ReadMarker, RoomWishes, ServerFrame};
use crate::ids::{RoomId, Seq, Slot, Useq, UserId};
use crate::seen::Seen;

use super::Close;
use super::fanout::Room;
use super::outbox::{Outbox, serialise};

/// What a session must act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The person is in a new room.
    Joined(Useq, Joined),
    /// The person left a room.
    Left(Useq, RoomId),
    /// The person has read on.
    Read(Useq, ReadMarker),
    /// Something else is wished of a room.
    Wishes(Useq, RoomWishes),
    /// The person's name, colour, role or password changed.
    Profile(Useq),
    /// This socket was too slow.
    Lags,
    /// The gateway stops.
    Drain,
}

/// One socket with a session, as hub and rooms know it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) user: UserId,
    /// Of the session's token: a revoked one ends the socket.
    pub(crate) token_hash: [u8; 32],
    pub(crate) outbox: Outbox,
    inbox: mpsc::Sender<Note>,
}

impl Line {
    pub(crate) fn new(
        id: u64,
        user: UserId,
        token_hash: [u8; 32],
        inbox: mpsc::Sender<Note>,
    ) -> Self {
        Self {
            id,
            user,
            token_hash,
            outbox: Outbox::default(),
            inbox,
        }
    }

    /// A session that does not even take its notes is as slow as a client can be.
    fn note(&self, note: Note) {
        if self.inbox.try_send(note).is_err() {
            self.outbox.close(Close::Slow);
        }
    }

    /// The queue overflowed and was cleared.
    pub(super) fn lags(&self) {
        tracing::debug!(user = %self.user, "a slow client lags");
        self.note(Note::Lags);
    }
}

/// A line and how far it knows its person's own stream.
#[derive(Debug)]
struct Attached {
    line: Arc<Line>,
    /// The last event of that stream that came by, or that the line's state contained.
    useq: Useq,
    /// Whether the line is in its rooms; until then it has read no state that is new enough.
    begun: bool,
}

#[derive(Debug, Default)]
struct State {
    /// How far the log has been followed; `None` before the first replica.
    position: Option<Slot>,
    rooms: HashMap<RoomId, Room>,
    lines: HashMap<UserId, Vec<Attached>>,
    /// In which rooms a line listens, by its number: so that nothing of it stays behind.
    inside: HashMap<u64, BTreeSet<RoomId>>,
}

/// All listeners of this gateway.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    moved: watch::Sender<Option<Slot>>,
    seen: Arc<Seen>,
    sessions: Arc<Sessions>,
    next_line: AtomicU64,
}

impl Hub {
    pub(crate) fn new(seen: Arc<Seen>, sessions: Arc<Sessions>) -> Self {
        Self {
            state: Mutex::default(),
            moved: watch::channel(None).0,
            seen,
            sessions,
            next_line: AtomicU64::new(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- The tail's side ---

    /// How far the log has been followed.
    pub(crate) fn position(&self) -> Option<Slot> {
        self.lock().position
    }

    /// The same, for people.
    pub(crate) fn position_or_zero(&self) -> Slot {
        self.position().unwrap_or_default()
    }

    /// The log is followed from after this slot on, unless it is followed already.
    pub(crate) fn start_at(&self, slot: Slot) {
        let position = *self.lock().position.get_or_insert(slot);
        self.moved_to(position);
    }

    /// Everything up to and including `slot` happened; what is new of it, in order.
    pub(crate) fn apply(&self, slot: Slot, effects: impl Iterator<Item = effect::Kind>) {
        // The filter of the effects asks for the position: it must not be run under the lock.
        let effects: Vec<effect::Kind> = effects.collect();
        let mut state = self.lock();
        for effect in effects {
            match effect {
                effect::Kind::Room(event) => state.room_event(event),
                effect::Kind::User(event) => self.user_event(&mut state, event),
            }
        }
        let position = state.position.map_or(slot, |position| position.max(slot));
        state.position = Some(position);
        drop(state);
        self.moved_to(position);
    }

    /// The log cannot be continued: everybody begins again.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.position = None;
        state.rooms.clear();
        for attached in state.lines.values().flatten() {
            attached.line.outbox.close(Close::Behind);
        }
        drop(state);
        self.moved.send_replace(None);
    }

    fn moved_to(&self, position: Slot) {
        self.seen.raise(position);
        self.moved.send_replace(Some(position));
    }

    fn user_event(&self, state: &mut State, event: UserEvent) {
        let (user, useq) = (UserId(event.user), Useq(event.useq));
        let (room, note) = match event.kind {
            Some(user_event::Kind::Joined(room)) => {
                (RoomId(room.room), Note::Joined(useq, convert::joined(room)))
            }
            Some(user_event::Kind::Left(room)) => (RoomId(room), Note::Left(useq, RoomId(room))),
            Some(user_event::Kind::Read(marker)) => {
                let (room, seq) = (RoomId(marker.room), Seq(marker.seq));
                (room, Note::Read(useq, ReadMarker { room, seq }))
            }
            Some(user_event::Kind::Wishes(wishes)) => {
                let wishes = convert::wishes(wishes);
                (wishes.room, Note::Wishes(useq, wishes))
            }
            Some(user_event::Kind::SessionRevoked(token_hash)) => {
                self.sessions.forget(&token_hash);
                for Attached { line, .. } in state.lines.get(&user).into_iter().flatten() {
                    if line.token_hash[..] == token_hash[..] {
                        line.outbox.close(Close::Unauthenticated);
                    }
                }
                return;
            }
            Some(user_event::Kind::SessionsEnded(kept)) => {
                self.sessions.forget_of(user);
                for Attached { line, .. } in state.lines.get(&user).into_iter().flatten() {
                    if line.token_hash[..] != kept[..] {
                        line.outbox.close(Close::Unauthenticated);
                    }
                }
                return;
            }
            Some(user_event::Kind::ProfileChanged(_)) => {
                self.sessions.forget_of(user);
                for line in state.lines_that_hear(user, useq) {
                    line.note(Note::Profile(useq));
                }
                return;
            }
            None => return,
        };
        for line in state.lines_that_hear(user, useq) {
            // Here and not when the session hears of it: between the two, who left would hear
            // what is said, and a `left` that follows must find the listener.
            match note {
                Note::Joined(..) => drop(state.enter(&line, room)),
                Note::Left(..) => state.leave(room, line.id),
                _ => {}
            }
            line.note(note.clone());
        }
    }

    // --- The sessions' side ---

    /// Waits until the log has been followed to `slot`.
    pub(crate) async fn reaches(&self, slot: Slot, patience: Duration) -> bool {
        let mut moved = self.moved.subscribe();
        let there = moved.wait_for(|position| position.is_some_and(|position| position >= slot));
        timeout(patience, there)
            .await
            .is_ok_and(|reached| reached.is_ok())
    }

    /// A number for a new line.
    pub(crate) fn line_number(&self) -> u64 {
        self.next_line.fetch_add(1, Ordering::Relaxed)
    }

    /// From now on it is noticed what happens in the person's own stream. Says where the log
    /// stands.
    pub(crate) fn attach(&self, line: &Arc<Line>) -> Slot {
        let mut state = self.lock();
        state.lines.entry(line.user).or_default().push(Attached {
            line: Arc::clone(line),
            useq: Useq(0),
            begun: false,
        });
        state.position.unwrap_or_default()
    }

    /// The line enters its rooms, as a read found them that contained the own stream up to
    /// `useq`; from now on it hears the rest of that stream. Says from which slot on the hub
    /// has everything of all these rooms.
    ///
    /// # Errors
    ///
    /// The own stream has gone on since that read: where the log stands, to read again there.
    pub(crate) fn begin(
        &self,
        line: &Arc<Line>,
        useq: Useq,
        rooms: impl Iterator<Item = RoomId>,
    ) -> Result<Slot, Slot> {
        let mut state = self.lock();
        let position = state.position.unwrap_or_default();
        if let Some(attached) = state.attached(line) {
            if attached.useq > useq {
                return Err(position);
            }
            (attached.useq, attached.begun) = (useq, true);
        }
        let since = rooms.map(|room| state.enter(line, room)).max();
        Ok(since.unwrap_or_default())
    }

    /// The socket is gone.
    pub(crate) fn detach(&self, line: &Line) {
        let mut state = self.lock();
        for room in state.inside.remove(&line.id).unwrap_or_default() {
            state.leave(room, line.id);
        }
        if let Some(lines) = state.lines.get_mut(&line.user) {
            lines.retain(|other| other.line.id != line.id);
            if lines.is_empty() {
                state.lines.remove(&line.user);
            }
        }
    }

    /// The line listens to a room, replaying at first. Says from which slot on the hub has
    /// everything of this room: a read must contain it.
    pub(crate) fn enter(&self, line: &Arc<Line>, room: RoomId) -> Slot {
        self.lock().enter(line, room)
    }

    /// The line no longer listens to a room.
    pub(crate) fn leave(&self, line: &Line, room: RoomId) {
        self.lock().leave(room, line.id);
    }

    /// A read of at least `as_of` found these heads.
    pub(crate) fn learn_heads(&self, heads: impl Iterator<Item = (RoomId, Seq)>, as_of: Slot) {
        let mut state = self.lock();
        for (room, head) in heads {
            if let Some(room) = state.rooms.get_mut(&room) {
                room.learn_head(head, as_of);
            }
        }
    }

    /// Makes the line live in a room of which it has everything up to `last`. `false`: the
    /// ring does not reach back that far; read on.
    pub(crate) fn go_live(&self, line: &Line, room: RoomId, last: Seq) -> bool {
        match self.lock().rooms.get_mut(&room) {
            Some(entry) => entry.go_live(room, line, last),
            // Left, or the log was reset: there is nothing to go live in.
            None => true,
        }
    }

    /// The highest `seq` known of rooms that somebody listens to.
    pub(crate) fn head(&self, room: RoomId) -> Option<Seq> {
        self.lock().rooms.get(&room).map(Room::head)
    }

    // --- Everybody ---

    /// Somebody writes in a room: those who listen to it are its members.
    pub(crate) fn writing(&self, room: RoomId, user: UserId, text: &Utf8Bytes) {
        if let Some(entry) = self.lock().rooms.get(&room) {
            for line in entry.lines().filter(|line| line.user != user) {
                line.outbox.push_writing(room, user, text.clone());
            }
        }
    }

    /// The cluster changed.
    pub(crate) fn broadcast_cluster(&self, text: &Utf8Bytes) {
        for Attached { line, .. } in self.lock().lines.values().flatten() {
            line.outbox.push_cluster(text.clone());
        }
    }

    /// The gateway stops.
    pub(crate) fn drain(&self) {
        for Attached { line, .. } in self.lock().lines.values().flatten() {
            line.note(Note::Drain);
        }
    }
}

impl State {
    fn room_event(&mut self, event: RoomEvent) {
        let (room, seq) = (RoomId(event.room), Seq(event.seq));
        let Some(entry) = self.rooms.get_mut(&room) else {
            return;
        };
        if matches!(event.kind, Some(room_event::Kind::Deleted(_))) {
            // Nobody gets a text any more that is deleted.
            entry.forget_texts();
        }
        let Ok(ev) = convert::event(event) else {
            return;
        };
        if let Some(text) = serialise(&ServerFrame::Ev { room, ev }) {
            entry.event(seq, &text);
        }
    }

    fn enter(&mut self, line: &Arc<Line>, room: RoomId) -> Slot {
        let position = self.position.unwrap_or_default();
        let entry = self
            .rooms
            .entry(room)
            .or_insert_with(|| Room::new(position));
        entry.enter(line);
        self.inside.entry(line.id).or_default().insert(room);
        entry.since()
    }

    fn leave(&mut self, room: RoomId, line: u64) {
        if let Some(inside) = self.inside.get_mut(&line) {
            inside.remove(&room);
        }
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.leave(line);
            self.forget_if_empty(room);
        }
    }

    fn attached(&mut self, line: &Line) -> Option<&mut Attached> {
        let lines = self.lines.get_mut(&line.user)?;
        lines.iter_mut().find(|other| other.line.id == line.id)
    }

    /// The person's own stream has come to `useq`: the lines for which that is news and that
    /// can act on it.
    fn lines_that_hear(&mut self, user: UserId, useq: Useq) -> Vec<Arc<Line>> {
        let mut hear = Vec::new();
        for attached in self.lines.get_mut(&user).into_iter().flatten() {
            if attached.useq < useq {
                attached.useq = useq;
                hear.extend(attached.begun.then(|| Arc::clone(&attached.line)));
            }
        }
        hear
    }

    fn forget_if_empty(&mut self, room: RoomId) {
        if self.rooms.get(&room).is_some_and(Room::is_empty) {
            self.rooms.remove(&room);
        }
    }
}
