//! Opens state.db: makes it, recognises it, or says why not.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use paxos::config::Configuration;
use paxos::entry::Chain;
use paxos::ids::{Slot, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::error::Fault;
use crate::ids::from_sql;
use crate::{Applied, Error, checksum, damage, limits, migrate, snapshot};

/// Makes the tables.
pub(crate) const SCHEMA: &str = concat!(
    include_str!("schema.sql"),
    include_str!("watched.sql"),
    include_str!("messages.sql"),
    include_str!("people.sql"),
    include_str!("wishes.sql")
);

/// Makes what format 2 lacks.
pub(crate) const WATCHED: &str = include_str!("watched.sql");

/// Makes what formats 3 and 4 lack.
pub(crate) const MESSAGES: &str = include_str!("messages.sql");

/// Makes what format 5 lacks.
pub(crate) const PEOPLE: &str = include_str!("people.sql");

/// Makes what format 6 lacks.
pub(crate) const WISHES: &str = include_str!("wishes.sql");

/// Opens the file for the one writer; makes it when it is missing or empty.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Error> {
    require_sqlite_version()?;
    snapshot::remove_orphans(path)?;
    snapshot::require_not_condemned(path)?;
    let without_wal = damage::slot_without_wal(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(path, flags)?;
    let failed = |source| Error::sqlite("prepare", path, source);
    if is_blank(&connection, path)? {
        // Takes effect on an empty file only, and only before WAL mode.
        connection
            .pragma_update(None, "page_size", limits::SQLITE_PAGE_BYTES)
            .map_err(failed)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        create(&mut connection).map_err(|fault| fault.at("prepare", path))?;
    }
    require_format(&connection, path)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        // Readers beside a writer need it; some network file systems cannot.
        let found = format!("journal mode {mode} instead of wal: not a local file system?");
        return Err(Error::NotOurs {
            path: path.to_path_buf(),
            found,
        });
    }
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(failed)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", limits::CHECKPOINT_PAGES_MAX)
        .map_err(failed)?;
    connection
        .pragma_update(None, "journal_size_limit", limits::WAL_BYTES_KEPT)
        .map_err(failed)?;
    // Negative: KiB instead of pages.
    connection
        .pragma_update(None, "cache_size", -limits::SQLITE_CACHE_KIB)
        .map_err(failed)?;
    connection
        .pragma_update(None, "cell_size_check", true)
        .map_err(failed)?;
    migrate::migrate(&mut connection, path)?;
    damage::at_open(&connection, path, without_wal)?;
    Ok(connection)
}

/// Opens an existing file beside its writer, for [`crate::Flusher`].
pub(crate) fn open_flusher(path: &Path) -> Result<Connection, Error> {
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .and_then(|()| connection.pragma_update(None, "journal_size_limit", limits::WAL_BYTES_KEPT))
        .map_err(|source| Error::sqlite("prepare", path, source))?;
    Ok(connection)
}

/// Opens an existing file for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection
        .pragma_update(None, "cell_size_check", true)
        .map_err(|source| Error::sqlite("prepare", path, source))?;
    Ok(connection)
}

/// A further connection to a file that is ours.
fn open_existing(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    require_sqlite_version()?;
    let connection = open(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    require_format(&connection, path)?;
    Ok(connection)
}

/// How far the log is applied, as this connection sees it now.
pub(crate) fn read_applied(connection: &Connection) -> Result<Applied, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT slot, chain, timestamp, configuration, crc FROM applied WHERE id = 1",
    )?;
    let mut found = statement.query([])?;
    let Some(row) = found.next()? else {
        return Err(Fault::Damaged("`applied` has no row".to_owned()));
    };
    checksum::require_intact(row, 4)?;
    let configuration = match row.get::<_, Option<Vec<u8>>>(3)? {
        None => None,
        Some(bytes) => Some(Configuration::decode(&bytes).ok_or_else(|| {
            Fault::Damaged("the configuration in `applied` cannot be read".to_owned())
        })?),
    };
    Ok(Applied {
        slot: Slot(from_sql(row.get(0)?)),
        chain: Chain(row.get(1)?),
        timestamp: Timestamp(from_sql(row.get(2)?)),
        configuration,
    })
}

