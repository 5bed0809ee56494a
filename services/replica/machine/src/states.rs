//! Messages as they are now: what changes.rs keeps, read back.
//!
//! Must hold: what is added to an event of history is what the events up to `rev` make of it, so
//! that whoever sees the later ones gets to the same. Tests: tests/changes.rs.

use proto::v1::{MessageState, Reaction, Reactor, RoomEvent, room_event};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Fault;
use crate::events::kind;
use crate::ids::{RoomId, Seq, from_sql, to_sql};
use crate::{limits, mentions, rows};

/// Which messages of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Related {
    /// What answers this message, with a higher `seq` than the second.
    Replies(Seq, Seq),
    /// This message as it was written, and its edits, with a higher `seq` than the second.
    Versions(Seq, Seq),
    /// What is pinned, the latest pin first.
    Pinned,
}

/// Such messages.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// As in history; versions are as they were written.
    pub events: Vec<RoomEvent>,
    /// Whether there are more.
    pub more: bool,
}

/// The event, as it was written.
pub(crate) fn event_at(
    connection: &Connection,
    room: RoomId,
    seq: Seq,
) -> Result<Option<RoomEvent>, Fault> {
    let query = format!(
        "{} WHERE e.room = ?1 AND e.seq = ?2",
        rows::ROOM_EVENT_COLUMNS
    );
    let mut statement = connection.prepare_cached(&query)?;
    let mut found = statement.query(params![to_sql(room.0), to_sql(seq.0)])?;
    let event = found.next()?.map(rows::room_event).transpose()?;
    Ok(event.map(|(_, event)| event))
}

/// The newest text of a message; `None` when it has none.
pub(crate) fn newest_text(
    connection: &Connection,
    room: RoomId,
    seq: Seq,
) -> Result<Option<String>, Fault> {
    let edit: Option<Option<i64>> = connection
        .prepare_cached("SELECT edit_seq FROM message_states WHERE room = ?1 AND seq = ?2")?
        .query_row(params![to_sql(room.0), to_sql(seq.0)], |row| row.get(0))
        .optional()?;
    let newest = edit.flatten().map_or(seq, |edit| Seq(from_sql(edit)));
    let event = event_at(connection, room, newest)?;
    Ok(match event.and_then(|event| event.kind) {
        Some(room_event::Kind::Message(message)) if !message.deleted => Some(message.body),
        Some(room_event::Kind::Edited(edited)) => Some(edited.body),
        _ => None,
    })
}

