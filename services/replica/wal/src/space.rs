//! Whether there is room to start.

use std::path::Path;

use crate::error::Error;

/// Refuses a directory with less than `needed_bytes` left: better a clear error at start than a
/// stop in the middle of the first checkpoint.
pub(crate) fn check(dir: &Path, needed_bytes: u64) -> Result<(), Error> {
    let stat = rustix::fs::statvfs(dir).map_err(|source| Error::Io {
        doing: "read the free space of",
        path: dir.to_path_buf(),
        source: source.into(),
    })?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
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
