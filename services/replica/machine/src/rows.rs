//! From rows back to effects: the counterpart of events.rs.

use proto::v1::{
    AddedEvent, ArchivedEvent, CreatedEvent, DeletedEvent, EditedEvent, JoinedEvent, JoinedRoom,
    LeftEvent, MessageEvent, PinEvent, ProfileChanged, ReactionEvent, ReadMarker, RemovedEvent,
    RenamedEvent, RoomEvent, RoomWishes, TopicEvent, UserEvent, room_event, user_event,
};
use rusqlite::Row;

use crate::error::Fault;
use crate::events::{kind, user_kind};
use crate::ids::{EventId, from_sql};
use crate::{checksum, kinds, notices, wishes};

/// What [`room_event()`] reads. The join starts at the events, whose order is the answer's (a LEFT
/// JOIN does, and notices have no author).
pub(crate) const ROOM_EVENT_COLUMNS: &str =
    "SELECT e.eid, e.room, e.seq, e.kind, e.author, e.ts, e.msg_no, e.cid, e.body, e.reply_to,
     e.crc, coalesce((SELECT f.name FROM former_names f WHERE f.user = e.author AND f.until > e.eid
                      ORDER BY f.until LIMIT 1), a.name)
     FROM events e LEFT JOIN accounts a ON a.id = e.author";

/// Columns of an event before its checksum.
const ROOM_EVENT_VALUES: usize = 10;

/// What [`user_event()`] reads.
pub(crate) const USER_EVENT_COLUMNS: &str =
    "SELECT e.eid, e.user, e.useq, e.kind, e.room, e.room_name, e.head, e.members, e.token_hash,
            e.crc, r.kind, r.name_folded
     FROM user_events e LEFT JOIN rooms r ON r.id = e.room";

/// Columns of such an event before its checksum.
const USER_EVENT_VALUES: usize = 9;

/// The event in a row of [`ROOM_EVENT_COLUMNS`].
pub(crate) fn room_event(row: &Row<'_>) -> Result<(EventId, RoomEvent), Fault> {
    checksum::require_intact(row, ROOM_EVENT_VALUES)?;
    let event = EventId::from_sql(row.get(0)?);
    let kind = room_kind(row, event)?;
    let author = from_sql(row.get(4)?);
    let author_name: Option<String> = row.get(11)?;
    if author_name.is_none() != (author == 0) {
        return Err(Fault::Damaged(format!("{event:?} has no author's row")));
    }
    let emitted = RoomEvent {
        room: from_sql(row.get(1)?),
        seq: from_sql(row.get(2)?),
        slot: event.slot().0,
        timestamp_ms: from_sql(row.get(5)?),
        author,
        author_name: author_name.unwrap_or_default(),
        kind: Some(kind),
    };
    Ok((event, emitted))
}

/// What happened, in such a row.
fn room_kind(row: &Row<'_>, event: EventId) -> Result<room_event::Kind, Fault> {
    let body = || row.get::<_, Option<String>>(8);
    let target =
        || -> rusqlite::Result<u64> { Ok(row.get::<_, Option<i64>>(9)?.map_or(0, from_sql)) };
    Ok(match row.get(3)? {
        kind::MESSAGE => {
            let body = body()?;
            room_event::Kind::Message(MessageEvent {
                msg_no: from_sql(row.get(6)?),
                cid: row.get(7)?,
                deleted: body.is_none(),
                body: body.unwrap_or_default(),
                reply_to: target()?,
                ..MessageEvent::default()
            })
        }
        kind::EDITED => room_event::Kind::Edited(EditedEvent {
            target: target()?,
            body: body()?.unwrap_or_default(),
            ..EditedEvent::default()
        }),
        kind::DELETED => room_event::Kind::Deleted(DeletedEvent { target: target()? }),
        number @ (kind::REACTION_ADDED | kind::REACTION_REMOVED) => {
            let reaction = ReactionEvent {
                target: target()?,
                emoji: row.get(8)?,
            };
            if number == kind::REACTION_ADDED {
                room_event::Kind::ReactionAdded(reaction)
            } else {
                room_event::Kind::ReactionRemoved(reaction)
            }
        }
        kind::PINNED => room_event::Kind::Pinned(PinEvent { target: target()? }),
        kind::UNPINNED => room_event::Kind::Unpinned(PinEvent { target: target()? }),
        kind::CREATED => room_event::Kind::Created(CreatedEvent { name: row.get(8)? }),
        kind::JOINED => room_event::Kind::Joined(JoinedEvent {}),
        kind::LEFT => room_event::Kind::Left(LeftEvent {}),
        kind::RENAMED => room_event::Kind::Renamed(RenamedEvent { name: row.get(8)? }),
        kind::TOPIC => room_event::Kind::Topic(TopicEvent { topic: row.get(8)? }),
        kind @ (kind::ARCHIVED | kind::RESTORED) => room_event::Kind::Archived(ArchivedEvent {
            archived: kind == kind::ARCHIVED,
        }),
        kind::ADDED => room_event::Kind::Added(AddedEvent { by: by(row)? }),
        kind::REMOVED => room_event::Kind::Removed(RemovedEvent { by: by(row)? }),
        kind::NOTICE => {
            let notice = notices::from_row(&row.get::<_, String>(8)?);
            let unreadable = || Fault::Damaged(format!("{event:?} is no notice"));
            room_event::Kind::Notice(notice.ok_or_else(unreadable)?)
        }
        other => {
            return Err(Fault::Damaged(format!(
                "{event:?} has the unknown kind {other}"
            )));
        }
    })
}

