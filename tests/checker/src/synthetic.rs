//! A correct history of any size, drawn from a seed: what the tests of the checker break in every
//! way, and what its speed is measured on.
//!
//! It is a chat without machines: one sequence of slots, rooms that count their events, people
//! who send, are held up, lose their connection, come back elsewhere and read. The order of the
//! lines and their times are those of a recorder.

mod changing;
mod people;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use uuid::Uuid;

use crate::event::{Event, Line, Marker, MessageRow, Range, Row, digest};
use crate::facts::Checker;
use crate::folder::Outage;
use crate::log::{CommandId, LogRow, NodeLog, NodeState};
use crate::report::Report;
use people::Person;

/// The gateways of a synthetic history.
pub const GATEWAYS: [&str; 2] = ["http://gateway-1", "http://gateway-2"];
/// The first slot of a log.
const FIRST_SLOT: u64 = 1024;
/// Events of a page.
const PAGE: usize = 200;

/// What a run would have left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The name of each client, and its lines. The last two have read every room as a whole.
    pub clients: Vec<(String, Vec<Line>)>,
    /// Of three nodes; the first one has compacted a third of its log.
    pub logs: Vec<NodeLog>,
    /// Of the same.
    pub states: Vec<NodeState>,
    /// When a majority was dead.
    pub outages: Vec<Outage>,
}

/// How large a history is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// People, at least two.
    pub clients: usize,
    /// Rooms; each person is in two of them, or in the only one.
    pub rooms: usize,
    /// What happens: about every second step sends a message.
    pub steps: usize,
}

impl History {
    /// Draws one; the same for the same seed and size.
    #[must_use]
    pub fn generate(seed: u64, size: Size) -> Self {
        let mut chat = Chat::new(seed, size);
        for step in 0..size.steps {
            if step == size.steps / 2 {
                chat.outage();
            }
            chat.step();
        }
        chat.end()
    }

    /// What the checker says of it.
    #[must_use]
    pub fn check(&self) -> Report {
        let mut checker = Checker::new();
        for (name, lines) in &self.clients {
            checker.client(name, lines.iter().cloned());
        }
        for log in &self.logs {
            checker.log(log.clone());
        }
        for state in &self.states {
            checker.state(state.clone());
        }
        for outage in &self.outages {
            checker.outage(outage.clone());
        }
        checker.finish()
    }

    /// Writes it as a run would have.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let clients = folder.join(crate::folder::CLIENTS);
        std::fs::create_dir_all(&clients)?;
        for (name, lines) in &self.clients {
            let mut text = Vec::new();
            for line in lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            std::fs::write(clients.join(format!("{name}.jsonl")), text)?;
        }
        self.logs.iter().try_for_each(|log| log.write(folder))?;
        self.states
            .iter()
            .try_for_each(|state| state.write(folder))?;
        self.outages
            .iter()
            .try_for_each(|outage| outage.append(folder))
    }
}

/// Numbers that look random and are the same everywhere (Steele et al., *SplitMix*).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        // The remainder fits, as it is below a usize.
        (self.next() % bound as u64) as usize
    }
}

/// The chat while it happens.
#[derive(Debug)]
struct Chat {
    random: Random,
    now: u64,
    people: Vec<Person>,
    rooms: Vec<Vec<Row>>,
    messages: Vec<u64>,
    log: Vec<LogRow>,
    outages: Vec<Outage>,
    cids: u128,
}

impl Chat {
    fn new(seed: u64, size: Size) -> Self {
        let mut chat = Self {
            random: Random(seed),
            now: 0,
            people: Vec::new(),
            rooms: vec![Vec::new(); size.rooms.max(1)],
            messages: vec![0; size.rooms.max(1)],
            log: Vec::new(),
            outages: Vec::new(),
            cids: 0,
        };
        for number in 0..size.clients.max(2) {
            let user = number as u64 + 1;
            let mut person = Person::new(format!("w{number}"), user);
            for nth in 0..2 {
                let room = (number + nth) % chat.rooms.len();
                if !person.rooms.contains(&room) {
                    person.rooms.push(room);
                    let cid = chat.cid();
                    let slot = chat.decide(vec![CommandId { author: user, cid }]);
                    chat.place(room, slot, user, None);
                }
            }
            chat.people.push(person);
        }
        for index in 0..chat.people.len() {
            chat.connect(index);
        }
        chat
    }

