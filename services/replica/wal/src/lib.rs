//! The durable state of an acceptor: one SQLite file, one writer, group commit.
//!
//! The life of a log:
//!
//! 1. [`Wal::open`] recognises or makes `log.db` and refuses what must not be opened.
//! 2. Before the node votes: [`Wal::install_genesis`], [`Wal::confirm_genesis`],
//!    [`Wal::remember_peers`].
//! 3. If [`Wal::awaits_snapshot`] says so of what the state machine holds:
//!    [`Wal::install_snapshot`].
//! 4. [`Wal::restore`] and [`Wal::replay`] give the core and the state machine what they need,
//!    [`Wal::configuration`] the voters.
//! 5. [`Wal::spawn`] hands the log to its thread. From there on: [`Handle::persist`],
//!    [`Handle::read`], and a [`Completion`] for every transaction.
//!
//! Beside it: [`Handle::scrub`] looks for damage before a row is needed, [`SpaceWatch`] says when
//! rows must be refused.
//!
//! Any failure to write is final: it is reported once, nothing is written after it, and the
//! process is expected to abort. A second fsync after a failed one may report success for data
//! that is gone.
//!
//! There is no storage trait: the simulator replaces the whole thread by its own model of a
//! disk, at the border of `paxos::output::Output::Persist`, and tests that want the real file
//! without the thread use [`Wal::commit`].

mod checkpoint;
mod damage;
mod database;
#[cfg(test)]
mod disk_full_tests;
mod error;
mod identity;
mod install;
pub mod limits;
mod lock;
mod log;
mod migrate;
mod preflight;
mod progress;
mod progress_page;
mod replay;
mod restore;
mod rows;
mod scrub;
mod space;
mod sweep;
mod transaction;
mod witness;
mod writer;

pub use crate::error::Error;
pub use crate::identity::{Genesis, Identity};
pub use crate::lock::DirectoryLock;
pub use crate::log::{Committed, Peers, Wal};
pub use crate::replay::Replay;
pub use crate::restore::{Base, Recovery};
pub use crate::scrub::{ScrubReply, Scrubbed};
pub use crate::space::{Space, SpaceWatch};
pub use crate::writer::{Completion, Handle, ReadReply, Writer};
pub use paxos::ids::DiskSeq;
