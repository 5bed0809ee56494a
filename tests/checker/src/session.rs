//! One client's history, read from its first line to its last: what it was shown must be
//! contiguous (C3) and never go back, and each answer must fit its request.

mod changing;

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::event::{Event, Line, Range, Row};
use crate::facts::{Ack, Facts, Message, WholeRead};
use crate::limits::QUESTIONS_MAX;
use crate::violation::Kind;

/// Where the reading of a history stands.
#[derive(Debug)]
pub(crate) struct Session {
    /// Index into [`Facts::clients`].
    client: usize,
    user: u64,
    at: u64,
    /// Per room, the last `seq` that this connection has shown or skipped; the next one must
    /// follow. A room that is not here is not open on the connection.
    shown_to: HashMap<u64, u64>,
    /// Per room, the highest `seq` that this client knows of, over all connections and pages.
    knows: HashMap<u64, u64>,
    questions: VecDeque<Question>,
    /// Read markers without an answer: room and `seq`, by the id of the request.
    marking: HashMap<Uuid, (u64, u64)>,
    /// Per room, up to where the client has certainly read, as it was answered.
    read: HashMap<u64, u64>,
    /// Per room, up to where it was last told to have read. The own stream may be behind an answer.
    told: HashMap<u64, u64>,
    /// Per gateway and room, how far pages without a hole from the first event on have come.
    read_to: HashMap<(String, u64), ReadTo>,
}

#[derive(Debug)]
struct Question {
    number: u64,
    gateway: String,
    room: u64,
    range: Range,
    limit: u64,
    asked_at: u64,
    /// What the client knew of the room when it asked.
    known: u64,
}

#[derive(Clone, Copy, Debug)]
struct ReadTo {
    seq: u64,
    began_at: u64,
}

impl Session {
    pub(crate) fn new(client: usize) -> Self {
        Self {
            client,
            user: 0,
            at: 0,
            shown_to: HashMap::new(),
            knows: HashMap::new(),
            questions: VecDeque::new(),
            marking: HashMap::new(),
            read: HashMap::new(),
            told: HashMap::new(),
            read_to: HashMap::new(),
        }
    }

    /// Takes in the next line.
    pub(crate) fn take(&mut self, facts: &mut Facts, Line(at, event): Line) {
        facts.figures.lines += 1;
        if at < self.at {
            let before = self.at;
            self.fault(facts, Kind::Incomplete, || {
                format!("a line of {at} us after one of {before} us: not one monotonic clock")
            });
        }
        self.at = at;
        match event {
            Event::Client { user, .. } => self.user = user,
            Event::Sent { .. }
            | Event::Resent { .. }
            | Event::Acked { .. }
            | Event::Refused { .. } => self.take_message(facts, event),
            Event::Changing { .. }
            | Event::Marking { .. }
            | Event::Did { .. }
            | Event::Told { .. } => self.take_changing(facts, event),
            Event::Connected {
                resume,
                heads,
                markers,
                ..
            } => {
                facts.figures.connections += 1;
                self.shown_to.clear();
                for (&room, &head) in &heads {
                    let from = resume.get(&room).copied().unwrap_or(0);
                    self.shown_to.insert(room, from);
                    self.must_know(facts, room, head, "the head that `ready` told");
                }
                for (room, marker) in markers {
                    let head = heads.get(&room).copied().unwrap_or(0);
                    self.take_marker(facts, room, head, marker);
                }
            }
            Event::Disconnected { .. } | Event::Lagged => self.shown_to.clear(),
            Event::Resumed { rooms } => self.shown_to = rooms.into_iter().collect(),
            Event::Opened { room } => {
                self.shown_to.insert(room, 0);
            }
            Event::Closed { room } => {
                self.shown_to.remove(&room);
            }
            Event::Shown { room, row, .. } => self.take_shown(facts, room, &row),
            Event::Skipped { room, from, to } => self.take_skipped(facts, room, from, to),
            Event::Asked {
                question,
                gateway,
                room,
                range,
                limit,
            } => self.take_question(question, gateway, room, range, limit),
            Event::Page {
                question,
                head,
                rows,
            } => self.take_page(facts, question, head, &rows),
            Event::ReadWhole {
                gateway,
                room,
                head,
            } => self.take_whole(facts, gateway, room, head),
            Event::Quorum { there: false } => facts.figures.told_no_quorum += 1,
            Event::Quorum { there: true } => {}
            Event::Other => facts.figures.not_judged += 1,
        }
    }

