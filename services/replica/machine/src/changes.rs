//! What becomes of messages: edits, deletion, reactions, pins, answers.
//!
//! Must hold: each change is an event of the room with a `seq` of its own; what changes nothing
//! has none. A deleted message keeps its `seq` and has no text any more, in no table of this file.
//! `message_states`, `reactions` and `mentions` are what the events before make of a message, kept
//! so that a page of history costs one look-up per message and not a walk over its changes.
//! Tests: tests/changes.rs, tests/properties.rs.

use proto::v1::{
    AddReaction, DeleteMessage, DeletedEvent, EditMessage, EditedEvent, MessageEvent, PinEvent,
    PinMessage, ReactionEvent, RemoveReaction, RoomEvent, TakeAwayMessage, UnpinMessage,
    room_event,
};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::events::{kind, require_text};
use crate::ids::{RoomId, Seq, UserId, from_sql, to_sql};
use crate::refusal::Reason;
use crate::rooms::changed;
use crate::{checksum, limits, mentions, states};

/// A message that is there, with its text.
struct Target {
    room: RoomId,
    seq: Seq,
    author: UserId,
}

impl Context<'_> {
    /// Another text for an own message.
    pub(crate) fn edit_message(
        &mut self,
        author: UserId,
        command: EditMessage,
    ) -> Result<Answer, Stop> {
        require_text(&command.body)?;
        let target = self.target(author, command.room, command.seq)?;
        if target.author != author {
            return Err(Stop::Refused(Reason::ForeignMessage));
        }
        let newest = states::newest_text(self.connection, target.room, target.seq)?;
        if newest.as_deref() == Some(&command.body) {
            return Ok(changed(target.room));
        }
        let event = self.next_event_id()?;
        let mentioned = mentions::of_text(self.connection, &command.body, author, event)?;
        mentions::forget(self.connection, target.room, target.seq)?;
        mentions::store(self.connection, target.room, target.seq, &mentioned)?;
        let edited = EditedEvent {
            target: target.seq.0,
            body: command.body,
            mentions: mentioned,
        };
        let rev = self.emit_room_event(target.room, author, room_event::Kind::Edited(edited))?;
        self.note(&target, rev, "edit_seq = excluded.rev", Some(rev), None)?;
        Ok(changed(target.room))
    }

    /// Makes a tombstone of a message.
    pub(crate) fn delete_message(
        &mut self,
        author: UserId,
        command: DeleteMessage,
    ) -> Result<Answer, Stop> {
        let Some(target) = self.undeleted(author, command.room, command.seq)? else {
            return Ok(changed(RoomId(command.room)));
        };
        if target.author != author {
            return Err(Stop::Refused(Reason::ForeignMessage));
        }
        self.make_tombstone(author, &target)
    }

    /// The same by a moderator.
    pub(crate) fn take_away_message(
        &mut self,
        author: UserId,
        command: TakeAwayMessage,
    ) -> Result<Answer, Stop> {
        let Some(target) = self.undeleted(author, command.room, command.seq)? else {
            return Ok(changed(RoomId(command.room)));
        };
        if target.author == author {
            return Err(Stop::Refused(Reason::OwnMessage));
        }
        if !self.known_account(author)?.role.may_moderate() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        self.connection
            .prepare_cached("INSERT INTO taken_away (room, seq, user) VALUES (?1, ?2, ?3)")?
            .execute(params![
                to_sql(target.room.0),
                to_sql(target.seq.0),
                to_sql(author.0)
            ])?;
        self.make_tombstone(author, &target)
    }

    /// As `target`; nothing when it is deleted already, and whose it was does not matter any more.
    fn undeleted(&mut self, author: UserId, room: u64, seq: u64) -> Result<Option<Target>, Stop> {
        match self.target(author, room, seq) {
            Err(Stop::Refused(Reason::MessageDeleted)) => Ok(None),
            target => target.map(Some),
        }
    }

    fn make_tombstone(&mut self, by: UserId, target: &Target) -> Result<Answer, Stop> {
        let (room, seq) = (target.room, target.seq);
        self.forget_texts(room, seq)?;
        mentions::forget(self.connection, room, seq)?;
        self.connection
            .prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2")?
            .execute(params![to_sql(room.0), to_sql(seq.0)])?;
        let deleted = DeletedEvent { target: seq.0 };
        let rev = self.emit_room_event(room, by, room_event::Kind::Deleted(deleted))?;
        self.note(
            target,
            rev,
            "edit_seq = NULL, pinned_seq = NULL",
            None,
            None,
        )?;
        Ok(changed(room))
    }

    /// One more of the author's reactions.
    pub(crate) fn add_reaction(
        &mut self,
        author: UserId,
        command: AddReaction,
    ) -> Result<Answer, Stop> {
        require_emoji(&command.emoji)?;
        let target = self.target(author, command.room, command.seq)?;
        let (room, seq) = (target.room, target.seq);
        if self.has_reaction(&target, author, &command.emoji)? {
            return Ok(changed(room));
        }
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM reactions WHERE room = ?1 AND seq = ?2")?
            .query_row(params![to_sql(room.0), to_sql(seq.0)], |row| row.get(0))?;
        if from_sql(count) >= limits::REACTIONS_PER_MESSAGE_MAX {
            return Err(Stop::Refused(Reason::TooManyReactions));
        }
        let emoji = command.emoji.clone();
        let added = ReactionEvent {
            target: seq.0,
            emoji: command.emoji,
        };
        let rev = self.emit_room_event(room, author, room_event::Kind::ReactionAdded(added))?;
        self.connection
            .prepare_cached(
                "INSERT INTO reactions (room, seq, emoji, user, added_seq)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                to_sql(room.0),
                to_sql(seq.0),
                emoji,
                to_sql(author.0),
                to_sql(rev.0)
            ])?;
        self.note(&target, rev, "", None, None)?;
        Ok(changed(room))
    }

    /// Takes one of the author's reactions back.
    pub(crate) fn remove_reaction(
        &mut self,
        author: UserId,
        command: RemoveReaction,
    ) -> Result<Answer, Stop> {
        require_emoji(&command.emoji)?;
        let target = self.target(author, command.room, command.seq)?;
        let (room, seq) = (target.room, target.seq);
        let removed = self
            .connection
            .prepare_cached(
                "DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND emoji = ?3 AND user = ?4",
            )?
            .execute(params![
                to_sql(room.0),
                to_sql(seq.0),
                command.emoji,
                to_sql(author.0)
            ])?;
        if removed == 0 {
            return Ok(changed(room));
        }
        let removed = ReactionEvent {
            target: seq.0,
            emoji: command.emoji,
        };
        let rev = self.emit_room_event(room, author, room_event::Kind::ReactionRemoved(removed))?;
        self.note(&target, rev, "", None, None)?;
        Ok(changed(room))
    }

    /// Puts a message among those that the room keeps in view.
    pub(crate) fn pin_message(
        &mut self,
        author: UserId,
        command: PinMessage,
    ) -> Result<Answer, Stop> {
        let target = self.target(author, command.room, command.seq)?;
        if self.is_pinned(&target)? {
            return Ok(changed(target.room));
        }
        let pins: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM message_states WHERE room = ?1 AND pinned_seq IS NOT NULL",
            )?
            .query_row([to_sql(target.room.0)], |row| row.get(0))?;
        if from_sql(pins) >= limits::PINS_PER_ROOM_MAX {
            return Err(Stop::Refused(Reason::TooManyPins));
        }
        let pinned = PinEvent {
            target: target.seq.0,
        };
        let rev = self.emit_room_event(target.room, author, room_event::Kind::Pinned(pinned))?;
        self.note(&target, rev, "pinned_seq = excluded.rev", None, Some(rev))?;
        Ok(changed(target.room))
    }

    /// Takes it away from there.
    pub(crate) fn unpin_message(
        &mut self,
        author: UserId,
        command: UnpinMessage,
    ) -> Result<Answer, Stop> {
        let target = self.target(author, command.room, command.seq)?;
        if !self.is_pinned(&target)? {
            return Ok(changed(target.room));
        }
        let unpinned = PinEvent {
            target: target.seq.0,
        };
        let rev =
            self.emit_room_event(target.room, author, room_event::Kind::Unpinned(unpinned))?;
        self.note(&target, rev, "pinned_seq = NULL", None, None)?;
        Ok(changed(target.room))
    }

    /// Notes that a message has one answer more.
    pub(crate) fn note_reply(&self, room: RoomId, root: Seq, reply: Seq) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO message_states (room, seq, rev, edit_seq, pinned_seq, replies)
                 VALUES (?1, ?2, ?3, NULL, NULL, 1)
                 ON CONFLICT (room, seq) DO UPDATE SET rev = excluded.rev, replies = replies + 1",
            )?
            .execute(params![to_sql(room.0), to_sql(root.0), to_sql(reply.0)])?;
        Ok(())
    }

    /// The message that a command is about; the author is in its room, which is not archived.
    fn target(&mut self, author: UserId, room: u64, seq: u64) -> Result<Target, Stop> {
        let room = self.existing_room(author, room)?;
        Self::require_for_people(room)?;
        self.require_member(room, author)?;
        self.require_open(room)?;
        let seq = Seq(seq);
        // A bound beyond SQLite's integers is beyond every seq.
        let found = i64::try_from(seq.0).ok();
        let event = match found {
            Some(_) => states::event_at(self.connection, room, seq)?,
            None => None,
        };
        let Some(RoomEvent {
            author,
            kind: Some(room_event::Kind::Message(message)),
            ..
        }) = event
        else {
            return Err(Stop::Refused(Reason::NoSuchMessage));
        };
        let MessageEvent { deleted, .. } = message;
        if deleted {
            return Err(Stop::Refused(Reason::MessageDeleted));
        }
        let author = UserId(author);
        Ok(Target { room, seq, author })
    }

    /// Stores what an event made of its message. `set`: columns beside `rev`, for a row that is
    /// there; `edit` and `pin`: their values in a new one.
    fn note(
        &self,
        target: &Target,
        rev: Seq,
        set: &str,
        edit: Option<Seq>,
        pin: Option<Seq>,
    ) -> rusqlite::Result<()> {
        let comma = if set.is_empty() { "" } else { ", " };
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO message_states (room, seq, rev, edit_seq, pinned_seq, replies)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0)
                 ON CONFLICT (room, seq) DO UPDATE SET rev = excluded.rev{comma}{set}"
            ))?
            .execute(params![
                to_sql(target.room.0),
                to_sql(target.seq.0),
                to_sql(rev.0),
                edit.map(|seq| to_sql(seq.0)),
                pin.map(|seq| to_sql(seq.0))
            ])?;
        Ok(())
    }

    fn has_reaction(&self, target: &Target, user: UserId, emoji: &str) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM reactions WHERE room = ?1 AND seq = ?2 AND emoji = ?3 AND user = ?4",
            )?
            .exists(params![
                to_sql(target.room.0),
                to_sql(target.seq.0),
                emoji,
                to_sql(user.0)
            ])
    }

    fn is_pinned(&self, target: &Target) -> rusqlite::Result<bool> {
        let pinned: Option<Option<i64>> = self
            .connection
            .prepare_cached("SELECT pinned_seq FROM message_states WHERE room = ?1 AND seq = ?2")?
            .query_row(
                params![to_sql(target.room.0), to_sql(target.seq.0)],
                |row| row.get(0),
            )
            .optional()?;
        Ok(pinned.flatten().is_some())
    }

    /// Takes the text from a message and from all its edits.
    fn forget_texts(&self, room: RoomId, seq: Seq) -> Result<(), Fault> {
        let mut rows: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT eid FROM events WHERE room = ?1 AND reply_to = ?2 AND kind = ?3",
            )?
            .query_map(
                params![to_sql(room.0), to_sql(seq.0), kind::EDITED],
                |row| row.get(0),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let message: i64 = self
            .connection
            .prepare_cached("SELECT eid FROM events WHERE room = ?1 AND seq = ?2")?
            .query_row(params![to_sql(room.0), to_sql(seq.0)], |row| row.get(0))?;
        rows.push(message);
        for row in rows {
            self.forget_text(row)?;
        }
        Ok(())
    }

    fn forget_text(&self, eid: i64) -> Result<(), Fault> {
        const COLUMNS: usize = 10;
        const BODY: usize = 8;
        let mut values: Vec<Value> = self
            .connection
            .prepare_cached(
                "SELECT eid, room, seq, kind, author, ts, msg_no, cid, body, reply_to
                 FROM events WHERE eid = ?1",
            )?
            .query_row([eid], |row| {
                (0..COLUMNS).map(|column| row.get(column)).collect()
            })?;
        if let Some(body) = values.get_mut(BODY) {
            *body = Value::Null;
        }
        let crc = checksum::crc_of(values.iter().map(ValueRef::from))?;
        self.connection
            .prepare_cached("UPDATE events SET body = NULL, crc = ?2 WHERE eid = ?1")?
            .execute(params![eid, crc])?;
        Ok(())
    }
}

/// A short text of signs that is no word: which of them are emoji is for the page to say, whose
/// tables are newer than those of a state machine.
fn require_emoji(emoji: &str) -> Result<(), Stop> {
    let is_sign = |c: char| !c.is_ascii_alphabetic() && !c.is_control() && !c.is_whitespace();
    let is_emoji =
        emoji.len() <= limits::EMOJI_BYTES_MAX && emoji.chars().all(is_sign) && !emoji.is_ascii();
    if is_emoji {
        Ok(())
    } else {
        Err(Stop::Refused(Reason::EmojiInvalid))
    }
}
