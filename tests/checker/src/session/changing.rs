//! What a client asked to change and how far it has read, and what it was told about both.

use uuid::Uuid;

use super::Session;
use crate::changes::{Change, Claim};
use crate::event::{Event, Marker};
use crate::facts::Facts;
use crate::violation::Kind;

impl Session {
    pub(super) fn take_changing(&mut self, facts: &mut Facts, event: Event) {
        match event {
            Event::Changing {
                cid,
                room,
                of,
                body,
            } => self.take_change(facts, (cid, room, of, body)),
            Event::Marking { cid, room, seq } => {
                self.marking.insert(cid, (room, seq));
            }
            Event::Did { cid, slot, .. } => self.take_done(facts, cid, slot),
            Event::Told { room, read } => self.take_read(facts, room, read),
            _ => {}
        }
    }

    fn take_change(
        &mut self,
        facts: &mut Facts,
        (cid, room, of, body): (Uuid, u64, u64, Option<u64>),
    ) {
        let changes = &mut facts.changes;
        let index = changes.asked.len();
        let known = changes.by_cid.insert((self.user, cid), index);
        changes.asked.push(Change {
            author: self.user,
            cid,
            room,
            of,
            body,
            asked_at: self.at,
            done: None,
            refused_at: None,
        });
        if known.is_some() {
            self.fault(facts, Kind::Contradicted, || {
                format!("{cid} was asked for the first time twice: the recorder is wrong")
            });
        }
    }

    fn change<'a>(&self, facts: &'a mut Facts, cid: Uuid) -> Option<&'a mut Change> {
        let index = facts.changes.by_cid.get(&(self.user, cid)).copied()?;
        facts.changes.asked.get_mut(index)
    }

    fn take_done(&mut self, facts: &mut Facts, cid: Uuid, slot: u64) {
        if let Some((room, seq)) = self.marking.remove(&cid) {
            let read = self.read.entry(room).or_default();
            *read = seq.max(*read);
        }
        let at = self.at;
        let Some(change) = self.change(facts, cid) else {
            return;
        };
        let (_, first) = *change.done.get_or_insert((at, slot));
        let refused = change.refused_at;
        if first != slot || refused.is_some() {
            self.fault(facts, Kind::Contradicted, || {
                format!(
                    "{cid} is answered in slot {slot}, before that in slot {first}; refused for \
                     good: {refused:?}"
                )
            });
        }
    }

    pub(super) fn take_refused_change(&self, facts: &mut Facts, cid: Uuid, code: &str) {
        let at = self.at;
        let Some(change) = self.change(facts, cid) else {
            return;
        };
        change.refused_at.get_or_insert(at);
        if change.done.is_some() {
            self.fault(facts, Kind::Contradicted, || {
                format!("{cid} was answered, then refused for good: {code}")
            });
        }
    }

    pub(super) fn take_marker(&mut self, facts: &mut Facts, room: u64, head: u64, marker: Marker) {
        let Marker { read, unread, more } = marker;
        if read > head {
            self.fault(facts, Kind::Phantom, || {
                format!("room {room}: read up to {read}, the head is {head}")
            });
        }
        facts.changes.claims.push(Claim {
            by: self.client,
            user: self.user,
            at: self.at,
            room,
            head,
            read,
            unread,
            more,
        });
        let answered = self.read.get(&room).copied().unwrap_or(0);
        if read < answered {
            self.fault(facts, Kind::WentBack, || {
                format!("room {room}: `ready` tells that it is read up to {read}, {answered} was answered")
            });
        }
        self.take_read(facts, room, read);
    }

    /// A read marker moves forward only.
    fn take_read(&mut self, facts: &mut Facts, room: u64, read: u64) {
        let told = self.told.insert(room, read).unwrap_or(0);
        if read < told {
            self.fault(facts, Kind::WentBack, || {
                format!("room {room}: read up to {read} is told, {told} was told before")
            });
        }
    }
}
