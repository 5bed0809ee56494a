//! Statements that every message runs.
//!
//! `prepare_cached` looks a statement up by its text and puts it back afterwards, which costs about
//! 1,300 instructions, an eighth of what it costs to apply a message with three of them. So
//! these are kept while an entry is applied.

use rusqlite::{CachedStatement, Connection};

/// Those of one entry. Back in the connection's cache when it is dropped.
#[derive(Default)]
pub(crate) struct Hot<'a> {
    /// dedupe.rs: looks for an earlier answer.
    pub(crate) find: Held<'a>,
    /// dedupe.rs: remembers the answer.
    pub(crate) remember: Held<'a>,
    /// events.rs: an event of a room.
    pub(crate) room_event: Held<'a>,
}

/// One statement, once it was used.
#[derive(Default)]
pub(crate) struct Held<'a>(Option<CachedStatement<'a>>);

impl<'a> Held<'a> {
    /// The statement. The text must be the same at every call.
    pub(crate) fn prepared(
        &mut self,
        connection: &'a Connection,
        text: &'static str,
    ) -> rusqlite::Result<&mut CachedStatement<'a>> {
        let statement = match self.0.take() {
            Some(statement) => statement,
            None => connection.prepare_cached(text)?,
        };
        Ok(self.0.insert(statement))
    }
}
