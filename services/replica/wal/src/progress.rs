//! What changes with every transaction: the commit index as last heard of, and `disk_seq`.
//!
//! Reads and writes: table `progress`, its two rows in turn. Must hold: `disk_seq` grows by one
//! per transaction; the commit index never falls.

use std::path::Path;

use paxos::entry::Chain;
use paxos::ids::{DiskSeq, Slot};
use rusqlite::{Connection, params};

use crate::error::Error;
use crate::rows;

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    /// The transaction that wrote this row.
    pub(crate) disk_seq: DiskSeq,
    /// The commit index, as last stored (rule D4).
    pub(crate) decided: Slot,
    /// The chain at it.
    pub(crate) chain: Chain,
    /// How many rows the log holds above `compacted_to`. A damaged page may lose rows without any checksum being
    /// wrong (its count of cells is one number), and an undecided row may be the needed one.
    pub(crate) rows: u64,
}

impl Progress {
    /// A disk without a past.
    pub(crate) const NEW: Self = Self {
        disk_seq: DiskSeq(0),
        decided: Slot::GENESIS,
        chain: Chain::GENESIS,
        rows: 0,
    };

    fn crc(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.disk_seq.0.to_le_bytes());
        hasher.update(&self.decided.0.to_le_bytes());
        hasher.update(&self.chain.0);
        hasher.update(&self.rows.to_le_bytes());
        hasher.finalize()
    }
}

/// Writes the row whose turn it is, inside the caller's transaction.
pub(crate) fn store(connection: &Connection, progress: &Progress) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO progress (copy, disk_seq, decided, chain, rows, crc) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            (progress.disk_seq.0 % 2).cast_signed(),
            progress.disk_seq.0.cast_signed(),
            progress.decided.0.cast_signed(),
            progress.chain.0,
            progress.rows.cast_signed(),
            progress.crc(),
        ])?;
    Ok(())
}

/// Reads the later of the two rows. The flag says that it must be stored again.
///
/// One damaged row is survivable: it held the last state or the one before. The commit index
/// is a hint; `disk_seq` may be one too low then, so one is added, and storing the result
/// replaces the damaged row; the count of rows may be outdated and is taken afresh: each slot up
/// to the commit index has one.
pub(crate) fn load(
    connection: &Connection,
    path: &Path,
    compacted_to: Slot,
) -> Result<(Progress, bool), Error> {
    let [even, odd] = [0_u64, 1].map(|copy| read_copy(connection, copy));
    match (even, odd) {
        (Ok(even), Ok(odd)) => {
            let later = if even.disk_seq > odd.disk_seq {
                even
            } else {
                odd
            };
            Ok((later, false))
        }
        (Ok(mut progress), Err(why)) | (Err(why), Ok(mut progress)) => {
            tracing::warn!(
                path = %path.display(), %why,
                "one of the two progress rows is damaged, the other is used; check the disk"
            );
            progress.disk_seq.0 = progress.disk_seq.0.saturating_add(1);
            let below = progress.decided.distance_above(compacted_to);
            let above = progress.decided.max(compacted_to);
            progress.rows = below.saturating_add(rows::count_above(connection, path, above)?);
            Ok((progress, true))
        }
        (Err(even), Err(odd)) => Err(Error::IdentityDead {
            path: path.to_path_buf(),
            why: format!("both progress rows are lost: {even}; {odd}"),
        }),
    }
}

/// Reads one row; the text says why it cannot be trusted.
fn read_copy(connection: &Connection, copy: u64) -> Result<Progress, String> {
    let read = connection.query_row(
        "SELECT disk_seq, decided, chain, rows, crc FROM progress WHERE copy = ?1",
        [copy.cast_signed()],
        |row| {
            let progress = Progress {
                disk_seq: DiskSeq(row.get::<_, i64>(0)?.cast_unsigned()),
                decided: Slot(row.get::<_, i64>(1)?.cast_unsigned()),
                chain: Chain(row.get(2)?),
                rows: row.get::<_, i64>(3)?.cast_unsigned(),
            };
            Ok((progress, row.get::<_, u32>(4)?))
        },
    );
    match read {
        Ok((progress, crc)) if progress.crc() != crc => Err("its checksum is wrong".to_owned()),
        Ok((progress, _)) if progress.disk_seq.0 % 2 != copy => Err("it is misplaced".to_owned()),
        Ok((progress, _)) => Ok(progress),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err("it is missing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
