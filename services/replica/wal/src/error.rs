//! What can go wrong, said to the person who has to act on it at 3 a.m.
//!
//! Every message names the file and the remedy. No remedy is ever "delete log.db and start
//! again under the same identity": a node that forgot a promise may break the order that all
//! others rely on (rule 2.10).

use std::io;
use std::path::PathBuf;

use paxos::entry::Chain;
use paxos::ids::{NodeId, Slot};
use uuid::Uuid;

/// Why the durable state cannot be used, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQLite in this program is too old to be trusted with a log.
    #[error(
        "SQLite {found} is built into this program, but the log needs 3.51.3 or later (earlier \
         ones may corrupt a WAL): rebuild with rusqlite's `bundled` feature"
    )]
    SqliteTooOld {
        /// The version found.
        found: &'static str,
    },
    /// Another process uses the directory.
    #[error(
        "{dir} is in use by {holder}: two replicas must never share a directory; stop the other \
         one, or give this one a directory of its own"
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// Too little space to start.
    #[error(
        "{dir} has {free_mib} MiB free, {needed_mib} MiB are needed to start: free some space \
         (not log.db*), or enlarge the volume"
    )]
    LowSpace {
        /// The data directory.
        dir: PathBuf,
        /// What is left.
        free_mib: u64,
        /// What must be left.
        needed_mib: u64,
    },
    /// The disk filled up while running.
    #[error(
        "{path}: no space left for the log; nothing that was acknowledged is lost; free some \
         space (not log.db*), or enlarge the volume, and start the replica again"
    )]
    NoSpace {
        /// log.db.
        path: PathBuf,
    },
    /// The file is no log of ours.
    #[error(
        "{path} is not a Chatterbox log ({found}): check that the right directory is mounted; a \
         new replica wants an empty directory"
    )]
    NotOurs {
        /// log.db.
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
        /// log.db.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The highest known here.
        known: i32,
    },
    /// log.db is gone, but files that belong to it are there.
    #[error(
        "{leftover} is here but {path} is not: log.db was deleted or moved away; put it back, or \
         move the whole directory aside and start on an empty one as a new node"
    )]
    LogMissing {
        /// log.db.
        path: PathBuf,
        /// The file that belongs to it.
        leftover: PathBuf,
    },
    /// The WAL is damaged in its middle; opening it would drop what was acknowledged.
    #[error(
        "{path} is damaged at byte {offset} ({why}), and committed data follows: opening it \
         would silently drop acknowledged entries, so it was not opened or changed; keep the \
         directory for analysis and start this replica on an empty one: it joins as a new node"
    )]
    WalDamaged {
        /// log.db-wal.
        path: PathBuf,
        /// Where the first bad frame starts.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// SQLite finds the file malformed.
    #[error(
        "{path} is malformed ({source}): keep the directory for analysis and start this replica \
         on an empty one: it joins as a new node"
    )]
    Corrupt {
        /// log.db.
        path: PathBuf,
        /// SQLite's finding.
        source: rusqlite::Error,
    },
    /// Identity and promise are lost: nobody may vote as this node again.
    #[error(
        "{path}: the identity of this node is dead ({why}); it must not vote again, for it may \
         have forgotten a promise; keep the directory for analysis and start this replica on an \
         empty one: it joins as a new node"
    )]
    IdentityDead {
        /// log.db.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A row of the log is not as it was written.
    #[error(
        "{path}: the row of slot {slot} is damaged ({why}); it is {}; the replica must not go on \
         as if it were not there; keep the directory and start this replica on an empty one: it \
         joins as a new node",
        if *decided { "decided, the other replicas have it" } else { "undecided" }
    )]
    Damaged {
        /// log.db.
        path: PathBuf,
        /// The row.
        slot: Slot,
        /// Whether the slot is at or below the commit index.
        decided: bool,
        /// What is wrong.
        why: String,
    },
    /// The log does not hold what it must.
    #[error(
        "{path} has no row for slot {slot}, which is decided and applied here: log.db is older \
         than state.db, or was damaged; if a backup was restored, that is the cause: start on an \
         empty directory as a new node instead"
    )]
    RowMissing {
        /// log.db.
        path: PathBuf,
        /// The slot.
        slot: Slot,
    },
    /// The log can be used only from a later slot on than the state machine has reached.
    #[error(
        "{path}: {why}, and state.db holds slots up to {applied} only: this replica needs a \
         snapshot at slot {at_least} or later from another one; without any, keep the directory \
         for analysis and start this replica on an empty one: it joins as a new node"
    )]
    SnapshotNeeded {
        /// log.db.
        path: PathBuf,
        /// What state.db holds.
        applied: Slot,
        /// With a snapshot at this slot or a later one the log can be used.
        at_least: Slot,
        /// Why the log alone does not do.
        why: String,
    },
    /// Two files here, or the log and a snapshot, hold different histories.
    #[error(
        "{path} holds {found} at slot {slot}, {other} holds {expected}: they are of different \
         histories, and one of them must not be used; keep all files for analysis; if a backup \
         was restored, that is the cause"
    )]
    Diverged {
        /// log.db.
        path: PathBuf,
        /// Where they differ.
        slot: Slot,
        /// The prefix by the log.
        found: Chain,
        /// The other holder of a history.
        other: &'static str,
        /// The prefix by that one.
        expected: Chain,
    },
    /// Undecided rows vanished, and one of them may be the one that counts.
    #[error(
        "{path} holds {found} rows above {decided} instead of {expected}: a page is damaged; keep \
         the directory for analysis and start this replica on an empty one: it joins as a new node"
    )]
    RowsLost {
        /// log.db.
        path: PathBuf,
        /// The stored commit index.
        decided: Slot,
        /// Rows there.
        found: u64,
        /// Rows that must be there.
        expected: u64,
    },
    /// The rows were deleted because a snapshot covers them.
    #[error("slots up to {compacted_to} are no longer in the log, {from} was asked for")]
    Compacted {
        /// The first slot wanted.
        from: Slot,
        /// The last slot that is gone.
        compacted_to: Slot,
    },
    /// The directory belongs to another cluster.
    #[error(
        "{path} belongs to cluster \"{found}\", this replica is configured for \"{expected}\": \
         mount the right directory, or correct the configured name"
    )]
    ForeignCluster {
        /// log.db.
        path: PathBuf,
        /// The name on disk.
        found: String,
        /// The name configured.
        expected: String,
    },
    /// A disk takes one genesis for ever, and this one has another.
    #[error(
        "{path} already holds the genesis of cluster {found_cluster} as node {found_node}; the \
         one offered is of cluster {offered_cluster} as node {offered_node}: a disk takes one for \
         ever; use an empty directory for another cluster"
    )]
    OtherGenesis {
        /// log.db.
        path: PathBuf,
        /// The cluster on disk.
        found_cluster: Uuid,
        /// The node on disk.
        found_node: NodeId,
        /// The cluster offered.
        offered_cluster: Uuid,
        /// The node offered.
        offered_node: NodeId,
    },
    /// This disk has no confirmed identity yet.
    #[error("{path} holds no {missing}: this node may not vote")]
    NoIdentity {
        /// log.db.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// The caller broke the contract. A bug: stop, keep the files.
    #[error("bug, stopped before writing to {path}: {what}; please report it, keep the files")]
    Contract {
        /// log.db.
        path: PathBuf,
        /// What was asked for.
        what: String,
    },
    /// More reads are waiting than [`crate::limits::READS_MAX`].
    #[error("too many reads are waiting: ask again")]
    Busy,
    /// The writer ended: after an error that it reported, or because it was told to.
    #[error("the log's writer has stopped")]
    Stopped,
    /// SQLite failed in a way that has no variant of its own.
    #[error(
        "cannot {doing} {path}: {source}; the replica stops and does not retry, because a second \
         fsync after a failed one may lie; check the disk (dmesg, SMART) before starting it again"
    )]
    Sqlite {
        /// Verb, to be followed by the file.
        doing: &'static str,
        /// log.db.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file system refused something.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// Verb, to be followed by the file.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    /// Sorts a failure of SQLite.
    pub(crate) fn sqlite(
        doing: &'static str,
        path: &std::path::Path,
        source: rusqlite::Error,
    ) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, source },
            Some(ErrorCode::NotADatabase) => Self::NotOurs {
                path,
                found: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse {
                dir: path.parent().map(PathBuf::from).unwrap_or_default(),
                holder: "a process that opened log.db directly (sqlite3?)".to_owned(),
            },
            _ => Self::Sqlite {
                doing,
                path,
                source,
            },
        }
    }
}
