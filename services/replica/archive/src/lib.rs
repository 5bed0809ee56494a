//! A cluster's state outside of the cluster: backups, and new clusters made from them.
//!
//! 1. [`Draft`] takes the pieces that a running replica sends and makes a [`Backup`] of them: a
//!    directory with a copy of state.db and what it is of.
//! 2. [`found`] makes the data directories of a **new** cluster from such a copy. The log begins
//!    behind its slot, as in a replica that fetched a snapshot; the cluster has a new id, and its
//!    replicas are as those of a cluster that is being formed.
//! 3. [`Survivor`] is the directory of a stopped replica whose cluster has lost its quorum for
//!    good: what it holds, and how it becomes the copy from which a new cluster is made.
//!
//! Must hold: a state is used only when it was found to be what its manifest says; no disk of the
//! old cluster is of the new one, and the reverse; what was there before is not changed. See
//! docs/adr/0009-a-restore-is-a-new-cluster.md.

mod audit;
mod backup;
mod draft;
mod durable;
mod error;
mod found;
pub mod limits;
mod manifest;
mod survivor;

pub use audit::Audit;
pub use backup::Backup;
pub use draft::Draft;
pub use error::Error;
pub use found::{Made, Plan, Seat, Source, found, next_client_epoch};
pub use manifest::Manifest;
pub use survivor::{Report, Survivor, Voter};
