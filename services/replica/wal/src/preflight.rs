//! Scan of log.db-wal before SQLite opens it, and making durable what it shows.
//!
//! SQLite recovers a WAL up to its first invalid frame and takes the rest as never written. For
//! a torn tail that is right. For a flipped bit in the middle it is amnesia: transactions that
//! were synced, and acknowledged to other replicas, vanish without an error (trap 14).
//!
//! The two are told apart by what follows the first bad frame. One connection writes, and syncs
//! at every commit before the next transaction begins: so at most the *last* transaction can be
//! torn, and its frames are in any order on the disk. The WAL's salts change each time it starts
//! over, so leftovers of earlier rounds do not count, and [`settle`] leaves none of this round.
//! Hence it is damage if a transaction *after* that of the bad frame shows:
//!
//! - two commit marks after the bad frame, for the torn transaction has one; or
//! - a count of transactions (`progress_page.rs`: every transaction writes one) that is higher
//!   by two or more than the last whole one. If the bad frame has the commit mark of its
//!   transaction, the single mark that follows is another's, and this tells it.
//!
//! If there is no whole transaction before the bad frame, log.db holds the last one: a WAL starts
//! over only after all of it was copied there and synced. A count there that is not the one
//! before is of a checkpoint of this very round: then what is bad had been synced, too. (A
//! checkpoint of an earlier process cannot be: [`crate::Wal::open`] completes it.)
//!
//! What remains is the last transaction: damage there looks like a torn one, and is taken for
//! it, since a power loss leaves that, and if all replicas lose power at once none may refuse for
//! it. The writer's seal keeps what was acknowledged out of that place whenever it pauses, and
//! the other replicas know the count of transactions that this one voted with.
//!
//! Format: <https://www.sqlite.org/fileformat.html#the_write_ahead_log>

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use paxos::ids::DiskSeq;

use crate::error::Error;
use crate::progress_page;

/// Length of the WAL's header.
const HEADER_BYTES: usize = 32;
/// Length of a frame's header; a page follows.
const FRAME_HEADER_BYTES: usize = 24;

/// Pages of a log that are believed: 256 GiB of them.
const PAGES_MAX: u32 = 1 << 26;

/// Refuses a WAL whose recovery would drop synced transactions. Changes nothing. Returns how many
/// bytes of it recovery will take.
/// `log` is the file that the WAL belongs to.
pub(crate) fn check(path: &Path, log: &Path) -> Result<u64, Error> {
    let failed = |source| Error::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        // A clean stop removes it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    let reader = BufReader::with_capacity(1 << 20, file);
    match scan(reader, length, || checkpointed(log)).map_err(failed)? {
        Verdict::Recoverable { committed_bytes } => Ok(committed_bytes),
        Verdict::Damaged { offset, why } => Err(Error::WalDamaged {
            path: path.to_path_buf(),
            offset,
            why: why.to_owned(),
        }),
    }
}

/// Makes the first `committed_bytes` of a WAL durable, and drops what recovery would drop. The
/// caller syncs the directory.
///
/// What a killed process had written and not yet synced is seen by this one, which votes by it:
/// so it must be on the disk before anybody is told. If a sync had failed, the kernel takes the
/// pages for clean and another sync would do nothing (Rebello et al., *Can Applications Recover
/// from fsync Failures?*, 2020): hence they are written again, to another file, because the
/// disk may hold them already and no crash may take that away. A torn end must not stay: it has
/// the salts of this round and would be taken for damage once a shorter transaction lies before.
pub(crate) fn settle(path: &Path, committed_bytes: u64) -> Result<(), Error> {
    let copy = path.with_extension("db-wal.new");
    let settled = || -> std::io::Result<()> {
        let wal = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            wal => wal?,
        };
        // A few MiB: checkpoints keep it short.
        let mut bytes = Vec::new();
        wal.take(committed_bytes).read_to_end(&mut bytes)?;
        let mut settled = File::create(&copy)?;
        settled.write_all(&bytes)?;
        settled.sync_all()?;
        std::fs::rename(&copy, path)
    };
    settled().map_err(|source| Error::Io {
        doing: "write again",
        path: path.to_path_buf(),
        source,
    })
}

/// What opening the file would do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// SQLite finds every synced transaction.
    Recoverable {
        /// Where the last of them ends.
        committed_bytes: u64,
    },
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

/// The count of transactions in log.db itself: everything before this round of the WAL.
fn checkpointed(log: &Path) -> Option<DiskSeq> {
    let mut page = [0; crate::database::PAGE_BYTES as usize];
    let before = u64::from(progress_page::NUMBER - 1) * page.len() as u64;
    let file = File::open(log).ok()?;
    file.read_exact_at(&mut page, before).ok()?;
    progress_page::disk_seq(&page)
}

