//! Where the files of a test lie.

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// What must be free in memory: many images of a few MiB, and what the log wants at its start.
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// A directory of its own, in memory if there is room: what survives is drawn, so nothing here
/// needs a disk, and a disk that others keep busy makes thousands of small files slow.
///
/// # Errors
/// When it cannot be made.
pub fn directory() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let roomy = rustix::fs::statvfs(memory)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >= FREE_BYTES_MIN);
    if roomy && let Ok(directory) = tempfile::tempdir_in(memory) {
        return Ok(directory);
    }
    tempfile::tempdir()
}
