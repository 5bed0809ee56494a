//! The chat client without I/O: rooms, what was seen of each, and the outbox.
//!
//! In: frames, pages, wishes. Out: [`Step`]s.
//! Must hold: per room `seq` is shown as 1, 2, 3 … without a hole or a repetition, but for gaps
//! that are said; one request is in flight, and it keeps its cid until it is answered.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

use super::frames::{ClientFrame, Event, Joined, Person, ServerFrame};

/// Requests that wait; a person types slower than any outage lasts.
const OUTBOX_MAX: usize = 1000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Show(String),
    Send(ClientFrame),
    /// Load what is missing of these rooms, up to the given `seq`.
    Fetch(Vec<(u64, u64)>),
    /// Then tell the gateway that the queue that it cleared is caught up.
    Resume,
    /// Show the newest events of a room, up to this `seq`.
    History(u64, u64),
    /// Send the front of the outbox again after this time.
    RetryIn(u64),
    /// The gateway stops: connect again after this time.
    Leave(u64),
}

#[derive(Debug)]
struct Room {
    name: String,
    /// The last `seq` that was shown or passed over.
    last: u64,
    /// Whether its first replay is over. What is replayed after a reconnect is news.
    live: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) me: Person,
    /// The room to begin in, by name, until one is in it.
    wanted: String,
    /// Whether the gateway has said which rooms one is in.
    knows_rooms: bool,
    useq: u64,
    min_slot: u64,
    rooms: BTreeMap<u64, Room>,
    current: Option<u64>,
    /// The room to go to as soon as it is known.
    going: Option<u64>,
    outbox: VecDeque<ClientFrame>,
    in_flight: bool,
    /// Whether a majority was there; so that a change is said once.
    quorum: bool,
    /// Why the front of the outbox waits; so that it is said once.
    waiting: String,
    message_bytes_max: usize,
}

impl Client {
    pub(super) fn new(me: Person, wanted: String) -> Self {
        Self {
            me,
            wanted,
            knows_rooms: false,
            useq: 0,
            min_slot: 0,
            rooms: BTreeMap::new(),
            current: None,
            going: None,
            outbox: VecDeque::new(),
            in_flight: false,
            quorum: true,
            waiting: String::new(),
            message_bytes_max: 16 * 1024,
        }
    }

    /// The first frame of a connection.
    pub(super) fn start(&mut self) -> ClientFrame {
        self.in_flight = false;
        ClientFrame::Start {
            useq: self.useq,
            min_slot: self.min_slot,
            rooms: self.seen(),
            focus: self.current,
        }
    }

    /// After `lag` and the pages that were missed.
    pub(super) fn resume(&self) -> ClientFrame {
        ClientFrame::Resume { rooms: self.seen() }
    }

    fn seen(&self) -> BTreeMap<String, u64> {
        let known = self.rooms.iter().filter(|(_, room)| room.last > 0);
        known
            .map(|(id, room)| (id.to_string(), room.last))
            .collect()
    }

    /// How many requests have no answer yet.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// The room on the screen, by id and name.
    pub(super) fn current(&self) -> Option<(u64, &str)> {
        let id = self.current?;
        self.rooms.get(&id).map(|room| (id, room.name.as_str()))
    }

    /// The room with this name, if one is in it.
    pub(super) fn joined(&self, name: &str) -> Option<u64> {
        let name = name.to_lowercase();
        let found = self
            .rooms
            .iter()
            .find(|(_, room)| room.name.to_lowercase() == name);
        found.map(|(id, _)| *id)
    }

    /// The last `seq` seen of a room.
    pub(super) fn last(&self, room: u64) -> Option<u64> {
        self.rooms.get(&room).map(|room| room.last)
    }

    /// Whether it is known to which room a line goes: not before the first `ready`, and not
    /// while one goes to another room.
    pub(super) fn is_settled(&self) -> bool {
        let moves = |frame: &ClientFrame| !matches!(frame, ClientFrame::Send { .. });
        self.knows_rooms && self.going.is_none() && !self.outbox.iter().any(moves)
    }

    /// Says something in the current room.
    pub(super) fn say(&mut self, body: String) -> Vec<Step> {
        let Some(room) = self.current else {
            return vec![Step::Show("You are in no room: /join ROOM".to_owned())];
        };
        if body.len() > self.message_bytes_max {
            let words = format!("Too long: at most {} bytes", self.message_bytes_max);
            return vec![Step::Show(words)];
        }
        self.request(|cid| ClientFrame::Send { cid, room, body })
    }

