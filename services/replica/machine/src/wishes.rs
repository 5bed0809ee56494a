//! What a person wishes of a room: which of its messages are news, and whether it stands above the
//! others.
//!
//! Must hold: it is the person's alone, the same on all devices; whoever leaves the room has no
//! wishes of it. Tests: tests/wishes.rs.

use proto::v1::{JoinedRoom, NotificationLevel, RoomWishes, SetRoomWishes, user_event};
use rusqlite::{Connection, OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::Stop;
use crate::ids::{RoomId, UserId, from_sql, to_sql};
use crate::refusal::Reason;
use crate::rooms::changed;

impl Context<'_> {
    /// Other wishes; the same again changes nothing.
    pub(crate) fn set_room_wishes(
        &mut self,
        author: UserId,
        command: &SetRoomWishes,
    ) -> Result<Answer, Stop> {
        let room = self.existing_room(author, command.room)?;
        let level = NotificationLevel::try_from(command.level);
        let level = level.map_err(|_| Stop::Refused(Reason::LevelUnknown))?;
        // Everybody is in the room of the cluster, without a row in `members`.
        if room != RoomId::CLUSTER {
            self.require_member(room, author)?;
        }
        let wished = (level, command.favourite);
        if wishes(self.connection, author, room)? == wished {
            return Ok(changed(room));
        }
        self.connection
            .prepare_cached(
                "INSERT INTO room_wishes (user, room, level, favourite) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (user, room)
                 DO UPDATE SET level = excluded.level, favourite = excluded.favourite",
            )?
            .execute(params![
                to_sql(author.0),
                to_sql(room.0),
                i64::from(command.level),
                i64::from(command.favourite)
            ])?;
        let wishes = RoomWishes {
            room: room.0,
            level: command.level,
            favourite: command.favourite,
        };
        self.emit_user_event(author, user_event::Kind::Wishes(wishes))?;
        Ok(changed(room))
    }

    /// Who is not in the room wishes nothing of it.
    pub(crate) fn drop_wishes(&self, user: UserId, room: RoomId) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM room_wishes WHERE user = ?1 AND room = ?2")?
            .execute(params![to_sql(user.0), to_sql(room.0)])?;
        Ok(())
    }
}

fn wishes(
    connection: &Connection,
    user: UserId,
    room: RoomId,
) -> rusqlite::Result<(NotificationLevel, bool)> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached("SELECT level, favourite FROM room_wishes WHERE user = ?1 AND room = ?2")?
        .query_row(params![to_sql(user.0), to_sql(room.0)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (level, favourite) = found.unwrap_or_default();
    Ok((level_of(from_sql(level)), favourite == 1))
}

/// The level in a row. Only known ones are stored.
pub(crate) fn level_of(number: u64) -> NotificationLevel {
    let level = i32::try_from(number).ok().map(NotificationLevel::try_from);
    level.and_then(Result::ok).unwrap_or_default()
}

/// Adds them to a room that the person is in.
pub(crate) fn add_wishes(
    connection: &Connection,
    user: UserId,
    room: &mut JoinedRoom,
) -> rusqlite::Result<()> {
    let (level, favourite) = wishes(connection, user, RoomId(room.room))?;
    room.set_level(level);
    room.favourite = favourite;
    Ok(())
}
