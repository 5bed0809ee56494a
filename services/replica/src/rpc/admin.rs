//! What operators and the membership service ask.

mod backup;
pub(super) mod changes;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use paxos::entry::Entry;
use paxos::ids::{NodeId, Slot};
use proto::v1 as pb;
use proto::v1::admin_server;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::errors::Refused;
use crate::limits::LOG_PAGE_BYTES;
use crate::role::{Member, Shared, blocking};
use crate::{status, wire};

/// Rows between the disk and the stream. A page is in memory anyway.
const LOG_QUEUE_MAX: usize = 256;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Arc<Shared>);

type Entries = Pin<Box<dyn Stream<Item = Result<pb::LogEntry, Status>> + Send>>;

#[tonic::async_trait]
impl admin_server::Admin for Admin {
    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        // One that stands still for a demo tells nobody how it is.
        self.0.demo.stand_still().await;
        let status = match self.0.member() {
            Ok(member) => status::member(&self.0, &member).await,
            Err(_) => status::outside(&self.0),
        };
        Ok(Response::new(status))
    }

    type ReadLogStream = Entries;

    async fn read_log(
        &self,
        request: Request<pb::ReadLogRequest>,
    ) -> Result<Response<Entries>, Status> {
        let pb::ReadLogRequest { from, upto } = request.into_inner();
        let member = self.0.member()?;
        let status = member.driver.status_now().await;
        let decided = status.decided;
        // From the beginning: from what is left of it.
        let from = match from {
            0 => status.compacted_to.next(),
            from => Slot(from).max(Slot::FIRST),
        };
        let upto = if upto == 0 {
            decided
        } else {
            decided.min(Slot(upto))
        };
        let (sender, receiver) = mpsc::channel(LOG_QUEUE_MAX);
        tokio::spawn(read_log(member, from, upto, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_identity(
        &self,
        _: Request<pb::GetIdentityRequest>,
    ) -> Result<Response<pb::GetIdentityResponse>, Status> {
        let identity = self.0.identity().ok_or_else(|| self.0.member().err());
        let identity = identity.map_err(|why| why.unwrap_or(Refused::Starting))?;
        Ok(Response::new(pb::GetIdentityResponse {
            disk_id: identity.disk_id.to_string(),
            genesis: self.0.genesis(),
            confirmed: identity.confirmed,
            node: identity.genesis.map_or(0, |genesis| genesis.node_id.0),
        }))
    }

    async fn install_genesis(
        &self,
        request: Request<pb::InstallGenesisRequest>,
    ) -> Result<Response<pb::InstallGenesisResponse>, Status> {
        let genesis = request.into_inner().genesis;
        let genesis = genesis.ok_or_else(|| Refused::Bad("genesis is missing".to_owned()))?;
        blocking(&self.0, |shared| shared.install_genesis(genesis)).await?;
        Ok(Response::new(pb::InstallGenesisResponse {}))
    }

    async fn confirm_genesis(
        &self,
        request: Request<pb::ConfirmGenesisRequest>,
    ) -> Result<Response<pb::ConfirmGenesisResponse>, Status> {
        let cluster_id = request.into_inner().cluster_id;
        blocking(&self.0, move |shared| shared.confirm_genesis(&cluster_id)).await?;
        Ok(Response::new(pb::ConfirmGenesisResponse {}))
    }

    async fn join(
        &self,
        request: Request<pb::JoinRequest>,
    ) -> Result<Response<pb::JoinResponse>, Status> {
        let member = self.0.member()?;
        let joined = changes::join(&member, request.into_inner()).await?;
        Ok(Response::new(joined))
    }

    async fn reconfigure(
        &self,
        request: Request<pb::ReconfigureRequest>,
    ) -> Result<Response<pb::ReconfigureResponse>, Status> {
        let member = self.0.member()?;
        let changed = changes::reconfigure(&member, request.into_inner()).await?;
        Ok(Response::new(changed))
    }

    async fn transfer_lead(
        &self,
        request: Request<pb::TransferLeadRequest>,
    ) -> Result<Response<pb::TransferLeadResponse>, Status> {
        let member = self.0.member()?;
        changes::transfer(&member, NodeId(request.into_inner().to)).await?;
        Ok(Response::new(pb::TransferLeadResponse {}))
    }

    async fn list_nodes(
        &self,
        _: Request<pb::ListNodesRequest>,
    ) -> Result<Response<pb::ListNodesResponse>, Status> {
        let member = self.0.member()?;
        Ok(Response::new(changes::nodes(&member).await))
    }

    type BackupStream = backup::Pieces;

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let member = self.0.member()?;
        let at_least = Slot(request.into_inner().at_least);
        Ok(Response::new(backup::backup(&member, at_least).await?))
    }

    async fn hash_state(
        &self,
        request: Request<pb::HashStateRequest>,
    ) -> Result<Response<pb::HashStateResponse>, Status> {
        let member = self.0.member()?;
        let slot = Slot(request.into_inner().slot);
        Ok(Response::new(backup::hash(&member, slot).await?))
    }
}

/// Sends the rows from `from` to `upto`, page by page, at the reader's speed.
async fn read_log(
    member: Arc<Member>,
    mut from: Slot,
    upto: Slot,
    sender: mpsc::Sender<Result<pb::LogEntry, Status>>,
) {
    while from <= upto {
        let entries = match page(&member, from, upto).await {
            Ok(entries) => entries,
            Err(refused) => {
                // Closed: nobody reads.
                let _ = sender.send(Err(refused.into())).await;
                return;
            }
        };
        for entry in &entries {
            from = entry.slot.next();
            let entry = Some(wire::encode_entry(entry));
            if sender.send(Ok(pb::LogEntry { entry })).await.is_err() {
                return;
            }
        }
    }
}

async fn page(member: &Member, from: Slot, upto: Slot) -> Result<Vec<Entry>, Refused> {
    let (reply, answer) = oneshot::channel();
    let send = Box::new(move |read| {
        // Nobody waits any more: nothing to do.
        let _ = reply.send(read);
    });
    member.wal.read(from, upto, LOG_PAGE_BYTES, send)?;
    Ok(answer.await.unwrap_or(Err(wal::Error::Stopped))?)
}
