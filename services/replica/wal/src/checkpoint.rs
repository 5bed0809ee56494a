//! When the WAL is copied into log.db, and what is done when nothing is to be done.
//!
//! The log has one connection (its WAL index lives in this process's memory), so a checkpoint
//! runs on the writer's thread and nothing commits meanwhile. What can be chosen is how long
//! that takes and when.
//!
//! Measured with `examples/commit_rate` on 2 cores and a virtual disk (fsync 0.12 ms), rows of
//! 128 bytes, 1000 requests outstanding, sizes as quiet/max in MiB: p99 of a request is 5.3 ms
//! at 1/2, 7.2 at 2/4, 11 at 4/8, 31 at 16/32; p99.9 7.7, 10, 14, 57. Rows per second are the
//! same (380 000 to 420 000) while an fsync is cheap. On a disk that others keep busy (fsync
//! 4 ms) 1/2 costs 20 % of them against 4/8, for each checkpoint adds three fsyncs, and 2/4
//! nothing that could be told from noise. Hence 2/4.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::Error;
use crate::log::Wal;

/// Size of the WAL at which a checkpoint is made when no request is waiting.
pub(crate) const WAL_BYTES_QUIET: u64 = 2 * 1024 * 1024;

/// Size of the WAL at which a checkpoint is made whatever is waiting.
pub(crate) const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;

const _: () = assert!(
    WAL_BYTES_QUIET < WAL_BYTES_MAX,
    "a quiet moment is tried first"
);

/// How long nothing must come before [`Wal::seal`].
pub(crate) const IDLE: Duration = Duration::from_millis(500);

/// A frame of the WAL: a header of 24 bytes and a page.
const FRAME_BYTES: u64 = 24 + crate::database::PAGE_BYTES.cast_unsigned();

/// The WAL as SQLite sees it.
#[derive(Clone, Copy, Debug)]
struct Frames {
    /// In the WAL.
    written: u64,
    /// Of these, in log.db already. The WAL starts over with the next commit if that is all.
    copied: u64,
}

/// Runs a checkpoint in `mode`; NOOP only counts.
fn checkpoint(connection: &Connection, path: &Path, mode: &'static str) -> Result<Frames, Error> {
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    connection
        .prepare_cached(mode)
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                Ok(Frames {
                    written: count(row.get(1)?),
                    copied: count(row.get(2)?),
                })
            })
        })
        .map_err(|source| Error::sqlite("checkpoint", path, source))
}

impl Wal {
    /// Copies the WAL into log.db if it takes `bytes_min` or more. The file keeps its length
    /// and is written from its start again.
    pub(crate) fn checkpoint_from(&mut self, bytes_min: u64) -> Result<(), Error> {
        let connection = self.connection()?;
        let frames = checkpoint(connection, self.path(), "PRAGMA wal_checkpoint(NOOP)")?;
        let waiting = frames.written.saturating_sub(frames.copied);
        if waiting.saturating_mul(FRAME_BYTES) < bytes_min {
            return Ok(());
        }
        let frames = checkpoint(connection, self.path(), "PRAGMA wal_checkpoint(PASSIVE)")?;
        tracing::debug!(frames = frames.copied, "checkpoint");
        Ok(())
    }

    /// Copies the whole WAL of earlier processes into log.db and empties it, so that a WAL with
    /// transactions of this process holds no others: see `preflight.rs`.
    pub(crate) fn empty_wal(&self) -> Result<(), Error> {
        let connection = self.connection()?;
        checkpoint(connection, self.path(), "PRAGMA wal_checkpoint(TRUNCATE)").map(drop)
    }

    /// Commits a transaction without content, so that the last one with content is not the last
    /// in the WAL.
    ///
    /// The pre-flight scan cannot tell damage in the last transaction from a crash in the
    /// middle of writing it, and must take it for a crash. Once another transaction follows,
    /// damage is known for what it is. Under load the next commit does that; before a pause,
    /// this one.
    pub(crate) fn seal(&mut self) -> Result<(), Error> {
        self.transact("write to", |_| Ok(())).map(drop)
    }
}
