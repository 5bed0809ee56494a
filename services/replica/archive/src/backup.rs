//! A backup on a disk: a directory with a copy of the state, what it is of, and checksums that
//! `sha256sum -c SHA256SUMS` knows as well.

use std::path::{Path, PathBuf};

use machine::snapshot;

use crate::durable::{self, hex};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::{Error, Manifest, Source};

/// The copy of the state.
pub(crate) const STATE: &str = "state.db";
/// What it is of.
pub(crate) const MANIFEST: &str = "backup.json";
/// The checksums of both.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// A finished backup.
#[derive(Clone, Debug)]
pub struct Backup {
    directory: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Reads what a backup says of itself. The state is not read: see [`Backup::check`].
    ///
    /// # Errors
    /// [`Error::NotABackup`] when that is not as it was written; when it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let bad = |found: String| Error::NotABackup {
            path: directory.to_path_buf(),
            found,
        };
        for name in [STATE, MANIFEST, SUMS] {
            if !directory.join(name).is_file() {
                return Err(bad(format!("there is no {name} in it")));
            }
        }
        let described = durable::read_small(&directory.join(MANIFEST), MANIFEST_BYTES_MAX)?;
        let sums = durable::read_small(&directory.join(SUMS), MANIFEST_BYTES_MAX)?;
        let sums = String::from_utf8_lossy(&sums);
        let stated = |name: &str| {
            let line = sums.lines().find_map(|line| {
                let (sum, file) = line.split_once("  ")?;
                (file == name).then(|| sum.to_owned())
            });
            line.ok_or_else(|| bad(format!("{SUMS} does not name {name}")))
        };
        if stated(MANIFEST)? != hex(&durable::sha256(&described)) {
            return Err(bad(format!("{MANIFEST} is not as it was written")));
        }
        let manifest =
            Manifest::from_json(&described).map_err(|why| bad(format!("{MANIFEST}: {why}")))?;
        if stated(STATE)? != hex(&manifest.snapshot.sha256) {
            return Err(bad(format!(
                "{SUMS} and {MANIFEST} name different checksums of {STATE}"
            )));
        }
        Ok(Self {
            directory: directory.to_path_buf(),
            manifest,
        })
    }

    /// Reads the whole state: whether it is the one that the manifest describes.
    ///
    /// # Errors
    /// [`Error::State`] when it is not, or cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        snapshot::verify(&self.directory.join(STATE), &self.manifest.snapshot)?;
        Ok(())
    }

    /// What it is of.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// To make a new cluster of it. The copy is checked by whoever uses it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            state: self.directory.join(STATE),
            manifest: self.manifest.snapshot.clone(),
        }
    }
}