    /// The history is over.
    pub(crate) fn end(&self, facts: &mut Facts) {
        if self.user == 0 {
            self.fault(facts, Kind::Incomplete, || {
                "the history does not say whose it is: its first line is missing".to_owned()
            });
        }
    }

    fn fault(&self, facts: &mut Facts, kind: Kind, words: impl FnOnce() -> String) {
        let (client, at) = (facts.client(self.client).to_owned(), self.at);
        facts
            .findings
            .add(kind, || format!("{client} at {at} us: {}", words()));
    }

    fn take_message(&mut self, facts: &mut Facts, event: Event) {
        match event {
            Event::Sent { cid, room, body } => {
                facts.figures.sent += 1;
                let index = facts.messages.len();
                if facts.by_cid.insert((self.user, cid), index).is_some() {
                    self.fault(facts, Kind::Contradicted, || {
                        format!("{cid} was sent for the first time twice: the recorder is wrong")
                    });
                }
                facts.written.insert(room);
                facts.messages.push(Message {
                    author: self.user,
                    cid,
                    room,
                    body,
                    sent_at: self.at,
                    ack: None,
                    refused_at: None,
                });
            }
            Event::Resent { .. } => facts.figures.resent += 1,
            Event::Acked {
                cid,
                room,
                seq,
                msg_no,
                slot,
                dup,
            } => {
                facts.figures.dups += u64::from(dup);
                let at = self.at;
                let ack = Ack {
                    at,
                    seq,
                    msg_no,
                    slot,
                };
                self.take_ack(facts, cid, room, ack);
                self.learn(room, seq);
            }
            Event::Refused {
                cid,
                code,
                temporary,
            } => {
                facts.figures.told_no_quorum += u64::from(code == "no_quorum");
                if !temporary {
                    self.marking.remove(&cid);
                    self.take_refused_change(facts, cid, &code);
                }
                let message = facts.by_cid.get(&(self.user, cid)).copied();
                let message = message.and_then(|index| facts.messages.get_mut(index));
                let Some(message) = message.filter(|_| !temporary) else {
                    return;
                };
                message.refused_at.get_or_insert(self.at);
                if message.ack.is_some() {
                    self.fault(facts, Kind::Contradicted, || {
                        format!("{cid} was acknowledged, then refused for good: {code}")
                    });
                }
            }
            _ => {}
        }
    }

    fn take_ack(&self, facts: &mut Facts, cid: Uuid, room: u64, ack: Ack) {
        let index = facts.by_cid.get(&(self.user, cid)).copied();
        let Some(message) = index.and_then(|index| facts.messages.get_mut(index)) else {
            self.fault(facts, Kind::Phantom, || {
                format!("{cid} is acknowledged and was never sent")
            });
            return;
        };
        let (first, refused, wanted) = (message.ack, message.refused_at, message.room);
        message.ack.get_or_insert(ack);
        if wanted != room {
            self.fault(facts, Kind::Contradicted, || {
                format!("{cid} was sent to room {wanted} and is acknowledged in room {room}")
            });
        }
        if let Some(refused) = refused {
            self.fault(facts, Kind::Contradicted, || {
                format!("{cid} was refused for good at {refused} us and is acknowledged")
            });
        }
        if let Some(first) = first
            && (first.seq, first.msg_no, first.slot) != (ack.seq, ack.msg_no, ack.slot)
        {
            self.fault(facts, Kind::Duplicated, || {
                format!("{cid} is acknowledged as {first:?} and as {ack:?}")
            });
        }
    }

    fn learn(&mut self, room: u64, seq: u64) {
        let known = self.knows.entry(room).or_insert(seq);
        *known = seq.max(*known);
    }

    /// Monotonic reads: whoever speaks to this client must not be behind what it has seen.
    fn must_know(&mut self, facts: &mut Facts, room: u64, head: u64, what: &str) {
        let known = self.knows.get(&room).copied().unwrap_or(0);
        if head < known {
            self.fault(facts, Kind::WentBack, || {
                format!("room {room}: {what} is {head}, the client had seen {known}")
            });
        }
    }

    fn take_shown(&mut self, facts: &mut Facts, room: u64, row: &Row) {
        facts.show(self.client, self.at, room, row, 0);
        self.learn(room, row.seq);
        // A room that was just left may still speak.
        let Some(last) = self.shown_to.get(&room).copied() else {
            return;
        };
        if row.seq <= last {
            self.fault(facts, Kind::Reordered, || {
                format!("room {room}: seq {} came after {last}", row.seq)
            });
        } else if row.seq > last + 1 {
            self.fault(facts, Kind::Gap, || {
                format!("room {room}: seq {} came after {last}", row.seq)
            });
        }
        self.shown_to.insert(room, last.max(row.seq));
    }

