//! Writes a client's history while it happens.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::event::{Event, Line};
use crate::limits::RECORDER_BUFFER_BYTES;

/// The one clock of a run: monotonic, microseconds since it was made. Copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Microseconds since the run began.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The file of one client. What is not yet on disk is written by [`Recorder::flush`] and when it
/// is dropped.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    path: PathBuf,
    file: BufWriter<File>,
}

impl Recorder {
    /// Begins the file `FOLDER/clients/NAME.jsonl`.
    ///
    /// # Errors
    /// When it cannot be made, or is there already: a history is never overwritten.
    pub fn create(folder: &Path, name: &str, user: u64, clock: Clock) -> Result<Self> {
        let clients = folder.join(crate::folder::CLIENTS);
        std::fs::create_dir_all(&clients).with_context(|| format!("make {}", clients.display()))?;
        let path = clients.join(format!("{name}.jsonl"));
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("begin the history {}", path.display()))?;
        let mut recorder = Self {
            clock,
            path,
            file: BufWriter::with_capacity(RECORDER_BUFFER_BYTES, file),
        };
        recorder.record(Event::Client {
            name: name.to_owned(),
            user,
        })?;
        Ok(recorder)
    }

    /// Writes down what has just happened, or is about to be sent; returns the time that stands
    /// in the line.
    ///
    /// # Errors
    /// When the disk takes nothing more. The run is void then: a history with a hole proves
    /// nothing.
    pub fn record(&mut self, event: Event) -> Result<u64> {
        let at = self.clock.now_us();
        serde_json::to_writer(&mut self.file, &Line(at, event))
            .and_then(|()| self.file.write_all(b"\n").map_err(serde_json::Error::io))
            .with_context(|| format!("write the history {}", self.path.display()))?;
        Ok(at)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .with_context(|| format!("write the history {}", self.path.display()))
    }
}
