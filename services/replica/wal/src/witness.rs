//! What was seen of other nodes' disks: the highest transaction count in a vote of each.
//!
//! Reads and writes: table `witnesses`. Must hold: a count never falls; one that cannot be
//! trusted is forgotten, for a count that is too high would condemn a sound disk.
//! Tested in: `tests/log.rs`, `tests/damage.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paxos::ids::{DiskSeq, NodeId};
use rusqlite::Connection;

use crate::error::Error;

fn crc(node: NodeId, disk_seq: DiskSeq) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&node.0.to_le_bytes());
    hasher.update(&disk_seq.0.to_le_bytes());
    hasher.finalize()
}

/// Writes the counts of `nodes`, inside the caller's transaction.
pub(crate) fn store(
    connection: &Connection,
    witnessed: &BTreeMap<NodeId, DiskSeq>,
    nodes: &BTreeSet<NodeId>,
) -> rusqlite::Result<()> {
    for node in nodes {
        let Some(disk_seq) = witnessed.get(node) else {
            connection
                .prepare_cached("DELETE FROM witnesses WHERE node = ?1")?
                .execute([node.0.cast_signed()])?;
            continue;
        };
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO witnesses (node, disk_seq, crc) VALUES (?1, ?2, ?3)",
            )?
            .execute((
                node.0.cast_signed(),
                disk_seq.0.cast_signed(),
                crc(*node, *disk_seq),
            ))?;
    }
    Ok(())
}

/// Reads the counts, without those that are damaged.
pub(crate) fn load(
    connection: &Connection,
    path: &Path,
) -> Result<BTreeMap<NodeId, DiskSeq>, Error> {
    let failed = |source| Error::sqlite("read the witnesses of", path, source);
    let mut statement = connection
        .prepare("SELECT node, disk_seq, crc FROM witnesses")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut witnessed = BTreeMap::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let node = row.get::<_, i64>(0).map(i64::cast_unsigned).map(NodeId);
        let disk_seq = row.get::<_, i64>(1).map(i64::cast_unsigned).map(DiskSeq);
        match (node, disk_seq, row.get::<_, u32>(2)) {
            (Ok(node), Ok(disk_seq), Ok(found)) if found == crc(node, disk_seq) => {
                witnessed.insert(node, disk_seq);
            }
            _ => tracing::warn!(
                path = %path.display(),
                "what was seen of another disk is damaged here and forgotten; check the disk"
            ),
        }
    }
    Ok(witnessed)
}
