//! Older formats to this one, a step at a time.
//!
//! In: an open file of an older format, its WAL applied. Out: this format, in one transaction, so
//! that a crash leaves one or the other. Must hold: it is the state that this program makes of the
//! same log. Tests: tests/migration.rs.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::Fault;
use crate::ids::{EventId, RoomId, Seq, UserId, from_sql};
use crate::{Error, limits, mentions, schema};

/// Brings an older file forward; nothing is done to one of this program's format.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let found = schema::format(connection, path)?;
    if found == limits::FORMAT_VERSION {
        return Ok(());
    }
    let mut rewrite = || -> Result<(), Fault> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if found <= 2 {
            watched(&transaction)?;
        }
        if found <= 4 {
            messages(&transaction)?;
        }
        if found <= 5 {
            people(&transaction)?;
        }
        if found <= 6 {
            wishes(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", limits::FORMAT_VERSION)?;
        transaction.commit()?;
        Ok(())
    };
    rewrite().map_err(|fault| fault.at("bring forward", path))?;
    let to = limits::FORMAT_VERSION;
    tracing::info!(path = %path.display(), from = found, to, "format of the state changed");
    Ok(())
}

/// Format 2 to 3. No log up to there has a notice, and without one the room of the cluster does
/// not exist and nobody is watched (notices.rs).
fn watched(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(schema::WATCHED)?;
    Ok(())
}

/// To format 5. No log up to there changes a message or moves a marker: what there is to know is
/// who answers what, who is mentioned, and that people begin to read where they came in.
fn messages(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(schema::MESSAGES)?;
    connection.execute_batch(
        "INSERT INTO message_states (room, seq, rev, edit_seq, pinned_seq, replies)
           SELECT room, reply_to, max(seq), NULL, NULL, count(*) FROM events
           WHERE kind = 1 AND reply_to IS NOT NULL GROUP BY room, reply_to;
         INSERT INTO read_markers (user, room, seq) SELECT user, room, joined_seq FROM members;",
    )?;
    let mut statement = connection.prepare(
        "SELECT eid, room, seq, author, body FROM events WHERE kind = 1 AND instr(body, '@') > 0",
    )?;
    let mut found = statement.query(params![])?;
    while let Some(row) = found.next()? {
        let event = EventId::from_sql(row.get(0)?);
        let room = RoomId(from_sql(row.get(1)?));
        let seq = Seq(from_sql(row.get(2)?));
        let author = UserId(from_sql(row.get(3)?));
        let body: String = row.get(4)?;
        let mentioned = mentions::of_text(connection, &body, author, event)?;
        mentions::store(connection, room, seq, &mentioned)?;
    }
    Ok(())
}

/// To format 6. No log up to there has a password, a role that was given, a setting, an invitation
/// or a new name of a person.
fn people(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(schema::PEOPLE)?;
    Ok(())
}

/// To format 7. No log up to there has a wish about a room, or a message that a moderator took away.
fn wishes(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(schema::WISHES)?;
    Ok(())
}

const _: () = assert!(
    limits::FORMAT_VERSION_OLDEST == 2 && limits::FORMAT_VERSION == 7,
    "the steps between them are written here"
);
