//! Commands that change a room: who is in it by somebody else's doing, name, topic, archived.
//!
//! Must hold: each change is an event of the room; whoever is not in a room that is not public
//! hears that there is no such room (rooms.rs). Tests: tests/rooms.rs.

use proto::v1::{
    AddMember, AddedEvent, ArchiveRoom, ArchivedEvent, RemoveMember, RemovedEvent, RenameRoom,
    RenamedEvent, RoomChanged, SetTopic, TopicEvent, outcome, room_event,
};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::Stop;
use crate::ids::{RoomId, UserId, to_sql};
use crate::refusal::Reason;
use crate::{kinds, limits, names, notices};

impl Context<'_> {
    /// Somebody is put into the room.
    pub(crate) fn add_member(
        &mut self,
        author: UserId,
        command: AddMember,
    ) -> Result<Answer, Stop> {
        let room = self.open_room_of(author, command.room)?;
        if !self.known_account(author)?.role.is_insider() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        let user = UserId(command.user);
        if !self.is_known_to(author, user)? {
            return Err(Stop::Refused(Reason::NoSuchPerson));
        }
        if !self.cache.is_member(self.connection, room, user)? {
            let added = AddedEvent { by: author.0 };
            self.put_in(room, user, Some(room_event::Kind::Added(added)))?;
        }
        Ok(changed(room))
    }

    /// Somebody is put out of the room.
    pub(crate) fn remove_member(
        &mut self,
        author: UserId,
        command: RemoveMember,
    ) -> Result<Answer, Stop> {
        let room = self.room_of(author, command.room)?;
        self.require_managing(room, author)?;
        let user = UserId(command.user);
        if !self.cache.is_member(self.connection, room, user)? {
            return Err(Stop::Refused(Reason::NoSuchPerson));
        }
        let removed = RemovedEvent { by: author.0 };
        self.take_out(room, user, room_event::Kind::Removed(removed))?;
        Ok(changed(room))
    }

    /// Another name.
    pub(crate) fn rename_room(
        &mut self,
        author: UserId,
        command: &RenameRoom,
    ) -> Result<Answer, Stop> {
        let name = names::room(&command.name).map_err(Stop::Refused)?;
        let room = self.open_room_of(author, command.room)?;
        self.require_managing(room, author)?;
        let state = self.cache.room_mut(self.connection, room)?;
        if state.name == name.text {
            return Ok(changed(room));
        }
        let key = match state.kind {
            kinds::PRIVATE => kinds::private_key(room),
            _ => {
                self.require_free(&name, room)?;
                name.folded
            }
        };
        self.connection
            .prepare_cached("UPDATE rooms SET name = ?2, name_folded = ?3 WHERE id = ?1")?
            .execute(params![to_sql(room.0), name.text, key])?;
        let state = self.cache.room_mut(self.connection, room)?;
        (state.name, state.key) = (name.text.clone(), key);
        let renamed = RenamedEvent { name: name.text };
        self.emit_room_event(room, author, room_event::Kind::Renamed(renamed))?;
        Ok(changed(room))
    }

    /// What the room is about.
    pub(crate) fn set_topic(&mut self, author: UserId, command: &SetTopic) -> Result<Answer, Stop> {
        let topic = command.topic.trim();
        let is_long = topic.chars().nth(limits::TOPIC_CHARS_MAX).is_some();
        if is_long || topic.chars().any(char::is_control) {
            return Err(Stop::Refused(Reason::TopicInvalid));
        }
        let room = self.open_room_of(author, command.room)?;
        if !self.known_account(author)?.role.is_insider() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        let state = self.cache.room_mut(self.connection, room)?;
        if state.topic == topic {
            return Ok(changed(room));
        }
        topic.clone_into(&mut state.topic);
        self.connection
            .prepare_cached("UPDATE rooms SET topic = ?2 WHERE id = ?1")?
            .execute(params![to_sql(room.0), topic])?;
        let topic = topic.to_owned();
        let event = room_event::Kind::Topic(TopicEvent { topic });
        self.emit_room_event(room, author, event)?;
        Ok(changed(room))
    }

    /// Only to be read from here on, or open again.
    pub(crate) fn archive_room(
        &mut self,
        author: UserId,
        command: ArchiveRoom,
    ) -> Result<Answer, Stop> {
        let room = self.room_of(author, command.room)?;
        self.require_managing(room, author)?;
        if room == RoomId::GENERAL {
            // Everybody who signs up enters it.
            return Err(Stop::Refused(Reason::GeneralStays));
        }
        let archived = command.archived;
        let state = self.cache.room_mut(self.connection, room)?;
        if state.archived == archived {
            return Ok(changed(room));
        }
        state.archived = archived;
        self.connection
            .prepare_cached("UPDATE rooms SET archived = ?2 WHERE id = ?1")?
            .execute(params![to_sql(room.0), archived])?;
        let event = room_event::Kind::Archived(ArchivedEvent { archived });
        self.emit_room_event(room, author, event)?;
        Ok(changed(room))
    }

    /// A room whose people may change, in which the author is.
    fn room_of(&mut self, author: UserId, room: u64) -> Result<RoomId, Stop> {
        let room = self.existing_room(author, room)?;
        Self::require_for_people(room)?;
        self.require_member(room, author)?;
        self.require_not_direct(room)?;
        Ok(room)
    }

    /// Such a room that is not archived.
    fn open_room_of(&mut self, author: UserId, room: u64) -> Result<RoomId, Stop> {
        let room = self.room_of(author, room)?;
        self.require_open(room)?;
        Ok(room)
    }

    /// The refusal for a room whose people do not change.
    pub(crate) fn require_not_direct(&mut self, room: RoomId) -> Result<(), Stop> {
        if self.cache.room_mut(self.connection, room)?.kind == kinds::DIRECT {
            return Err(Stop::Refused(Reason::DirectRoom));
        }
        Ok(())
    }

    /// The refusal for a room that can only be read.
    pub(crate) fn require_open(&mut self, room: RoomId) -> Result<(), Stop> {
        if self.cache.room_mut(self.connection, room)?.archived {
            return Err(Stop::Refused(Reason::RoomArchived));
        }
        Ok(())
    }

    /// The refusal for whoever neither made the room nor is a moderator.
    fn require_managing(&mut self, room: RoomId, author: UserId) -> Result<(), Stop> {
        let is_moderator = self.known_account(author)?.role.may_moderate();
        let made_it = self.cache.room_mut(self.connection, room)?.created_by == author;
        if is_moderator || made_it {
            return Ok(());
        }
        Err(Stop::Refused(Reason::RoleTooLow))
    }

    /// The refusal for a name that another public room has.
    pub(crate) fn require_free(&mut self, name: &names::Name, room: RoomId) -> Result<(), Stop> {
        let is_clusters = name.folded == notices::ROOM_NAME && self.has_cluster_room()?;
        let is_taken = self
            .connection
            .prepare_cached("SELECT 1 FROM rooms WHERE name_folded = ?1 AND id <> ?2")?
            .exists(params![name.folded, to_sql(room.0)])?;
        if is_clusters || is_taken {
            return Err(Stop::Refused(Reason::RoomNameTaken));
        }
        Ok(())
    }
}

fn changed(room: RoomId) -> Answer {
    outcome::Result::RoomChanged(RoomChanged { room: room.0 }).into()
}
