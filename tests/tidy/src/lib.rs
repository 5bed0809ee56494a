//! What the tidy tests need to know of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file that git tracks or would track.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All text files that git tracks, and those that it does not ignore.
///
/// # Errors
/// When git is missing or this is no checkout.
pub fn files() -> Result<Vec<SourceFile>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("run git ls-files")?;
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let paths = String::from_utf8(output.stdout)?;
    let files = paths.lines().filter_map(|path| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(SourceFile {
            path: path.to_owned(),
            text,
        })
    });
    Ok(files.collect())
}

/// What `cargo metadata` says of the workspace's own packages.
///
/// # Errors
/// When cargo fails.
pub fn metadata() -> Result<serde_json::Value> {
    let output = Command::new("cargo")
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