    fn take_skipped(&mut self, facts: &mut Facts, room: u64, from: u64, to: u64) {
        let Some(last) = self.shown_to.get(&room).copied() else {
            return;
        };
        if from != last + 1 || to < from {
            self.fault(facts, Kind::Gap, || {
                format!("room {room}: told to fetch {from} to {to}, but it is at {last}")
            });
        }
        self.shown_to.insert(room, last.max(to));
    }

    fn take_question(&mut self, number: u64, gateway: String, room: u64, range: Range, limit: u64) {
        if self.questions.len() == QUESTIONS_MAX {
            self.questions.pop_front();
        }
        self.questions.push_back(Question {
            number,
            gateway,
            room,
            range,
            limit,
            asked_at: self.at,
            known: self.knows.get(&room).copied().unwrap_or(0),
        });
    }

    fn take_page(&mut self, facts: &mut Facts, number: u64, head: u64, rows: &[Row]) {
        facts.figures.pages += 1;
        let place = self.questions.iter().position(|one| one.number == number);
        let Some(question) = place.and_then(|place| self.questions.remove(place)) else {
            self.fault(facts, Kind::Incomplete, || {
                format!("a page answers question {number}, which was never asked")
            });
            return;
        };
        let room = question.room;
        for row in rows {
            facts.show(self.client, self.at, room, row, head);
            self.learn(room, row.seq);
        }
        if head < question.known {
            self.fault(facts, Kind::WentBack, || {
                format!(
                    "room {room}: a page of {} has the head {head}, the client had seen {} \
                     when it asked",
                    question.gateway, question.known
                )
            });
        }
        if let Some(words) = page_fault(&question, head, rows) {
            self.fault(facts, Kind::Gap, || words);
        }
        self.learn(room, head);
        self.note_read(question, rows);
    }

    /// How far the pages from the first event on have come.
    fn note_read(&mut self, question: Question, rows: &[Row]) {
        let Range::After(after) = question.range else {
            return;
        };
        let began = ReadTo {
            seq: 0,
            began_at: question.asked_at,
        };
        let key = (question.gateway, question.room);
        let read = self.read_to.entry(key).or_insert(began);
        if after == 0 {
            *read = began;
        }
        // What lies between was asked for by nobody.
        if after <= read.seq {
            read.seq = rows.last().map_or(read.seq, |row| row.seq.max(read.seq));
        }
    }

    fn take_whole(&mut self, facts: &mut Facts, gateway: String, room: u64, head: u64) {
        let read = self.read_to.get(&(gateway.clone(), room)).copied();
        let reached = read.map_or(0, |read| read.seq);
        if reached < head {
            self.fault(facts, Kind::Incomplete, || {
                format!("room {room} of {gateway} was read to {reached}, not to {head}")
            });
        }
        facts.figures.whole_reads += 1;
        facts.whole_reads.push(WholeRead {
            gateway,
            room,
            head,
            began_at: read.map_or(self.at, |read| read.began_at),
        });
    }
}

/// Why a page is not the contiguous range that was asked for (C3).
fn page_fault(question: &Question, head: u64, rows: &[Row]) -> Option<String> {
    let room = question.room;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        let empty = match question.range {
            Range::After(after) => head <= after,
            Range::Before(before) => head == 0 || before <= 1,
        };
        return (!empty).then(|| {
            format!(
                "room {room}: an empty page {:?} of a room with the head {head}",
                question.range
            )
        });
    };
    if rows.len() as u64 > question.limit || last.seq > head {
        return Some(format!(
            "room {room}: {} events up to {} with the head {head}, at most {} were asked for",
            rows.len(),
            last.seq,
            question.limit
        ));
    }
    if let Some(pair) = rows.windows(2).find(|pair| pair[1].seq != pair[0].seq + 1) {
        return Some(format!(
            "room {room}: seq {} follows {} in a page",
            pair[1].seq, pair[0].seq
        ));
    }
    let fits = match question.range {
        Range::After(after) => first.seq == after + 1,
        Range::Before(before) => last.seq == before.saturating_sub(1).min(head),
    };
    (!fits).then(|| {
        format!(
            "room {room}: the page {:?} holds {} to {} with the head {head}",
            question.range, first.seq, last.seq
        )
    })
}
