//! The index's file, and how it follows the state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paxos::ids::Slot;
use rusqlite::{Connection, OptionalExtension, params};

use super::failed;
use crate::error::Fault;
use crate::events::kind;
use crate::ids::EventId;
use crate::snapshot::{beside, remove_file};
use crate::{Error, limits, schema};

/// `PRAGMA user_version` of search.db. Another one is made anew.
const FORMAT: i32 = 2;

/// The file beside a state.
pub(super) fn path_of(state: &Path) -> PathBuf {
    state.with_file_name("search.db")
}

/// How far the index has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Everything up to here is in it.
    pub indexed: Slot,
    /// The last applied slot of the state, when it was looked at.
    pub applied: Slot,
}

impl Progress {
    /// Whether everything that was applied is in the index.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.indexed >= self.applied
    }
}

/// The one writer of search.db.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    path: PathBuf,
    /// The last event that is in the index, or was looked at for it.
    last: i64,
}

impl Index {
    /// Opens the index beside a state, or begins a new one.
    ///
    /// # Errors
    ///
    /// When the state cannot be read, or no file can be made.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let path = path_of(state);
        match Self::try_open(state, &path) {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Self::begin_anew(state, path),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the search index is made anew");
                Self::begin_anew(state, path)
            }
        }
    }

    /// Removes the index beside a state. The next [`Index::open`] makes a new one.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn discard(state: &Path) -> Result<(), Error> {
        let path = path_of(state);
        ["", "-wal", "-shm"]
            .into_iter()
            .try_for_each(|suffix| remove_file(&beside(&path, suffix)))
    }

    fn begin_anew(state: &Path, path: PathBuf) -> Result<Self, Error> {
        Self::discard(state)?;
        let wrong = |source: rusqlite::Error| failed(source.into(), &path);
        let connection = Connection::open(&path).map_err(wrong)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .and_then(|()| {
                connection.execute_batch(
                    // Without sizes, which only a rank by relevance needs: hits come by age.
                    "CREATE VIRTUAL TABLE texts USING fts5(
                       body, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
                     INSERT INTO texts (texts, rank) VALUES ('secure-delete', 1);
                     CREATE TABLE progress (id INTEGER PRIMARY KEY CHECK (id = 1), eid INTEGER NOT NULL,
                                            slot INTEGER NOT NULL, mark TEXT NOT NULL) STRICT;
                     INSERT INTO progress (id, eid, slot, mark) VALUES (1, 0, 0, '');",
                )
            })
            .and_then(|()| connection.pragma_update(None, "user_version", FORMAT))
            .map_err(wrong)?;
        drop(connection);
        Self::try_open(state, &path)?.ok_or(Error::SearchIndex {
            path,
            found: "a new one cannot be used".to_owned(),
        })
    }

    /// `None`: there is none that can be used.
    fn try_open(state: &Path, path: &Path) -> Result<Option<Self>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        let wrong = |source: rusqlite::Error| failed(source.into(), path);
        let connection = Connection::open(path).map_err(wrong)?;
        let format: i32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(wrong)?;
        if format != FORMAT {
            return Ok(None);
        }
        let prepared = || -> Result<i64, Fault> {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "cache_size", -limits::SEARCH_CACHE_KIB)?;
            connection.pragma_update(
                None,
                "wal_autocheckpoint",
                limits::SEARCH_CHECKPOINT_PAGES,
            )?;
            connection.busy_timeout(Duration::from_millis(limits::BUSY_TIMEOUT_MS))?;
            attach(&connection, state)?;
            let last = "SELECT eid FROM progress WHERE id = 1";
            Ok(connection.query_row(last, [], |row| row.get(0))?)
        };
        let last = prepared().map_err(|fault| failed(fault, path))?;
        let path = path.to_path_buf();
        let index = Self {
            connection,
            path,
            last,
        };
        let found = index.progress();
        let found = found.map_err(|fault| failed(fault, &index.path))?;
        let is_same = index.is_of_this_state();
        let is_same = is_same.map_err(|fault| failed(fault, &index.path))?;
        Ok((is_same && found.indexed <= found.applied).then_some(index))
    }

    /// Whether the last event that was taken in is in the state, too: the directory may have been
    /// used for another cluster.
    fn is_of_this_state(&self) -> Result<bool, Fault> {
        let stored: String =
            self.connection
                .query_row("SELECT mark FROM progress WHERE id = 1", [], |row| {
                    row.get(0)
                })?;
        Ok(stored == mark_of(&self.connection, self.last)?)
    }

    fn progress(&self) -> Result<Progress, Fault> {
        let indexed: i64 =
            self.connection
                .query_row("SELECT slot FROM progress WHERE id = 1", [], |row| {
                    row.get(0)
                })?;
        Ok(Progress {
            indexed: Slot(indexed.unsigned_abs()),
            applied: schema::read_applied(&self.connection)?.slot,
        })
    }

    /// Takes in the next events, at most [`limits::SEARCH_BATCH_EVENTS`] of them, in one
    /// transaction. The state is read beside its writer, which waits for
    /// nothing.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written. The index is opened again then.
    pub fn catch_up(&mut self) -> Result<Progress, Error> {
        self.batch().map_err(|fault| failed(fault, &self.path))
    }

    fn batch(&mut self) -> Result<Progress, Fault> {
        // Deferred: an immediate one would take the lock of the state, too.
        let transaction = self.connection.transaction()?;
        let applied = schema::read_applied(&transaction)?.slot;
        let (mut count, mut last) = (0, self.last);
        {
            let mut statement = transaction.prepare_cached(
                "SELECT eid, kind, room, reply_to, body FROM state.events
                 WHERE eid > ?1 ORDER BY eid LIMIT ?2",
            )?;
            let mut found = statement.query(params![last, limits::SEARCH_BATCH_EVENTS])?;
            while let Some(row) = found.next()? {
                count += 1;
                last = row.get(0)?;
                let body: Option<String> = row.get(4)?;
                match row.get(1)? {
                    kind::MESSAGE => set_text(&transaction, last, body.as_deref(), true)?,
                    kind::EDITED | kind::DELETED => {
                        let (room, of): (i64, i64) = (row.get(2)?, row.get(3)?);
                        if let Some(message) = message_at(&transaction, room, of)? {
                            set_text(&transaction, message, body.as_deref(), false)?;
                        }
                    }
                    _ => {}
                }
            }
        }
        let indexed = if count < limits::SEARCH_BATCH_EVENTS {
            applied
        } else {
            // Others of its slot may follow.
            Slot(EventId::from_sql(last).slot().0.saturating_sub(1))
        };
        transaction
            .prepare_cached("UPDATE progress SET eid = ?1, slot = ?2, mark = ?3 WHERE id = 1")?
            .execute(params![
                last,
                crate::ids::to_sql(indexed.0),
                mark_of(&transaction, last)?
            ])?;
        transaction.commit()?;
        self.last = last;
        Ok(Progress { indexed, applied })
    }
}

