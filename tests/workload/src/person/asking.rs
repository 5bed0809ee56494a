//! What a person asks for beside messages: another text for one of its own, its deletion, and that
//! it has read a room. One of each kind at a time, asked again with the same id until it is
//! answered.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use checker::{Event, digest};
use gateway::frames::ClientFrame;
use gateway::ids::{Cid, RoomId, Seq};
use rand::Rng as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::Person;
use crate::limits::{ANSWER_PATIENCE, OWN_MESSAGES_MAX};

/// A request that waits.
#[derive(Clone, Debug)]
struct Request {
    cid: Uuid,
    frame: ClientFrame,
    /// What is written down when it is sent; nothing when it was.
    first: Option<Event>,
    in_flight: Option<Instant>,
    not_before: Instant,
}

/// The requests, and what they can be about.
#[derive(Debug, Default)]
pub(super) struct Asking {
    change: Option<Request>,
    marker: Option<Request>,
    /// Own messages that are there, by room and `seq`.
    own: VecDeque<(u64, u64)>,
}

impl Asking {
    fn all(&self) -> impl Iterator<Item = &Request> {
        self.change.iter().chain(&self.marker)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Request> {
        self.change.iter_mut().chain(&mut self.marker)
    }

    /// Notes an own message.
    pub(super) fn own(&mut self, room: u64, seq: u64) {
        if self.own.len() == OWN_MESSAGES_MAX {
            self.own.pop_front();
        }
        self.own.push_back((room, seq));
    }

    /// When something is to be asked, or is overdue.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = |request: &Request| {
            let since = request.in_flight.map(|since| since + ANSWER_PATIENCE);
            since.unwrap_or(request.not_before)
        };
        self.all().map(due).min()
    }

    /// Since when the requests without an answer are on their way.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = Instant> {
        self.all().filter_map(|request| request.in_flight)
    }

    /// The request was carried out, or refused for good.
    pub(super) fn answered(&mut self, cid: Uuid) {
        for request in [&mut self.change, &mut self.marker] {
            if request.as_ref().is_some_and(|request| request.cid == cid) {
                *request = None;
            }
        }
    }

    /// The request was refused for now.
    pub(super) fn refused(&mut self, cid: Uuid, pause: Duration) {
        for request in self.all_mut().filter(|request| request.cid == cid) {
            request.in_flight = None;
            request.not_before = Instant::now() + pause;
        }
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.all_mut().for_each(|request| request.in_flight = None);
    }

    /// Forgets what was never sent.
    pub(super) fn forget_unsent(&mut self) {
        for request in [&mut self.change, &mut self.marker] {
            *request = request.take().filter(|request| request.first.is_none());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.all().count()
    }
}

impl Request {
    fn new(make: impl FnOnce(Uuid) -> (ClientFrame, Event)) -> Self {
        let cid = Uuid::now_v7();
        let (frame, first) = make(cid);
        Self {
            cid,
            frame,
            first: Some(first),
            in_flight: None,
            not_before: Instant::now(),
        }
    }
}

impl Person {
    /// Sometimes a person does something else than write; says whether it does.
    pub(super) fn wish_instead(&mut self) -> bool {
        let options = &self.world.options;
        let (change, mark) = (options.change_one_in, options.mark_one_in);
        if change > 0 && self.random.random_range(0..change) == 0 {
            self.wish_to_change()
        } else if mark > 0 && self.random.random_range(0..mark) == 0 {
            self.wish_to_mark()
        } else {
            false
        }
    }

    /// Mostly another text, sometimes a deletion: of one of the messages that it remembers.
    fn wish_to_change(&mut self) -> bool {
        if self.asking.change.is_some() || self.asking.own.is_empty() {
            return false;
        }
        let index = self.random.random_range(0..self.asking.own.len());
        let delete = self.random.random_range(0..4) == 0;
        let place = if delete {
            self.asking.own.remove(index)
        } else {
            self.asking.own.get(index).copied()
        };
        let Some((room, seq)) = place else {
            return false;
        };
        self.written += 1;
        // Unique, as the texts of messages are.
        let seed = self.world.options.seed;
        let body = format!("{}:{}:{seed} edited", self.number, self.written);
        self.asking.change = Some(Request::new(|id| {
            let (cid, of) = (Cid(id), Seq(seq));
            let changing = |body| Event::Changing {
                cid: id,
                room,
                of: seq,
                body,
            };
            let room = RoomId(room);
            if delete {
                let frame = ClientFrame::Delete { cid, room, seq: of };
                (frame, changing(None))
            } else {
                let event = changing(Some(digest(&body)));
                let seq = of;
                let frame = ClientFrame::Edit {
                    cid,
                    room,
                    seq,
                    body,
                };
                (frame, event)
            }
        }));
        true
    }

    /// All that it has of one of its rooms.
    fn wish_to_mark(&mut self) -> bool {
        let room = self.homes[self.random.random_range(0..self.homes.len())];
        let last = self.last.get(&room).copied();
        let (Some(seq), None) = (last, &self.asking.marker) else {
            return false;
        };
        self.asking.marker = Some(Request::new(|cid| {
            let frame = ClientFrame::Read {
                cid: Cid(cid),
                room: RoomId(room),
                seq: Seq(seq),
            };
            (frame, Event::Marking { cid, room, seq })
        }));
        true
    }

    /// Sends what is not on its way.
    pub(super) async fn ask(&mut self, now: Instant) -> Result<()> {
        let mut frames = Vec::new();
        for request in self.asking.all_mut() {
            if request.in_flight.is_some() || request.not_before > now {
                continue;
            }
            request.in_flight = Some(now);
            let again = Event::Resent { cid: request.cid };
            let event = request.first.take().unwrap_or(again);
            self.recorder.record(event)?;
            frames.push(request.frame.clone());
        }
        for frame in &frames {
            self.say(frame).await?;
        }
        Ok(())
    }
}
