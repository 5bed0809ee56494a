//! Free space: what must be there at start, when rows must be refused, and the ballast, a file
//! that is given up so that the last small writes still succeed.
//!
//! In: the file system's free space. Out: [`Space`]. Must hold: a disk that fills up is noticed
//! before a commit fails, for a failed one ends the process. Tested in: `tests/space.rs`.
//!
//! ```text
//! free   FREE_BYTES_OK ──── rows are taken again
//!        FREE_BYTES_LOW ─── rows are refused; what is under way still fits
//!        FREE_BYTES_LAST ── the ballast goes: a promise, an epoch or a compaction still fits
//! ```
//!
//! Without rows the log hardly grows: its WAL is used over and over, and what goes into log.db
//! replaces what is there. The ballast is for what the pages of small writes add to both, and for
//! another program that fills the disk to its end.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::limits::{BALLAST_BYTES, FREE_BYTES_LAST, FREE_BYTES_LOW, FREE_BYTES_OK};

/// Name of the ballast in the data directory.
const FILE: &str = "log.ballast";

/// The state of a disk's free space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// What is left, without the ballast.
    pub free_bytes: u64,
    /// Whether rows must be refused: what the core is told by `Input::Space`.
    pub low: bool,
    /// Whether the ballast is there.
    pub ballast: bool,
}

/// Looks at the free space of a data directory and keeps the ballast in it. One per directory.
#[derive(Debug)]
pub struct SpaceWatch {
    dir: PathBuf,
    low: bool,
    ballast: bool,
    /// Whether the ballast was given up; until it is there again, the disk is low.
    released: bool,
}

impl SpaceWatch {
    /// A watch over a data directory. Nothing is looked at or written yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            low: false,
            ballast: false,
            released: false,
        }
    }

    /// Looks, and makes the ballast or gives it up. To be called several times a second: what
    /// is between the two lower marks has to last until the next look. Blocks for as long as
    /// the file system takes to make a file.
    ///
    /// # Errors
    /// [`Error::Io`] when the free space cannot be read or the ballast not be removed. It says
    /// nothing about the space; the log's writer meets the cause if it concerns it.
    pub fn look(&mut self) -> Result<Space, Error> {
        let mut free_bytes = free_bytes(&self.dir)?;
        self.ballast = ballast_bytes(&self.dir) >= BALLAST_BYTES;
        if self.ballast && free_bytes < FREE_BYTES_LAST {
            self.release()?;
            free_bytes = self::free_bytes(&self.dir)?;
        } else if !self.ballast && free_bytes >= FREE_BYTES_OK + BALLAST_BYTES {
            self.fill();
            free_bytes = self::free_bytes(&self.dir)?;
        }
        let mark = if self.low {
            FREE_BYTES_OK
        } else {
            FREE_BYTES_LOW
        };
        self.low = self.released || free_bytes < mark;
        Ok(Space {
            free_bytes,
            low: self.low,
            ballast: self.ballast,
        })
    }

    fn release(&mut self) -> Result<(), Error> {
        let path = self.dir.join(FILE);
        fs::remove_file(&path).map_err(|source| Error::Io {
            doing: "give up",
            path: path.clone(),
            source,
        })?;
        (self.ballast, self.released) = (false, true);
        tracing::warn!(path = %path.display(), "the disk is full: the ballast is given up");
        Ok(())
    }

    /// Makes the ballast. Doing without it is worse, but no reason to stop.
    fn fill(&mut self) {
        let path = self.dir.join(FILE);
        match make(&path) {
            Ok(()) => (self.ballast, self.released) = (true, false),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot make the ballast");
                // Half a ballast only takes space away.
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "cannot remove the ballast");
                }
            }
        }
    }
}

/// Makes a file whose blocks are its own.
fn make(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let reserved =
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, BALLAST_BYTES);
    match reserved {
        Ok(()) => {}
        // Not every file system can reserve: then it has to be written.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write(&mut file)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn write(file: &mut File) -> std::io::Result<()> {
    let chunk = vec![0xba_u8; 64 * 1024];
    for _ in 0..BALLAST_BYTES / chunk.len() as u64 {
        file.write_all(&chunk)?;
    }
    Ok(())
}

/// How long the ballast is.
fn ballast_bytes(dir: &Path) -> u64 {
    fs::metadata(dir.join(FILE)).map_or(0, |file| file.len())
}

fn free_bytes(dir: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(dir).map_err(|source| Error::Io {
        doing: "read the free space of",
        path: dir.to_path_buf(),
        source: source.into(),
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses a directory with less than `needed_bytes` left: better a clear error at start than a
/// stop in the middle of the first checkpoint. The ballast counts as free.
pub(crate) fn check(dir: &Path, needed_bytes: u64) -> Result<(), Error> {
    let free_bytes = free_bytes(dir)?.saturating_add(ballast_bytes(dir));
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    let mib = |bytes: u64| bytes / (1024 * 1024);
    Err(Error::LowSpace {
        dir: dir.to_path_buf(),
        free_mib: mib(free_bytes),
        needed_mib: mib(needed_bytes),
    })
}
