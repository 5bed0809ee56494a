//! One person of a synthetic history, and what it writes down.

use super::{Event, Line, Marker, Range, Row, Seqs};

/// How many unread messages are counted.
const UNREAD_MAX: u64 = 100;

#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: u64,
    /// Indices of the rooms that it is in.
    pub(super) rooms: Vec<usize>,
    name: String,
    lines: Vec<Line>,
    connected: bool,
    /// By room id, the last `seq` that it was shown.
    last: Seqs,
    /// By room id, up to where it has read.
    pub(super) read: Seqs,
    questions: u64,
}

impl Person {
    pub(super) fn new(name: String, user: u64) -> Self {
        let client = Event::Client {
            name: name.clone(),
            user,
        };
        Self {
            user,
            rooms: Vec::new(),
            name,
            lines: vec![Line(0, client)],
            connected: false,
            last: Seqs::new(),
            read: Seqs::new(),
            questions: 0,
        }
    }

    pub(super) fn write(&mut self, at: u64, event: Event) {
        self.lines.push(Line(at, event));
    }

    /// The time of the last line.
    pub(super) fn now(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.0)
    }

    pub(super) fn into_lines(self) -> (String, Vec<Line>) {
        (self.name, self.lines)
    }

    pub(super) fn connect(&mut self, at: u64, gateway: &str, rooms: &[Vec<Row>]) {
        self.connected = true;
        let heads = self
            .rooms
            .iter()
            .map(|room| (*room as u64 + 1, rooms[*room].len() as u64));
        let event = Event::Connected {
            gateway: gateway.to_owned(),
            resume: self.last.clone(),
            heads: heads.collect(),
            markers: self
                .rooms
                .iter()
                .map(|room| self.marker(*room, &rooms[*room]))
                .collect(),
        };
        self.write(at, event);
        for room in self.rooms.clone() {
            self.catch_up(at, room, &rooms[room], false);
        }
    }

    /// What a gateway tells of its reading of a room.
    fn marker(&self, room: usize, rows: &[Row]) -> (u64, Marker) {
        let room = room as u64 + 1;
        let read = self.read.get(&room).copied().unwrap_or(0);
        let is_unread = |row: &&Row| {
            let there = row.message.is_some_and(|message| !message.deleted);
            there && row.seq > read && row.author != self.user
        };
        let all = rows.iter().filter(is_unread).count() as u64;
        let (unread, more) = (all.min(UNREAD_MAX), all > UNREAD_MAX);
        (room, Marker { read, unread, more })
    }

    /// Up to where it has been shown a room.
    pub(super) fn seen(&self, room: usize) -> u64 {
        self.last.get(&(room as u64 + 1)).copied().unwrap_or(0)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn disconnect(&mut self, at: u64) {
        self.connected = false;
        let why = "another gateway".to_owned();
        self.write(at, Event::Disconnected { why });
    }

    /// Is shown all that it has not seen of a room; a long stretch at the beginning is skipped.
    pub(super) fn catch_up(&mut self, at: u64, room: usize, rows: &[Row], live: bool) {
        if !self.connected || !self.rooms.contains(&room) {
            return;
        }
        let id = room as u64 + 1;
        let mut last = self.last.get(&id).copied().unwrap_or(0);
        let head = rows.len() as u64;
        if head > last + 8 {
            let (from, to) = (last + 1, head - 4);
            self.write(at, Event::Skipped { room: id, from, to });
            last = to;
        }
        for row in rows.iter().filter(|row| row.seq > last) {
            self.write(
                at,
                Event::Shown {
                    room: id,
                    row: *row,
                    live,
                },
            );
        }
        self.last.insert(id, head);
    }

    /// Asks for a page and gets it.
    #[allow(clippy::too_many_arguments, reason = "a question has so many parts")]
    pub(super) fn page(
        &mut self,
        asked: u64,
        answered: u64,
        gateway: &str,
        room: usize,
        range: Range,
        rows: &[Row],
        limit: usize,
    ) {
        self.questions += 1;
        let (question, gateway) = (self.questions, gateway.to_owned());
        let room = room as u64 + 1;
        self.write(
            asked,
            Event::Asked {
                question,
                gateway,
                room,
                range,
                limit: limit as u64,
            },
        );
        let page: Vec<Row> = match range {
            Range::After(seq) => {
                let after = rows.iter().filter(|row| row.seq > seq);
                after.take(limit).copied().collect()
            }
            Range::Before(seq) => {
                let before: Vec<&Row> = rows.iter().filter(|row| row.seq < seq).collect();
                let from = before.len().saturating_sub(limit);
                before[from..].iter().map(|row| **row).collect()
            }
        };
        let head = rows.len() as u64;
        let rows = page;
        self.write(
            answered,
            Event::Page {
                question,
                head,
                rows,
            },
        );
    }

    /// Reads a room from its first event to its last.
    pub(super) fn read_whole(
        &mut self,
        mut at: u64,
        gateway: &str,
        room: usize,
        rows: &[Row],
        limit: usize,
    ) {
        for from in (0..rows.len()).step_by(limit) {
            let range = Range::After(from as u64);
            self.page(at, at + 1, gateway, room, range, rows, limit);
            at += 2;
        }
        self.write(
            at,
            Event::ReadWhole {
                gateway: gateway.to_owned(),
                room: room as u64 + 1,
                head: rows.len() as u64,
            },
        );
    }
}
