//! What a backup and a comparison of replicas ask.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use paxos::ids::Slot;
use proto::v1 as pb;
use proto::v1::{backup_piece, snapshot_piece};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::errors::Refused;
use crate::limits::READ_WAIT;
use crate::role::Member;

pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<pb::BackupPiece, Status>> + Send>>;

/// A snapshot that contains at least this slot, as replicas fetch it, with where it is from.
pub(super) async fn backup(member: &Arc<Member>, at_least: Slot) -> Result<Pieces, Refused> {
    match timeout(READ_WAIT, member.signals.reach(at_least)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(Refused::Stopping),
        Err(_) => {
            let (applied, wanted) = (member.signals.applied(), at_least);
            return Err(Refused::Behind { applied, wanted });
        }
    }
    let pieces = member
        .snapshots
        .serve("a backup", at_least, None, 0)
        .await?;
    let cluster = Arc::clone(&member.cluster);
    let named = move |piece: pb::SnapshotPiece| pb::BackupPiece {
        kind: piece.kind.map(|kind| match kind {
            snapshot_piece::Kind::Manifest(snapshot) => {
                backup_piece::Kind::Header(pb::BackupHeader {
                    cluster_id: cluster.cluster_id.to_string(),
                    cluster_name: cluster.cluster_name.clone(),
                    shard: cluster.shard,
                    node: cluster.node.0,
                    client_epoch: cluster.client_epoch(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    snapshot: Some(snapshot),
                })
            }
            snapshot_piece::Kind::Chunk(chunk) => backup_piece::Kind::Chunk(chunk),
        }),
    };
    let pieces = ReceiverStream::new(pieces).map(move |piece| piece.map(&named));
    Ok(Box::pin(pieces))
}

/// The hash of the state at a slot.
pub(super) async fn hash(member: &Member, slot: Slot) -> Result<pb::HashStateResponse, Refused> {
    let (applied, hash) = member.pins.hash_at(slot).await?;
    Ok(pb::HashStateResponse {
        slot: applied.slot.0,
        chain: applied.chain.0.to_vec(),
        hash: hash.0.to_vec(),
    })
}
