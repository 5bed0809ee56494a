//! The memory of every answer: `(author, cid)` takes effect once, for ever (claim C2).
//!
//! **The first answer stands, a refusal too.** A refusal such as `not_member` could be a
//! different answer later. But copies of a command may be in flight after its answer: a gateway
//! that timed out sends it again, a new leader re-proposes it. If the person was told "refused,
//! join the room first", joins, and then such a copy took effect, a message would appear that
//! was declared dead, perhaps beside the one that was written anew. So a refused cid is refused
//! for ever, which makes it safe to say the same thing again under a new cid, and that is what
//! a client does after a refusal; the same cid is for the case that no answer came.
//!
//! Not so a refusal for the order in which a command came (senders.rs): its copies are refused for
//! the same reason as long as the order is wrong, and may take effect when it is right.
//!
//! The cid alone counts, not what the command says: a cid that is used for something else
//! answers what it did first.
//!
//! The rows are kept for ever. One of a message has about 32 bytes.

use paxos::ids::Slot;
use proto::v1::{
    AccountCreated, Done, InvitationCreated, MessagePosted, RoomChanged, SenderSessionOpened,
    outcome, room_event,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::apply::Answer;
use crate::error::Fault;
use crate::hot::Hot;
use crate::ids::{EventId, UserId, from_sql, to_sql};
use crate::refusal::Reason;
use crate::rows;

/// Values of `dedupe.kind`.
mod kind {
    pub(super) const MESSAGE_POSTED: i64 = 1;
    pub(super) const ACCOUNT_CREATED: i64 = 2;
    pub(super) const DONE: i64 = 3;
    pub(super) const ROOM_CHANGED: i64 = 4;
    pub(super) const REFUSAL: i64 = 5;
    pub(super) const SENDER_SESSION_OPENED: i64 = 6;
    pub(super) const INVITATION_CREATED: i64 = 40;
}

/// What a command did when it was first applied.
#[derive(Debug)]
pub(crate) struct FirstAnswer {
    pub(crate) slot: Slot,
    pub(crate) result: outcome::Result,
}

/// The first answer to this command, if it was applied before.
pub(crate) fn find<'a>(
    connection: &'a Connection,
    hot: &mut Hot<'a>,
    cid: &[u8],
    author: UserId,
) -> Result<Option<FirstAnswer>, Fault> {
    let row: Option<(i64, i64, Option<i64>)> = hot
        .find
        .prepared(
            connection,
            "SELECT kind, place, number FROM dedupe WHERE cid = ?1 AND author = ?2",
        )?
        .query_row(params![cid, to_sql(author.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((kind, place, number)) = row else {
        return Ok(None);
    };
    let number = number.map(from_sql);
    let result = match (kind, number) {
        (kind::MESSAGE_POSTED, None) => {
            let event = EventId::from_sql(place);
            let posted = outcome::Result::MessagePosted(message_posted(connection, event)?);
            return Ok(Some(FirstAnswer {
                slot: event.slot(),
                result: posted,
            }));
        }
        (kind::ACCOUNT_CREATED, Some(user)) => {
            let name = account_name(connection, UserId(user))?;
            outcome::Result::AccountCreated(AccountCreated { user, name })
        }
        (kind::DONE, None) => outcome::Result::Done(Done {}),
        (kind::ROOM_CHANGED, Some(room)) => outcome::Result::RoomChanged(RoomChanged { room }),
        (kind::SENDER_SESSION_OPENED, Some(session)) => {
            outcome::Result::SenderSessionOpened(SenderSessionOpened { session })
        }
        (kind::INVITATION_CREATED, Some(invitation)) => {
            outcome::Result::InvitationCreated(InvitationCreated { invitation })
        }
        (kind::REFUSAL, Some(number)) => {
            let reason = Reason::from_number(number)
                .filter(|reason| !reason.is_of_order())
                .ok_or_else(|| Fault::Damaged(format!("unknown reason {number} of a refusal")))?;
            outcome::Result::Refusal(reason.to_refusal())
        }
        other => {
            return Err(Fault::Damaged(format!(
                "unknown answer {other:?} in dedupe"
            )));
        }
    };
    Ok(Some(FirstAnswer {
        slot: Slot(from_sql(place)),
        result,
    }))
}

/// Remembers what the command did.
pub(crate) fn remember<'a>(
    connection: &'a Connection,
    hot: &mut Hot<'a>,
    cid: &[u8],
    author: UserId,
    slot: Slot,
    answer: &Answer,
) -> Result<(), Fault> {
    let at_slot = to_sql(slot.0);
    let (kind, place, number) = match (&answer.result, answer.event) {
        (outcome::Result::MessagePosted(_), Some(event)) => {
            assert_eq!(
                event.slot(),
                slot,
                "a message's event is of the slot that is applied"
            );
            (kind::MESSAGE_POSTED, event.to_sql(), None)
        }
        (outcome::Result::AccountCreated(created), None) => {
            (kind::ACCOUNT_CREATED, at_slot, Some(created.user))
        }
        (outcome::Result::Done(_), None) => (kind::DONE, at_slot, None),
        (outcome::Result::RoomChanged(changed), None) => {
            (kind::ROOM_CHANGED, at_slot, Some(changed.room))
        }
        (outcome::Result::SenderSessionOpened(opened), None) => {
            (kind::SENDER_SESSION_OPENED, at_slot, Some(opened.session))
        }
        (outcome::Result::InvitationCreated(created), None) => {
            (kind::INVITATION_CREATED, at_slot, Some(created.invitation))
        }
        other => unreachable!("no command answers {other:?}"),
    };
    insert(connection, hot, cid, author, (kind, place, number))
}

/// Remembers that the command was refused.
pub(crate) fn remember_refusal<'a>(
    connection: &'a Connection,
    hot: &mut Hot<'a>,
    cid: &[u8],
    author: UserId,
    slot: Slot,
    reason: Reason,
) -> Result<(), Fault> {
    assert!(
        !reason.is_of_order(),
        "what came out of order can come again"
    );
    insert(
        connection,
        hot,
        cid,
        author,
        (kind::REFUSAL, to_sql(slot.0), Some(reason.number())),
    )
}

fn insert<'a>(
    connection: &'a Connection,
    hot: &mut Hot<'a>,
    cid: &[u8],
    author: UserId,
    (kind, place, number): (i64, i64, Option<u64>),
) -> Result<(), Fault> {
    hot.remember
        .prepared(
            connection,
            "INSERT INTO dedupe (cid, author, kind, place, number) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            cid,
            to_sql(author.0),
            kind,
            place,
            number.map(to_sql)
        ])?;
    Ok(())
}

fn message_posted(connection: &Connection, event: EventId) -> Result<MessagePosted, Fault> {
    let query = format!("{} WHERE e.eid = ?1", rows::ROOM_EVENT_COLUMNS);
    let mut statement = connection.prepare_cached(&query)?;
    let mut found = statement.query([event.to_sql()])?;
    let row = found.next()?.map(rows::room_event).transpose()?;
    let Some((_, posted)) = row else {
        return Err(Fault::Damaged(format!(
            "{event:?} was answered but is gone"
        )));
    };
    let Some(room_event::Kind::Message(message)) = posted.kind else {
        return Err(Fault::Damaged(format!("{event:?} is no message")));
    };
    Ok(MessagePosted {
        room: posted.room,
        seq: posted.seq,
        msg_no: message.msg_no,
        timestamp_ms: posted.timestamp_ms,
    })
}

/// What it was called when it was made.
fn account_name(connection: &Connection, user: UserId) -> rusqlite::Result<String> {
    connection
        .prepare_cached(
            "SELECT coalesce((SELECT name FROM former_names WHERE user = ?1 ORDER BY until LIMIT 1),
                             name)
             FROM accounts WHERE id = ?1",
        )?
        .query_row([to_sql(user.0)], |row| row.get(0))
}
