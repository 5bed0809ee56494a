//! Scan of log.db-wal before SQLite opens it.
//!
//! SQLite recovers a WAL up to its first invalid frame and takes the rest as never written. For
//! a torn tail that is right. For a flipped bit in the middle it is amnesia: transactions that
//! were synced, and acknowledged to other replicas, vanish without an error (trap 14).
//!
//! The two are told apart by what follows the first bad frame. One connection writes, and syncs
//! at every commit, so at most the last transaction can be torn. The WAL's salts change each time
//! it starts over, so leftovers of earlier rounds do not count. A commit mark of this round
//! after the first bad frame therefore means damage, with one exception that cannot be told
//! from it: a power loss in the middle of the last fsync, when the disk had written the last
//! frame of the transaction but not an earlier one. It is refused as well. That costs a node
//! that could have gone on; the opposite guess could cost an acknowledged entry.
//!
//! The other ambiguous place is the last frame: damage there looks like a torn tail, and is
//! taken for one, since `kill -9` leaves that. The writer's seal keeps what was acknowledged out
//! of that place whenever it pauses.
//!
//! Format: <https://www.sqlite.org/fileformat.html#the_write_ahead_log>

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use crate::error::Error;

/// Length of the WAL's header.
const HEADER_BYTES: usize = 32;
/// Length of a frame's header; a page follows.
const FRAME_HEADER_BYTES: usize = 24;

/// Refuses a WAL whose recovery would drop synced transactions. Changes nothing.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        // A clean stop removes it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    match scan(BufReader::with_capacity(1 << 20, file), length).map_err(failed)? {
        Verdict::Recoverable => Ok(()),
        Verdict::Damaged { offset, why } => Err(Error::WalDamaged {
            path: path.to_path_buf(),
            offset,
            why: why.to_owned(),
        }),
    }
}

/// What opening the file would do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// SQLite finds every synced transaction.
    Recoverable,
    /// SQLite would drop synced transactions.
    Damaged {
        /// Where the first bad frame (or the header) starts.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// SQLite's running checksum over pairs of 32-bit words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum(u32, u32);

impl Checksum {
    /// Goes on over `bytes`, a multiple of eight.
    fn over(mut self, big_endian: bool, bytes: &[u8]) -> Self {
        debug_assert_eq!(bytes.len() % 8, 0, "checksums run over pairs of words");
        let word = |at: &[u8; 4]| {
            if big_endian {
                u32::from_be_bytes(*at)
            } else {
                u32::from_le_bytes(*at)
            }
        };
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for [first, second] in pairs {
            self.0 = self.0.wrapping_add(word(first)).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(second)).wrapping_add(self.0);
        }
        self
    }
}

/// The 32-bit word number `index` of a header.
fn word(bytes: &[u8], index: usize) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(index).map_or(0, |word| u32::from_be_bytes(*word))
}

/// Whether `buffer` could be filled; `false` at the end of the file.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn scan(mut reader: impl Read, length: u64) -> std::io::Result<Verdict> {
    let mut header = [0_u8; HEADER_BYTES];
    if !fill(&mut reader, &mut header)? {
        // Shorter than its header: nothing was ever committed to it.
        return Ok(Verdict::Recoverable);
    }
    let big_endian = word(&header, 0) & 1 == 1;
    let page_bytes = word(&header, 2) as usize;
    let mut running = Checksum(0, 0).over(big_endian, &header[..24]);
    let whole = word(&header, 0) & !1 == 0x377f_0682
        && page_bytes.is_power_of_two()
        && (512..=65536).contains(&page_bytes)
        && running == Checksum(word(&header, 6), word(&header, 7));
    if !whole {
        // SQLite syncs the header before it writes the first frame behind it.
        return Ok(if length > HEADER_BYTES as u64 {
            Verdict::Damaged {
                offset: 0,
                why: "the header is not valid",
            }
        } else {
            Verdict::Recoverable
        });
    }
    let salts = (word(&header, 4), word(&header, 5));
    let frame_bytes = FRAME_HEADER_BYTES + page_bytes;
    let mut frame = vec![0_u8; frame_bytes];
    let mut offset = HEADER_BYTES as u64;
    let mut first_bad: Option<(u64, &'static str)> = None;
    while fill(&mut reader, &mut frame)? {
        let right_salts = (word(&frame, 2), word(&frame, 3)) == salts;
        let commits = word(&frame, 1) != 0;
        if let Some((offset, why)) = first_bad {
            // Not asked: whether this frame's own checksum holds. It runs on from the frame
            // before, which may be the damaged one, and 64 bits of salt do not match by chance.
            if right_salts && commits {
                return Ok(Verdict::Damaged { offset, why });
            }
        } else if !right_salts {
            first_bad = Some((offset, "a frame of this round of the WAL is missing"));
        } else {
            running = running
                .over(big_endian, &frame[..8])
                .over(big_endian, &frame[FRAME_HEADER_BYTES..]);
            if running != Checksum(word(&frame, 4), word(&frame, 5)) {
                first_bad = Some((offset, "the checksum of a frame is wrong"));
            }
        }
        offset += frame_bytes as u64;
    }
    Ok(Verdict::Recoverable)
}
