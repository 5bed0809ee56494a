//! A recorded directory, as a test holds it.
//!
//! In: what was on the disk before. Out: the events since then. Must hold: the directory outlives
//! its recording. Tested in: `tests/faults/layer.rs`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::event::{Call, Event, Fault};
use crate::gate::{Gate, lock};
use crate::layer::{self, Recording, Shared};
use crate::medium::{Image, Medium};

/// A recorded directory of its own. Dropping it ends the recording and deletes the directory.
pub struct Disk {
    shared: Arc<Shared>,
    /// What was there at the start.
    before: Medium,
    /// Outlives the recording: the number of a deleted file may be given to any other file.
    _directory: TempDir,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("path", &self.path()).finish()
    }
}

impl Disk {
    /// An empty directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn empty() -> std::io::Result<Self> {
        Self::resume(Medium::default())
    }

    /// A directory that holds what a crash left. All of it is durable.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn holding(image: &Image) -> std::io::Result<Self> {
        let mut before = Medium::default();
        for (name, content) in &image.files {
            before.hold(name, content.clone());
        }
        Self::resume(before)
    }

    /// A directory that holds what a process saw of `before` when it was killed: what was not
    /// synced then is not synced now.
    ///
    /// # Errors
    /// When it cannot be made.
    ///
    /// # Panics
    /// When the functions of the C library are not the ones of this crate.
    pub fn resume(before: Medium) -> std::io::Result<Self> {
        assert!(
            crate::intercept::linked()
                .iter()
                .all(|address| *address != 0),
            "the layer is linked"
        );
        let directory = crate::place::directory()?;
        let seen = Image {
            files: before.seen(),
        };
        seen.place(directory.path())?;
        let shared = Arc::new(Shared {
            path: directory.path().canonicalize()?,
            recording: Mutex::new(Recording {
                names: before.nodes(),
                lengths: before.lengths(),
                ..Recording::default()
            }),
            gate: Gate::default(),
        });
        layer::watch(&shared);
        Ok(Self {
            shared,
            before,
            _directory: directory,
        })
    }

    /// The directory, as the production code must be told it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What was there at the start.
    #[must_use]
    pub fn before(&self) -> &Medium {
        &self.before
    }

    /// Notes what was asked for and what was acknowledged up to this moment.
    pub fn mark(&self, asked: usize, acked: usize) {
        let mut recording = lock(&self.shared.recording);
        recording.events.push(Event::Marked { asked, acked });
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        lock(&self.shared.recording).events.clone()
    }

    /// How many calls changed something or synced.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.shared.recording).calls
    }

    /// Makes calls fail.
    pub fn fail(&self, fault: Fault) {
        let mut recording = lock(&self.shared.recording);
        recording.fault = Some(fault);
        recording.fired = None;
    }

    /// The first call that failed.
    #[must_use]
    pub fn fired(&self) -> Option<Call> {
        lock(&self.shared.recording).fired.clone()
    }

    /// Holds up every sync of a file until [`Disk::open_gate`].
    pub fn close_gate(&self) {
        self.shared.gate.close();
    }

    /// Waits until a sync is held up.
    pub fn await_sync(&self) {
        self.shared.gate.await_one();
    }

    /// Lets syncs go on.
    pub fn open_gate(&self) {
        self.shared.gate.open();
    }

    /// Compares the files with what the events say of them: whether anything changed that this
    /// layer did not see. The text names the first difference.
    ///
    /// # Errors
    /// The difference.
    pub fn verify(&self) -> Result<(), String> {
        let mut medium = self.before.clone();
        for event in &self.events() {
            medium.apply(event);
        }
        let seen = medium.seen();
        for (name, _) in layer::listing(self.path()) {
            let found = std::fs::read(self.path().join(&name));
            let found = found.map_err(|error| format!("{name}: {error}"))?;
            match seen.get(&name) {
                Some(content) if *content == found => {}
                // Made, never written, never synced: not seen, and nothing to see.
                None if found.is_empty() => {}
                Some(content) => {
                    return Err(format!(
                        "{name}: {} bytes were seen, {} are there, or they differ",
                        content.len(),
                        found.len()
                    ));
                }
                None => return Err(format!("{name} was not seen")),
            }
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.open_gate();
        layer::leave(&self.shared);
    }
}
