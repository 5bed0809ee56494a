//! Tests of what is on disk: the production `wal` over a layer that really loses, tears and
//! flips.
//!
//! 1. `intercept.rs` takes the place of the C library's functions that change files, for the
//!    whole test process: SQLite's own unix layer and the standard library call it.
//! 2. [`Disk`] records what happens to a directory, and makes calls fail.
//! 3. [`Medium`] is what the disk holds after each recorded event, and draws the [`Image`]s
//!    that a power loss at that moment may leave.
//! 4. `tests/faults` runs the production code, opens it again on each image, and compares with
//!    what was acknowledged.
//!
//! The process runs once; every moment of it is a crash point afterwards. Only calls that fail
//! need a run of their own, because the program goes on differently.
//!
//! Linux only: elsewhere these functions have other names and this crate is empty.

#![cfg(target_os = "linux")]

mod disk;
mod event;
mod gate;
mod intercept;
mod layer;
mod medium;
mod place;

pub use crate::disk::Disk;
pub use crate::event::{Call, CallKind, Event, Fault, FaultKind, NodeId};

pub use crate::medium::{Image, Loss, Medium, Traits};
pub use crate::place::directory;
