//! What can go wrong, and the only mapping to gRPC status.

use std::io;

use machine::Denied;
use paxos::ids::Slot;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::genesis::Invalid;

/// Why a replica cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The certificate for the other services cannot be used.
    #[error("the setting tls: {0}")]
    Tls(#[from] tls::Error),
    /// Somebody else has the directory.
    #[error("another replica runs on this data directory: {0}")]
    InUse(#[source] wal::Error),
    /// Too little space to start. It may pass.
    #[error("this replica cannot start yet: {0}")]
    LowSpace(#[source] wal::Error),
    /// The log cannot be opened or written.
    #[error("the disk of this replica cannot be used: {0}")]
    Log(#[source] wal::Error),
    /// The state cannot be opened or brought forward.
    #[error("the state on this replica's disk cannot be used: {0}")]
    State(#[from] machine::Error),
    /// The genesis on disk cannot be read.
    #[error("the genesis in log.db is not valid ({0}); keep the directory for analysis")]
    Genesis(#[from] Invalid),
    /// The listener ended.
    #[error("serving gRPC failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The port of the metrics cannot be had.
    #[error("{0}")]
    Metrics(#[from] ops::net::Error),
    /// The reflection service cannot be made.
    #[error("the descriptors for gRPC reflection are not valid: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The system gave no thread, or no address.
    #[error("cannot {doing}: {source}")]
    System {
        /// Verb and object.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A task of this process panicked.
    #[error("bug: {0} ended with a panic; please report it")]
    Panicked(&'static str),
}

impl From<wal::Error> for Error {
    fn from(error: wal::Error) -> Self {
        match error {
            wal::Error::InUse { .. } => Self::InUse(error),
            wal::Error::LowSpace { .. } => Self::LowSpace(error),
            _ => Self::Log(error),
        }
    }
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("this replica does not belong to a cluster yet")]
    Unformed,
    #[error("this replica is stopping")]
    Stopping,
    #[error("this replica is starting")]
    Starting,
    #[error("this replica fetches its state from another one")]
    Restoring,
    #[error("this replica is in quarantine: {0}")]
    Quarantined(String),
    #[error("{0}")]
    NotLeader(&'static str, Option<(u64, String)>),
    #[error("the epoch is {0} already")]
    EpochChanged(u64),
    #[error("{0}")]
    NotPossible(String),
    #[error("not now: {0}")]
    NotNow(&'static str),
    #[error("{0}")]
    TooLate(&'static str),
    #[error("this replica's disk belongs to another cluster: {0}")]
    Foreign(String),
    #[error("shard {found} is not here; this replica is of shard {own}")]
    Shard { found: u32, own: u32 },
    #[error("behind: slot {applied} is applied here, {wanted} is wanted")]
    Behind { applied: Slot, wanted: Slot },
    #[error("slot {wanted} is passed: {applied} is applied here already")]
    Passed { applied: Slot, wanted: Slot },
    #[error("too many {0} at this replica; try again")]
    Busy(&'static str),
    #[error("the reader fell too far behind; come again with its last slot")]
    Lagging,
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("not a member of the room")]
    NotMember,
    #[error("the role does not allow that")]
    RoleTooLow,
    #[error("{0}")]
    Bad(String),
    #[error("{0}")]
    Stranger(String),
    #[error("{0}")]
    Genesis(String),
    #[error("the state cannot be read: {0}")]
    State(#[from] machine::Error),
    #[error("the log cannot be read: {0}")]
    Log(#[from] wal::Error),
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoSuchRoom => Self::NotFound("room"),
            Denied::NotMember => Self::NotMember,
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::Unformed
            | Refused::Starting
            | Refused::Restoring
            | Refused::NotNow(_)
            | Refused::Stopping
            | Refused::Foreign(_)
            | Refused::Behind { .. }
            | Refused::Log(wal::Error::Busy | wal::Error::Stopped) => Code::Unavailable,
            Refused::Shard { .. }
            | Refused::Genesis(_)
            | Refused::NotLeader(..)
            | Refused::NotPossible(_)
            | Refused::Quarantined(_) => Code::FailedPrecondition,
            Refused::EpochChanged(_) => Code::Aborted,
            Refused::TooLate(_) => Code::DeadlineExceeded,
            Refused::Busy(_) | Refused::Lagging => Code::ResourceExhausted,
            Refused::NotFound(_) => Code::NotFound,
            Refused::NotMember | Refused::RoleTooLow => Code::PermissionDenied,
            Refused::Bad(_) => Code::InvalidArgument,
            Refused::Stranger(_) => Code::Unauthenticated,
            Refused::Passed { .. } | Refused::Log(wal::Error::Compacted { .. }) => Code::OutOfRange,
            Refused::State(error) => {
                tracing::error!(error = ops::errors::chain(error), "cannot read the state");
                Code::Internal
            }
            Refused::Log(error) => {
                tracing::error!(error = ops::errors::chain(error), "cannot read the log");
                Code::Internal
            }
        };
        let mut status = Self::new(code, refused.to_string());
        if let Refused::NotLeader(_, Some((node, address))) = &refused {
            let metadata = status.metadata_mut();
            metadata.insert("leader-node", (*node).into());
            if let Ok(address) = address.parse() {
                metadata.insert("leader-address", address);
            }
        }
        status
    }
}

/// A status of another service in words, without its metadata.
pub(crate) fn plain(status: &Status) -> String {
    let source = std::error::Error::source(status).map(ops::errors::chain);
    match (status.message(), source) {
        ("", None) => format!("{:?}", status.code()),
        (words, None) => words.to_owned(),
        (words, Some(source)) => format!("{words}: {source}"),
    }
}

/// A genesis that this disk cannot take.
pub(crate) fn genesis_refused(disk_id: Uuid, why: impl std::fmt::Display) -> Refused {
    Refused::Genesis(format!("disk {disk_id} cannot take this genesis: {why}"))
}