/// What an event says for ever, whatever becomes of its text; empty for none.
fn mark_of(connection: &Connection, eid: i64) -> Result<String, Fault> {
    let found = connection
        .prepare_cached("SELECT room, seq, ts, author FROM state.events WHERE eid = ?1")?
        .query_row([eid], |row| {
            let mark: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok(format!("{mark:?}"))
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Gives a connection to search.db the state to read, and only that.
pub(super) fn attach(connection: &Connection, state: &Path) -> Result<(), Fault> {
    let name = state.to_str().ok_or_else(|| {
        Fault::Damaged("the path of the state is no text, and cannot be attached".to_owned())
    })?;
    let escaped = name
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let address = format!("file:{escaped}?mode=ro");
    connection.execute("ATTACH DATABASE ?1 AS state", [address])?;
    Ok(())
}

fn message_at(connection: &Connection, room: i64, seq: i64) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached("SELECT eid FROM state.events WHERE room = ?1 AND seq = ?2")?
        .query_row(params![room, seq], |row| row.get(0))
        .optional()?)
}

/// The text of a message; `None`: none any more, for the message or the edit was deleted since.
fn set_text(
    connection: &Connection,
    message: i64,
    body: Option<&str>,
    is_new: bool,
) -> Result<(), Fault> {
    if !is_new {
        connection
            .prepare_cached("DELETE FROM texts WHERE rowid = ?1")?
            .execute([message])?;
    }
    if let Some(body) = body {
        connection
            .prepare_cached("INSERT INTO texts (rowid, body) VALUES (?1, ?2)")?
            .execute(params![message, body])?;
    }
    Ok(())
}
