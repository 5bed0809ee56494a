//! The count of transactions out of a raw page of table `progress`, without SQLite.
//!
//! In: a page as it lies in the WAL or in log.db. Out: the `disk_seq` of the transaction that
//! wrote it last. Every transaction does, so it says which one a frame belongs to.
//! Must hold: any bytes are survived. Tested in: here, `tests/storage`.
//!
//! Format: <https://www.sqlite.org/fileformat.html#b_tree_pages>

use paxos::entry::Chain;
use paxos::ids::{DiskSeq, Slot};

use crate::progress::Progress;

/// The page that the table's only node lies on: the tables are made in the order of
/// `schema.sql`, after the schema's own page.
pub(crate) const NUMBER: u32 = 4;

/// A leaf of a table.
const LEAF: u8 = 13;

/// The count on a page; `None` unless both of its rows are right. A page that is torn may show
/// the row that its transaction did not write, and nothing of the other.
pub(crate) fn disk_seq(page: &[u8]) -> Option<DiskSeq> {
    let cells = u16::from_be_bytes(*page.get(3..)?.first_chunk()?);
    if page.first() != Some(&LEAF) || cells != 2 {
        return None;
    }
    let (pointers, _) = page.get(8..)?.as_chunks::<2>();
    let row = |index: usize| {
        let pointer = u16::from_be_bytes(*pointers.get(index)?);
        row(page.get(usize::from(pointer)..)?)
    };
    let (even, odd) = (row(0)?, row(1)?);
    (even.0.abs_diff(odd.0) == 1).then(|| even.max(odd))
}

/// One row, if its checksum is right.
fn row(cell: &[u8]) -> Option<DiskSeq> {
    let mut at = cell;
    // Its length and its key.
    varint(&mut at)?;
    varint(&mut at)?;
    let (header, mut body) = {
        let whole = at;
        let length = usize::try_from(varint(&mut at)?).ok()?;
        let skipped = whole.len() - at.len();
        (whole.get(skipped..length)?, whole.get(length..)?)
    };
    let mut types = header;
    // `copy` is the key: nothing is stored in its place.
    (varint(&mut types)? == 0).then_some(())?;
    let disk_seq = DiskSeq(integer(varint(&mut types)?, &mut body)?);
    let decided = Slot(integer(varint(&mut types)?, &mut body)?);
    // A blob of n bytes is of type 12 + 2 n.
    (varint(&mut types)? == 12 + 2 * 32).then_some(())?;
    let (chain, rest) = body.split_first_chunk::<32>()?;
    body = rest;
    let rows = integer(varint(&mut types)?, &mut body)?;
    let crc = integer(varint(&mut types)?, &mut body)?;
    let progress = Progress {
        disk_seq,
        decided,
        chain: Chain(*chain),
        rows,
    };
    (u64::from(progress.crc()) == crc).then_some(disk_seq)
}

/// A number of one to nine bytes, seven bits in each but the ninth.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for index in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if index == 8 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A stored integer of a type, with the bits that it has.
fn integer(kind: u64, body: &mut &[u8]) -> Option<u64> {
    let length = match kind {
        8 => return Some(0),
        9 => return Some(1),
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 => 8,
        _ => return None,
    };
    let (bytes, rest) = body.split_at_checked(length)?;
    *body = rest;
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { u64::MAX } else { 0 };
    let number = bytes
        .iter()
        .fold(start, |number, byte| number << 8 | u64::from(*byte));
    Some(number)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{NUMBER, disk_seq};
    use crate::log::Wal;

    /// Property: the page is where it is looked for, and says what the log says.
    #[test]
    fn the_count_is_found_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..300 {
            let mut wal = Wal::open(dir.path()).unwrap();
            wal.remember_peers(&Default::default()).unwrap();
            let count = wal.disk_seq();
            drop(wal);
            let file = std::fs::read(dir.path().join("log.db")).unwrap();
            let page = &file[(NUMBER as usize - 1) * 4096..NUMBER as usize * 4096];
            assert_eq!(disk_seq(page), Some(count));
        }
        let connection = Connection::open(dir.path().join("log.db")).unwrap();
        let root: u32 = connection
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'progress'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(root, NUMBER);
    }

    /// Property: a page that was hit says nothing, or nothing wrong; it never panics.
    #[test]
    fn damage_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = Wal::open(dir.path()).unwrap();
        wal.remember_peers(&Default::default()).unwrap();
        let count = wal.disk_seq();
        drop(wal);
        let file = std::fs::read(dir.path().join("log.db")).unwrap();
        let sound = &file[(NUMBER as usize - 1) * 4096..NUMBER as usize * 4096];
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut page = sound.to_vec();
                page[at] ^= 1 << bit;
                let found = disk_seq(&page);
                assert!(found.is_none_or(|found| found == count), "{at}: {found:?}");
            }
        }
        for length in 0..sound.len() {
            let _ = disk_seq(&sound[..length]);
        }
    }
}
