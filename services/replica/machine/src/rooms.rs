//! Commands on rooms and who is in them.

use proto::v1::{
    CreateRoom, CreatedEvent, JoinRoom, JoinedEvent, JoinedRoom, LeaveRoom, LeftEvent, RoomChanged,
    outcome, room_event, user_event,
};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, UserId, next, to_sql};
use crate::refusal::Reason;
use crate::{names, notices};

/// Value of `rooms.kind` for a room that everybody may join.
const KIND_PUBLIC: i64 = 1;

/// The highest room that was counted: [`RoomId::CLUSTER`] is not.
const COUNTED_MAX: &str = "SELECT max(id) FROM rooms WHERE id < 4294967295";

impl Context<'_> {
    /// A new room with its maker in it.
    pub(crate) fn create_room(
        &mut self,
        author: UserId,
        command: &CreateRoom,
    ) -> Result<Answer, Stop> {
        let name = names::room(&command.name).map_err(Stop::Refused)?;
        if !self.known_account(author)?.role.is_insider() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        let is_clusters = name.folded == notices::ROOM_NAME && self.has_cluster_room()?;
        if is_clusters || self.name_is_taken("SELECT 1 FROM rooms WHERE name_folded = ?1", &name)? {
            return Err(Stop::Refused(Reason::RoomNameTaken));
        }
        let room = self.insert_room(author, name)?;
        self.enter(author, room)?;
        Ok(changed(room))
    }

    /// Idempotent: whoever is in the room already gets the same answer, without an event.
    pub(crate) fn join_room(&mut self, author: UserId, command: &JoinRoom) -> Result<Answer, Stop> {
        let room = self.existing_room(author, command.room)?;
        if room != RoomId::CLUSTER && !self.cache.is_member(self.connection, room, author)? {
            self.enter(author, room)?;
        }
        Ok(changed(room))
    }

    /// The author is no longer in the room.
    pub(crate) fn leave_room(
        &mut self,
        author: UserId,
        command: &LeaveRoom,
    ) -> Result<Answer, Stop> {
        let room = self.existing_room(author, command.room)?;
        Self::require_for_people(room)?;
        self.require_member(room, author)?;
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
            .execute(params![to_sql(room.0), to_sql(author.0)])?;
        if deleted != 1 {
            return Err(Fault::Damaged(format!("{author} is in {room} and is not")).into());
        }
        self.drop_marker(author, room)?;
        self.cache.set_member(room, author, false);
        let state = self.cache.room_mut(self.connection, room)?;
        let Some(members) = state.members.checked_sub(1) else {
            return Err(Fault::Damaged(format!("{room} has fewer members than it had")).into());
        };
        state.members = members;
        self.emit_room_event(room, author, room_event::Kind::Left(LeftEvent {}))?;
        self.emit_user_event(author, user_event::Kind::Left(room.0))?;
        Ok(changed(room))
    }

    /// Makes the room, with nobody in it yet. The name has been checked.
    pub(crate) fn insert_room(
        &mut self,
        author: UserId,
        name: names::Name,
    ) -> Result<RoomId, Stop> {
        let room = RoomId(self.next_id(COUNTED_MAX)?);
        self.connection
            .prepare_cached(
                "INSERT INTO rooms (id, name, name_folded, kind, topic, archived, created_by,
                                    created_slot, created_ms, head, messages, members)
                 VALUES (?1, ?2, ?3, ?4, '', 0, ?5, ?6, ?7, 0, 0, 0)",
            )?
            .execute(params![
                to_sql(room.0),
                name.text,
                name.folded,
                KIND_PUBLIC,
                to_sql(author.0),
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        let created = room_event::Kind::Created(CreatedEvent { name: name.text });
        self.emit_room_event(room, author, created)?;
        Ok(room)
    }

    /// Puts a person, who is not in the room, into it.
    pub(crate) fn enter(&mut self, user: UserId, room: RoomId) -> Result<(), Stop> {
        let state = self.cache.room_mut(self.connection, room)?;
        state.members = next(state.members)?;
        let joined_seq =
            self.emit_room_event(room, user, room_event::Kind::Joined(JoinedEvent {}))?;
        self.connection
            .prepare_cached(
                "INSERT INTO members (room, user, joined_seq, joined_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                to_sql(room.0),
                to_sql(user.0),
                to_sql(joined_seq.0),
                to_sql(self.timestamp.0)
            ])?;
        self.set_marker(user, room, joined_seq)?;
        self.cache.set_member(room, user, true);
        let state = self.cache.room_mut(self.connection, room)?;
        let joined = JoinedRoom {
            room: room.0,
            name: state.name.clone(),
            head: state.head,
            members: state.members,
            read_seq: state.head,
            ..JoinedRoom::default()
        };
        self.emit_user_event(user, user_event::Kind::Joined(joined))?;
        Ok(())
    }

    /// The room, or the refusal that there is none.
    pub(crate) fn existing_room(&mut self, asker: UserId, room: u64) -> Result<RoomId, Stop> {
        let room = RoomId(room);
        if !self.cache.has_room(self.connection, room)? {
            return Err(Stop::Refused(Reason::NoSuchRoom));
        }
        // A room that a guest or bot is not in does not exist for it.
        let is_insider = self.known_account(asker)?.role.is_insider();
        if !is_insider && room != RoomId::CLUSTER {
            let is_member = self.cache.is_member(self.connection, room, asker)?;
            if !is_member {
                return Err(Stop::Refused(Reason::NoSuchRoom));
            }
        }
        Ok(room)
    }

    /// The refusal for a room into which nobody can be invited.
    pub(crate) fn require_inviting(&mut self, room: RoomId) -> Result<(), Stop> {
        if !self.cache.has_room(self.connection, room)? {
            return Err(Stop::Refused(Reason::NoSuchRoom));
        }
        Ok(())
    }

    /// The refusal for whoever is not in the room.
    pub(crate) fn require_member(&mut self, room: RoomId, user: UserId) -> Result<(), Stop> {
        if !self.cache.is_member(self.connection, room, user)? {
            return Err(Stop::Refused(Reason::NotMember));
        }
        Ok(())
    }
}

pub(crate) fn changed(room: RoomId) -> Answer {
    outcome::Result::RoomChanged(RoomChanged { room: room.0 }).into()
}
