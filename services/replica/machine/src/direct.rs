//! Rooms between people: of two, or of a group.
//!
//! Must hold: for the same people there is one room, whoever asks first and how often, because it
//! is found here, in the order of the log. Tests: tests/rooms.rs.

use std::collections::BTreeSet;

use proto::v1::{CreatedEvent, OpenDirectRoom, RoomChanged, outcome, room_event};
use rusqlite::{OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::Stop;
use crate::ids::{RoomId, UserId, from_sql, to_sql};
use crate::refusal::Reason;
use crate::{kinds, limits, names};

impl Context<'_> {
    /// The room of these people and the author.
    pub(crate) fn open_direct_room(
        &mut self,
        author: UserId,
        command: &OpenDirectRoom,
    ) -> Result<Answer, Stop> {
        if command.people.len() > limits::DIRECT_PEOPLE_MAX {
            return Err(Stop::Refused(Reason::DirectPeople));
        }
        let mut people: BTreeSet<u64> = command.people.iter().copied().collect();
        people.insert(author.0);
        if !(2..=limits::DIRECT_PEOPLE_MAX).contains(&people.len()) {
            return Err(Stop::Refused(Reason::DirectPeople));
        }
        let people: Vec<u64> = people.into_iter().collect();
        let mut called = Vec::new();
        for user in &people {
            let user = UserId(*user);
            if !self.is_known_to(author, user)? {
                return Err(Stop::Refused(Reason::NoSuchPerson));
            }
            called.push(self.author_name(user)?);
        }
        let key = kinds::direct_key(&people);
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT id FROM rooms WHERE name_folded = ?1")?
            .query_row([&key], |row| row.get(0))
            .optional()?;
        if let Some(room) = found {
            return Ok(answer(RoomId(from_sql(room))));
        }
        let name = names::Name {
            text: called.join(", "),
            folded: key,
        };
        let room = self.insert_room_of(author, name, kinds::DIRECT)?;
        for user in people {
            self.put_in(room, UserId(user), None)?;
        }
        Ok(answer(room))
    }

    /// Whether the asker may know of that account, and the account can be used.
    pub(crate) fn is_known_to(&mut self, asker: UserId, user: UserId) -> Result<bool, Stop> {
        let account = self.cache.account(self.connection, user)?;
        if !account.is_some_and(|account| account.active) {
            return Ok(false);
        }
        if asker == user || self.known_account(asker)?.role.is_insider() {
            return Ok(true);
        }
        let share_a_room = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM members m CROSS JOIN members o ON o.room = m.room
                 WHERE m.user = ?1 AND o.user = ?2 LIMIT 1",
            )?
            .exists(params![to_sql(asker.0), to_sql(user.0)])?;
        Ok(share_a_room)
    }

    /// Makes a room of this kind with nobody in it. The name has been checked.
    pub(crate) fn insert_room_of(
        &mut self,
        author: UserId,
        name: names::Name,
        kind: i64,
    ) -> Result<RoomId, Stop> {
        let room = self.next_room()?;
        let key = match kind {
            kinds::PRIVATE => kinds::private_key(room),
            _ => name.folded,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO rooms (id, name, name_folded, kind, topic, archived, created_by,
                                    created_slot, created_ms, head, messages, members)
                 VALUES (?1, ?2, ?3, ?4, '', 0, ?5, ?6, ?7, 0, 0, 0)",
            )?
            .execute(params![
                to_sql(room.0),
                name.text,
                key,
                kind,
                to_sql(author.0),
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        let created = room_event::Kind::Created(CreatedEvent { name: name.text });
        self.emit_room_event(room, author, created)?;
        Ok(room)
    }
}

fn answer(room: RoomId) -> Answer {
    outcome::Result::RoomChanged(RoomChanged { room: room.0 }).into()
}
