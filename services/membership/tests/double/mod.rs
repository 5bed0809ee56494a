//! A replica's Admin service as far as membership needs it: it keeps the contract of the genesis
//! and of a change of voters.

use std::sync::{Arc, Mutex};

use membership::genesis::Genesis;
use proto::v1;
use proto::v1::admin_server::Admin;
use tonic::{Request, Response, Status};

/// What survives of a fake replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) id: String,
    pub(crate) genesis: Option<Genesis>,
    pub(crate) confirmed: bool,
    /// The epoch in which this replica leads, and its voters.
    pub(crate) epoch: u64,
    pub(crate) voters: Vec<u64>,
    /// How often somebody asked for other voters.
    pub(crate) asked: usize,
}

/// The service on a disk.
pub(crate) struct FakeAdmin(pub(crate) Arc<Mutex<Disk>>);

#[tonic::async_trait]
impl Admin for FakeAdmin {
    type ReadLogStream = tokio_stream::Empty<Result<v1::LogEntry, Status>>;

    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn read_log(
        &self,
        _: Request<v1::ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_identity(
        &self,
        _: Request<v1::GetIdentityRequest>,
    ) -> Result<Response<v1::GetIdentityResponse>, Status> {
        let disk = self.0.lock().expect("lock").clone();
        Ok(Response::new(v1::GetIdentityResponse {
            disk_id: disk.id,
            genesis: disk.genesis.map(Into::into),
            confirmed: disk.confirmed,
            node: 0,
        }))
    }

    async fn install_genesis(
        &self,
        request: Request<v1::InstallGenesisRequest>,
    ) -> Result<Response<v1::InstallGenesisResponse>, Status> {
        let genesis = Genesis::from(request.into_inner().genesis.expect("genesis"));
        let mut disk = self.0.lock().expect("lock");
        if genesis.voter(&disk.id).is_none() {
            return Err(Status::failed_precondition("it does not name this disk"));
        }
        match &disk.genesis {
            Some(held) if *held != genesis => {
                return Err(Status::failed_precondition("another genesis is held"));
            }
            _ => disk.genesis = Some(genesis),
        }
        Ok(Response::new(v1::InstallGenesisResponse {}))
    }

    async fn confirm_genesis(
        &self,
        request: Request<v1::ConfirmGenesisRequest>,
    ) -> Result<Response<v1::ConfirmGenesisResponse>, Status> {
        let mut disk = self.0.lock().expect("lock");
        let held = disk
            .genesis
            .as_ref()
            .map(|genesis| genesis.cluster_id.clone());
        if held != Some(request.into_inner().cluster_id) {
            return Err(Status::failed_precondition("that genesis is not held"));
        }
        disk.confirmed = true;
        Ok(Response::new(v1::ConfirmGenesisResponse {}))
    }

    async fn join(
        &self,
        _: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn reconfigure(
        &self,
        request: Request<v1::ReconfigureRequest>,
    ) -> Result<Response<v1::ReconfigureResponse>, Status> {
        let request = request.into_inner();
        let mut disk = self.0.lock().expect("lock");
        disk.asked += 1;
        if request.expected_epoch != disk.epoch {
            let words = format!("the epoch is {} already", disk.epoch);
            return Err(Status::aborted(words));
        }
        disk.epoch += 1;
        disk.voters.clone_from(&request.voters);
        Ok(Response::new(v1::ReconfigureResponse {
            epoch: disk.epoch,
            voters: request.voters,
        }))
    }

    async fn transfer_lead(
        &self,
        _: Request<v1::TransferLeadRequest>,
    ) -> Result<Response<v1::TransferLeadResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_nodes(
        &self,
        _: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    type BackupStream = tokio_stream::Empty<Result<v1::BackupPiece, Status>>;

    async fn backup(
        &self,
        _: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn hash_state(
        &self,
        _: Request<v1::HashStateRequest>,
    ) -> Result<Response<v1::HashStateResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
