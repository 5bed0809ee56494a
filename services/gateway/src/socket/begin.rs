//! How a session begins, and begins again after `lag`.
//!
//! The order is what makes it gapless: first the own stream is watched, then the rooms are read,
//! then all are entered if that stream has not gone on since (from here on nothing of them is
//! missed), then their heads are known as of at least that moment, and then they are replayed.

use tokio::time::{Instant, sleep};

use crate::convert::UserState;
use crate::errors::Error;
use crate::frames::{ClientFrame, Joined, RoomSeqs, ServerFrame};
use crate::ids::{RoomId, Slot};
use crate::limits::{BEHIND_PATIENCE, OVERLOADED_BACKOFF};

use super::Close;
use super::replay::From;
use super::session::Session;

const ABOVE: Close = Close::BadRequest("bad_request: last_seq above the head");

impl Session {
    /// From `start` to `ready`, with all replays queued.
    pub(super) async fn begin(&mut self, start: ClientFrame) -> Result<(), Close> {
        let ClientFrame::Start {
            useq: _,
            min_slot,
            rooms,
            focus,
        } = start
        else {
            return Err(Close::BadRequest("bad_request: start comes first"));
        };
        if !self.app.hub.reaches(min_slot, BEHIND_PATIENCE).await {
            self.say(&Error::behind().frame(None));
            return Err(Close::Behind);
        }
        let at = self.app.hub.attach(&self.line);
        let state = self.read(min_slot.max(at)).await?;
        let state = self.not_above(state, &rooms).await?;
        let (state, since) = self.enter(state).await?;
        let (joined, as_of) = self.heads_since(state, since).await?;
        let heads = joined.iter().map(|room| (room.id, room.head));
        self.app.hub.learn_heads(heads, as_of);
        self.rooms = joined.iter().map(|room| room.id).collect();
        let (user, useq) = (self.person.clone(), self.useq);
        self.say(&ServerFrame::Ready {
            user,
            useq,
            rooms: joined,
        });
        if let Some(text) = self.app.cluster_frame() {
            self.line.outbox.push_cluster(text);
        }
        self.replay_all(&rooms, focus);
        Ok(())
    }

    async fn read(&mut self, min_slot: Slot) -> Result<UserState, Close> {
        self.app
            .reads
            .user_state(self.person.id, min_slot)
            .await
            .map_err(|error| {
                self.say(&error.frame(None));
                Close::Behind
            })
    }

    /// Enters the rooms; reads again while the own stream goes on meanwhile.
    async fn enter(&mut self, state: UserState) -> Result<(UserState, Slot), Close> {
        let mut state = state;
        loop {
            let rooms = state.rooms.iter().map(|room| room.id);
            match self.app.hub.begin(&self.line, state.useq, rooms) {
                Ok(since) => return Ok((state, since)),
                Err(position) => state = self.read(position).await?,
            }
        }
    }

    /// A client that has seen more than there is comes from another cluster, or tells no
    /// honest `min_slot` and this replica is behind: the latter passes.
    async fn not_above(&mut self, state: UserState, last: &RoomSeqs) -> Result<UserState, Close> {
        let deadline = Instant::now() + BEHIND_PATIENCE;
        let mut state = state;
        while above(&state.rooms, last) {
            if Instant::now() >= deadline {
                return Err(ABOVE);
            }
            sleep(OVERLOADED_BACKOFF).await;
            state = self.read(state.applied).await?;
        }
        Ok(state)
    }

    /// The rooms with their heads as of at least `since`, at which the last of them was
    /// entered. Mostly the first read was late enough already.
    async fn heads_since(
        &mut self,
        state: UserState,
        since: Slot,
    ) -> Result<(Vec<Joined>, Slot), Close> {
        self.useq = state.useq;
        self.person = state.user;
        let (mut joined, as_of) = (state.rooms, state.applied);
        if as_of >= since {
            return Ok((joined, as_of));
        }
        let newer = self.read(since).await?;
        for room in &mut joined {
            // A room that was left meanwhile keeps its old head: `uev` comes after `ready`.
            if let Some(newer) = newer.rooms.iter().find(|newer| newer.id == room.id) {
                *room = newer.clone();
            }
        }
        Ok((joined, newer.applied))
    }

    /// What the person looks at comes first, then what the client knows, then the rest.
    fn replay_all(&mut self, last: &RoomSeqs, focus: Option<RoomId>) {
        let mut rooms: Vec<RoomId> = self.rooms.iter().copied().collect();
        rooms.sort_by_key(|room| (Some(*room) != focus, !last.0.contains_key(room)));
        for room in rooms {
            self.queue_replay(room, from(room, last));
        }
    }

    /// After `lag` every room, else the named ones. A `last_seq` above what the hub knows is
    /// right here: the pages that the client fetched may be newer than the stream.
    pub(super) fn resume(&mut self, last: &RoomSeqs) {
        let lagged = self.line.outbox.is_lagging();
        let rooms: Vec<RoomId> = self
            .rooms
            .iter()
            .copied()
            .filter(|room| lagged || last.0.contains_key(room))
            .collect();
        // First all rooms fall silent, then events are taken again: none may slip in between.
        for room in &rooms {
            self.app.hub.enter(&self.line, *room);
        }
        self.line.outbox.resume();
        for room in rooms {
            self.queue_replay(room, from(room, last));
        }
    }
}

fn from(room: RoomId, last: &RoomSeqs) -> From {
    last.0
        .get(&room)
        .map_or(From::Nothing, |seq| From::After(*seq))
}

fn above(rooms: &[Joined], last: &RoomSeqs) -> bool {
    rooms
        .iter()
        .any(|room| last.0.get(&room.id).is_some_and(|seq| *seq > room.head))
}
