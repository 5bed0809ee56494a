//! The durable events: messages and what else takes a `seq`, and each person's own stream.
//!
//! Must hold: `seq`, `msg_no` and `useq` count by one without a hole (claim C1), because they
//! are taken here, at apply, and nowhere else; what is emitted can be read back from the tables
//! word for word (replay.rs). Tests: tests/properties.rs.

use proto::v1::{
    Effect, MessageEvent, MessagePosted, PostMessage, RoomEvent, UserEvent, effect, outcome,
    room_event, user_event,
};
use rusqlite::types::ValueRef;
use rusqlite::{params, params_from_iter};

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{EventId, RoomId, Seq, UserId, next, to_sql};
use crate::refusal::Reason;
use crate::{Error, checksum, limits, mentions, notices, rows};

/// Values of `events.kind`.
pub(crate) mod kind {
    pub(crate) const MESSAGE: i64 = 1;
    pub(crate) const CREATED: i64 = 2;
    pub(crate) const JOINED: i64 = 3;
    pub(crate) const LEFT: i64 = 4;
    pub(crate) const NOTICE: i64 = 5;
    pub(crate) const EDITED: i64 = 70;
    pub(crate) const DELETED: i64 = 71;
    pub(crate) const REACTION_ADDED: i64 = 72;
    pub(crate) const REACTION_REMOVED: i64 = 73;
    pub(crate) const PINNED: i64 = 74;
    pub(crate) const UNPINNED: i64 = 75;
    pub(crate) const RENAMED: i64 = 40;
    pub(crate) const TOPIC: i64 = 41;
    pub(crate) const ARCHIVED: i64 = 42;
    pub(crate) const RESTORED: i64 = 43;
    pub(crate) const ADDED: i64 = 44;
    pub(crate) const REMOVED: i64 = 45;
}

/// Values of `user_events.kind`.
pub(crate) mod user_kind {
    pub(crate) const JOINED: i64 = 1;
    pub(crate) const LEFT: i64 = 2;
    pub(crate) const SESSION_REVOKED: i64 = 3;
    pub(crate) const READ: i64 = 70;
    pub(crate) const SESSIONS_ENDED: i64 = 40;
    pub(crate) const PROFILE_CHANGED: i64 = 41;
    pub(crate) const WISHES: i64 = 42;
}

impl Context<'_> {
    /// A message in a room.
    pub(crate) fn post_message(
        &mut self,
        author: UserId,
        cid: &[u8],
        command: PostMessage,
    ) -> Result<Answer, Stop> {
        let PostMessage {
            room,
            body,
            reply_to,
        } = command;
        require_text(&body)?;
        let room = self.existing_room(author, room)?;
        Self::require_for_people(room)?;
        self.require_member(room, author)?;
        self.require_open(room)?;
        if reply_to != 0 && !self.is_message(room, Seq(reply_to))? {
            return Err(Stop::Refused(Reason::ReplyToNothing));
        }

        let state = self.cache.room_mut(self.connection, room)?;
        state.messages = next(state.messages)?;
        let msg_no = state.messages;
        let event = self.next_event_id()?;
        let mentioned = mentions::of_text(self.connection, &body, author, event)?;
        let message = MessageEvent {
            msg_no,
            cid: cid.to_vec(),
            body,
            reply_to,
            mentions: mentioned.clone(),
            ..MessageEvent::default()
        };
        let seq = self.emit_room_event(room, author, room_event::Kind::Message(message))?;
        mentions::store(self.connection, room, seq, &mentioned)?;
        if reply_to != 0 {
            self.note_reply(room, Seq(reply_to), seq)?;
        }
        let timestamp_ms = self.timestamp.0;
        let posted = MessagePosted {
            room: room.0,
            seq: seq.0,
            msg_no,
            timestamp_ms,
        };
        Ok(Answer {
            result: outcome::Result::MessagePosted(posted),
            event: Some(event),
        })
    }

    /// Stores an event of a room under its next `seq`, and emits it.
    pub(crate) fn emit_room_event(
        &mut self,
        room: RoomId,
        author: UserId,
        kind: room_event::Kind,
    ) -> Result<Seq, Fault> {
        let event = self.next_event_id()?;
        let state = self.cache.room_mut(self.connection, room)?;
        state.head = next(state.head)?;
        let seq = state.head;
        let mut said = String::new();
        let (number, body, target) = columns(&kind, &mut said);
        let message = match &kind {
            room_event::Kind::Message(message) => Some(message),
            _ => None,
        };
        let row = [
            ValueRef::Integer(event.to_sql()),
            checksum::number(room.0),
            checksum::number(seq),
            ValueRef::Integer(number),
            checksum::number(author.0),
            checksum::number(self.timestamp.0),
            checksum::maybe(message.map(|message| message.msg_no)),
            message.map_or(ValueRef::Null, |message| ValueRef::Blob(&message.cid)),
            body.map_or(ValueRef::Null, |body| ValueRef::Text(body.as_bytes())),
            checksum::maybe(Some(target).filter(|seq| *seq != 0)),
        ];
        self.hot
            .room_event
            .prepared(
                self.connection,
                "INSERT INTO events (eid, room, seq, kind, author, ts, msg_no, cid, body, reply_to,
                                     crc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params_from_iter(checksum::with_crc(&row)?))?;
        let author_name = match author {
            // A notice is nobody's.
            UserId(0) => String::new(),
            author => self.author_name(author)?,
        };
        let emitted = RoomEvent {
            room: room.0,
            seq,
            slot: self.slot.0,
            timestamp_ms: self.timestamp.0,
            author: author.0,
            author_name,
            kind: Some(kind),
        };
        self.effects.push(Effect {
            kind: Some(effect::Kind::Room(emitted)),
        });
        Ok(Seq(seq))
    }

    /// Stores an event of a person's own stream under its next `useq`, and emits it.
    pub(crate) fn emit_user_event(
        &mut self,
        user: UserId,
        kind: user_event::Kind,
    ) -> Result<(), Fault> {
        let event = self.next_event_id()?;
        let useq = self.next_useq(user)?;
        let (number, room, joined, token_hash) = match &kind {
            user_event::Kind::Joined(joined) => {
                (user_kind::JOINED, Some(joined.room), Some(joined), None)
            }
            user_event::Kind::Left(room) => (user_kind::LEFT, Some(*room), None, None),
            user_event::Kind::SessionRevoked(hash) => {
                (user_kind::SESSION_REVOKED, None, None, Some(hash))
            }
            user_event::Kind::SessionsEnded(kept) => {
                (user_kind::SESSIONS_ENDED, None, None, Some(kept))
            }
            user_event::Kind::ProfileChanged(_) => (user_kind::PROFILE_CHANGED, None, None, None),
            user_event::Kind::Read(marker) => (user_kind::READ, Some(marker.room), None, None),
            user_event::Kind::Wishes(wishes) => (user_kind::WISHES, Some(wishes.room), None, None),
        };
        let (seq, members) = match &kind {
            user_event::Kind::Joined(joined) => (Some(joined.head), Some(joined.members)),
            user_event::Kind::Read(marker) => (Some(marker.seq), None),
            user_event::Kind::Wishes(wishes) => (
                Some(u64::from(wishes.level.unsigned_abs())),
                Some(u64::from(wishes.favourite)),
            ),
            _ => (None, None),
        };
        let described = joined.map(rows::described);
        let row = [
            ValueRef::Integer(event.to_sql()),
            checksum::number(user.0),
            checksum::number(useq),
            ValueRef::Integer(number),
            checksum::maybe(room),
            described.as_deref().map_or(ValueRef::Null, |described| {
                ValueRef::Text(described.as_bytes())
            }),
            checksum::maybe(seq),
            checksum::maybe(members),
            token_hash.map_or(ValueRef::Null, |hash| ValueRef::Blob(hash)),
        ];
        self.connection
            .prepare_cached(
                "INSERT INTO user_events (eid, user, useq, kind, room, room_name, head, members,
                                          token_hash, crc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params_from_iter(checksum::with_crc(&row)?))?;
        let emitted = UserEvent {
            user: user.0,
            useq,
            slot: self.slot.0,
            kind: Some(kind),
        };
        self.effects.push(Effect {
            kind: Some(effect::Kind::User(emitted)),
        });
        Ok(())
    }

    /// The key of the next effect of this slot.
    pub(crate) fn next_event_id(&self) -> Result<EventId, Error> {
        EventId::new(self.slot, self.effects.len() as u64)
            .ok_or(Error::Unnumberable { slot: self.slot })
    }

    fn is_message(&self, room: RoomId, seq: Seq) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT 1 FROM events WHERE room = ?1 AND seq = ?2 AND kind = ?3")?
            .exists(params![to_sql(room.0), to_sql(seq.0), kind::MESSAGE])
    }
}

