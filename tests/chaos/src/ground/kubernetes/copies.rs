//! A copy of the state that a pod holds: nobody but the replica reaches its files.

use std::path::Path;

use anyhow::{Result, bail};
use archive::{Draft, Manifest};
use proto::v1::admin_client::AdminClient;
use proto::v1::{BackupRequest, backup_piece};
use scenarios::cluster::{channel_to, status_at};
use tokio::task::block_in_place;

use super::Kubernetes;

/// A piece of a backup holds 1 MiB at most.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Kubernetes {
    /// Has a replica make a backup, into a directory that is not there yet.
    pub(super) async fn copy(&self, name: &str, target: &Path) -> Result<()> {
        let address = self.address(name);
        let at_least = status_at(&address).await?.applied;
        let mut admin = AdminClient::new(channel_to(&address).await?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut pieces = admin.backup(BackupRequest { at_least }).await?.into_inner();
        let first = pieces.message().await?.and_then(|piece| piece.kind);
        let Some(backup_piece::Kind::Header(header)) = first else {
            bail!("{name} did not say what it sends");
        };
        let mut draft = Draft::begin(target, Manifest::from_wire(&header, 0)?)?;
        while let Some(piece) = pieces.message().await? {
            if let Some(backup_piece::Kind::Chunk(chunk)) = piece.kind {
                draft.append(chunk)?;
            }
        }
        block_in_place(|| draft.finish())?;
        Ok(())
    }
}
