//! Read markers, and what is unread.
//!
//! Must hold (claim C5): a marker never moves back; nothing stores a count, so that it cannot be
//! wrong. **What is unread**: messages of others behind the marker that are not deleted.
//! Tests: tests/unread.rs.

use proto::v1::{JoinedRoom, MarkRead, ReadMarker, RoomKind, user_event};
use rusqlite::{Connection, OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::Stop;
use crate::ids::{RoomId, Seq, UserId, from_sql, to_sql};
use crate::limits;
use crate::rooms::changed;

impl Context<'_> {
    /// Moves the author's marker forward.
    pub(crate) fn mark_read(&mut self, author: UserId, command: &MarkRead) -> Result<Answer, Stop> {
        let room = self.existing_room(author, command.room)?;
        Self::require_for_people(room)?;
        self.require_member(room, author)?;
        let head = self.cache.head(self.connection, room)?;
        let seq = command.seq.min(head);
        if seq <= marker(self.connection, author, room)?.0 {
            return Ok(changed(room));
        }
        self.set_marker(author, room, Seq(seq))?;
        let marker = ReadMarker { room: room.0, seq };
        self.emit_user_event(author, user_event::Kind::Read(marker))?;
        Ok(changed(room))
    }

    /// What was said before a person came is not news to that person.
    pub(crate) fn set_marker(&self, user: UserId, room: RoomId, seq: Seq) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO read_markers (user, room, seq) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user, room) DO UPDATE SET seq = excluded.seq",
            )?
            .execute(params![to_sql(user.0), to_sql(room.0), to_sql(seq.0)])?;
        Ok(())
    }

    /// Who is not in the room has no marker.
    pub(crate) fn drop_marker(&self, user: UserId, room: RoomId) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM read_markers WHERE user = ?1 AND room = ?2")?
            .execute(params![to_sql(user.0), to_sql(room.0)])?;
        Ok(())
    }
}

fn marker(connection: &Connection, user: UserId, room: RoomId) -> rusqlite::Result<Seq> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT seq FROM read_markers WHERE user = ?1 AND room = ?2")?
        .query_row(params![to_sql(user.0), to_sql(room.0)], |row| row.get(0))
        .optional()?;
    Ok(Seq(found.map_or(0, from_sql)))
}

/// Adds the person's marker and what is unread to a room that the person is in.
pub(crate) fn add_unread(
    connection: &Connection,
    user: UserId,
    room: &mut JoinedRoom,
) -> rusqlite::Result<()> {
    let read = marker(connection, user, RoomId(room.room))?;
    room.read_seq = read.0;
    if read.0 >= room.head {
        return Ok(());
    }
    // The inner query bounds the work: a marker may lie far behind.
    let bounds = params![
        to_sql(room.room),
        to_sql(read.0),
        to_sql(user.0),
        limits::UNREAD_EVENTS_MAX,
        limits::UNREAD_MAX
    ];
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (
               SELECT 1 FROM (
                 SELECT kind, author, body IS NULL AS deleted
                 FROM events INDEXED BY events_by_room
                 WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?4)
               WHERE kind = 1 AND author <> ?3 AND NOT deleted LIMIT ?5)",
        )?
        .query_row(bounds, |row| row.get(0))?;
    let counted_to = read
        .0
        .saturating_add(limits::UNREAD_EVENTS_MAX.unsigned_abs());
    let mentions: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (
               SELECT DISTINCT m.seq
               FROM mentions m CROSS JOIN events e ON e.room = m.room AND e.seq = m.seq
               WHERE m.user IN (0, ?3) AND m.room = ?1 AND m.seq > ?2 AND e.author <> ?3
               LIMIT ?4)",
        )?
        .query_row(
            params![
                to_sql(room.room),
                to_sql(read.0),
                to_sql(user.0),
                limits::UNREAD_MAX
            ],
            |row| row.get(0),
        )?;
    room.unread = u32::try_from(count).unwrap_or(u32::MAX);
    room.unread_more = count >= limits::UNREAD_MAX || counted_to < room.head;
    room.mentions = u32::try_from(mentions).unwrap_or(u32::MAX);
    if room.kind() == RoomKind::Direct {
        // What is said between few people is meant for each of them.
        room.mentions = room.unread;
    }
    Ok(())
}