/// What a message may say.
pub(crate) fn require_text(body: &str) -> Result<(), Stop> {
    if body.len() > limits::MESSAGE_BYTES_MAX {
        return Err(Stop::Refused(Reason::MessageTooLarge));
    }
    if body.chars().all(char::is_whitespace) {
        return Err(Stop::Refused(Reason::MessageBlank));
    }
    Ok(())
}

/// What the columns `kind`, `body` and `reply_to` have for an event of a room. `said` keeps a text
/// that is made here.
fn columns<'a>(kind: &'a room_event::Kind, said: &'a mut String) -> (i64, Option<&'a String>, u64) {
    match kind {
        room_event::Kind::Message(message) => {
            (kind::MESSAGE, Some(&message.body), message.reply_to)
        }
        room_event::Kind::Created(created) => (kind::CREATED, Some(&created.name), 0),
        room_event::Kind::Joined(_) => (kind::JOINED, None, 0),
        room_event::Kind::Left(_) => (kind::LEFT, None, 0),
        room_event::Kind::Notice(notice) => {
            *said = notices::to_row(notice);
            (kind::NOTICE, Some(said), 0)
        }
        room_event::Kind::Renamed(renamed) => (kind::RENAMED, Some(&renamed.name), 0),
        room_event::Kind::Topic(topic) => (kind::TOPIC, Some(&topic.topic), 0),
        room_event::Kind::Archived(archived) => match archived.archived {
            true => (kind::ARCHIVED, None, 0),
            false => (kind::RESTORED, None, 0),
        },
        room_event::Kind::Added(added) => {
            *said = added.by.to_string();
            (kind::ADDED, Some(said), 0)
        }
        room_event::Kind::Removed(removed) => {
            *said = removed.by.to_string();
            (kind::REMOVED, Some(said), 0)
        }
        room_event::Kind::Edited(edited) => (kind::EDITED, Some(&edited.body), edited.target),
        room_event::Kind::Deleted(deleted) => (kind::DELETED, None, deleted.target),
        room_event::Kind::ReactionAdded(reaction) => {
            (kind::REACTION_ADDED, Some(&reaction.emoji), reaction.target)
        }
        room_event::Kind::ReactionRemoved(reaction) => (
            kind::REACTION_REMOVED,
            Some(&reaction.emoji),
            reaction.target,
        ),
        room_event::Kind::Pinned(pin) => (kind::PINNED, None, pin.target),
        room_event::Kind::Unpinned(pin) => (kind::UNPINNED, None, pin.target),
    }
}
