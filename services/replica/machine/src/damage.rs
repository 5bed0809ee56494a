//! What is looked at when state.db is opened, and by a full check, and what is not.
//!
//! **At open**, in some milliseconds whatever the size of the file ([`at_open`]):
//!
//! - the file is as long as it says, its first page is readable (SQLite);
//! - its WAL is not older than the file itself. SQLite takes a WAL up to the first frame that is
//!   not valid. That is right for a torn tail, but a bit that flips in a frame which was moved
//!   into the file already would mix the file's new pages with the WAL's old ones. Then the file
//!   by itself stands at a later slot than file and WAL together;
//! - the tables are those of this program, word for word;
//! - the `applied` row has the right checksum, and its configuration can be read;
//! - both ends of each table can be read, and no event lies above the applied slot;
//! - the small tables are whole (`PRAGMA quick_check`).
//!
//! **Beside the work**, some rows at a time ([`next_rows`]): each event's checksum, that the index
//! of its table finds it, and that the answer to its command names it.
//!
//! **When read**: each event's checksum, in history and replay, and that a page of history has
//! no hole. **When applied**: whatever contradicts what comes next.
//!
//! **By [`full`]**, which reads everything, and so does whoever makes a snapshot: the structure of
//! every B-tree, every index against its table, and every event's checksum.
//!
//! **Not noticed**: a changed value in a row of the other tables, as long as the row can be read
//! (the name of an account, say); and a bit that flips in the WAL in a part that an *incomplete*
//! checkpoint had moved (a reader was in the way, or the process was killed) and the process is
//! killed before the next one, unless the mixture is not whole. (Log.db is stricter about its WAL,
//! because it syncs each commit: here a bad frame before good ones is what a loss of power leaves.)
//! `chatterctl verify` finds both: it compares the hashes of all replicas' states at the same slot. Tests: tests/damage.rs.

use std::path::Path;

use paxos::ids::Slot;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use crate::error::Fault;
use crate::ids::EventId;
use crate::tables::TABLES;
use crate::{Error, checksum, schema, snapshot};

/// Tables that hold little, whatever the number of messages.
const SMALL_TABLES: [&str; 5] = ["applied", "nodes", "rooms", "watched", "settings"];

/// Those whose keys are event ids and whose rows end with a checksum.
const EVENT_TABLES: [&str; 2] = ["events", "user_events"];

/// The slot at which the file stands without its WAL, if it has one and can be read without it.
/// Must be asked before SQLite opens the file, which takes the WAL in.
pub(crate) fn slot_without_wal(path: &Path) -> Option<Slot> {
    let wal = snapshot::beside(path, "-wal");
    if !wal.exists() {
        return None;
    }
    // An immutable file is read without lock, WAL and journal.
    let name = path.to_str()?;
    let escaped = name
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let alone = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).ok()?;
    // A checkpoint may have been interrupted: what cannot be read now, the WAL has whole.
    let applied = schema::read_applied(&alone).ok()?;
    Some(applied.slot)
}

/// The checks of every start.
pub(crate) fn at_open(
    connection: &Connection,
    path: &Path,
    without_wal: Option<Slot>,
) -> Result<(), Error> {
    let check = || -> Result<(), Fault> {
        require_schema(connection)?;
        let applied = schema::read_applied(connection)?.slot;
        if let Some(slot) = without_wal
            && slot > applied
        {
            return Err(Fault::Damaged(format!(
                "its WAL ends at slot {applied}, but the file had taken in slot {slot} already"
            )));
        }
        require_edges(connection, applied)
    };
    check().map_err(|fault| fault.at("check", path))?;
    for table in SMALL_TABLES {
        schema::check(connection, path, &format!("PRAGMA quick_check({table})"))?;
    }
    Ok(())
}

/// Where a check beside the work goes on.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CheckFrom {
    /// Which of [`EVENT_TABLES`].
    table: usize,
    /// The last key that was looked at.
    after: i64,
}

