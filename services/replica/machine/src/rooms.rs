//! Commands on rooms and who is in them.

use proto::v1::{
    CreateRoom, JoinRoom, JoinedEvent, JoinedRoom, LeaveRoom, LeftEvent, RoomChanged, outcome,
    room_event, user_event,
};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, Seq, UserId, next, to_sql};
use crate::refusal::Reason;
use crate::{kinds, names};

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
        let room = if command.private {
            self.insert_room_of(author, name, kinds::PRIVATE)?
        } else {
            // No room has the number 0.
            self.require_free(&name, RoomId(0))?;
            self.insert_room(author, name)?
        };
        self.enter(author, room)?;
        Ok(changed(room))
    }

    /// Idempotent: whoever is in the room already gets the same answer, without an event.
    pub(crate) fn join_room(&mut self, author: UserId, command: &JoinRoom) -> Result<Answer, Stop> {
        let room = self.existing_room(author, command.room)?;
        if room != RoomId::CLUSTER && !self.cache.is_member(self.connection, room, author)? {
            self.require_open(room)?;
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
        self.require_not_direct(room)?;
        self.take_out(room, author, room_event::Kind::Left(LeftEvent {}))?;
        Ok(changed(room))
    }

    /// Takes a member out of the room, which the event tells.
    pub(crate) fn take_out(
        &mut self,
        room: RoomId,
        user: UserId,
        event: room_event::Kind,
    ) -> Result<(), Fault> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
            .execute(params![to_sql(room.0), to_sql(user.0)])?;
        if deleted != 1 {
            return Err(Fault::Damaged(format!("{user} is in {room} and is not")));
        }
        self.drop_marker(user, room)?;
        self.drop_wishes(user, room)?;
        self.cache.set_member(room, user, false);
        let state = self.cache.room_mut(self.connection, room)?;
        let Some(members) = state.members.checked_sub(1) else {
            return Err(Fault::Damaged(format!(
                "{room} has fewer members than it had"
            )));
        };
        state.members = members;
        self.emit_room_event(room, user, event)?;
        self.emit_user_event(user, user_event::Kind::Left(room.0))
    }

    /// Makes a public room, with nobody in it yet. The name has been checked.
    pub(crate) fn insert_room(
        &mut self,
        author: UserId,
        name: names::Name,
    ) -> Result<RoomId, Stop> {
        self.insert_room_of(author, name, kinds::PUBLIC)
    }

    /// The number of the next room.
    pub(crate) fn next_room(&self) -> Result<RoomId, Fault> {
        self.next_id(COUNTED_MAX).map(RoomId)
    }

    /// Puts a person, who is not in the room, into it.
    pub(crate) fn enter(&mut self, user: UserId, room: RoomId) -> Result<(), Stop> {
        self.put_in(room, user, Some(room_event::Kind::Joined(JoinedEvent {})))?;
        Ok(())
    }

    /// The same, with the event that tells it to the room; none for a room that begins with its
    /// people.
    pub(crate) fn put_in(
        &mut self,
        room: RoomId,
        user: UserId,
        event: Option<room_event::Kind>,
    ) -> Result<(), Fault> {
        let state = self.cache.room_mut(self.connection, room)?;
        state.members = next(state.members)?;
        let joined_seq = match event {
            Some(event) => self.emit_room_event(room, user, event)?,
            None => Seq(self.cache.room_mut(self.connection, room)?.head),
        };
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
            kind: kinds::to_wire(state.kind)?.into(),
            topic: state.topic.clone(),
            people: kinds::people_of(state.kind, &state.key)?,
            // Nobody enters an archived one.
            ..JoinedRoom::default()
        };
        self.emit_user_event(user, user_event::Kind::Joined(joined))
    }

    /// The room, or the refusal that there is none: for whoever is not in it, one that is not
    /// public does not exist, and for a guest or bot no room does.
    pub(crate) fn existing_room(&mut self, asker: UserId, room: u64) -> Result<RoomId, Stop> {
        let room = RoomId(room);
        if !self.cache.has_room(self.connection, room)? {
            return Err(Stop::Refused(Reason::NoSuchRoom));
        }
        let is_public = self.cache.room_mut(self.connection, room)?.kind == kinds::PUBLIC;
        let sees_it = room == RoomId::CLUSTER
            || is_public && self.known_account(asker)?.role.is_insider()
            || self.cache.is_member(self.connection, room, asker)?;
        if !sees_it {
            return Err(Stop::Refused(Reason::NoSuchRoom));
        }
        Ok(room)
    }

    /// The refusal for a room into which nobody can be invited.
    pub(crate) fn require_inviting(&mut self, room: RoomId) -> Result<(), Stop> {
        self.require_not_direct(room)?;
        self.require_open(room)
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