/// Stores how far the log is applied; part of the transaction that has the effects.
pub(crate) fn write_applied(connection: &Connection, applied: &Applied) -> Result<(), Fault> {
    let configuration = applied.configuration.as_ref().map(Configuration::encode);
    let row = [
        checksum::number(applied.slot.0),
        ValueRef::Blob(&applied.chain.0),
        checksum::number(applied.timestamp.0),
        configuration
            .as_deref()
            .map_or(ValueRef::Null, ValueRef::Blob),
    ];
    let changed = connection
        .prepare_cached(
            "UPDATE applied SET slot = ?1, chain = ?2, timestamp = ?3, configuration = ?4,
                                crc = ?5
             WHERE id = 1",
        )?
        .execute(params_from_iter(checksum::with_crc(&row)?))?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Fault::Damaged("`applied` has no row".to_owned()))
    }
}

/// Whether a file that SQLite cannot read carries our `application_id`, where the file format has
/// it: bytes 68 to 71, big-endian.
pub(crate) fn has_mark(path: &Path) -> bool {
    let mut header = [0; 72];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let mark = &header[68..];
    read.is_ok() && mark == limits::APPLICATION_ID.to_be_bytes()
}

/// Runs one of SQLite's checks: a pragma that answers `ok` or what it found.
pub(crate) fn check(connection: &Connection, path: &Path, pragma: &str) -> Result<(), Error> {
    let found: String = connection
        .query_row(pragma, [], |row| row.get(0))
        .map_err(|source| Error::sqlite("check", path, source))?;
    if found == "ok" {
        return Ok(());
    }
    let path = path.to_path_buf();
    Err(Error::Damaged { path, found })
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let failed = |source| Error::sqlite("open", path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .busy_timeout(Duration::from_millis(limits::BUSY_TIMEOUT_MS))
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED_MAX);
    Ok(connection)
}

fn require_sqlite_version() -> Result<(), Error> {
    if rusqlite::version_number() < limits::SQLITE_VERSION_MIN {
        return Err(Error::SqliteTooOld {
            found: rusqlite::version(),
        });
    }
    Ok(())
}

/// Whether the file has nothing in it, not even a mark of another program.
pub(crate) fn is_blank(connection: &Connection, path: &Path) -> Result<bool, Error> {
    let failed = |source| Error::sqlite("read", path, source);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    Ok(tables == 0
        && pragma(connection, path, "application_id")? == 0
        && pragma(connection, path, "user_version")? == 0)
}

fn create(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute(
        "INSERT INTO applied (id, slot, chain, timestamp, crc, flushes)
         VALUES (1, 0, zeroblob(32), 0, 0, 0)",
        [],
    )?;
    write_applied(&transaction, &Applied::GENESIS)?;
    transaction.pragma_update(None, "application_id", limits::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", limits::FORMAT_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Whether the file is ours and of this format, or of one that is brought to it when the machine
/// opens the file.
pub(crate) fn require_format(connection: &Connection, path: &Path) -> Result<(), Error> {
    let application_id = pragma(connection, path, "application_id")?;
    if application_id != limits::APPLICATION_ID {
        let found = format!("an SQLite file with application id {application_id:#010x}");
        return Err(Error::NotOurs {
            path: path.to_path_buf(),
            found,
        });
    }
    let found = format(connection, path)?;
    if found > limits::FORMAT_VERSION {
        let known = limits::FORMAT_VERSION;
        return Err(Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            known,
        });
    }
    if found < limits::FORMAT_VERSION_OLDEST {
        return Err(Error::OlderFormat {
            path: path.to_path_buf(),
            found,
            needed: limits::FORMAT_VERSION_OLDEST,
        });
    }
    Ok(())
}

/// The file's format.
pub(crate) fn format(connection: &Connection, path: &Path) -> Result<i32, Error> {
    pragma(connection, path, "user_version")
}

fn pragma(connection: &Connection, path: &Path, name: &str) -> Result<i32, Error> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(|source| Error::sqlite("read", path, source))
}
