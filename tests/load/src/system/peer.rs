//! A process that is not ours: started with its output in a file, killed for certain.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A child process. Killed when dropped.
#[derive(Debug)]
pub(super) struct Peer {
    child: Child,
}

impl Peer {
    /// Starts a program with its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is, looked for in `PATH` and in `beside`.
pub(super) fn find(program: &str, beside: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(beside.iter().map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The first line that holds `word` of what a program says when asked for its version.
///
/// # Errors
/// When it cannot be run.
pub(super) fn says(program: &Path, args: &[&str], word: &str) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let line = text.lines().find(|line| line.contains(word));
    Ok(line
        .or_else(|| text.lines().next())
        .unwrap_or_default()
        .trim()
        .to_owned())
}