    fn tick(&mut self) -> u64 {
        self.now += 1 + self.random.below(50) as u64;
        self.now
    }

    fn cid(&mut self) -> Uuid {
        self.cids += 1;
        Uuid::from_u128(self.cids << 64 | u128::from(self.random.next()))
    }

    /// Appends a slot to the log.
    fn decide(&mut self, commands: Vec<CommandId>) -> u64 {
        let slot = FIRST_SLOT + self.log.len() as u64;
        let before = self.log.last().map_or("", |row| row.chain.as_str());
        let chain = format!("{:016x}", digest(&format!("{before} {commands:?}")));
        self.log.push(LogRow {
            slot,
            chain,
            ballot: "1.1@r1".to_owned(),
            commands,
        });
        slot
    }

    /// Gives an event its place in a room.
    fn place(&mut self, room: usize, slot: u64, author: u64, message: Option<(Uuid, u64)>) -> Row {
        let message = message.map(|(cid, body)| {
            self.messages[room] += 1;
            MessageRow {
                cid,
                msg_no: self.messages[room],
                body,
                edited: 0,
                deleted: false,
            }
        });
        let row = Row {
            seq: self.rooms[room].len() as u64 + 1,
            slot,
            author,
            message,
            change: None,
            rest: digest(&format!("{slot} {author}")),
        };
        self.rooms[room].push(row);
        row
    }

    fn outage(&mut self) {
        let from_us = self.tick();
        for index in 0..self.people.len() {
            let at = self.tick();
            self.people[index].write(at, Event::Quorum { there: false });
        }
        let index = self.random.below(self.people.len());
        let (room, cid, body) = self.begin(index);
        self.refuse(index, cid, "no_quorum", true);
        let to_us = self.tick();
        self.outages.push(Outage {
            from_us,
            to_us,
            why: "r1 r2 killed".to_owned(),
        });
        let at = self.tick();
        self.people[index].write(at, Event::Resent { cid });
        self.commit(&[(index, room, cid, body)]);
    }

    fn step(&mut self) {
        let index = self.random.below(self.people.len());
        match self.random.below(16) {
            12 | 13 => self.edit(index),
            14 => self.delete(index),
            15 => self.mark(index),
            0 => self.reconnect(index),
            1 => self.read(index),
            2 => self.stray(index),
            3 => self.lose_sight(index),
            4 | 5 => {
                // Two at once, in one slot.
                let other = (index + 1) % self.people.len();
                let first = self.begin(index);
                let second = self.begin(other);
                let sent = [first, second];
                let of = |n: usize, who: usize| (who, sent[n].0, sent[n].1, sent[n].2);
                self.commit(&[of(0, index), of(1, other)]);
            }
            6 => {
                // Sent again, and committed twice: the second time has no effect.
                let (room, cid, body) = self.begin(index);
                let at = self.tick();
                self.people[index].write(at, Event::Resent { cid });
                self.commit(&[(index, room, cid, body)]);
                let author = self.people[index].user;
                self.decide(vec![CommandId { author, cid }]);
            }
            _ => {
                let (room, cid, body) = self.begin(index);
                self.commit(&[(index, room, cid, body)]);
            }
        }
    }

    /// Somebody sends a message.
    fn begin(&mut self, index: usize) -> (usize, Uuid, u64) {
        let nth = self.random.below(self.people[index].rooms.len());
        let room = self.people[index].rooms[nth];
        let (cid, at) = (self.cid(), self.tick());
        let body = digest(&format!("text of {cid}"));
        let (number, person) = (room as u64 + 1, &mut self.people[index]);
        person.write(
            at,
            Event::Sent {
                cid,
                room: number,
                body,
            },
        );
        (room, cid, body)
    }

