//! Rows of the log: how an entry is written and what is checked when it is read.
//!
//! Must hold: no row leaves this module whose checksum is wrong. The checksum covers the slot,
//! so a row that turns up in another's place is found as well.

use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, params};

use crate::error::Error;

const WRITE: &str = "INSERT OR REPLACE INTO log (slot, epoch, round, node, kind, timestamp, \
                     payload, chain, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const READ: &str = "SELECT slot, epoch, round, node, kind, timestamp, payload, chain, crc \
                    FROM log WHERE slot >= ?1 AND slot <= ?2 ORDER BY slot";

/// The statement that [`write`] takes: fetched once per request, not once per row.
pub(crate) fn prepare_write(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(WRITE)
}

/// Writes a row, replacing what its slot held.
pub(crate) fn write(statement: &mut CachedStatement<'_>, entry: &Entry) -> rusqlite::Result<()> {
    statement.execute(params![
        entry.slot.0.cast_signed(),
        entry.ballot.epoch.0.cast_signed(),
        entry.ballot.round.0.cast_signed(),
        entry.ballot.node.0.cast_signed(),
        entry.kind as u8,
        entry.timestamp.0.cast_signed(),
        entry.payload.as_ref(),
        entry.chain.0,
        entry.crc,
    ])?;
    Ok(())
}

/// The highest slot that holds a row.
pub(crate) fn last(connection: &Connection, path: &Path) -> Result<Slot, Error> {
    connection
        .query_row("SELECT max(slot) FROM log", [], |row| {
            row.get::<_, Option<i64>>(0)
        })
        .map(|last| last.map_or(Slot::GENESIS, |last| Slot(last.cast_unsigned())))
        .map_err(|source| Error::sqlite("read rows of", path, source))
}

/// How many rows there are above a slot.
pub(crate) fn count_above(connection: &Connection, path: &Path, slot: Slot) -> Result<u64, Error> {
    connection
        .query_row(
            "SELECT count(*) FROM log WHERE slot > ?1",
            [slot.0.cast_signed()],
            |row| row.get::<_, i64>(0),
        )
        .map(i64::cast_unsigned)
        .map_err(|source| Error::sqlite("count rows of", path, source))
}

/// The lowest slot that holds a row, counted or not.
pub(crate) fn first(connection: &Connection, path: &Path) -> Result<Option<Slot>, Error> {
    connection
        .query_row("SELECT min(slot) FROM log", [], |row| {
            row.get::<_, Option<i64>>(0)
        })
        .map(|first| first.map(|first| Slot(first.cast_unsigned())))
        .map_err(|source| Error::sqlite("read rows of", path, source))
}

/// A row as it was found: whole, or why not.
pub(crate) type Found = Result<Entry, String>;

/// Where rows are read, and what their damage means.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The open log.
    pub(crate) connection: &'a Connection,
    /// log.db, for messages.
    pub(crate) path: &'a Path,
    /// The commit index, as far as known.
    pub(crate) decided: Slot,
}

impl Reader<'_> {
    /// The rows from `from` to `upto` that exist, in slot order, until they weigh `bytes_max`;
    /// at least one.
    pub(crate) fn range(
        &self,
        from: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes: usize = 0;
        self.scan(from, upto, |slot, found| {
            let entry = found.map_err(|why| Error::Damaged {
                path: self.path.to_path_buf(),
                slot,
                decided: slot <= self.decided,
                why,
            })?;
            bytes = bytes.saturating_add(entry.weight_bytes());
            if bytes > bytes_max && !entries.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            entries.push(entry);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(entries)
    }

    /// Shows the rows from `from` to `upto` that exist, in slot order, each checked by itself.
    pub(crate) fn scan(
        &self,
        from: Slot,
        upto: Slot,
        mut visit: impl FnMut(Slot, Found) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let failed = |source| Error::sqlite("read rows of", self.path, source);
        let mut statement = self.connection.prepare_cached(READ).map_err(failed)?;
        let mut rows = statement
            .query([
                from.0.cast_signed(),
                upto.0.min(i64::MAX.cast_unsigned()).cast_signed(),
            ])
            .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let slot = row.get::<_, i64>(0).map_err(failed)?;
            let slot = Slot(slot.cast_unsigned());
            if visit(slot, decode(slot, row))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Puts a row together and checks it by itself.
fn decode(slot: Slot, row: &Row<'_>) -> Found {
    let entry = columns(slot, row)
        .map_err(|error| error.to_string())?
        .ok_or("its kind is unknown")?;
    if entry.is_intact() {
        Ok(entry)
    } else {
        Err("its checksum is wrong".to_owned())
    }
}

/// Puts the columns together; `None` when the kind is unknown.
fn columns(slot: Slot, row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let Some(kind) = EntryKind::from_u8(row.get(4)?) else {
        return Ok(None);
    };
    Ok(Some(Entry {
        slot,
        ballot: Ballot {
            epoch: Epoch(number(1)?),
            round: Round(number(2)?),
            node: NodeId(number(3)?),
        },
        kind,
        timestamp: Timestamp(number(5)?),
        payload: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        chain: Chain(row.get(7)?),
        crc: row.get(8)?,
    }))
}
