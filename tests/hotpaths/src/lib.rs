//! The paths that every message takes, each by itself and without a network: one step of three
//! cores, of the log, of the state machine, of the frame encoder.
//!
//! `cargo bench -p hotpaths` measures the time of a step (criterion); the program `hotpaths` counts
//! its instructions under callgrind and compares them with `baseline.json`: instructions do not
//! depend on who else uses the machine.

mod core;
mod count;
mod frame;
mod machine;
mod wal;

use anyhow::Result;

pub use count::{Counted, baseline, count, verdict};

/// Messages that share a slot here: what a moderate load puts together.
pub const BATCH: u64 = 16;
/// Slots that share a transaction of the state machine here: what comes within its time at some
/// hundred slots a second.
pub const SLOTS: u64 = 10;
/// The length of a message.
pub const BYTES: usize = 128;

/// One of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Hotpath {
    /// One slot through three cores: proposed, accepted by all, decided, applied.
    Core,
    /// One slot of 16 messages into `log.db`, with its fsync.
    Wal,
    /// One slot of 16 messages into `state.db`, in a transaction of its own.
    Machine,
    /// The same, when [`SLOTS`] slots share a transaction.
    Shared,
    /// One event as the frame that all its readers get.
    Frame,
}

impl Hotpath {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Core,
        Self::Wal,
        Self::Machine,
        Self::Shared,
        Self::Frame,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Wal => "wal",
            Self::Machine => "machine",
            Self::Shared => "shared",
            Self::Frame => "frame",
        }
    }

    /// Makes what a step needs, and hands out the step.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn ready(self) -> Result<Box<dyn FnMut() -> Result<()>>> {
        Ok(match self {
            Self::Core => core::steps()?,
            Self::Wal => wal::steps()?,
            Self::Machine => machine::steps(1)?,
            Self::Shared => machine::steps(SLOTS)?,
            Self::Frame => frame::steps(),
        })
    }
}

/// A text of [`BYTES`] bytes that begins with a number.
fn body(number: u64) -> String {
    format!("{number:<BYTES$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that fails, or does nothing more after the first, would count nothing.
    #[test]
    fn every_path_takes_steps() {
        assert_eq!(body(7).len(), BYTES);
        for path in Hotpath::ALL {
            let mut step = path.ready().unwrap();
            for _ in 0..600 {
                step().unwrap_or_else(|error| panic!("{}: {error:#}", path.name()));
            }
        }
    }
}
