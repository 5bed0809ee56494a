//! One process per directory.
//!
//! SQLite's own exclusive lock would do, but can only say "database is locked". This file says
//! who holds it. The kernel drops the lock when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::error::Error;

/// Name of the lock file in the data directory.
pub(crate) const FILE: &str = "log.lock";

/// Keeps other processes out of a data directory whose log is not open here, while it lives.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// The name of its file, which stays where it is whatever else is moved.
    pub const FILE: &str = FILE;

    /// Takes the lock of an existing directory.
    ///
    /// # Errors
    ///
    /// When another process has it ([`Error::InUse`]), or the file cannot be opened.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        take(dir).map(|file| Self { _file: file })
    }
}

/// Takes the lock. It is held as long as the file is open.
pub(crate) fn take(dir: &Path) -> Result<File, Error> {
    let path = dir.join(FILE);
    let failed = |doing, source| Error::Io {
        doing,
        path: path.clone(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| failed("open", source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The holder may be between truncating and writing: the message does without.
            let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let holder = if known {
                format!("process {}", pid.trim())
            } else {
                "another process".into()
            };
            return Err(Error::InUse {
                dir: dir.to_path_buf(),
                holder,
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
    }
    let write = |file: &mut File| -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    // Not being able to note the pid (a full disk) must not keep the replica from starting.
    if let Err(error) = write(&mut file) {
        tracing::warn!(path = %path.display(), %error, "cannot note the process id");
    }
    Ok(file)
}
