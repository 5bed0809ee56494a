//! Why there is no backup, or no new cluster.

use std::io;
use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is ever overwritten.
    #[error("{path} exists already: {remedy}")]
    Exists {
        /// What is there.
        path: PathBuf,
        /// What a person can do.
        remedy: &'static str,
    },
    /// The directory is no backup, or not one as it was written.
    #[error("{path} is no usable backup: {found}")]
    NotABackup {
        /// Which directory or file.
        path: PathBuf,
        /// In words.
        found: String,
    },
    /// What a replica sends is no backup.
    #[error("the replica sent no usable backup: {0}")]
    BadPieces(String),
    /// The wishes for the new cluster contradict each other.
    #[error("no such cluster can be made: {0}")]
    BadPlan(String),
    /// The directory of a stopped replica cannot be used for a rescue.
    #[error("{directory} cannot be rescued: {why}")]
    NotRescuable {
        /// Which one.
        directory: PathBuf,
        /// In words, with what to do instead.
        why: String,
    },
    /// The file system.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// Verb.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy of the state.
    #[error(transparent)]
    State(#[from] machine::Error),
    /// A log.
    #[error(transparent)]
    Log(#[from] wal::Error),
}
