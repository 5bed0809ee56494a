//! People change what they wrote, and read.

use super::{Chat, CommandId, Event, Row, digest};
use crate::event::ChangeRow;

impl Chat {
    /// Somebody gives an own message another text.
    pub(super) fn edit(&mut self, index: usize) {
        self.change(index, false);
    }

    /// Somebody deletes an own message.
    pub(super) fn delete(&mut self, index: usize) {
        self.change(index, true);
    }

    fn change(&mut self, index: usize, deletes: bool) {
        let author = self.people[index].user;
        let nth = self.random.below(self.people[index].rooms.len());
        let room = self.people[index].rooms[nth];
        let is_own = |row: &&Row| {
            row.author == author && row.message.is_some_and(|message| !message.deleted)
        };
        let own: Vec<u64> = self.rooms[room]
            .iter()
            .filter(is_own)
            .map(|row| row.seq)
            .collect();
        if own.is_empty() {
            return;
        }
        let of = own[self.random.below(own.len())];
        let (cid, at, number) = (self.cid(), self.tick(), room as u64 + 1);
        let body = (!deletes).then(|| digest(&format!("other text {cid}")));
        self.people[index].write(
            at,
            Event::Changing {
                cid,
                room: number,
                of,
                body,
            },
        );
        let slot = self.decide(vec![CommandId { author, cid }]);
        let seq = self.place(room, slot, author, None).seq;
        self.take_effect(room, seq, of, body);
        self.show(room);
        let at = self.tick();
        self.people[index].write(
            at,
            Event::Did {
                cid,
                room: number,
                slot,
            },
        );
    }

    /// From here on everybody is shown the message as the event `seq` has made it.
    fn take_effect(&mut self, room: usize, seq: u64, of: u64, body: Option<u64>) {
        let deletes = body.is_none();
        for row in &mut self.rooms[room] {
            if row.seq == seq {
                row.change = Some(ChangeRow { of, deletes, body });
            } else if let Some(message) = row.message.as_mut().filter(|_| row.seq == of) {
                message.body = body.unwrap_or_else(|| digest(""));
                message.edited = if deletes { 0 } else { seq };
                message.deleted = deletes;
            } else if let Some(change) = row.change.as_mut().filter(|change| change.of == of) {
                // The texts go with the message.
                change.body = change.body.filter(|_| !deletes);
            }
        }
    }

    /// Somebody has read what was shown of a room.
    pub(super) fn mark(&mut self, index: usize) {
        let room = self.people[index].rooms[0];
        let (author, seq) = (self.people[index].user, self.people[index].seen(room));
        let (cid, at, room) = (self.cid(), self.tick(), room as u64 + 1);
        self.people[index].write(at, Event::Marking { cid, room, seq });
        let slot = self.decide(vec![CommandId { author, cid }]);
        let at = self.tick();
        let person = &mut self.people[index];
        if person.is_connected() {
            person.write(at, Event::Told { room, read: seq });
        }
        person.write(at, Event::Did { cid, room, slot });
        person.read.insert(room, seq);
    }
}
