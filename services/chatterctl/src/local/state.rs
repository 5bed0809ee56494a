//! `cluster.json` and `supervisor.lock`: what runs where, and whether it runs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::plan::{Kind, Plan};

const VERSION: u32 = 1;

/// The content of `cluster.json`. Written by `up`, then by the supervisor only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    pub(crate) plan: Plan,
    /// For people and other programs.
    pub(crate) url: String,
    /// host:port of membership.
    pub(crate) membership: String,
    /// The supervisor's process, while it runs.
    pub(crate) supervisor: Option<u32>,
    pub(crate) processes: Vec<Process>,
}

/// A supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// host:port on which it listens.
    pub(crate) address: String,
    /// Absent while it does not run.
    pub(crate) pid: Option<u32>,
    /// How often the supervisor has started it again.
    pub(crate) restarts: u32,
}

impl State {
    /// Of a cluster that is about to start.
    pub(crate) fn new(plan: Plan) -> Self {
        let process = |part: super::plan::Part| Process {
            address: part.address(),
            name: part.name,
            kind: part.kind,
            pid: None,
            restarts: 0,
        };
        Self {
            version: VERSION,
            url: plan.url(),
            membership: plan.membership(),
            supervisor: None,
            processes: plan.parts().into_iter().map(process).collect(),
            plan,
        }
    }

    /// Reads it; absent when there has never been a cluster.
    pub(crate) fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = file(data);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let state: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not readable; delete it", path.display()))?;
        if state.version != VERSION {
            bail!("{} is of another version; delete it", path.display());
        }
        Ok(Some(state))
    }

    /// Replaces it. It describes processes, which a power failure ends: no fsync.
    pub(crate) fn save(&self, data: &Path) -> anyhow::Result<()> {
        let (path, temporary) = (file(data), data.join("cluster.json.new"));
        let write = || -> io::Result<()> {
            fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
            fs::rename(&temporary, &path)
        };
        write().with_context(|| format!("write {}", path.display()))
    }

    /// The process that a person means: `r1`, `gateway-1`, `g1`, `membership`.
    pub(crate) fn process(&self, name: &str) -> anyhow::Result<&Process> {
        let long = match name.strip_prefix('g') {
            Some(number) if number.parse::<u16>().is_ok() => format!("gateway-{number}"),
            _ => name.to_owned(),
        };
        let found = self.processes.iter().find(|process| process.name == long);
        found.with_context(|| {
            let names: Vec<&str> = self.processes.iter().map(|p| p.name.as_str()).collect();
            format!(
                "there is no process `{name}`; there are {}",
                names.join(", ")
            )
        })
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("cluster.json")
}

/// Held by the supervisor as long as it lives; the system lets go of it, however it dies. A
/// pid alone proves nothing: it may belong to another program by now.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it; `None` when a supervisor has it.
    pub(crate) fn take(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join("supervisor.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock {}", path.display()))
            }
        }
    }

    /// Whether a supervisor runs on this directory.
    pub(crate) fn is_held(data: &Path) -> anyhow::Result<bool> {
        if !data.join("supervisor.lock").exists() {
            return Ok(false);
        }
        Ok(Self::take(data)?.is_none())
    }
}

/// Processes of this directory that live without a supervisor: it was killed. Looks into
/// /proc, so that a pid that another program got is not taken for ours.
pub(crate) fn orphans(data: &Path, state: &State) -> Vec<Process> {
    let ours = |process: &&Process| {
        let Some(pid) = process.pid else { return false };
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = program
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // A program that was built again while it ran is shown as `replica (deleted)`.
        let same = name.trim_end_matches(" (deleted)") == process.kind.program();
        let log = data.join("logs").join(format!("{}.log", process.name));
        let output = fs::read_link(format!("/proc/{pid}/fd/2")).unwrap_or_default();
        same && output == log
    };
    state.processes.iter().filter(ours).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{Lock, Plan, State};

    #[test]
    fn is_kept_and_names_are_found() {
        let directory = tempfile::tempdir().expect("directory");
        assert!(State::load(directory.path()).expect("load").is_none());
        let state = State::new(Plan::new(None, None, None, Some(2), None));
        state.save(directory.path()).expect("save");
        assert_eq!(
            State::load(directory.path()).expect("load"),
            Some(state.clone())
        );
        for (name, address) in [
            ("r1", "127.0.0.1:1061"),
            ("gateway-1", "127.0.0.1:1050"),
            ("g2", "127.0.0.1:1052"),
            ("membership", "127.0.0.1:1051"),
        ] {
            assert_eq!(state.process(name).expect(name).address, address);
        }
        let error = state.process("r9").expect_err("no r9").to_string();
        assert!(
            error.contains("`r9`") && error.contains("membership, r1"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_file_is_named() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("cluster.json"), "{").expect("write");
        let error = State::load(directory.path())
            .expect_err("damaged")
            .to_string();
        assert!(
            error.contains("cluster.json") && error.contains("delete"),
            "{error}"
        );
    }

    #[test]
    fn one_holds_the_lock() {
        let directory = tempfile::tempdir().expect("directory");
        assert!(!Lock::is_held(directory.path()).expect("look"));
        let lock = Lock::take(directory.path()).expect("take").expect("free");
        assert!(Lock::is_held(directory.path()).expect("look"));
        assert!(Lock::take(directory.path()).expect("take").is_none());
        drop(lock);
        assert!(!Lock::is_held(directory.path()).expect("look"));
    }
}
