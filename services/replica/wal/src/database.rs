//! The file log.db: making it, recognising it, opening it with the settings of section 2.9.
//!
//! Must hold: log.db appears whole or not at all; nothing is changed before the file is known
//! to be ours, of a known format, and free of damage that opening would hide.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use paxos::ids::DiskSeq;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use crate::error::Error;
use crate::identity::{self, Meta};
use crate::limits::{APPLICATION_ID, FORMAT_VERSION, SQLITE_VERSION_MIN};
use crate::migrate;
use crate::preflight;
use crate::progress::{self, Progress};

/// Name of the log in the data directory.
pub(crate) const FILE: &str = "log.db";

/// The tables, and why they are as they are.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// A page. A commit writes every page it touches once: at one row per commit small pages write
/// less, and in large groups the difference is lost in the fsync.
pub(crate) const PAGE_BYTES: i64 = 4096;

/// The page cache, in KiB (SQLite's negative form). The log is written at its end and read
/// back rarely: enough for the upper levels of the tree and the pages of some transactions.
const CACHE_KIB: i64 = -8192;

/// Prepared statements that are kept: more than this crate has.
const STATEMENTS_MAX: usize = 32;

/// What the WAL file is cut to after a checkpoint if one huge transaction made it longer. Twice
/// the size at which checkpoints start: in normal operation the file is never cut, for a file
/// that is reused commits faster than one that grows.
const JOURNAL_BYTES_MAX: i64 = 2 * crate::checkpoint::WAL_BYTES_MAX.cast_signed();

/// `path` with something appended to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io {
        doing,
        path,
        source,
    }
}

/// Opens the log in `dir`, or makes it.
pub(crate) fn open(dir: &Path) -> Result<Connection, Error> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(Error::SqliteTooOld {
            found: rusqlite::version(),
        });
    }
    let path = dir.join(FILE);
    let wal = beside(&path, "-wal");
    if !path.try_exists().map_err(io("look for", &path))? {
        // A log without its file is not a new log: its promises are gone.
        for leftover in [wal.clone(), beside(&path, "-journal")] {
            if leftover.try_exists().map_err(io("look for", &leftover))? {
                return Err(Error::LogMissing { path, leftover });
            }
        }
        create(dir, &path)?;
    }
    check_header(&path)?;
    preflight::check(&wal)?;
    let connection = connect(&path)?;
    configure(&connection, &path)?;
    migrate::migrate(&connection, &path)?;
    Ok(connection)
}

/// Makes the log under another name and renames it, so that a log.db without an identity is
/// always damage and never a creation that was interrupted.
fn create(dir: &Path, path: &Path) -> Result<(), Error> {
    let draft = dir.join("log.db.new");
    for stale in [draft.clone(), beside(&draft, "-journal")] {
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove", &stale)(error));
            }
            _ => {}
        }
    }
    let fill = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(&draft)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
        identity::store(&transaction, &Meta::new(Uuid::new_v4()))?;
        for disk_seq in [0, 1] {
            progress::store(
                &transaction,
                &Progress {
                    disk_seq: DiskSeq(disk_seq),
                    ..Progress::NEW
                },
            )?;
        }
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|source| Error::sqlite("create", &draft, source))?;
    File::open(&draft)
        .and_then(|file| file.sync_all())
        .map_err(io("sync", &draft))?;
    fs::rename(&draft, path).map_err(io("create", path))?;
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(io("sync", dir))
}

/// Looks at the first bytes before SQLite does, because SQLite writes to what it opens (it rolls
/// back, recovers and checkpoints). The file must not be open in this process: closing any
/// descriptor of it drops SQLite's locks.
fn check_header(path: &Path) -> Result<(), Error> {
    let mut header = [0_u8; 100];
    let not_ours = |found: String| Error::NotOurs {
        path: path.to_path_buf(),
        found,
    };
    let mut file = File::open(path).map_err(io("open", path))?;
    if let Err(error) = file.read_exact(&mut header) {
        return Err(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => not_ours("it is empty or cut off".to_owned()),
            _ => io("read", path)(error),
        });
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(not_ours("not an SQLite file".to_owned()));
    }
    let number = |at: usize| {
        let bytes = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| i32::from_be_bytes(*bytes))
    };
    // Offsets 68 and 60: https://www.sqlite.org/fileformat.html#the_database_header
    check_stamp(path, number(68), number(60))
}

/// Whether the file is ours and readable by this program.
fn check_stamp(path: &Path, application_id: i32, format_version: i32) -> Result<(), Error> {
    let path = path.to_path_buf();
    if application_id != APPLICATION_ID {
        let found = format!("an SQLite file with application id {application_id:#010x}");
        return Err(Error::NotOurs { path, found });
    }
    if format_version > FORMAT_VERSION {
        return Err(Error::NewerFormat {
            path,
            found: format_version,
            known: FORMAT_VERSION,
        });
    }
    if format_version < 1 {
        return Err(Error::NotOurs {
            path,
            found: format!("a log of format {format_version}"),
        });
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|source| Error::sqlite("open", path, source))
}

/// Sets and verifies. The order matters: EXCLUSIVE before the first access keeps the WAL index
/// in memory (no -shm file) and locks out every other process.
fn configure(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::sqlite("open", path, source);
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Nobody else may hold a lock, so waiting for one is pointless.
    connection
        .busy_timeout(std::time::Duration::ZERO)
        .map_err(failed)?;
    for (pragma, value) in [
        ("locking_mode", "exclusive"),
        ("journal_mode", "wal"),
        // 2 is FULL: an fsync of the WAL in every commit.
        ("synchronous", "2"),
        // A failing disk must come as an error, not as SIGBUS.
        ("mmap_size", "0"),
        ("cell_size_check", "1"),
        // Checkpoints are made by the writer, off the commit path: see checkpoint.rs.
        ("wal_autocheckpoint", "0"),
    ] {
        connection
            .execute_batch(&format!("PRAGMA {pragma} = {value}"))
            .map_err(failed)?;
        let found: String = connection
            .pragma_query_value(None, pragma, |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str()?.to_owned(),
                })
            })
            .map_err(failed)?;
        if found != value {
            return Err(Error::Contract {
                path: path.to_path_buf(),
                what: format!("SQLite set {pragma} to {found} instead of {value}"),
            });
        }
    }
    connection
        .pragma_update(None, "cache_size", CACHE_KIB)
        .map_err(failed)?;
    connection
        .execute_batch(&format!("PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}"))
        .map_err(failed)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
    // Again, with the WAL applied: a later program may have changed the format there.
    check_stamp(
        path,
        number("application_id").map_err(failed)?,
        number("user_version").map_err(failed)?,
    )
}

/// Looks at the structure of the whole file. Rows of it are written over or deleted after damage
/// was found in some of them, and in a tree whose pointers are wrong that destroys others.
pub(crate) fn check_structure(connection: &Connection, path: &Path) -> Result<(), Error> {
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|source| Error::sqlite("check", path, source))?;
    if found == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(Error::Corrupt {
        path: path.to_path_buf(),
        source: rusqlite::Error::SqliteFailure(code, Some(found)),
    })
}
