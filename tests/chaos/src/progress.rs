//! What is said while it runs: a line for each thing that happens, and a line that is always
//! there, once a second on a terminal and every five seconds elsewhere.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::time::interval;

use crate::clock::Began;
use crate::watch::View;

/// Where it is not a terminal, a line each second would hide the others.
const EVERY_SECONDS: u64 = 5;

/// What clients have done so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Messages sent for the first time.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Connections that clients have opened so far.
    pub connections: u64,
}

/// Says lines, on standard output and into a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Said(Arc<Mutex<Place>>);

#[derive(Debug)]
struct Place {
    terminal: bool,
    file: File,
    began: Option<Began>,
}

impl Said {
    /// Into this file as well.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(file: &Path) -> Result<Self> {
        let made = File::create(file).with_context(|| format!("make {}", file.display()))?;
        Ok(Self(Arc::new(Mutex::new(Place {
            terminal: std::io::stdout().is_terminal(),
            file: made,
            began: None,
        }))))
    }

    /// From now on lines begin with the time of the run.
    pub fn begin(&self, began: Began) {
        self.with(|place| place.began = Some(began));
    }

    /// Says what happened.
    pub fn line(&self, words: &str) {
        self.with(|place| {
            let at = place.began.map(|began| clock(began.ms() / 1000) + "  ");
            let text = format!("{}{words}", at.unwrap_or_default());
            // Output that nobody reads any more is no reason to end a run.
            let _ = writeln!(place.file, "{text}");
            let mut out = std::io::stdout().lock();
            let clear = if place.terminal { "\r\x1b[K" } else { "" };
            let _ = writeln!(out, "{clear}{text}");
        });
    }

    /// Shows the line that is always there.
    fn status(&self, second: u64, words: &str) {
        self.with(|place| {
            let mut out = std::io::stdout().lock();
            if place.terminal {
                let _ = write!(out, "\r\x1b[K{words}");
                let _ = out.flush();
            } else if second.is_multiple_of(EVERY_SECONDS) {
                let _ = writeln!(out, "{words}");
            }
            if second.is_multiple_of(EVERY_SECONDS) {
                let _ = writeln!(place.file, "{words}");
            }
        });
    }

    fn with(&self, act: impl FnOnce(&mut Place)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// Shows time, messages, leader and faults until the task is aborted.
pub async fn show(
    said: Said,
    began: Began,
    counts: impl Fn() -> Counts,
    view: watch::Receiver<View>,
    faults: watch::Receiver<Vec<String>>,
) {
    let mut turn = interval(Duration::from_secs(1));
    let mut before = Counts::default();
    loop {
        turn.tick().await;
        let (now, second) = (counts(), began.ms() / 1000);
        let words = {
            let (view, faults) = (view.borrow(), faults.borrow());
            let leader = view.leader.as_ref().map(|name| view.title(name));
            let there = if faults.is_empty() {
                "none".to_owned()
            } else {
                faults.join(", ")
            };
            format!(
                "{}  {} sent, {} acknowledged (+{}/s), {} connections, leader {}, faults: {there}",
                clock(second),
                now.sent,
                now.acked,
                now.acked.saturating_sub(before.acked),
                now.connections,
                leader.as_deref().unwrap_or("none"),
            )
        };
        before = now;
        said.status(second, &words);
    }
}