/// Checks at most `rows` further events, and says where to go on: from the beginning, after the
/// last one.
pub(crate) fn next_rows(
    connection: &Connection,
    from: CheckFrom,
    rows: u32,
) -> Result<CheckFrom, Fault> {
    let name = EVENT_TABLES.get(from.table).copied().unwrap_or_default();
    let Some(table) = TABLES.iter().find(|table| table.name == name) else {
        return Ok(CheckFrom::default());
    };
    let mut statement = connection.prepare_cached(&table.rows_after())?;
    let values = statement.column_count() - 1;
    let mut found = statement.query(params![from.after, rows])?;
    let (mut seen, mut after) = (0, from.after);
    while let Some(row) = found.next()? {
        checksum::require_intact(row, values)?;
        after = row.get("eid")?;
        require_found(connection, name, after, row)?;
        seen += 1;
    }
    Ok(match seen < rows {
        false => CheckFrom { after, ..from },
        true if from.table + 1 < EVENT_TABLES.len() => CheckFrom {
            table: from.table + 1,
            after: 0,
        },
        true => CheckFrom::default(),
    })
}

/// Whoever looks for the event finds this row.
fn require_found(
    connection: &Connection,
    table: &str,
    eid: i64,
    row: &Row<'_>,
) -> Result<(), Fault> {
    let missing = |what| Fault::Damaged(format!("{what} does not lead to the event {eid}"));
    let (index, owner, number) = match table {
        "events" => ("events_by_room", "room", "seq"),
        _ => ("user_events_by_user", "user", "useq"),
    };
    let query =
        format!("SELECT eid FROM {table} INDEXED BY {index} WHERE {owner} = ?1 AND {number} = ?2");
    let place: (i64, i64) = (row.get(owner)?, row.get(number)?);
    let listed: Option<i64> = connection
        .prepare_cached(&query)?
        .query_row(place, |found| found.get(0))
        .optional()?;
    if listed != Some(eid) {
        return Err(missing(index));
    }
    if table == "events" && row.get_ref("msg_no")? != ValueRef::Null {
        let key: (Vec<u8>, i64) = (row.get("cid")?, row.get("author")?);
        let answered: Option<i64> = connection
            .prepare_cached("SELECT place FROM dedupe WHERE cid = ?1 AND author = ?2")?
            .query_row(key, |found| found.get(0))
            .optional()?;
        if answered != Some(eid) {
            return Err(missing("the answer to its command"));
        }
    }
    Ok(())
}

/// Reads everything: about 1.5 s per million messages.
pub(crate) fn full(connection: &Connection, path: &Path) -> Result<(), Error> {
    schema::check(connection, path, "PRAGMA integrity_check(1)")?;
    require_events_intact(connection).map_err(|fault| fault.at("check", path))
}

/// The tables of events are as they were written, row by row.
fn require_events_intact(connection: &Connection) -> Result<(), Fault> {
    for table in TABLES {
        if !EVENT_TABLES.contains(&table.name) {
            continue;
        }
        let mut statement = connection.prepare(&table.rows())?;
        // The last one is the checksum.
        let values = statement.column_count() - 1;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            checksum::require_intact(row, values)?;
        }
    }
    Ok(())
}

/// The statements that made the file's tables are this program's.
fn require_schema(connection: &Connection) -> Result<(), Fault> {
    let statements = |connection: &Connection| -> rusqlite::Result<Vec<(String, Option<String>)>> {
        connection
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let own = Connection::open_in_memory()?;
    own.execute_batch(schema::SCHEMA)?;
    if statements(connection)? == statements(&own)? {
        return Ok(());
    }
    Err(Fault::Damaged(
        "its tables are not those of this format".to_owned(),
    ))
}

/// Both ends of each table can be read, and events lie within the applied slots.
fn require_edges(connection: &Connection, applied: Slot) -> Result<(), Fault> {
    for table in TABLES {
        for query in table.edges() {
            let mut statement = connection.prepare_cached(&query)?;
            let columns = statement.column_count();
            let mut found = statement.query([])?;
            let Some(row) = found.next()? else { continue };
            for column in 0..columns {
                checksum::feed(row.get_ref(column)?, |_| ())?;
            }
        }
    }
    for table in EVENT_TABLES {
        let highest: Option<i64> = connection
            .prepare_cached(&format!("SELECT max(eid) FROM {table}"))?
            .query_row([], |row| row.get(0))?;
        let highest = highest.map_or(Slot::GENESIS, |eid| EventId::from_sql(eid).slot());
        if highest > applied {
            return Err(Fault::Damaged(format!(
                "{table} has an event of slot {highest}, but only {applied} is applied"
            )));
        }
    }
    Ok(())
}
