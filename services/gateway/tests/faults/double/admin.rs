//! The doubles of Admin and Membership.

use std::sync::Arc;

use proto::v1::admin_server::Admin;
use proto::v1::get_status_response::Phase;
use proto::v1::membership_server::Membership;
use proto::v1::*;
use tonic::{Request, Response, Status};

use super::{Double, Streamed, World, lock};

#[tonic::async_trait]
impl Admin for Double {
    type ReadLogStream = Streamed<LogEntry>;

    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        self.up()?;
        let leader = *lock(&self.world.leader);
        let applied = self.applied();
        Ok(Response::new(GetStatusResponse {
            cluster_id: "c1".to_owned(),
            cluster_name: "test".to_owned(),
            node: self.node,
            phase: Phase::Member.into(),
            role: if leader == self.node {
                "leader"
            } else {
                "follower"
            }
            .to_owned(),
            ballot: Some(Ballot {
                epoch: 1,
                round: 7,
                node: leader,
            }),
            leader,
            epoch: 1,
            voters: vec![1, 2, 3],
            decided: applied,
            applied,
            quorum_connected: *lock(&self.world.quorum),
            ..GetStatusResponse::default()
        }))
    }

    async fn read_log(
        &self,
        _: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn get_identity(
        &self,
        _: Request<GetIdentityRequest>,
    ) -> Result<Response<GetIdentityResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn install_genesis(
        &self,
        _: Request<InstallGenesisRequest>,
    ) -> Result<Response<InstallGenesisResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn confirm_genesis(
        &self,
        _: Request<ConfirmGenesisRequest>,
    ) -> Result<Response<ConfirmGenesisResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn join(&self, _: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn reconfigure(
        &self,
        _: Request<ReconfigureRequest>,
    ) -> Result<Response<ReconfigureResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn transfer_lead(
        &self,
        _: Request<TransferLeadRequest>,
    ) -> Result<Response<TransferLeadResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn list_nodes(
        &self,
        _: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    type BackupStream = Streamed<BackupPiece>;

    async fn backup(
        &self,
        _: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn hash_state(
        &self,
        _: Request<HashStateRequest>,
    ) -> Result<Response<HashStateResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }
}

pub(super) struct Registry(pub(super) Arc<World>);

#[tonic::async_trait]
impl Membership for Registry {
    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn heartbeat(
        &self,
        _: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        *lock(&self.0.heartbeats) += 1;
        Ok(Response::new(HeartbeatResponse {
            heartbeat_ms: 200,
            servers: Vec::new(),
        }))
    }

    async fn set_draining(
        &self,
        _: Request<SetDrainingRequest>,
    ) -> Result<Response<SetDrainingResponse>, Status> {
        Err(Status::unimplemented("not asked for by gateways"))
    }

    async fn get_servers(
        &self,
        _: Request<GetServersRequest>,
    ) -> Result<Response<GetServersResponse>, Status> {
        if *lock(&self.0.membership_down) {
            return Err(Status::unavailable("down"));
        }
        let servers = lock(&self.0.addresses);
        let servers = servers.iter().map(|(node, address)| Server {
            node: *node,
            address: address.clone(),
            role: server::Role::Voter.into(),
            ..Server::default()
        });
        Ok(Response::new(GetServersResponse {
            cluster_id: "c1".to_owned(),
            cluster_name: "test".to_owned(),
            formed: true,
            expected: 3,
            epoch: 1,
            servers: servers.collect(),
            ..GetServersResponse::default()
        }))
    }
}
