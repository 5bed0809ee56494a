//! The copy of the workspace into which faults are planted, so that the sources stay as they
//! are and only what a fault touches is compiled again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::patch::Patch;
use crate::run::{Ended, told};

/// What is not needed to build and test the replica.
const LEFT_OUT: [&str; 5] = ["web/", "docs/", "docker/", ".ci/", "tests/browser/"];

/// A copy of the workspace, and its own build folder.
#[derive(Debug)]
pub(crate) struct Copy {
    /// The root of the copied workspace.
    pub(crate) root: PathBuf,
    /// Where it is built.
    pub(crate) target: PathBuf,
}

/// A fault that is in the copy now.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    copy: &'a Copy,
    /// The files that it touches, as they were.
    before: BTreeMap<PathBuf, String>,
}

impl Copy {
    /// Brings `target/zoo` up to date with what git tracks or would track. Files that did not
    /// change are left alone, so that they are not compiled again.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let folder = root.join("target/zoo");
        std::fs::create_dir_all(&folder).context("make target/zoo")?;
        let folder = folder.canonicalize()?;
        let copy = Self {
            root: folder.join("workspace"),
            target: folder.join("target"),
        };
        let listed = listed(root)?;
        for path in &listed {
            let text = std::fs::read(root.join(path)).with_context(|| format!("read {path}"))?;
            let to = copy.root.join(path);
            if std::fs::read(&to).ok().as_ref() != Some(&text) {
                if let Some(parent) = to.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(&to, text).with_context(|| format!("write {}", to.display()))?;
            }
        }
        copy.remove_what_is_gone(&copy.root, &listed)?;
        Ok(copy)
    }

    fn remove_what_is_gone(&self, folder: &Path, listed: &[String]) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_what_is_gone(&path, listed)?;
                continue;
            }
            let relative = path
                .strip_prefix(&self.root)?
                .to_string_lossy()
                .into_owned();
            if !listed.contains(&relative) {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Plants a fault.
    pub(crate) fn apply(&self, patch: &Patch) -> Result<Applied<'_>> {
        let mut before = BTreeMap::new();
        for file in touched(patch)? {
            let path = self.root.join(&file);
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
            before.insert(path, text);
        }
        git_apply(&self.root, patch, &[])?;
        Ok(Applied { copy: self, before })
    }

    /// A cargo command on the copy.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        // Seconds of compiling count more here than seconds of running.
        command.env("CARGO_PROFILE_SIM_INCREMENTAL", "true");
        command.env("CARGO_PROFILE_SIM_CODEGEN_UNITS", "16");
        // Objects of before and after a patch do not always link together.
        command.env("CARGO_PROFILE_DEV_INCREMENTAL", "false");
        command.env("CARGO_PROFILE_TEST_INCREMENTAL", "false");
        command.env("RUST_BACKTRACE", "0");
        command
    }
}

impl Applied<'_> {
    /// Takes the fault out again.
    pub(crate) fn revert(self) -> Result<()> {
        for (path, text) in self.before {
            assert!(
                path.starts_with(&self.copy.root),
                "only the copy is written to"
            );
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Whether a patch fits the sources.
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "the tests ask it of every patch")
)]
pub(crate) fn check(root: &Path, patch: &Patch) -> Result<()> {
    git_apply(root, patch, &["--check"])
}

fn git_apply(root: &Path, patch: &Patch, more: &[&str]) -> Result<()> {
    let path = patch.path.canonicalize()?;
    let mut command = Command::new("git");
    command.arg("apply").args(more).arg(&path).current_dir(root);
    // The copy lies inside a repository, which git must not take for the one that is meant.
    let parent = root.canonicalize()?;
    command.env(
        "GIT_CEILING_DIRECTORIES",
        parent.parent().unwrap_or(&parent),
    );
    let Ended { success, text } = told(&mut command)?;
    ensure!(
        success,
        "{} does not apply: {}",
        patch.file,
        text.trim().replace('\n', "; ")
    );
    Ok(())
}

/// The files that a patch touches.
fn touched(patch: &Patch) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(&patch.path)?;
    let names = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
    Ok(names.map(str::to_owned).collect())
}

/// What git tracks or would track, and is needed.
fn listed(root: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root);
    let Ended { success, text } = told(&mut command)?;
    ensure!(success, "git ls-files: {text}");
    let needed = |path: &&str| {
        !LEFT_OUT.iter().any(|left| path.starts_with(left)) && !path.ends_with(".patch")
    };
    let there = |path: &&str| root.join(path).is_file();
    Ok(text
        .lines()
        .filter(needed)
        .filter(there)
        .map(str::to_owned)
        .collect())
}
