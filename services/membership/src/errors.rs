//! What is refused, and the one mapping to gRPC status.

use tonic::Status;

use crate::registry::Full;

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field that no correct caller sends.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The disk belongs to another cluster.
    #[error(
        "disk {disk} belongs to cluster {theirs}, this is {ours}: give the replica an empty \
         data directory, or the address of its own membership service"
    )]
    OtherCluster {
        /// The disk.
        disk: String,
        /// The cluster of the disk.
        theirs: String,
        /// Our cluster.
        ours: String,
    },
    /// The disk holds a genesis that does not name it: it was copied.
    #[error("disk {disk} holds the genesis of cluster {cluster}, which does not name it")]
    NotNamed {
        /// The disk.
        disk: String,
        /// The cluster.
        cluster: String,
    },
    /// The node id belongs to another disk.
    #[error("r{node} is another disk than {disk}: a replica that lost its disk is a new replica")]
    OtherDisk {
        /// The id claimed.
        node: u64,
        /// The disk that claims it.
        disk: String,
    },
    /// Another live process has the disk.
    #[error(
        "disk {disk} was heard a moment ago from another process: a replica that starts again is \
         let in when that one is silent; if both run, one of them is on a copy of the directory"
    )]
    Rival {
        /// The disk.
        disk: String,
    },
    /// Forming has stopped.
    #[error("{0}")]
    Stopped(String),
    /// No server with this id was heard of.
    #[error("r{node} is not known here; `chatterctl node list` shows who is")]
    NoSuchNode {
        /// The id.
        node: u64,
    },
    /// It could not be written down.
    #[error("it cannot be written down, so nothing was changed: {0}")]
    NotStored(String),
    /// Too many disks.
    #[error(transparent)]
    Full(#[from] Full),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let words = error.to_string();
        match error {
            Error::Invalid { .. } => Self::invalid_argument(words),
            Error::OtherCluster { .. }
            | Error::NotNamed { .. }
            | Error::OtherDisk { .. }
            | Error::Stopped(_) => Self::failed_precondition(words),
            Error::NoSuchNode { .. } => Self::not_found(words),
            Error::NotStored(_) => Self::unavailable(words),
            Error::Rival { .. } => Self::already_exists(words),
            Error::Full(_) => Self::resource_exhausted(words),
        }
    }
}