/// The event in a row of [`USER_EVENT_COLUMNS`].
pub(crate) fn user_event(row: &Row<'_>) -> Result<(EventId, UserEvent), Fault> {
    checksum::require_intact(row, USER_EVENT_VALUES)?;
    let event = EventId::from_sql(row.get(0)?);
    let kind = match row.get(3)? {
        user_kind::JOINED => user_event::Kind::Joined(joined(row)?),
        user_kind::READ => user_event::Kind::Read(ReadMarker {
            room: from_sql(row.get(4)?),
            seq: from_sql(row.get(6)?),
        }),
        user_kind::LEFT => user_event::Kind::Left(from_sql(row.get(4)?)),
        user_kind::SESSION_REVOKED => user_event::Kind::SessionRevoked(row.get(8)?),
        user_kind::SESSIONS_ENDED => user_event::Kind::SessionsEnded(row.get(8)?),
        user_kind::WISHES => {
            let level = wishes::level_of(from_sql(row.get(6)?));
            user_event::Kind::Wishes(RoomWishes {
                room: from_sql(row.get(4)?),
                level: level.into(),
                favourite: row.get::<_, i64>(7)? == 1,
            })
        }
        user_kind::PROFILE_CHANGED => user_event::Kind::ProfileChanged(ProfileChanged {}),
        other => {
            return Err(Fault::Damaged(format!(
                "{event:?} has the unknown kind {other}"
            )));
        }
    };
    let emitted = UserEvent {
        user: from_sql(row.get(1)?),
        useq: from_sql(row.get(2)?),
        slot: event.slot().0,
        kind: Some(kind),
    };
    Ok((event, emitted))
}

/// The number of who did it.
fn by(row: &Row<'_>) -> Result<u64, Fault> {
    let text: String = row.get(8)?;
    text.parse()
        .map_err(|_| Fault::Damaged(format!("{text:?} is nobody's number")))
}

/// What `user_events.room_name` has: the name, and behind a line break, which no name has, the
/// topic, if there is one.
pub(crate) fn described(joined: &JoinedRoom) -> String {
    if joined.topic.is_empty() {
        return joined.name.clone();
    }
    format!("{}\n{}", joined.name, joined.topic)
}

/// The reverse. The kind of a room and the people of a direct one never change, so they are those
/// that the room has; and nobody enters an archived one.
fn joined(row: &Row<'_>) -> Result<JoinedRoom, Fault> {
    let described: String = row.get(5)?;
    let (name, topic) = described.split_once('\n').unwrap_or((&described, ""));
    let (kind, key): (i64, String) = (row.get(10)?, row.get(11)?);
    Ok(JoinedRoom {
        room: from_sql(row.get(4)?),
        name: name.to_owned(),
        head: from_sql(row.get(6)?),
        members: from_sql(row.get(7)?),
        read_seq: from_sql(row.get(6)?),
        kind: kinds::to_wire(kind)?.into(),
        topic: topic.to_owned(),
        people: kinds::people_of(kind, &key)?,
        ..JoinedRoom::default()
    })
}