    /// Puts a request with a new cid into the outbox.
    pub(super) fn request(&mut self, make: impl FnOnce(Uuid) -> ClientFrame) -> Vec<Step> {
        if self.outbox.len() >= OUTBOX_MAX {
            return vec![Step::Show(
                "Too much is waiting to be sent already".to_owned(),
            )];
        }
        self.outbox.push_back(make(Uuid::now_v7()));
        self.push()
    }

    /// Sends the front of the outbox, if nothing is in flight.
    pub(super) fn push(&mut self) -> Vec<Step> {
        match self.outbox.front() {
            Some(front) if !self.in_flight => {
                self.in_flight = true;
                vec![Step::Send(front.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// Goes to a room that one is in.
    pub(super) fn go(&mut self, room: u64) -> Vec<Step> {
        self.going = None;
        let Some(found) = self.rooms.get(&room) else {
            self.going = Some(room);
            return Vec::new();
        };
        self.current = Some(room);
        let title = Step::Show(format!("— #{} —", found.name));
        // A room whose replay is to come shows itself.
        if found.live {
            vec![title, Step::History(room, found.last)]
        } else {
            vec![title]
        }
    }

    /// Takes a frame.
    pub(super) fn on(&mut self, frame: ServerFrame) -> Vec<Step> {
        match frame {
            ServerFrame::Hello { max_message, .. } => {
                self.message_bytes_max = max_message;
                Vec::new()
            }
            ServerFrame::Ready { useq, rooms } => self.ready(useq, rooms),
            ServerFrame::Ev { room, ev } => self.event(room, ev),
            ServerFrame::Gap { room, from, to } => self.gap(room, from, to),
            ServerFrame::Live { room } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.live = true;
                }
                Vec::new()
            }
            ServerFrame::Uev { useq, joined, left } => {
                self.useq = self.useq.max(useq);
                self.own(joined, left)
            }
            ServerFrame::Ack { cid, slot } => {
                self.min_slot = self.min_slot.max(slot);
                self.answered(cid)
            }
            ServerFrame::Done { cid, room, slot } => {
                self.min_slot = self.min_slot.max(slot);
                let leaving = matches!(self.outbox.front(), Some(ClientFrame::Leave { .. }));
                let mut steps = self.answered(cid);
                if !leaving {
                    steps.extend(self.go(room));
                }
                steps
            }
            ServerFrame::Err {
                r#ref,
                message,
                temporary,
                retry_ms,
            } => self.failed(r#ref, message, temporary, retry_ms),
            ServerFrame::Lag { rooms } => {
                let heads = rooms
                    .iter()
                    .filter_map(|(room, head)| Some((room.parse().ok()?, *head)));
                vec![Step::Fetch(heads.collect()), Step::Resume]
            }
            ServerFrame::Cluster { quorum, up, voters } => self.cluster(quorum, up, voters),
            ServerFrame::Bye { after_ms } => vec![Step::Leave(after_ms)],
            ServerFrame::Other => Vec::new(),
        }
    }

    /// Takes a page of events that was loaded.
    pub(super) fn page(&mut self, room: u64, events: Vec<Event>) -> Vec<Step> {
        events
            .into_iter()
            .flat_map(|event| self.event(room, event))
            .collect()
    }

    fn ready(&mut self, useq: u64, joined: Vec<Joined>) -> Vec<Step> {
        self.useq = self.useq.max(useq);
        self.knows_rooms = true;
        self.rooms
            .retain(|id, _| joined.iter().any(|room| room.id == *id));
        for Joined { id, name } in joined {
            self.rooms.entry(id).or_insert(Room {
                name,
                last: 0,
                live: false,
            });
        }
        let mut steps = Vec::new();
        // The connection was lost between the answer and the room: it is here now, or never.
        if let Some(room) = self.going.take()
            && self.rooms.contains_key(&room)
        {
            steps.extend(self.go(room));
        }
        if self
            .current
            .is_none_or(|room| !self.rooms.contains_key(&room))
        {
            let found = self
                .joined(&self.wanted)
                .or_else(|| self.rooms.keys().next().copied());
            self.current = found;
            let name = &self.me.name;
            steps.push(Step::Show(match self.current() {
                Some((_, room)) => format!("— #{room} · you are {name} · /help —"),
                None => format!("— you are {name} and in no room: /rooms, /join ROOM —"),
            }));
        }
        steps.extend(self.push());
        steps
    }

    fn event(&mut self, id: u64, event: Event) -> Vec<Step> {
        let shown = self.current == Some(id);
        let Some(room) = self.rooms.get_mut(&id) else {
            return Vec::new();
        };
        if event.seq <= room.last {
            return Vec::new();
        }
        if event.seq > room.last + 1 && room.last > 0 {
            return vec![Step::Fetch(vec![(id, event.seq)])];
        }
        room.last = event.seq;
        self.min_slot = self.min_slot.max(event.slot);
        // The past of a room that is not on the screen is not shown, its present is.
        match (shown, room.live) {
            (true, _) => line(&event).map(Step::Show).into_iter().collect(),
            (false, true) if event.kind == "message" => {
                let words = line(&event).unwrap_or_default();
                vec![Step::Show(format!("#{} {words}", room.name))]
            }
            _ => Vec::new(),
        }
    }

    fn gap(&mut self, id: u64, from: u64, to: u64) -> Vec<Step> {
        let shown = self.current == Some(id);
        let Some(room) = self.rooms.get_mut(&id) else {
            return Vec::new();
        };
        room.last = room.last.max(to);
        if !shown {
            return Vec::new();
        }
        vec![Step::Show(format!(
            "… {} older events are not shown …",
            to + 1 - from.min(to + 1)
        ))]
    }

    fn own(&mut self, joined: Option<Joined>, left: Option<u64>) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(Joined { id, name }) = joined {
            self.rooms.entry(id).or_insert(Room {
                name,
                last: 0,
                live: false,
            });
            if self.going == Some(id) || self.current.is_none() {
                steps.extend(self.go(id));
            }
        }
        if let Some(room) = left.and_then(|left| self.rooms.remove(&left)) {
            steps.push(Step::Show(format!("— you have left #{} —", room.name)));
            if self.current == left {
                self.current = None;
                let next = self
                    .joined("general")
                    .or_else(|| self.rooms.keys().next().copied());
                steps.extend(next.map(|next| self.go(next)).unwrap_or_default());
            }
        }
        steps
    }

    fn answered(&mut self, cid: Uuid) -> Vec<Step> {
        if self.outbox.front().and_then(cid_of) != Some(cid) {
            return Vec::new();
        }
        self.outbox.pop_front();
        self.in_flight = false;
        self.waiting.clear();
        self.push()
    }

    fn failed(
        &mut self,
        about: Option<Uuid>,
        message: String,
        temporary: bool,
        retry_ms: Option<u64>,
    ) -> Vec<Step> {
        if about.is_none() || self.outbox.front().and_then(cid_of) != about {
            return vec![Step::Show(format!("! {message}"))];
        }
        if !temporary {
            self.outbox.pop_front();
            self.in_flight = false;
            let mut steps = vec![Step::Show(format!("! not sent: {message}"))];
            steps.extend(self.push());
            return steps;
        }
        self.in_flight = false;
        let mut steps = vec![Step::RetryIn(retry_ms.unwrap_or(1000))];
        if self.waiting != message {
            steps.push(Step::Show(format!("… waiting: {message}")));
            self.waiting = message;
        }
        steps
    }

    fn cluster(&mut self, quorum: bool, up: u64, voters: u64) -> Vec<Step> {
        if self.quorum == quorum {
            return Vec::new();
        }
        self.quorum = quorum;
        let waiting = self.outbox.len();
        let words = match quorum {
            true => format!("— a leader is there again: {up} of {voters} replicas are up —"),
            // Enough are up: it is over as soon as they have elected one.
            false if up * 2 > voters => "— the leader is gone; a new one is elected —".to_owned(),
            false => format!(
                "— no quorum: {up} of {voters} replicas are up; {waiting} of your lines wait here —"
            ),
        };
        vec![Step::Show(words)]
    }
}

fn cid_of(frame: &ClientFrame) -> Option<Uuid> {
    match frame {
        ClientFrame::Send { cid, .. }
        | ClientFrame::Create { cid, .. }
        | ClientFrame::Join { cid, .. }
        | ClientFrame::Leave { cid, .. } => Some(*cid),
        ClientFrame::Start { .. } | ClientFrame::Resume { .. } | ClientFrame::Ping { .. } => None,
    }
}

/// An event as a person reads it. Control characters of others must not reach the terminal.
pub(super) fn line(event: &Event) -> Option<String> {
    let clean = |text: &str| -> String {
        let keep = |c: char| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        };
        text.chars().map(keep).collect()
    };
    let name = clean(&event.author.name);
    match event.kind.as_str() {
        "message" => Some(format!(
            "{name}: {}",
            clean(&event.body).replace('\n', "\n    ")
        )),
        "created" => Some(format!("— {name} made this room —")),
        "joined" => Some(format!("— {name} joined —")),
        "left" => Some(format!("— {name} left —")),
        _ => None,
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