    /// Messages take effect in one slot, are shown to all who are connected, and acknowledged.
    fn commit(&mut self, sent: &[(usize, usize, Uuid, u64)]) {
        let command = |&(index, _, cid, _): &(usize, usize, Uuid, u64)| CommandId {
            author: self.people[index].user,
            cid,
        };
        let slot = self.decide(sent.iter().map(command).collect());
        for &(index, room, cid, body) in sent {
            let author = self.people[index].user;
            let row = self.place(room, slot, author, Some((cid, body)));
            let echo_first = self.random.below(2) == 0;
            if echo_first {
                self.show(room);
            }
            let at = self.tick();
            let msg_no = self.messages[room];
            self.people[index].write(
                at,
                Event::Acked {
                    cid,
                    room: room as u64 + 1,
                    seq: row.seq,
                    msg_no,
                    slot,
                    dup: false,
                },
            );
            self.show(room);
        }
    }

    /// Whoever is connected is shown what it has not seen.
    fn show(&mut self, room: usize) {
        for index in 0..self.people.len() {
            let at = self.tick();
            let rows = &self.rooms[room];
            self.people[index].catch_up(at, room, rows, true);
        }
    }

    fn connect(&mut self, index: usize) {
        let at = self.tick();
        let gateway = GATEWAYS[self.random.below(GATEWAYS.len())];
        self.people[index].connect(at, gateway, &self.rooms);
    }

    fn reconnect(&mut self, index: usize) {
        let at = self.tick();
        self.people[index].disconnect(at);
        let other = (index + 1) % self.people.len();
        // Away for a moment, or for so long that the replay skips something.
        let missed = if self.random.below(2) == 0 { 1 } else { 25 };
        for _ in 0..missed {
            let (room, cid, body) = self.begin(other);
            self.commit(&[(other, room, cid, body)]);
        }
        self.connect(index);
    }

    fn read(&mut self, index: usize) {
        let room = self.people[index].rooms[0];
        let head = self.rooms[room].len();
        let seq = self.random.below(head) as u64;
        let range = if self.random.below(2) == 0 {
            Range::After(seq)
        } else {
            Range::Before(seq + 2)
        };
        let (asked, answered) = (self.tick(), self.tick());
        let gateway = GATEWAYS[self.random.below(GATEWAYS.len())];
        let rows = &self.rooms[room];
        self.people[index].page(asked, answered, gateway, room, range, rows, 20);
    }

    /// A message to a room that its author is not in: in the log, refused, shown to nobody.
    fn stray(&mut self, index: usize) {
        let (_, cid, _) = self.begin(index);
        let author = self.people[index].user;
        self.decide(vec![CommandId { author, cid }]);
        self.refuse(index, cid, "not_member", false);
    }

    fn refuse(&mut self, index: usize, cid: Uuid, code: &str, temporary: bool) {
        let at = self.tick();
        let code = code.to_owned();
        let refused = Event::Refused {
            cid,
            code,
            temporary,
        };
        self.people[index].write(at, refused);
    }

    /// A message whose author never hears what became of it; it may be there or not.
    fn lose_sight(&mut self, index: usize) {
        let (room, cid, body) = self.begin(index);
        if self.random.below(2) == 0 {
            let author = self.people[index].user;
            let slot = self.decide(vec![CommandId { author, cid }]);
            self.place(room, slot, author, Some((cid, body)));
            self.show(room);
        }
    }

    fn end(mut self) -> History {
        for gateway in GATEWAYS {
            let number = self.people.len() as u64 + 1;
            let mut reader = Person::new(format!("z-{}", gateway.len() as u64 + number), number);
            for room in 0..self.rooms.len() {
                let at = self.tick();
                reader.read_whole(at, gateway, room, &self.rooms[room], PAGE);
                self.now = reader.now();
            }
            self.people.push(reader);
        }
        let decided = FIRST_SLOT + self.log.len() as u64 - 1;
        let logs = [1, 2, 3].map(|node: u64| {
            // The first node has compacted a third.
            let gone = if node == 1 { self.log.len() / 3 } else { 0 };
            NodeLog {
                node,
                epoch: 1,
                voters: vec![1, 2, 3],
                compacted_to: FIRST_SLOT - 1 + gone as u64,
                decided,
                rows: self.log[gone..].to_vec(),
            }
        });
        let states = [1, 2, 3].map(|node| NodeState {
            node,
            slot: decided,
            hash: "5eed".to_owned(),
            damage: None,
        });
        History {
            clients: self.people.into_iter().map(Person::into_lines).collect(),
            logs: logs.into(),
            states: states.into(),
            outages: self.outages,
        }
    }
}

type Seqs = BTreeMap<u64, u64>;
