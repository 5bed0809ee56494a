//! What is written down of a change of a file: a head of six numbers, little-endian, then the
//! bytes that were there before, then those that came.
//!
//! One file per changed file, named by its inode and the time at which it was made: an inode is
//! used again for another file.

/// How many bytes a head has.
pub(crate) const HEAD: usize = 6 * 8;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Bytes were written.
    Written,
    /// The length was set; `offset` is the new one.
    Resized,
    /// A sync returned; `offset` counts the changes in front of it that it covers.
    Synced,
}

/// The head of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// What was done.
    pub(crate) what: What,
    /// Which change of the file it is, from 1.
    pub(crate) number: u64,
    /// Where; see [`What`].
    pub(crate) offset: u64,
    /// The length of the file before.
    pub(crate) length: u64,
    /// How many bytes there were before in the place of the change.
    pub(crate) before: u64,
    /// How many bytes came.
    pub(crate) after: u64,
}

impl Head {
    /// As it is written down.
    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let what = match self.what {
            What::Written => 1,
            What::Resized => 2,
            What::Synced => 3,
        };
        let fields = [
            what,
            self.number,
            self.offset,
            self.length,
            self.before,
            self.after,
        ];
        let mut bytes = [0; HEAD];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// `None` for what no head is.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = [0; 6];
        for (field, place) in fields.iter_mut().zip(bytes.get(..HEAD)?.chunks_exact(8)) {
            *field = u64::from_le_bytes(place.try_into().ok()?);
        }
        let [what, number, offset, length, before, after] = fields;
        let what = match what {
            1 => What::Written,
            2 => What::Resized,
            3 => What::Synced,
            _ => return None,
        };
        Some(Self {
            what,
            number,
            offset,
            length,
            before,
            after,
        })
    }
}

/// The name of the record of a file.
pub(crate) fn name(inode: u64, made_ns: u128) -> String {
    format!("{inode}-{made_ns}.undo")
}
