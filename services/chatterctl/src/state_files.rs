//! Files that keep something between two calls of `chatterctl`, and that only their owner may read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

/// Where those of this person are on this machine; not made yet.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let directory = state
        .or_else(home)
        .context("neither XDG_STATE_HOME nor HOME is set")?;
    Ok(directory.join("chatterbox"))
}

/// Writes a file as a whole or not at all, with the directory that it lies in.
pub(crate) fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let temporary = path.with_added_extension(std::process::id().to_string());
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
