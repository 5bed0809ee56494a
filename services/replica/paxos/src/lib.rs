//! In-order Multi-Paxos with sealed epochs: the only place where order is decided.
//!
//! The crate is pure: no I/O, no clock, no threads, no randomness but a seeded generator. One
//! call, [`Core::step`], takes one [`Input`] and appends [`Output`]s.
//!
//! # The contract of `step`
//!
//! 1. The driver executes the outputs of a step in order, and those of one step before those
//!    of the next. Only a `Send` may be dropped or delayed.
//! 2. `Persist` requests are made durable in the order of `seq`. When all up to one are, the
//!    driver answers `Persisted` with it; it may skip numbers. Nothing else waits for the
//!    disk: messages that depend on it are held inside the core until then.
//! 3. `Apply` brings entries that are decided and durable here, each once, in slot order. When
//!    they have taken effect the driver answers `Applied`; it may skip numbers.
//! 4. A `Tick` comes at least every [`limits::TICK_MS`].
//! 5. A storage error ends the process. So does `Halt`, whose files are kept.
//! 6. After a start the driver applies everything up to the commit index, hands over what the
//!    log holds as [`Restored`], and `PersistSeq` starts again at 1.
//!
//! # To see it at work
//!
//! The scripts in `tests/scripts` show each step with every message and every write; the rules
//! that they and the comments here cite (D1, R3, I5, …) stand in `docs/invariants.md`.

#![no_std]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm
    )
)]

extern crate alloc;

// What enters and leaves.
pub mod config;
pub mod entry;
pub mod ids;
pub mod input;
pub mod limits;
pub mod message;
pub mod output;
pub mod restored;
pub mod status;

// The protocol, in the order of a slot's life.
mod core;
mod durable;
mod log;
pub mod quorum;
mod random;

mod admission;
mod campaign;
mod election;
mod prepare;

mod accept;
mod lead;
mod progress;
mod reads;
mod transfer;

mod epoch;
mod learn;

mod check;
mod divergence;

#[cfg(feature = "model")]
mod model;
#[cfg(test)]
mod testing;

pub use crate::config::{Configuration, Seal};
pub use crate::core::Core;
pub use crate::entry::{Chain, Entry, EntryKind};
pub use crate::ids::{
    Ballot, DiskSeq, Epoch, Millis, NodeId, PersistSeq, ProposalToken, ReadToken, Round, Slot,
    Timestamp,
};
pub use crate::input::Input;
pub use crate::message::Message;
pub use crate::output::{Event, HaltReason, Output, PersistOp, RejectReason};
pub use crate::restored::{Options, Restored};
pub use crate::status::{PeerStatus, RoleName, Status};