fn scan(
    mut reader: impl Read,
    length: u64,
    checkpointed: impl FnOnce() -> Option<DiskSeq>,
) -> std::io::Result<Verdict> {
    let mut header = [0_u8; HEADER_BYTES];
    if !fill(&mut reader, &mut header)? {
        // Shorter than its header: nothing was ever committed to it.
        return Ok(Verdict::Recoverable { committed_bytes: 0 });
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
            Verdict::Recoverable { committed_bytes: 0 }
        });
    }
    let salts = (word(&header, 4), word(&header, 5));
    let frame_bytes = FRAME_HEADER_BYTES + page_bytes;
    let mut frame = vec![0_u8; frame_bytes];
    let mut offset = HEADER_BYTES as u64;
    let mut committed_bytes = 0;
    let mut first_bad: Option<(u64, &'static str)> = None;
    let mut counts = Counts::default();
    while fill(&mut reader, &mut frame)? {
        let right_salts = (word(&frame, 2), word(&frame, 3)) == salts;
        let commits = word(&frame, 1) != 0;
        if first_bad.is_some() {
            // Not asked: whether this frame's own checksum holds. It runs on from the frame
            // before, which may be the damaged one, and 64 bits of salt do not match by chance.
            if right_salts {
                counts.see_behind(&frame, may_commit(&frame));
            }
        } else if !right_salts {
            first_bad = Some((offset, "a frame of this round of the WAL is missing"));
        } else {
            running = running
                .over(big_endian, &frame[..8])
                .over(big_endian, &frame[FRAME_HEADER_BYTES..]);
            if running != Checksum(word(&frame, 4), word(&frame, 5)) {
                first_bad = Some((offset, "the checksum of a frame is wrong"));
            } else {
                counts.see_whole(&frame, commits);
                if commits {
                    committed_bytes = offset + frame_bytes as u64;
                }
            }
        }
        offset += frame_bytes as u64;
    }
    Ok(match first_bad {
        Some((offset, why)) if counts.a_later_one_follows(checkpointed) => {
            Verdict::Damaged { offset, why }
        }
        _ => Verdict::Recoverable { committed_bytes },
    })
}

/// Whether the header of a frame behind a bad one may end a transaction: its page lies within the
/// size of the database that it tells. These two words may be in another sector than the salts, one
/// that was never written and holds anything; a true commit mark always passes.
fn may_commit(frame: &[u8]) -> bool {
    let (page, size) = (word(frame, 0), word(frame, 1));
    (1..=size).contains(&page) && size <= PAGES_MAX
}

/// Which transactions the frames before and behind the first bad one belong to.
#[derive(Default)]
struct Counts {
    /// In the transaction that is being read.
    open: Option<DiskSeq>,
    /// The last whole transaction.
    committed: Option<DiskSeq>,
    /// The highest one seen behind the first bad frame.
    behind: Option<DiskSeq>,
    /// Commit marks behind it.
    marks_behind: u32,
}

impl Counts {
    fn see_whole(&mut self, frame: &[u8], commits: bool) {
        self.open = count(frame).or(self.open);
        if commits {
            self.committed = self.open.take().or(self.committed);
        }
    }

    fn see_behind(&mut self, frame: &[u8], commits: bool) {
        self.behind = self.behind.max(count(frame));
        self.marks_behind += u32::from(commits);
    }

    /// Whether a transaction after that of the first bad frame was written, or whether that one
    /// itself was synced: log.db holds it.
    fn a_later_one_follows(&self, checkpointed: impl FnOnce() -> Option<DiskSeq>) -> bool {
        if self.marks_behind > 1 {
            return true;
        }
        let torn = |committed: DiskSeq| DiskSeq(committed.0.saturating_add(1));
        match (self.committed, self.behind) {
            // A lower count is what an earlier round left of a page whose header is of this one.
            (Some(committed), behind) => behind > Some(torn(committed)),
            // Here it may also be what log.db got from this round. That is refused.
            (None, behind) => match checkpointed() {
                Some(committed) => behind.is_some_and(|behind| behind != torn(committed)),
                None => self.marks_behind > 0,
            },
        }
    }
}

/// The count of transactions in a frame, if it holds that page.
fn count(frame: &[u8]) -> Option<DiskSeq> {
    let page = frame.get(FRAME_HEADER_BYTES..)?;
    (word(frame, 0) == progress_page::NUMBER).then(|| progress_page::disk_seq(page))?
}

#[cfg(test)]
mod tests {
    use super::may_commit;

    /// Goal: what a sector holds that was never written is no commit mark, and a true mark is one.
    /// The numbers are those of a power loss after which a healthy log was refused.
    #[test]
    fn garbage_is_no_commit_mark() {
        let frame = |page: u32, size: u32| [page.to_be_bytes(), size.to_be_bytes()].concat();
        for (page, size) in [(248, 248), (4, 146), (1, 1)] {
            assert!(may_commit(&frame(page, size)), "{page} of {size}");
        }
        for (page, size) in [
            (706_654_058, 4_130_613_373),
            (2_084_616_539, 3_359_284_476),
            (0, 5),
            (9, 8),
            (38, 0),
        ] {
            assert!(!may_commit(&frame(page, size)), "{page} of {size}");
        }
    }
}
