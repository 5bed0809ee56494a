//! Snapshots for other replicas: made on demand, one at a time, kept while they are of use.
//!
//! A snapshot is of use while the log still holds what follows it. The file is shared by all who
//! fetch it; a transfer that was interrupted goes on with the same file, also after a restart of
//! this replica. Files: `machine::snapshot`. Tests: tests/scenarios

pub(crate) mod fetch;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use machine::snapshot::{self, Snapshot};
use paxos::ids::Slot;
use proto::v1::snapshot_piece::Kind;
use proto::v1::{SnapshotChunk, SnapshotPiece};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;
use tonic::Status;

use crate::errors::Refused;
use crate::limits::{SNAPSHOT_BYTES_PER_SECOND, SNAPSHOT_CHUNKS_READY_MAX, SNAPSHOT_TRANSFERS_MAX};
use crate::signals::Signals;

/// Where snapshots are made and received.
const DIRECTORY: &str = "snapshot";

/// The directory of snapshots, in the file system of the state.
pub(crate) fn directory(data: &Path) -> PathBuf {
    data.join(DIRECTORY)
}

/// The snapshots of this replica. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    directory: PathBuf,
    /// Held while one is made.
    latest: Mutex<Latest>,
    transfers: Arc<Semaphore>,
    signals: Arc<Signals>,
}

#[derive(Debug, Default)]
struct Latest {
    snapshot: Option<Arc<Snapshot>>,
    /// Whether the directory was looked into.
    looked: bool,
}

type Pieces = mpsc::Sender<Result<SnapshotPiece, Status>>;

impl Snapshots {
    /// Of the state in `data`.
    pub(crate) fn new(data: &Path, state: PathBuf, signals: Arc<Signals>) -> Self {
        Self(Arc::new(Inner {
            state,
            directory: directory(data),
            latest: Mutex::default(),
            transfers: Arc::new(Semaphore::new(SNAPSHOT_TRANSFERS_MAX)),
            signals,
        }))
    }

    /// Begins a transfer. `known` is what the asker has `offset` bytes of.
    pub(crate) async fn serve(
        &self,
        to: impl Display + Send + 'static,
        at_least: Slot,
        known: Option<[u8; 32]>,
        offset: u64,
    ) -> Result<mpsc::Receiver<Result<SnapshotPiece, Status>>, Refused> {
        let transfers = Arc::clone(&self.0.transfers);
        let place = transfers
            .try_acquire_owned()
            .map_err(|_| Refused::Busy("transfers of snapshots"))?;
        let snapshot = self.current(at_least).await?;
        let manifest = snapshot.manifest();
        let slot = manifest.applied.slot;
        if slot < at_least {
            return Err(Refused::NotFound("snapshot as late as that"));
        }
        let offset = if known == Some(manifest.sha256) {
            offset
        } else {
            0
        };
        tracing::info!(%to, %slot, bytes = manifest.length, offset, "sending a snapshot");
        let (sender, receiver) = mpsc::channel(SNAPSHOT_CHUNKS_READY_MAX);
        let signals = Arc::clone(&self.0.signals);
        tokio::spawn(async move {
            let sent = send(&snapshot, offset, &sender, &signals).await;
            drop(place);
            match sent {
                Some(bytes) => tracing::info!(%to, %slot, bytes, "a snapshot was sent"),
                None => tracing::info!(%to, %slot, "the receiver of a snapshot is gone"),
            }
        });
        Ok(receiver)
    }

    /// The latest snapshot, or a new one when that is of no use.
    async fn current(&self, at_least: Slot) -> Result<Arc<Snapshot>, Refused> {
        let needed = at_least.max(self.0.signals.log_begins_after());
        let mut latest = self.0.latest.lock().await;
        if let Some(snapshot) = &latest.snapshot
            && snapshot.manifest().applied.slot >= needed
        {
            return Ok(Arc::clone(snapshot));
        }
        let inner = Arc::clone(&self.0);
        let look = !latest.looked;
        let task = tokio::task::spawn_blocking(move || {
            let found = match look {
                true => Snapshot::open(&inner.directory)?,
                false => None,
            };
            match found.filter(|found| found.manifest().applied.slot >= needed) {
                Some(found) => Ok(found),
                None => snapshot::make(&inner.state, &inner.directory),
            }
        });
        let made: Result<Snapshot, machine::Error> = task.await.map_err(|_| Refused::Stopping)?;
        let made = made.inspect_err(|error| self.0.signals.note_state_error(error));
        let made = Arc::new(made?);
        latest.looked = true;
        latest.snapshot = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Deletes the snapshot when the log has moved past it, or the disk needs the space, unless
    /// it is being sent.
    pub(crate) async fn sweep(&self) {
        let Ok(mut latest) = self.0.latest.try_lock() else {
            return;
        };
        let signals = &self.0.signals;
        let obsolete = |snapshot: &Arc<Snapshot>| {
            let slot = snapshot.manifest().applied.slot;
            slot < signals.log_begins_after() || signals.is_space_low()
        };
        let idle = self.0.transfers.available_permits() == SNAPSHOT_TRANSFERS_MAX;
        if idle && let Some(snapshot) = latest.snapshot.take_if(|found| obsolete(found)) {
            let path = snapshot.path().to_path_buf();
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
            if let Ok(Err(error)) = removed {
                tracing::warn!(%error, "cannot delete an obsolete snapshot");
            }
        }
    }
}

/// Sends what the receiver lacks, not faster than the limit. `None`: it is gone.
async fn send(
    snapshot: &Arc<Snapshot>,
    mut offset: u64,
    sender: &Pieces,
    signals: &Signals,
) -> Option<u64> {
    let manifest = Kind::Manifest(snapshot.manifest().to_wire());
    sender.send(Ok(piece(manifest))).await.ok()?;
    let (started, first) = (Instant::now(), offset);
    loop {
        // What follows the snapshot is kept in the log while it travels, and a little longer.
        signals.note_serving(snapshot.manifest().applied.slot);
        let read = Arc::clone(snapshot);
        let chunk = tokio::task::spawn_blocking(move || {
            read.chunk(offset, machine::limits::CHUNK_BYTES_MAX)
        });
        let chunk = match chunk.await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Some(offset - first),
            Ok(Err(error)) => {
                let refused = Refused::State(error);
                sender.send(Err(refused.into())).await.ok()?;
                return None;
            }
            Err(_) => return None,
        };
        offset += chunk.bytes.len() as u64;
        let chunk = Kind::Chunk(SnapshotChunk {
            offset: chunk.offset,
            data: chunk.bytes,
            crc: chunk.crc,
        });
        sender.send(Ok(piece(chunk))).await.ok()?;
        let sent = (offset - first) as f64;
        let due = Duration::from_secs_f64(sent / SNAPSHOT_BYTES_PER_SECOND as f64);
        tokio::time::sleep_until(started + due).await;
    }
}

const fn piece(kind: Kind) -> SnapshotPiece {
    SnapshotPiece { kind: Some(kind) }
}
