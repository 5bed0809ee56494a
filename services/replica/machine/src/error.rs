//! What can go wrong, said to the person who has to act on it.
//!
//! state.db can always be rebuilt, so unlike log.db it may be moved away: the replica makes a
//! new one from the log or from another replica.

use std::io;
use std::path::{Path, PathBuf};

use paxos::entry::Chain;
use paxos::ids::{Epoch, Slot};

use crate::refusal::Reason;
use crate::schema;

/// Why the state machine cannot be used, or cannot go on. From [`crate::Machine`] each one makes
/// the replica stop; a command that is merely wrong is answered with a `Refusal` instead. From
/// [`crate::snapshot`] it ends what was being done, and the state is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQLite in this program is too old for several connections.
    #[error(
        "SQLite {found} is built into this program, but state.db needs 3.51.3 or later (earlier \
         ones may corrupt a WAL): rebuild with rusqlite's `bundled` feature"
    )]
    SqliteTooOld {
        /// The version found.
        found: &'static str,
    },
    /// The file is no state of ours.
    #[error(
        "{path} is not a Chatterbox state file ({found}): check that the right directory is \
         mounted; it was not changed"
    )]
    NotOurs {
        /// state.db.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The file was written by a later program.
    #[error(
        "{path} has format {found}, this program knows formats up to {known}: start the version \
         that wrote it, or a later one"
    )]
    NewerFormat {
        /// state.db.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The highest known here.
        known: i32,
    },
    /// The file was written by a much earlier program. It is not migrated, because it can be made
    /// anew: from the log, or from another replica's snapshot.
    #[error(
        "{path} has format {found}, this program needs format {needed} or a later one: move state.db, \
         state.db-wal and state.db-shm aside (not log.db) and start the replica again: it \
         rebuilds its state from its log or from another replica"
    )]
    OlderFormat {
        /// state.db.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The oldest one that can be used here.
        needed: i32,
    },
    /// SQLite finds the file malformed, or a row contradicts another.
    #[error(
        "{path} is damaged ({found}): move state.db, state.db-wal and state.db-shm aside for \
         analysis (not log.db) and start the replica again: it rebuilds its state"
    )]
    Damaged {
        /// state.db.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// Somebody else wrote into the file while this process had it open.
    #[error(
        "{path} stands at slot {found}, but this process had left it at {expected}: another \
         process writes it; stop that one, two replicas must never share a directory"
    )]
    ForeignWriter {
        /// state.db.
        path: PathBuf,
        /// Where this process had left it.
        expected: Slot,
        /// Where it stands.
        found: Slot,
    },
    /// The entries do not continue what is applied. A bug of the caller.
    #[error("entry {found} was handed over for application where {expected} comes next")]
    Gap {
        /// The slot after the last applied one.
        expected: Slot,
        /// The slot of the entry.
        found: Slot,
    },
    /// The log that is being applied is not the log that was applied so far.
    #[error(
        "divergence at slot {slot}: the entry's chain {found} does not follow the applied prefix \
         {applied}; keep all files of this replica and compare with the others; if a backup of \
         log.db or state.db was restored, that is the cause"
    )]
    Diverged {
        /// The entry.
        slot: Slot,
        /// The chain in the entry.
        found: Chain,
        /// The chain of the prefix that is applied here.
        applied: Chain,
    },
    /// The payload of a seal cannot be read.
    #[error(
        "the seal at slot {slot} cannot be read: start a version that knows it; it cannot be \
         skipped"
    )]
    UnreadableSeal {
        /// The entry.
        slot: Slot,
    },
    /// A seal begins another epoch than the one after the active one: the entry is of another
    /// history than the state.
    #[error(
        "the seal at slot {slot} begins epoch {found}, but the applied prefix ends in epoch \
         {active}: two histories; keep all files of this replica and compare with the others; \
         if a backup of log.db or state.db was restored, that is the cause"
    )]
    EpochOutOfOrder {
        /// The entry.
        slot: Slot,
        /// The epoch in which the applied prefix ends.
        active: Epoch,
        /// The epoch that the seal begins.
        found: Epoch,
    },
    /// The payload of an entry cannot be decoded.
    #[error("the entry at slot {slot} cannot be decoded ({source}); it cannot be skipped")]
    Unreadable {
        /// The entry.
        slot: Slot,
        /// What the decoder says.
        source: prost::DecodeError,
    },
    /// The payload has a format that this program does not know.
    #[error(
        "the entry at slot {slot} has version {found}, this program knows versions 1 to {known}: \
         start a version that knows it; it cannot be skipped"
    )]
    UnknownVersion {
        /// The entry.
        slot: Slot,
        /// Its version.
        found: u32,
        /// The highest known here.
        known: u32,
    },
    /// An entry of a kind that no program proposes.
    #[error(
        "the entry at slot {slot} is of a kind that this program does not know: start a version \
         that knows it; it cannot be skipped"
    )]
    UnknownKind {
        /// The entry.
        slot: Slot,
    },
    /// The batch has a command that this program does not know.
    #[error(
        "command {index} of the batch at slot {slot} is of a kind that this program does not \
         know: start a version that knows it; it cannot be skipped"
    )]
    UnknownCommand {
        /// The entry.
        slot: Slot,
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// More effects in one slot, or a higher slot, than event keys can number.
    #[error("the effects of slot {slot} cannot be numbered: too many, or the slot is too high")]
    Unnumberable {
        /// The entry.
        slot: Slot,
    },
    /// The search index cannot be used. It is derived: its writer makes it anew, and the state is
    /// not concerned.
    #[error("{path}: the search index cannot be used ({found}); it is made anew by itself")]
    SearchIndex {
        /// search.db.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The disk filled up.
    #[error(
        "{path}: no space left; nothing is lost; free some space (not log.db*), or enlarge the \
         volume, and start the replica again"
    )]
    NoSpace {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A manifest that no correct replica of this version made.
    #[error("the manifest of a snapshot cannot be used ({found}): ask another replica")]
    BadManifest {
        /// What is wrong with it.
        found: String,
    },
    /// A chunk of a snapshot that cannot be appended.
    #[error("the chunk at offset {offset} cannot be taken ({found}): ask for it again")]
    BadChunk {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        found: &'static str,
    },
    /// A snapshot that is not what its manifest says.
    #[error("{path} is not the snapshot that was announced ({found}): ask another replica")]
    BadSnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The system failed to read or write a file beside SQLite.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// Verb, to be followed by the file.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// SQLite failed in a way that has no variant of its own.
    #[error("cannot {doing} {path}: {source}")]
    Sqlite {
        /// Verb, to be followed by the file.
        doing: &'static str,
        /// state.db.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
}

impl Error {
    /// Whether the file may be moved aside and made anew, from the log or from another replica's
    /// snapshot: it is ours, and nothing in it is missing elsewhere. Not so when the directory
    /// may be the wrong one, when the file is of a later program, or when the log itself is in
    /// doubt.
    #[must_use]
    pub const fn is_replaceable(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::OlderFormat { .. })
    }

    /// Sorts a failure of the file system.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }

    /// Sorts a failure of SQLite.
    pub(crate) fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                found: source.to_string(),
            },
            // The first page is not readable. It may still be known by its mark.
            Some(ErrorCode::NotADatabase) if schema::has_mark(&path) => Self::Damaged {
                path,
                found: source.to_string(),
            },
            Some(ErrorCode::NotADatabase) => Self::NotOurs {
                path,
                found: source.to_string(),
            },
            // A type or a row that is not as the schema and this program leave it.
            None if is_contradiction(&source) => Self::Damaged {
                path,
                found: source.to_string(),
            },
            Some(ErrorCode::ConstraintViolation) => Self::Damaged {
                path,
                found: source.to_string(),
            },
            _ => Self::Sqlite {
                doing,
                path,
                source,
            },
        }
    }
}

const fn is_contradiction(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::QueryReturnedNoRows
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
    )
}

/// Why work inside a transaction ends: the path of the file is added where it leaves the crate.
#[derive(Debug)]
pub(crate) enum Fault {
    Sqlite(rusqlite::Error),
    /// A row contradicts another.
    Damaged(String),
    Fatal(Error),
}

impl Fault {
    pub(crate) fn at(self, doing: &'static str, path: &Path) -> Error {
        match self {
            Self::Sqlite(source) => Error::sqlite(doing, path, source),
            Self::Damaged(found) => Error::Damaged {
                path: path.to_path_buf(),
                found,
            },
            Self::Fatal(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// Why a command ends early: refused, which is an answer, or a fault, which stops the replica.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Reason),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(cause: E) -> Self {
        Self::Fault(cause.into())
    }
}
