//! Whether a file is the snapshot that its manifest describes.

use std::path::{Path, PathBuf};

use super::durable;
use super::manifest::Manifest;
use crate::{Error, schema};

/// A snapshot whose file was found to be what its manifest says.
#[derive(Debug)]
pub struct Verified {
    manifest: Manifest,
    path: PathBuf,
}

impl Verified {
    /// What it is of.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Checks a file against its manifest: length, SHA-256, that it is a state file of this format,
/// that SQLite finds its structure whole (`PRAGMA quick_check`), and that its own `applied` row
/// says the same prefix of the log. Reads all of it, about half a second per million messages.
///
/// # Errors
///
/// [`Error::BadSnapshot`] when it is not that snapshot; others when the file cannot be read.
pub fn verify(path: &Path, manifest: &Manifest) -> Result<Verified, Error> {
    let bad = |found: String| Error::BadSnapshot {
        path: path.to_path_buf(),
        found,
    };
    if !durable::exists(path)? {
        return Err(bad("there is no such file".to_owned()));
    }
    let (length, sha256) = durable::digest(path)?;
    if length != manifest.length {
        let expected = manifest.length;
        return Err(bad(format!("{length} bytes instead of {expected}")));
    }
    if sha256 != manifest.sha256 {
        return Err(bad("its SHA-256 is another one".to_owned()));
    }
    let connection = schema::open_reader(path).map_err(|error| inside(error, &bad))?;
    schema::check(&connection, path, "PRAGMA quick_check(1)")
        .map_err(|error| inside(error, &bad))?;
    let applied = schema::read_applied(&connection)
        .map_err(|fault| fault.at("read", path))
        .map_err(|error| inside(error, &bad))?;
    if applied != manifest.applied {
        let (found, expected) = (applied.slot, manifest.applied.slot);
        return Err(bad(format!(
            "it stands at slot {found}, the manifest at slot {expected}, or their chains differ"
        )));
    }
    Ok(Verified {
        manifest: manifest.clone(),
        path: path.to_path_buf(),
    })
}

/// What is wrong inside the file is wrong with the snapshot; a failing disk is not.
fn inside(error: Error, bad: &impl Fn(String) -> Error) -> Error {
    match error {
        Error::Damaged { .. }
        | Error::NotOurs { .. }
        | Error::NewerFormat { .. }
        | Error::OlderFormat { .. } => bad(error.to_string()),
        other => other,
    }
}
