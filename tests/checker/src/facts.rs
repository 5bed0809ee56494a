//! What is known when all histories have been read: every message, and every room as anybody was
//! ever shown it. A million events are some hundred megabytes of text and some tens of these.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::changes::Changes;
use crate::event::{Line, Row};
use crate::folder::Outage;
use crate::log::{NodeLog, NodeState};
use crate::report::{Figures, Report};
use crate::session::Session;
use crate::violation::{Findings, Kind};

/// A message that a client sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) author: u64,
    pub(crate) cid: Uuid,
    pub(crate) room: u64,
    /// [`crate::digest`] of its text.
    pub(crate) body: u64,
    pub(crate) sent_at: u64,
    pub(crate) ack: Option<Ack>,
    /// When it was refused for good.
    pub(crate) refused_at: Option<u64>,
}

/// The first acknowledgement of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) at: u64,
    pub(crate) seq: u64,
    pub(crate) msg_no: u64,
    pub(crate) slot: u64,
}

/// What was shown under a `seq` of a room, when it was shown first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) row: Row,
    pub(crate) at: u64,
    /// Index into [`Facts::clients`].
    pub(crate) by: usize,
}

/// A room as one gateway had it at the end, from its first event on.
#[derive(Debug)]
pub(crate) struct WholeRead {
    pub(crate) gateway: String,
    pub(crate) room: u64,
    pub(crate) head: u64,
    /// When its first page was asked for: what was acknowledged before must be in it.
    pub(crate) began_at: u64,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The names of the histories.
    pub(crate) clients: Vec<String>,
    /// In the order in which their authors sent them, one history after the other.
    pub(crate) messages: Vec<Message>,
    /// By author and `cid`.
    pub(crate) by_cid: HashMap<(u64, Uuid), usize>,
    /// The rooms that they were sent to.
    pub(crate) written: HashSet<u64>,
    /// By room and `seq`.
    pub(crate) rooms: HashMap<u64, HashMap<u64, Seen>>,
    pub(crate) changes: Changes,
    pub(crate) whole_reads: Vec<WholeRead>,
    pub(crate) logs: Vec<NodeLog>,
    pub(crate) states: Vec<NodeState>,
    pub(crate) outages: Vec<Outage>,
    pub(crate) figures: Figures,
    pub(crate) findings: Findings,
}

impl Facts {
    /// The name of a history, for words.
    pub(crate) fn client(&self, index: usize) -> &str {
        self.clients.get(index).map_or("?", String::as_str)
    }

    /// Whether a recorded client wrote to the room: elsewhere others may speak.
    pub(crate) fn is_written(&self, room: u64) -> bool {
        self.written.contains(&room)
    }

    /// Whether somebody has read the room from its first event to its last.
    pub(crate) fn is_whole(&self, room: u64) -> bool {
        self.whole_reads.iter().any(|read| read.room == room)
    }

    /// Notes that a client was shown this row; it must be what everybody else was shown. `head`:
    /// of the page that has it, 0 for none.
    pub(crate) fn show(&mut self, by: usize, at: u64, room: u64, row: &Row, head: u64) {
        self.figures.shown += 1;
        if let Some(other) = self.changes.show(room, row, head, (by, at)) {
            let (client, first) = (self.client(by).to_owned(), self.client(other.by).to_owned());
            self.findings.add(Kind::Moved, || {
                format!(
                    "room {room} seq {}: {client} was shown {row:?} at {at} us, {first} another \
                     text of that number at {} us",
                    row.seq, other.at
                )
            });
        }
        let rows = self.rooms.entry(room).or_default();
        let seen = rows.entry(row.seq).or_insert(Seen { row: *row, at, by });
        if seen.row.lasting() != row.lasting() {
            let (first, client) = (*seen, self.client(by).to_owned());
            let other = self.client(first.by).to_owned();
            self.findings.add(Kind::Moved, || {
                format!(
                    "room {room} seq {}: {client} was shown {row:?} at {at} us, {other} was \
                     shown {:?} at {} us",
                    row.seq, first.row, first.at
                )
            });
        }
        // Histories are read one after the other: the first time is the lowest, not the first
        // that was read.
        if let Some(seen) = self
            .rooms
            .get_mut(&room)
            .and_then(|rows| rows.get_mut(&row.seq))
            && at < seen.at
        {
            (seen.at, seen.by) = (at, by);
        }
    }
}

/// Takes in all that was recorded, piece by piece, and judges it.
#[derive(Debug, Default)]
pub struct Checker {
    facts: Facts,
}

impl Checker {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the history of one client, line by line, in the order of its file.
    pub fn client(&mut self, name: &str, lines: impl IntoIterator<Item = Line>) {
        let mut session = self.begin(name);
        for line in lines {
            session.take(&mut self.facts, line);
        }
        session.end(&mut self.facts);
    }

    /// The same for a source that may fail.
    ///
    /// # Errors
    /// The first error of the source.
    pub fn try_client<E>(
        &mut self,
        name: &str,
        lines: impl IntoIterator<Item = Result<Line, E>>,
    ) -> Result<(), E> {
        let mut session = self.begin(name);
        for line in lines {
            session.take(&mut self.facts, line?);
        }
        session.end(&mut self.facts);
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Session {
        self.facts.clients.push(name.to_owned());
        Session::new(self.facts.clients.len() - 1)
    }

    /// Takes in the log of a node.
    pub fn log(&mut self, log: NodeLog) {
        self.facts.logs.push(log);
    }

    /// Takes in the state of a node.
    pub fn state(&mut self, state: NodeState) {
        self.facts.states.push(state);
    }

    /// Takes in a time in which a majority was certainly dead.
    pub fn outage(&mut self, outage: Outage) {
        self.facts.outages.push(outage);
    }

    /// Judges all of it.
    #[must_use]
    pub fn finish(mut self) -> Report {
        crate::judges::judge(&mut self.facts);
        Report::new(self.facts)
    }
}
