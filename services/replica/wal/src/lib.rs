//! The durable state of an acceptor: one SQLite file, one writer, group commit.
//!
//! The life of a log:
//!
//! 1. [`Wal::open`] recognises or makes `log.db` and refuses what must not be opened.
//! 2. Before the node votes: [`Wal::install_genesis`], [`Wal::confirm_genesis`],
//!    [`Wal::remember_peers`].
//! 3. [`Wal::restore`] and [`Wal::replay`] give the core and the state machine what they need.
//! 4. [`Wal::spawn`] hands the log to its thread. From there on: [`Handle::persist`],
//!    [`Handle::read`], and a [`Completion`] for every transaction.
//!
//! Any failure to write is final: it is reported once, nothing is written after it, and the
//! process is expected to abort. A second fsync after a failed one may report success for data
//! that is gone.
//!
//! There is no storage trait: the simulator replaces the whole thread by its own model of a
//! disk, at the border of `paxos::output::Output::Persist`, and tests that want the real file
//! without the thread use [`Wal::commit`].

mod checkpoint;
mod database;
#[cfg(test)]
mod disk_full_tests;
mod error;
mod identity;
pub mod limits;
mod lock;
mod log;
mod preflight;
mod progress;
mod replay;
mod rows;
mod space;
mod transaction;
mod writer;

pub use crate::error::Error;
pub use crate::identity::{Genesis, Identity};
pub use crate::log::{Committed, Peers, Wal};
pub use crate::progress::DiskSeq;
pub use crate::replay::Replay;
pub use crate::writer::{Completion, Handle, ReadReply, Writer};
