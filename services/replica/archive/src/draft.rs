//! A backup while it arrives. It gets its name when it is whole, checked, and on the disk.
//!
//! In: pieces of a snapshot. Out: a directory with state.db, backup.json and SHA256SUMS. Must
//! hold: a directory of that name is a whole backup, also after a loss of power at any moment.

use std::fs;
use std::path::{Path, PathBuf};

use machine::snapshot::{Chunk, Receiver};
use proto::v1::SnapshotChunk;

use crate::backup::{MANIFEST, STATE, SUMS};
use crate::durable::{self, beside, hex, io};
use crate::{Backup, Error, Manifest};

/// A backup under way.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    directory: PathBuf,
    manifest: Manifest,
    receiver: Receiver,
}

impl Draft {
    /// Begins, in `target.partial`.
    ///
    /// # Errors
    /// [`Error::Exists`] when either is there; when the disk fails.
    pub fn begin(target: &Path, manifest: Manifest) -> Result<Self, Error> {
        Self::require_free(target)?;
        let directory = beside(target, ".partial");
        fs::create_dir_all(durable::parent(target)).map_err(io("make", target))?;
        fs::create_dir(&directory).map_err(io("make", &directory))?;
        let receiver = Receiver::begin(&directory, &manifest.snapshot)?;
        Ok(Self {
            target: target.to_path_buf(),
            directory,
            manifest,
            receiver,
        })
    }

    /// Whether a backup could get this name. Asked before a replica makes one.
    ///
    /// # Errors
    /// [`Error::Exists`] when it could not.
    pub fn require_free(target: &Path) -> Result<(), Error> {
        let partial = beside(target, ".partial");
        for (path, remedy) in [
            (target.to_path_buf(), "choose another name"),
            (
                partial,
                "another backup is being made, or was interrupted: then delete it",
            ),
        ] {
            if path.symlink_metadata().is_ok() {
                return Err(Error::Exists { path, remedy });
            }
        }
        Ok(())
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When it is not the next one or not as it was sent; when the disk fails.
    pub fn append(&mut self, chunk: SnapshotChunk) -> Result<(), Error> {
        let chunk = Chunk {
            offset: chunk.offset,
            bytes: chunk.data,
            crc: chunk.crc,
        };
        Ok(self.receiver.append(&chunk)?)
    }

    /// Bytes that have arrived, of how many.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        (self.receiver.offset(), self.manifest.snapshot.length)
    }

    /// Checks what has arrived, makes it durable, and gives it its name. If that fails, nothing
    /// is left.
    ///
    /// # Errors
    /// When it is not the snapshot that was announced; when the disk fails; [`Error::Exists`]
    /// when somebody took the name meanwhile.
    pub fn finish(self) -> Result<Backup, Error> {
        let directory = self.directory.clone();
        self.settle().inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&directory);
        })
    }

    fn settle(self) -> Result<Backup, Error> {
        // Reads all of it: length, checksum, structure, and that it is of the slot it names.
        let verified = self.receiver.finish()?;
        let state = self.directory.join(STATE);
        fs::rename(verified.path(), &state).map_err(io("rename", verified.path()))?;
        let leftover = beside(verified.path(), ".manifest");
        fs::remove_file(&leftover).map_err(io("remove", &leftover))?;
        let described = self
            .manifest
            .to_json()
            .map_err(|error| io("encode", &self.target)(error.into()))?;
        let sums = format!(
            "{}  {MANIFEST}\n{}  {STATE}\n",
            hex(&durable::sha256(&described)),
            hex(&self.manifest.snapshot.sha256)
        );
        durable::write_new(&self.directory.join(MANIFEST), &described)?;
        durable::write_new(&self.directory.join(SUMS), sums.as_bytes())?;
        durable::sync_directory(&self.directory)?;
        Backup::open(&self.directory)?;
        if self.target.symlink_metadata().is_ok() {
            return Err(Error::Exists {
                path: self.target,
                remedy: "choose another name",
            });
        }
        fs::rename(&self.directory, &self.target).map_err(io("rename", &self.directory))?;
        durable::sync_directory(durable::parent(&self.target))?;
        Backup::open(&self.target)
    }

    /// Gives it up and removes what has arrived.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn discard(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.directory).map_err(io("remove", &self.directory))
    }
}
