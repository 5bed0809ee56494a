//! A snapshot that arrives in chunks, and goes on arriving after either side died.
//!
//! The file grows chunk by chunk; beside it stands its manifest and how much of it is known to
//! be on the disk. Both are synced every [`limits::RECEIVED_SYNC_BYTES`], so a loss of power
//! costs at most that much of the download, and a crash of the process as well.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use proto::v1::PartialSnapshot;

use super::durable::{self, beside};
use super::made::Chunk;
use super::manifest::Manifest;
use super::verify::{Verified, verify};
use crate::{Error, limits};

const NAME: &str = "state.db.part";

/// A download under way. At most one per directory.
#[derive(Debug)]
pub struct Receiver {
    manifest: Manifest,
    path: PathBuf,
    file: File,
    /// So many bytes from the beginning have arrived.
    offset: u64,
    /// So many of them are known to be on the disk.
    synced: u64,
}

impl Receiver {
    /// Begins a download, or goes on with the one in the directory if it has the same manifest.
    /// Another one is dropped: its bytes are of another file.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn begin(directory: &Path, manifest: &Manifest) -> Result<Self, Error> {
        durable::make_directory(directory)?;
        if let Some(receiver) = Self::resume(directory)? {
            if receiver.manifest == *manifest {
                return Ok(receiver);
            }
            receiver.discard()?;
        }
        let path = directory.join(NAME);
        let file = File::create(&path).map_err(|source| Error::io("make", &path, source))?;
        let mut receiver = Self {
            manifest: manifest.clone(),
            path,
            file,
            offset: 0,
            synced: 0,
        };
        receiver.sync()?;
        Ok(receiver)
    }

    /// The download that was interrupted, if there is one: whoever offers the same manifest can
    /// go on with it. What cannot be continued is removed.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, cut or removed.
    pub fn resume(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(NAME);
        let known = durable::read_checked(&beside(&path, ".manifest"))?
            .and_then(|bytes| PartialSnapshot::decode(bytes.as_slice()).ok())
            .and_then(|partial| {
                let manifest = Manifest::from_wire(&partial.manifest?).ok()?;
                (partial.offset <= manifest.length).then_some((manifest, partial.offset))
            });
        let Some((manifest, offset)) = known else {
            remove(&path)?;
            return Ok(None);
        };
        let Some(file) =
            reopen(&path, offset).map_err(|source| Error::io("open", &path, source))?
        else {
            remove(&path)?;
            return Ok(None);
        };
        Ok(Some(Self {
            manifest,
            path,
            file,
            offset,
            synced: offset,
        }))
    }

    /// What is being fetched.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the next chunk begins, in bytes; the manifest's length when all have arrived.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether all bytes have arrived.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.offset == self.manifest.length
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    ///
    /// [`Error::BadChunk`] when it is not the next one or not as it was sent: nothing changed, ask
    /// for the one at [`Receiver::offset`]. Any other error is the disk's: drop the receiver, and
    /// [`Receiver::begin`] again when there is hope.
    pub fn append(&mut self, chunk: &Chunk) -> Result<(), Error> {
        let bad = |found| Error::BadChunk {
            offset: chunk.offset,
            found,
        };
        if chunk.offset != self.offset {
            return Err(bad("another offset comes next"));
        }
        let length = chunk.bytes.len();
        if !(1..=limits::CHUNK_BYTES_MAX).contains(&length) {
            return Err(bad("it is empty or too large"));
        }
        if length as u64 > self.manifest.length - self.offset {
            return Err(bad("it reaches beyond the end of the snapshot"));
        }
        if crc32fast::hash(&chunk.bytes) != chunk.crc {
            return Err(bad("its checksum differs"));
        }
        // A short write moves the file's own position: it is set each time, so that a chunk that
        // is sent again goes where it belongs.
        self.file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.write_all(&chunk.bytes))
            .map_err(|source| Error::io("write", &self.path, source))?;
        self.offset += length as u64;
        if self.offset - self.synced >= limits::RECEIVED_SYNC_BYTES || self.is_complete() {
            self.sync()?;
        }
        Ok(())
    }

    /// Verifies what has arrived.
    ///
    /// # Errors
    ///
    /// [`Error::BadSnapshot`] when bytes are missing (the download stays), or when the whole is
    /// not what the manifest says: then it is removed, and another replica should be asked.
    pub fn finish(self) -> Result<Verified, Error> {
        if !self.is_complete() {
            let (offset, length) = (self.offset, self.manifest.length);
            return Err(Error::BadSnapshot {
                path: self.path,
                found: format!("only {offset} of {length} bytes have arrived"),
            });
        }
        match verify(&self.path, &self.manifest) {
            Err(error @ Error::BadSnapshot { .. }) => {
                self.discard()?;
                Err(error)
            }
            other => other,
        }
    }

    /// Gives the download up and removes it.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn discard(self) -> Result<(), Error> {
        remove(&self.path)
    }

    /// The bytes first, then how many they are.
    fn sync(&mut self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(|source| Error::io("sync", &self.path, source))?;
        let partial = PartialSnapshot {
            manifest: Some(self.manifest.to_wire()),
            offset: self.offset,
        };
        durable::write_checked(&beside(&self.path, ".manifest"), &partial.encode_to_vec())?;
        self.synced = self.offset;
        Ok(())
    }
}

/// The file, cut to what was synced: beyond it may be anything. `None` if it is missing or shorter.
fn reopen(path: &Path, offset: u64) -> std::io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if file.metadata()?.len() < offset {
        return Ok(None);
    }
    file.set_len(offset)?;
    Ok(Some(file))
}

/// Removes a download, if any: what says how far it is first.
fn remove(path: &Path) -> Result<(), Error> {
    durable::remove(&beside(path, ".manifest"))?;
    durable::remove(path)
}
