//! What the layer sees and what it can do: events, calls, faults.

use std::sync::Arc;

use crate::layer::Errno;

/// A file, whatever it is called. Numbers an incarnation: a name that is deleted and made again
/// is another file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeId(pub(crate) usize);

/// Something that happened to a recorded directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A file was made.
    Created {
        /// The file.
        node: NodeId,
        /// Its name.
        name: String,
    },
    /// Bytes were written. Not durable before the next [`Event::Synced`] of the file.
    Wrote {
        /// The file.
        node: NodeId,
        /// Where.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// The file was cut off or extended.
    Resized {
        /// The file.
        node: NodeId,
        /// To this length in bytes.
        length: u64,
    },
    /// A sync of a file answered that all is well.
    Synced {
        /// The file.
        node: NodeId,
    },
    /// A sync of a file failed: what was not synced may be on disk or not, for ever.
    SyncFailed {
        /// The file.
        node: NodeId,
    },
    /// A name was removed.
    Unlinked {
        /// The name.
        name: String,
    },
    /// A file got another name; what had it is gone.
    Renamed {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// A sync of the directory answered that all is well.
    DirectorySynced,
    /// The test notes how far it is. Changes nothing.
    Marked {
        /// Requests handed over.
        asked: usize,
        /// Requests that were reported durable.
        acked: usize,
    },
}

/// The kinds of calls that change something or make it durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CallKind {
    /// `write`, `pwrite`.
    Write,
    /// `ftruncate`.
    Resize,
    /// `fsync` of a file.
    Sync,
    /// `fsync` of the directory.
    SyncDirectory,
    /// `unlink`.
    Unlink,
    /// `rename`.
    Rename,
}

/// One call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number since the recording began.
    pub number: u64,
    /// What it was to do.
    pub kind: CallKind,
    /// To which file; empty for the directory.
    pub name: String,
    /// How many events there were before it.
    pub event: usize,
}

/// What fails, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The number of the first call that may fail.
    pub from: u64,
    /// How.
    pub kind: FaultKind,
    /// Whether every later call fails as well, or the first only.
    pub lasting: bool,
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultKind {
    /// A write or a change of length fails: the device does not answer.
    WriteError,
    /// A write fails because the disk is full, after so many bytes of the first one.
    NoSpace {
        /// What still fits.
        left_bytes: usize,
    },
    /// A sync of a file fails. What was not synced before may be lost in any part, and a later
    /// sync would not write it again (Rebello et al., *Can Applications Recover from fsync
    /// Failures?*, 2020).
    SyncError,
    /// A sync of the directory fails.
    SyncDirectoryError,
    /// A name cannot be removed or changed.
    NameError,
}

impl FaultKind {
    pub(crate) fn errno(self) -> Errno {
        Errno(match self {
            Self::NoSpace { .. } => libc::ENOSPC,
            Self::WriteError | Self::SyncError | Self::SyncDirectoryError | Self::NameError => {
                libc::EIO
            }
        })
    }
}

impl Fault {
    /// Whether calls of this kind are meant.
    pub(crate) fn hits(&self, call: CallKind) -> bool {
        match self.kind {
            FaultKind::WriteError => matches!(call, CallKind::Write | CallKind::Resize),
            FaultKind::NoSpace { .. } => call == CallKind::Write,
            FaultKind::SyncError => call == CallKind::Sync,
            FaultKind::SyncDirectoryError => call == CallKind::SyncDirectory,
            FaultKind::NameError => matches!(call, CallKind::Unlink | CallKind::Rename),
        }
    }
}
