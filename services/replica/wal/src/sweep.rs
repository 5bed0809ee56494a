//! The deletion of rows that a compaction or a snapshot made superfluous, in portions.
//!
//! In: rows up to `compacted_to`. Must hold: no commit waits long for it, and the log shrinks
//! under any load. What counts was settled by the transaction that raised `compacted_to`: a crash
//! leaves rows that do not count and that the next process deletes. Tested in:
//! `tests/compaction.rs`.
//!
//! Two ways. Each commit deletes a few rows along with what it writes: that costs no fsync of its
//! own, and twice as many as it writes, so that the log shrinks at full load. When nothing has
//! come for a moment, larger portions follow each other in transactions of their own, and the
//! queue is looked at between them.
//!
//! Measured with `examples/commit_rate` on 2 cores, rows of 128 bytes, 20 000 of them compacted
//! at a time: without an fsync (in memory) a row costs 5 to 30 % more, the p99 of a request rises
//! by up to 1.5 ms at 1000 outstanding and not at all at one. On a disk the difference is lost
//! in the fsync. log.db stays at 4 MiB; without compaction it had 78 after 5 seconds.

use paxos::ids::Slot;
use rusqlite::Connection;

use crate::error::Error;
use crate::limits::{SWEEP_BYTES, SWEEP_QUIET_BYTES, SWEEP_QUIET_ROWS, SWEEP_ROWS};
use crate::log::Wal;
use crate::transaction::{Failure, Transaction};

/// How much may be deleted in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    rows: u64,
    bytes: u64,
}

impl Portion {
    /// Along with a commit that writes so many rows.
    pub(crate) const fn beside(rows: u64, bytes: u64) -> Self {
        Self {
            rows: rows.saturating_mul(2).saturating_add(SWEEP_ROWS),
            bytes: bytes.saturating_mul(2).saturating_add(SWEEP_BYTES),
        }
    }

    /// When nothing else is to be done.
    const QUIET: Self = Self {
        rows: SWEEP_QUIET_ROWS,
        bytes: SWEEP_QUIET_BYTES,
    };
}

impl Transaction<'_> {
    /// Deletes rows that do not count any more, the lowest first.
    pub(crate) fn sweep(&mut self, portion: Portion) -> Result<(), Failure> {
        let compacted_to = self.state().meta.compacted_to;
        if !self.state().garbage {
            return Ok(());
        }
        let end = last_of(self.connection(), compacted_to, portion)?;
        if let Some(end) = end {
            self.connection()
                .prepare_cached("DELETE FROM log WHERE slot <= ?1")?
                .execute([end.0.cast_signed()])?;
        }
        self.state().garbage = end.is_some_and(|end| end < compacted_to);
        Ok(())
    }
}

impl Wal {
    /// Whether rows are left to delete.
    pub(crate) fn has_garbage(&self) -> bool {
        self.state().garbage
    }

    /// Deletes a portion in a transaction of its own.
    pub(crate) fn sweep_quietly(&mut self) -> Result<(), Error> {
        self.transact("delete rows of", |transaction| {
            transaction.sweep(Portion::QUIET)
        })
        .map(drop)
    }
}

/// The last of the lowest rows up to `upto` that fit a portion; at least one, if there is any.
/// Reads no payloads.
fn last_of(
    connection: &Connection,
    upto: Slot,
    portion: Portion,
) -> rusqlite::Result<Option<Slot>> {
    let mut statement = connection.prepare_cached(
        "SELECT slot, length(payload) FROM log WHERE slot <= ?1 ORDER BY slot LIMIT ?2",
    )?;
    let mut rows = statement.query([upto.0.cast_signed(), portion.rows.cast_signed()])?;
    let (mut end, mut bytes) = (None, 0_u64);
    while let Some(row) = rows.next()? {
        // A damaged row may have any type of payload, and NULL has no length.
        let length = row.get::<_, Option<i64>>(1)?.unwrap_or(0).cast_unsigned();
        bytes = bytes.saturating_add(length);
        if end.is_some() && bytes > portion.bytes {
            break;
        }
        end = Some(Slot(row.get::<_, i64>(0)?.cast_unsigned()));
    }
    Ok(end)
}
