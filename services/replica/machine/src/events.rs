//! The durable events: messages and what else takes a `seq`, and each person's own stream.
//!
//! Must hold: `seq`, `msg_no` and `useq` count by one without a hole (claim C1), because they
//! are taken here, at apply, and nowhere else; what is emitted can be read back from the tables
//! word for word (replay.rs). Tests: tests/properties.rs.

use proto::v1::{
    Effect, MessageEvent, MessagePosted, PostMessage, RoomEvent, UserEvent, effect, outcome,
    room_event, user_event,
};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{EventId, RoomId, Seq, UserId, to_sql};
use crate::refusal::Reason;
use crate::{Error, limits};

/// Values of `events.kind`.
pub(crate) mod kind {
    pub(crate) const MESSAGE: i64 = 1;
    pub(crate) const CREATED: i64 = 2;
    pub(crate) const JOINED: i64 = 3;
    pub(crate) const LEFT: i64 = 4;
}

/// Values of `user_events.kind`.
pub(crate) mod user_kind {
    pub(crate) const JOINED: i64 = 1;
    pub(crate) const LEFT: i64 = 2;
    pub(crate) const SESSION_REVOKED: i64 = 3;
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
        if body.len() > limits::MESSAGE_BYTES_MAX {
            return Err(Stop::Refused(Reason::MessageTooLarge));
        }
        if body.trim().is_empty() {
            return Err(Stop::Refused(Reason::MessageBlank));
        }
        let room = self.existing_room(room)?;
        self.require_member(room, author)?;
        if reply_to != 0 && !self.is_message(room, Seq(reply_to))? {
            return Err(Stop::Refused(Reason::ReplyToNothing));
        }

        let state = self.cache.room_mut(self.connection, room)?;
        state.messages += 1;
        let msg_no = state.messages;
        let event = self.next_event_id()?;
        let message = MessageEvent {
            msg_no,
            cid: cid.to_vec(),
            body,
            reply_to,
        };
        let seq = self.emit_room_event(room, author, room_event::Kind::Message(message))?;
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
        state.head += 1;
        let seq = state.head;
        let (number, message, body) = match &kind {
            room_event::Kind::Message(message) => {
                (kind::MESSAGE, Some(message), Some(message.body.as_str()))
            }
            room_event::Kind::Created(created) => {
                (kind::CREATED, None, Some(created.name.as_str()))
            }
            room_event::Kind::Joined(_) => (kind::JOINED, None, None),
            room_event::Kind::Left(_) => (kind::LEFT, None, None),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO events (eid, room, seq, kind, author, ts, msg_no, cid, body, reply_to)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                event.to_sql(),
                to_sql(room.0),
                to_sql(seq),
                number,
                to_sql(author.0),
                to_sql(self.timestamp.0),
                message.map(|message| to_sql(message.msg_no)),
                message.map(|message| &message.cid),
                body,
                message
                    .filter(|message| message.reply_to != 0)
                    .map(|m| to_sql(m.reply_to)),
            ])?;
        let emitted = RoomEvent {
            room: room.0,
            seq,
            slot: self.slot.0,
            timestamp_ms: self.timestamp.0,
            author: author.0,
            author_name: self.author_name(author)?,
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
        };
        self.connection
            .prepare_cached(
                "INSERT INTO user_events (eid, user, useq, kind, room, room_name, head, members,
                                          token_hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                event.to_sql(),
                to_sql(user.0),
                to_sql(useq),
                number,
                room.map(to_sql),
                joined.map(|joined| &joined.name),
                joined.map(|joined| to_sql(joined.head)),
                joined.map(|joined| to_sql(joined.members)),
                token_hash,
            ])?;
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
    fn next_event_id(&self) -> Result<EventId, Error> {
        EventId::new(self.slot, self.effects.len() as u64)
            .ok_or(Error::Unnumberable { slot: self.slot })
    }

    fn is_message(&self, room: RoomId, seq: Seq) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT 1 FROM events WHERE room = ?1 AND seq = ?2 AND kind = ?3")?
            .exists(params![to_sql(room.0), to_sql(seq.0), kind::MESSAGE])
    }
}
