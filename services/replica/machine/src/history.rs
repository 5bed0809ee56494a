//! A page of a room's events.
//!
//! Must hold (claim C3): what is answered has no hole and nothing that was not written so; when
//! the file says otherwise it is damaged, and that is the answer. Tests: tests/properties.rs,
//! tests/damage.rs.

use prost::Message as _;
use proto::v1::RoomEvent;
use rusqlite::{Connection, OptionalExtension, params};

use crate::directory::role_of;
use crate::error::Fault;
use crate::ids::{RoomId, Seq, from_sql, to_sql};
use crate::query::{Asker, Denied};
use crate::roles::Role;
use crate::{kinds, limits, rows, states};

/// Which page of a room's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryRange {
    /// The newest ones.
    Newest,
    /// The newest ones below this `seq`.
    Before(Seq),
    /// The oldest ones above this `seq`.
    After(Seq),
}

/// A page of a room's events.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    /// Ascending by `seq`, without a hole. Fewer than asked for when there are no more, or when
    /// [`limits::PAGE_BYTES_MAX`] is reached: `head`, or `seq` 1, tells whether there are more.
    pub events: Vec<RoomEvent>,
    /// The highest `seq` of the room.
    pub head: Seq,
}

/// The highest `seq` of the room, if there is such a room.
pub(crate) fn head(connection: &Connection, room: RoomId) -> rusqlite::Result<Option<Seq>> {
    connection
        .prepare_cached("SELECT head FROM rooms WHERE id = ?1")?
        .query_row([to_sql(room.0)], |row| Ok(Seq(from_sql(row.get(0)?))))
        .optional()
}

/// The room's head, if the asker may read the room.
pub(crate) fn readable_head(
    connection: &Connection,
    asker: Asker,
    room: RoomId,
) -> Result<Result<Seq, Denied>, Fault> {
    let head = head(connection, room)?;
    if room == RoomId::CLUSTER {
        // Everybody may, also before its first line.
        return Ok(Ok(head.unwrap_or_default()));
    }
    let Some(head) = head else {
        return Ok(Err(Denied::NoSuchRoom));
    };
    if let Asker::User(user) = asker {
        let is_member = connection
            .prepare_cached("SELECT 1 FROM members WHERE room = ?1 AND user = ?2")?
            .exists(params![to_sql(room.0), to_sql(user.0)])?;
        if !is_member {
            // What the asker could not join does not exist for it.
            let is_public = connection
                .prepare_cached("SELECT 1 FROM rooms WHERE id = ?1 AND kind = ?2")?
                .exists(params![to_sql(room.0), kinds::PUBLIC])?;
            let sees_it = is_public && role_of(connection, user)?.is_some_and(Role::is_insider);
            return Ok(Err(if sees_it {
                Denied::NotMember
            } else {
                Denied::NoSuchRoom
            }));
        }
    }
    Ok(Ok(head))
}

/// Reads a page of at most `limit` events.
pub(crate) fn page(
    connection: &Connection,
    room: RoomId,
    head: Seq,
    range: HistoryRange,
    limit: usize,
) -> Result<History, Fault> {
    let (condition, order, bound, is_descending) = match range {
        HistoryRange::Newest => ("<=", "DESC", Seq(u64::MAX), true),
        HistoryRange::Before(seq) => ("<", "DESC", seq, true),
        HistoryRange::After(seq) => (">", "ASC", seq, false),
    };
    let query = format!(
        "{} WHERE e.room = ?1 AND e.seq {condition} ?2 ORDER BY e.seq {order} LIMIT ?3",
        rows::ROOM_EVENT_COLUMNS
    );
    // A bound beyond SQLite's integers is beyond every seq.
    let bound = i64::try_from(bound.0).unwrap_or(i64::MAX);
    let limit = limit.min(limits::HISTORY_EVENTS_MAX) as i64;
    let mut statement = connection.prepare_cached(&query)?;
    let mut found = statement.query(params![to_sql(room.0), bound, limit])?;
    let mut events = Vec::new();
    let mut bytes_count = 0;
    while let Some(row) = found.next()? {
        let (_, mut event) = rows::room_event(row)?;
        states::bring_up_to_date(connection, &mut event)?;
        bytes_count += event.encoded_len();
        events.push(event);
        // Ends at the far side of the page, so what is there has no hole.
        if bytes_count >= limits::PAGE_BYTES_MAX {
            break;
        }
    }
    if is_descending {
        events.reverse();
    }
    if limit > 0 {
        require_whole(&events, range, head)?;
    }
    Ok(History { events, head })
}

/// The page begins, or ends, where it was asked to, and has no hole.
fn require_whole(events: &[RoomEvent], range: HistoryRange, head: Seq) -> Result<(), Fault> {
    let seq_of = |event: Option<&RoomEvent>| event.map(|event| event.seq);
    let (found, expected) = match range {
        HistoryRange::Newest => (seq_of(events.last()), Some(head.0)),
        HistoryRange::Before(seq) => {
            let newest = seq.0.saturating_sub(1).min(head.0);
            (seq_of(events.last()), Some(newest))
        }
        HistoryRange::After(seq) => {
            let oldest = (seq < head).then(|| seq.0 + 1);
            (seq_of(events.first()), oldest)
        }
    };
    // There is no event 0.
    let expected = expected.filter(|seq| *seq > 0);
    let has_hole = events
        .iter()
        .zip(events.iter().skip(1))
        .any(|(event, next)| next.seq != event.seq + 1);
    if found == expected && !has_hole {
        return Ok(());
    }
    Err(Fault::Damaged(format!(
        "events are missing or too many: {expected:?} is asked for, {found:?} is found, up to \
         {head:?}"
    )))
}
