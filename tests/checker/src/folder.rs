//! Where a run keeps what was recorded:
//!
//! ```text
//! FOLDER/clients/NAME.jsonl   the history of each client (event.rs)
//! FOLDER/logs/rN.jsonl        the log of each node (log.rs)
//! FOLDER/states/rN.json       the state of each node (log.rs)
//! FOLDER/outages.jsonl        when a majority was certainly dead; none if there is no file
//! ```

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::event::Line;
use crate::facts::Checker;
use crate::log::{NodeLog, NodeState};
use crate::report::Report;

/// The folder of the histories, in that of a run.
pub const CLIENTS: &str = "clients";
pub(crate) const LOGS: &str = "logs";
pub(crate) const STATES: &str = "states";
const OUTAGES: &str = "outages.jsonl";

/// A time in which a majority of the voters was certainly dead, by the clock of the histories.
/// What was sent within it cannot be acknowledged within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// From when on it was certain that they had stopped, in microseconds.
    pub from_us: u64,
    /// Before the first of them was started again.
    pub to_us: u64,
    /// Who was dead and why.
    pub why: String,
}

impl Outage {
    /// Adds it to the folder of a run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, folder: &Path) -> Result<()> {
        let path = folder.join(OUTAGES);
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("write {}", path.display()))?;
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all(&line)?;
        Ok(())
    }
}

/// Reads the folder of a run and judges it.
///
/// # Errors
/// When a file cannot be read or is not what it should be; names it, and the line.
pub fn check(folder: &Path) -> Result<Report> {
    let mut checker = Checker::new();
    let clients = files(&folder.join(CLIENTS))?;
    if clients.is_empty() {
        bail!(
            "{} holds no history: a run writes one file for each client there",
            folder.join(CLIENTS).display()
        );
    }
    for path in clients {
        read_client(&mut checker, &path)?;
    }
    for path in files(&folder.join(LOGS))? {
        checker.log(NodeLog::read(&path)?);
    }
    for path in files(&folder.join(STATES))? {
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let state: NodeState =
            serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
        checker.state(state);
    }
    let outages = folder.join(OUTAGES);
    if outages.exists() {
        for (index, line) in lines(&outages)?.enumerate() {
            let outage = serde_json::from_str(&line?)
                .with_context(|| format!("{} line {}", outages.display(), index + 1))?;
            checker.outage(outage);
        }
    }
    Ok(checker.finish())
}

fn read_client(checker: &mut Checker, path: &Path) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let lines = lines(path)?.enumerate().map(|(index, line)| {
        let place = || format!("{} line {}", path.display(), index + 1);
        Line::parse(&line.with_context(place)?).with_context(place)
    });
    checker.try_client(&name, lines)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<String>>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    Ok(BufReader::new(file).lines())
}

/// The files of a folder by name; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