/// Adds whom an event mentions now, as the log's own effects have it.
pub(crate) fn add_mentions(connection: &Connection, event: &mut RoomEvent) -> Result<(), Fault> {
    let (room, seq) = (event.room, event.seq);
    match &mut event.kind {
        Some(room_event::Kind::Message(message)) if message.body.contains('@') => {
            message.mentions = mentions::of_message(connection, room, seq)?;
        }
        Some(room_event::Kind::Edited(edited)) if edited.body.contains('@') => {
            let newest: Option<Option<i64>> = connection
                .prepare_cached("SELECT edit_seq FROM message_states WHERE room = ?1 AND seq = ?2")?
                .query_row(params![to_sql(room), to_sql(edited.target)], |row| {
                    row.get(0)
                })
                .optional()?;
            if newest.flatten() == Some(to_sql(seq)) {
                edited.mentions = mentions::of_message(connection, room, edited.target)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Makes of an event what a reader of history gets: a message as it is now.
pub(crate) fn bring_up_to_date(
    connection: &Connection,
    event: &mut RoomEvent,
) -> Result<(), Fault> {
    let (room, seq) = (RoomId(event.room), Seq(event.seq));
    let Some(room_event::Kind::Message(message)) = &mut event.kind else {
        return add_mentions(connection, event);
    };
    let row: Option<(i64, Option<i64>, Option<i64>, i64)> = connection
        .prepare_cached(
            "SELECT rev, edit_seq, pinned_seq, replies FROM message_states
             WHERE room = ?1 AND seq = ?2",
        )?
        .query_row(params![to_sql(room.0), to_sql(seq.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    if let Some((rev, edit, pinned, replies)) = row {
        let mut state = MessageState {
            rev: from_sql(rev),
            pinned_seq: pinned.map_or(0, from_sql),
            replies: from_sql(replies),
            reactions: reactions(connection, room, seq)?,
            ..MessageState::default()
        };
        if let Some(edit) = edit.map(from_sql) {
            let event = event_at(connection, room, Seq(edit))?;
            let Some(RoomEvent {
                timestamp_ms,
                kind: Some(room_event::Kind::Edited(edited)),
                ..
            }) = event
            else {
                return Err(Fault::Damaged(format!("the edit {edit} of {room} is gone")));
            };
            (state.edited_seq, state.edited_ms) = (edit, timestamp_ms);
            message.body = edited.body;
        }
        if message.deleted {
            state.taken_away_by = taken_away_by(connection, room, seq)?;
        }
        message.state = Some(state);
    }
    add_mentions(connection, event)
}

/// The moderator; 0 when its author deleted it.
fn taken_away_by(connection: &Connection, room: RoomId, seq: Seq) -> rusqlite::Result<u64> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT user FROM taken_away WHERE room = ?1 AND seq = ?2")?
        .query_row(params![to_sql(room.0), to_sql(seq.0)], |row| row.get(0))
        .optional()?;
    Ok(found.map_or(0, from_sql))
}

fn reactions(connection: &Connection, room: RoomId, seq: Seq) -> Result<Vec<Reaction>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT r.emoji, r.user, a.name FROM reactions r CROSS JOIN accounts a ON a.id = r.user
         WHERE r.room = ?1 AND r.seq = ?2 ORDER BY r.added_seq",
    )?;
    let mut found = statement.query(params![to_sql(room.0), to_sql(seq.0)])?;
    let mut reactions: Vec<Reaction> = Vec::new();
    while let Some(row) = found.next()? {
        let emoji: String = row.get(0)?;
        let person = Reactor {
            user: from_sql(row.get(1)?),
            name: row.get(2)?,
        };
        match reactions.iter_mut().find(|known| known.emoji == emoji) {
            Some(known) => known.people.push(person),
            None => reactions.push(Reaction {
                emoji,
                people: vec![person],
            }),
        }
    }
    Ok(reactions)
}

/// Reads them; `None` when there is no such message.
pub(crate) fn related(
    connection: &Connection,
    room: RoomId,
    which: Related,
    limit: usize,
) -> Result<Option<Found>, Fault> {
    if let Related::Replies(of, _) | Related::Versions(of, _) = which {
        let message = match i64::try_from(of.0) {
            Ok(_) => event_at(connection, room, of)?,
            Err(_) => None,
        };
        if !matches!(
            message.and_then(|message| message.kind),
            Some(room_event::Kind::Message(_))
        ) {
            return Ok(None);
        }
    }
    let (condition, of, after) = match which {
        Related::Replies(of, after) => (
            "e.reply_to = ?2 AND e.kind = 1 AND e.seq > ?3 ORDER BY e.seq",
            of,
            after,
        ),
        Related::Versions(of, after) => (
            "(e.seq = ?2 OR e.reply_to = ?2 AND e.kind = 70) AND e.seq > ?3 ORDER BY e.seq",
            of,
            after,
        ),
        Related::Pinned => (
            "e.seq IN (SELECT seq FROM message_states
                       WHERE room = ?1 AND pinned_seq IS NOT NULL AND ?2 = ?3)
             ORDER BY (SELECT pinned_seq FROM message_states s
                       WHERE s.room = e.room AND s.seq = e.seq) DESC",
            Seq(0),
            Seq(0),
        ),
    };
    let query = format!(
        "{} WHERE e.room = ?1 AND {condition}",
        rows::ROOM_EVENT_COLUMNS
    );
    let mut statement = connection.prepare_cached(&query)?;
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut found = statement.query(params![to_sql(room.0), to_sql(of.0), after])?;
    let (mut events, mut bytes_count) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        if events.len() >= limit || bytes_count >= limits::PAGE_BYTES_MAX {
            return Ok(Some(Found { events, more: true }));
        }
        let (_, mut event) = rows::room_event(row)?;
        if !matches!(which, Related::Versions(..)) {
            bring_up_to_date(connection, &mut event)?;
        }
        bytes_count += prost::Message::encoded_len(&event);
        events.push(event);
    }
    Ok(Some(Found {
        events,
        more: false,
    }))
}

const _: () = assert!(
    kind::MESSAGE == 1 && kind::EDITED == 70,
    "as the queries above have it"
);
