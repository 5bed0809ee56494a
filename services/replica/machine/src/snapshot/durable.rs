//! Files that survive a loss of power: written, synced, renamed, and their directory synced.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{Error, limits};

/// The path with something behind its name: `state.db` and `-wal`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes the file, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Whether there is such a file.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists()
        .map_err(|source| Error::io("look for", path, source))
}

/// Gives the file another name. Durable once the directory is synced.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::io("rename", from, source))
}

/// Makes the directory, if it is missing.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::io("make", path, source))
}

/// Makes the content of a file survive a loss of power.
pub(crate) fn sync_file(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| Error::io("sync", path, source))
}

/// Makes the names in a directory survive a loss of power.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| Error::io("sync", path, source))
}

/// Replaces a small file: a crash leaves the old content or the new one. A checksum goes before
/// it, which [`read_checked`] looks at.
pub(super) fn write_checked(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = beside(path, ".new");
    let written = || {
        let mut file = File::create(&new)?;
        file.write_all(&crc32fast::hash(content).to_le_bytes())?;
        file.write_all(content)?;
        file.sync_all()
    };
    written().map_err(|source| Error::io("write", &new, source))?;
    rename(&new, path)?;
    sync_directory(directory(path))
}

/// What [`write_checked`] wrote; `None` if there is no such file, or if it is not as it was
/// written.
pub(super) fn read_checked(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io("open", path, source)),
    };
    let mut bytes = Vec::new();
    file.take(limits::MANIFEST_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", path, source))?;
    let Some((crc, content)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Ok(None);
    }
    Ok(Some(content.to_vec()))
}

/// Length and SHA-256 of a file.
pub(super) fn digest(path: &Path) -> Result<(u64, [u8; 32]), Error> {
    let mut buffer = vec![0; limits::CHUNK_BYTES_MAX];
    let mut read_all = || {
        let mut file = File::open(path)?;
        let (mut length, mut hash) = (0_u64, Sha256::new());
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok((length, hash.finalize().into()));
            }
            length += count as u64;
            hash.update(&buffer[..count]);
        }
    };
    read_all().map_err(|source| Error::io("read", path, source))
}
