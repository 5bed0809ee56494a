//! Many people who chat over WebSockets, each of whom writes down everything that was said to
//! them, for the checker.
//!
//! In: where the gateways are, how many people, how fast. Out: live figures, and a history per
//! person in the folder of the run.
//!
//! Must hold: a client keeps the rules of docs/protocol.md 2.3 and 2.4: one `cid` per message
//! until its answer, one message in flight per room, an outbox in order, resume from the last
//! `seq` and the highest slot. Nothing is asserted here: what is wrong is written down.

// How one speaks to a gateway.
pub mod wire;

pub mod limits;
pub mod options;

// What people do.
mod figures;
mod outbox;
mod person;
mod reader;
mod reads;
mod run;
mod setup;

pub use figures::Live;
pub use options::Options;
pub use run::{Ended, Workload};
