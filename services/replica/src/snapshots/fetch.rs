//! Fetches a snapshot from whoever has one, until one is here, whole and verified.
//!
//! Goes on where an earlier attempt ended, also after a restart, if the same snapshot is still
//! offered. Nothing of this replica changes before the snapshot is installed at its next start
//! (`role::recover`).

use std::path::Path;

use machine::snapshot::{Chunk, Manifest, Receiver, Verified};
use paxos::ids::{NodeId, Slot};
use proto::v1::peer_client::PeerClient;
use proto::v1::snapshot_piece::Kind;
use proto::v1::{SnapshotPiece, SnapshotRequest};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::directory;
use crate::directory::Directory;
use crate::errors::plain;
use crate::failpoints;
use crate::limits::{
    PEER_CONNECT_TIMEOUT, SNAPSHOT_CHUNKS_READY_MAX, SNAPSHOT_MAKE_TIMEOUT, SNAPSHOT_RETRY,
    SNAPSHOT_STALL,
};
use crate::logs::Seldom;
use crate::metrics::METRICS;
use crate::peers::{Me, endpoint};

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot reach it: {0}")]
    Unreachable(#[from] tonic::transport::Error),
    #[error("it does not answer in time")]
    Silent,
    #[error("{0}")]
    Refused(String),
    #[error("it does not keep to the protocol: {0}")]
    Nonsense(&'static str),
    #[error(transparent)]
    Local(#[from] machine::Error),
    #[error("this replica is stopping")]
    Stopping,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Whom to ask first.
    pub(crate) first: Option<NodeId>,
    /// A snapshot at this slot or a later one.
    pub(crate) at_least: Slot,
}

/// Tries all others in turn until one snapshot has arrived. End the task to give up.
pub(crate) async fn fetch(me: &Me, others: &Directory, data: &Path, wanted: Wanted) -> Verified {
    let mut seldom = Seldom::default();
    loop {
        let mut sources: Vec<NodeId> = others.all().into_iter().map(|(node, _)| node).collect();
        // The latest first: voters of today rather than those of long ago.
        sources.sort_by_key(|node| (Some(*node) != wanted.first, std::cmp::Reverse(*node)));
        for node in sources {
            let Some(address) = others.address_of(node).filter(|_| node != me.cluster.node) else {
                continue;
            };
            match attempt(me, node, &address, data, wanted.at_least).await {
                Ok(verified) => return verified,
                Err(error) => {
                    let error = ops::errors::chain(&error);
                    if seldom.due() {
                        tracing::warn!(%node, address, error, "no snapshot from a replica");
                    }
                }
            }
        }
        sleep(SNAPSHOT_RETRY).await;
    }
}

async fn attempt(
    me: &Me,
    node: NodeId,
    address: &str,
    data: &Path,
    at_least: Slot,
) -> Result<Verified, Failure> {
    let directory = directory(data);
    let place = directory.clone();
    let partial = blocking(move || Receiver::resume(&place)).await?;
    let partial = partial.filter(|partial| partial.manifest().applied.slot >= at_least);
    if let Some(complete) = partial.as_ref().filter(|partial| partial.is_complete()) {
        tracing::info!(slot = %complete.manifest().applied.slot, "a snapshot had arrived before");
    }
    let request = SnapshotRequest {
        hello: Some(me.hello(node)),
        at_least: at_least.0,
        sha256: partial
            .as_ref()
            .map(|partial| partial.manifest().sha256.to_vec())
            .unwrap_or_default(),
        offset: partial.as_ref().map_or(0, Receiver::offset),
    };
    let receiver = match partial {
        Some(complete) if complete.is_complete() => complete,
        _ => {
            let endpoint = endpoint(address)?;
            let connecting = me.tls.connect(&endpoint, &[tls::Role::Replica]);
            let connecting = timeout(PEER_CONNECT_TIMEOUT, connecting);
            let channel = connecting.await.map_err(|_| Failure::Silent)??;
            let mut client = PeerClient::new(channel);
            // It may have to be made first.
            let answer = timeout(SNAPSHOT_MAKE_TIMEOUT, client.snapshot(request)).await;
            let answer = answer.map_err(|_| Failure::Silent)?;
            let pieces = answer.map_err(|status| Failure::Refused(plain(&status)))?;
            receive(pieces.into_inner(), &directory, at_least).await?
        }
    };
    let verified = blocking(move || receiver.finish()).await?;
    let slot = verified.manifest().applied.slot;
    tracing::info!(%node, %slot, bytes = verified.manifest().length, "a snapshot has arrived");
    Ok(verified)
}

/// Writes the pieces down as they come.
async fn receive(
    mut pieces: Streaming<SnapshotPiece>,
    directory: &Path,
    at_least: Slot,
) -> Result<Receiver, Failure> {
    let Some(Kind::Manifest(manifest)) = next(&mut pieces).await? else {
        return Err(Failure::Nonsense("the manifest is missing"));
    };
    let manifest = Manifest::from_wire(&manifest)?;
    if manifest.applied.slot < at_least {
        return Err(Failure::Nonsense("its snapshot is too old"));
    }
    let place = directory.to_path_buf();
    let receiver = blocking(move || Receiver::begin(&place, &manifest)).await?;
    let from = receiver.offset();
    tracing::info!(
        slot = %receiver.manifest().applied.slot, bytes = receiver.manifest().length, from,
        "fetching a snapshot"
    );
    let length = receiver.manifest().length;
    let fetching = METRICS.fetches(length.saturating_sub(from));
    let (chunks, waiting) = mpsc::channel(SNAPSHOT_CHUNKS_READY_MAX);
    let writer = tokio::task::spawn_blocking(move || write(receiver, waiting));
    while let Some(kind) = next(&mut pieces).await? {
        let Kind::Chunk(chunk) = kind else {
            return Err(Failure::Nonsense("a second manifest"));
        };
        let chunk = Chunk {
            offset: chunk.offset,
            bytes: chunk.data,
            crc: chunk.crc,
        };
        fetching.fetched(chunk.bytes.len());
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    drop(chunks);
    Ok(writer.await.map_err(|_| Failure::Stopping)??)
}

fn write(
    mut receiver: Receiver,
    mut chunks: mpsc::Receiver<Chunk>,
) -> Result<Receiver, machine::Error> {
    while let Some(chunk) = chunks.blocking_recv() {
        receiver.append(&chunk)?;
        failpoints::pass(failpoints::AFTER_SNAPSHOT_CHUNK);
    }
    Ok(receiver)
}

async fn next(pieces: &mut Streaming<SnapshotPiece>) -> Result<Option<Kind>, Failure> {
    match timeout(SNAPSHOT_STALL, pieces.message()).await {
        Ok(Ok(piece)) => Ok(piece.and_then(|piece| piece.kind)),
        Ok(Err(status)) => Err(Failure::Refused(plain(&status))),
        Err(_) => Err(Failure::Silent),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, machine::Error> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Failure::Stopping)??)
}
