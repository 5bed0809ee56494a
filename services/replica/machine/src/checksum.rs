//! A checksum in each row that matters most, because SQLite has none: a bit that flips in the text
//! of a message is a correct row to it.
//!
//! Must hold: what was written is what is read, or the row is damaged. Both sides go over the same
//! values in the same form. Tests: below, and tests/damage.rs.

use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::error::Fault;

/// Feeds a value in a form in which no two sequences of values are the same bytes.
pub(crate) fn feed(value: ValueRef<'_>, mut sink: impl FnMut(&[u8])) -> Result<(), Fault> {
    let (tag, bytes) = match value {
        ValueRef::Null => {
            sink(&[0]);
            return Ok(());
        }
        ValueRef::Integer(number) => {
            sink(&[1]);
            sink(&number.to_le_bytes());
            return Ok(());
        }
        ValueRef::Real(_) => {
            return Err(Fault::Damaged(
                "a floating-point number, which no table has".to_owned(),
            ));
        }
        ValueRef::Text(text) => (2, text),
        ValueRef::Blob(blob) => (3, blob),
    };
    sink(&[tag]);
    sink(&(bytes.len() as u64).to_le_bytes());
    sink(bytes);
    Ok(())
}

/// The columns of a new row, and behind them its checksum.
pub(crate) fn with_crc<'a>(
    row: &'a [ValueRef<'a>],
) -> Result<impl Iterator<Item = ToSqlOutput<'a>>, Fault> {
    let crc = ValueRef::Integer(crc_of(row.iter().copied())?);
    let values = row.iter().copied().chain([crc]);
    Ok(values.map(ToSqlOutput::Borrowed))
}

/// Checks the first `columns` columns of a row against the one behind them.
pub(crate) fn require_intact(row: &Row<'_>, columns: usize) -> Result<(), Fault> {
    let mut hasher = crc32fast::Hasher::new();
    for column in 0..columns {
        feed(row.get_ref(column)?, |bytes| hasher.update(bytes))?;
    }
    let stored: i64 = row.get(columns)?;
    if stored == as_column(hasher) {
        return Ok(());
    }
    let key = row.get_ref(0)?;
    Err(Fault::Damaged(format!(
        "the row {key:?} is not as it was written"
    )))
}

/// The checksum of these columns.
pub(crate) fn crc_of<'a>(row: impl Iterator<Item = ValueRef<'a>>) -> Result<i64, Fault> {
    let mut hasher = crc32fast::Hasher::new();
    for value in row {
        feed(value, |bytes| hasher.update(bytes))?;
    }
    Ok(as_column(hasher))
}

/// As a signed number, which takes four bytes in a row; an unsigned one would take six.
fn as_column(hasher: crc32fast::Hasher) -> i64 {
    i64::from(hasher.finalize().cast_signed())
}

/// A number as a column.
pub(crate) const fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(crate::ids::to_sql(number))
}

/// A number as a column, or NULL.
pub(crate) const fn maybe(value: Option<u64>) -> ValueRef<'static> {
    match value {
        Some(value) => number(value),
        None => ValueRef::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: rows that differ in where one value ends and the next begins, or in its kind,
    /// have different checksums; any single bit counts.
    #[test]
    fn every_value_and_border_counts() {
        let rows: [&[ValueRef<'_>]; 7] = [
            &[ValueRef::Text(b"ab"), ValueRef::Text(b"c")],
            &[ValueRef::Text(b"a"), ValueRef::Text(b"bc")],
            &[ValueRef::Text(b"abc")],
            &[ValueRef::Blob(b"ab"), ValueRef::Text(b"c")],
            &[ValueRef::Null, ValueRef::Integer(0)],
            &[ValueRef::Integer(0), ValueRef::Null],
            &[ValueRef::Integer(1), ValueRef::Null],
        ];
        let crcs: Vec<i64> = rows
            .iter()
            .map(|row| crc_of(row.iter().copied()).unwrap())
            .collect();
        for (index, crc) in crcs.iter().enumerate() {
            assert!(!crcs[..index].contains(crc), "{index}");
            assert!(i32::try_from(*crc).is_ok(), "four bytes");
        }
        assert!(crc_of([ValueRef::Real(1.0)].into_iter()).is_err());
    }
}
