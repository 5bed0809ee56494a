//! Snapshots: a verified copy of state.db at a slot, for a replica that the log alone cannot
//! bring forward.
//!
//! The life of a snapshot:
//!
//! 1. A replica [`make`](fn@make)s one beside its running machine and keeps it: at most one finished one
//!    per directory. After a restart, [`Snapshot::open`] finds it again.
//! 2. It offers the [`Manifest`] and serves [`Snapshot::chunk`]s.
//! 3. The replica that lacks slots appends them to a [`Receiver`], which goes on where it was
//!    after either side died, as long as the manifest is the same.
//! 4. [`Receiver::finish`] verifies the whole file. Only what is [`Verified`] can be installed.
//! 5. With the machine and all its readers closed, [`install()`] puts it into the place of
//!    state.db; then [`crate::Machine::open`] stands at the snapshot's slot.
//!
//! Must hold: a crash at any point leaves the old state or the new one, whole (I16: what is
//! installed is verified first). Chandra et al., *Paxos Made Live*, section 5.5: snapshots.
//! Tests: tests/snapshots.rs, tests/receiving.rs, and beside install.rs.

mod anew;
mod durable;
mod install;
mod made;
mod manifest;
mod receive;
mod verify;

pub use anew::begin_anew;
pub(crate) use durable::{beside, remove as remove_file, sync_file};
pub use install::{condemn, install, set_aside};
pub(crate) use install::{remove_orphans, require_not_condemned};
pub use made::{Chunk, Snapshot, discard, make};
pub use manifest::Manifest;
pub use receive::Receiver;
pub use verify::{Verified, verify};
