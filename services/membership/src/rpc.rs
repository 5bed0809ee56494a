//! The gRPC surface: checks the form of requests, hands them on, and serves.

use std::io;
use std::time::Duration;

use ops::shutdown::Token;
use proto::v1;
use proto::v1::heartbeat_request::Kind;
use proto::v1::membership_server::{Membership, MembershipServer};
use tls::Role::{Gateway, Membership as Itself, Operator, Replica};
use tls::access::Table;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::errors::Error;
use crate::genesis::Genesis;
use crate::limits::{CALL_TIMEOUT, CONCURRENCY_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use crate::service::{Registration, Service};
use crate::store::Store;

/// How long open calls may take when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("serve gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors of the reflection service are not readable.
    #[error("serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener failed.
    #[error("listen: {0}")]
    Listen(#[from] io::Error),
}

/// Which role may call what, when the services speak TLS.
const ACCESS: Table = &[
    ("chatterbox.v1.Membership/Register", &[Replica]),
    ("chatterbox.v1.Membership/Heartbeat", &[Replica, Gateway]),
    (
        "chatterbox.v1.Membership/GetServers",
        // Its own too: `chatterctl status` in its container.
        &[Replica, Gateway, Itself, Operator],
    ),
    ("chatterbox.v1.Membership/SetDraining", &[Operator]),
];

struct Rpc {
    service: Service,
    store: Store,
}

/// Serves until `shutdown`: membership, health, reflection.
pub async fn serve(
    service: Service,
    store: Store,
    tls: tls::Mutual,
    listener: TcpListener,
    shutdown: Token,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MembershipServer<Rpc>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let membership =
        MembershipServer::new(Rpc { service, store }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let server = Server::builder()
        // By its certificate, each caller reaches what is for its role.
        .layer(tls.access(ACCESS))
        // Nothing here takes long: an answer that does is of no use to a heartbeat.
        .timeout(CALL_TIMEOUT)
        // One caller must not keep the others from being heard.
        .concurrency_limit_per_connection(CONCURRENCY_MAX)
        // A caller that vanished without a word must not be kept for ever.
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(membership)
        .serve_with_incoming_shutdown(tls.incoming(listener), shutdown.clone().cancelled_owned());
    let too_late = async {
        shutdown.cancelled().await;
        health.set_not_serving::<MembershipServer<Rpc>>().await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    };
    tokio::select! {
        served = server => served?,
        () = too_late => tracing::debug!("connections were open at the end"),
    }
    Ok(())
}

#[tonic::async_trait]
impl Membership for Rpc {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let request = request.into_inner();
        let registration = Registration {
            disk: name("disk_id", request.disk_id)?,
            address: address(request.address)?,
            version: short("version", request.version)?,
            genesis: request
                .genesis
                .map(|found| (Genesis::from(found), request.confirmed)),
            node: request.node,
            process: request.process,
        };
        let (disk, at) = (registration.disk.clone(), registration.address.clone());
        let answer = self.service.register(registration);
        if let Err(error) = &answer {
            tracing::warn!(disk, address = at, %error, "a registration was refused");
        }
        Ok(Response::new(answer?))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let role = tls::Peer::role(&request);
        let v1::HeartbeatRequest { cluster_id, kind } = request.into_inner();
        speaks_for_itself(role, kind.as_ref())?;
        let cluster_id = short("cluster_id", cluster_id)?;
        let answer = match kind {
            Some(Kind::Replica(mut beat)) => {
                beat.disk_id = name("replica.disk_id", beat.disk_id)?;
                beat.address = address(beat.address)?;
                self.service.replica_heartbeat(&cluster_id, beat)?
            }
            Some(Kind::Gateway(mut beat)) => {
                beat.name = name("gateway.name", beat.name)?;
                beat.address = short("gateway.address", beat.address)?;
                self.service.gateway_heartbeat(&cluster_id, beat)?
            }
            None => return Err(invalid("kind", "must be replica or gateway").into()),
        };
        Ok(Response::new(answer))
    }

    async fn get_servers(
        &self,
        _: Request<v1::GetServersRequest>,
    ) -> Result<Response<v1::GetServersResponse>, Status> {
        Ok(Response::new(self.service.servers()))
    }

    async fn set_draining(
        &self,
        request: Request<v1::SetDrainingRequest>,
    ) -> Result<Response<v1::SetDrainingResponse>, Status> {
        let v1::SetDrainingRequest { node, draining } = request.into_inner();
        if node == 0 {
            return Err(invalid("node", "must be the id of a node").into());
        }
        let address = self
            .service
            .set_draining(&self.store, node, draining)
            .await?;
        Ok(Response::new(v1::SetDrainingResponse { address }))
    }
}

/// A gateway must not report a replica as alive, nor the other way round.
fn speaks_for_itself(role: Option<tls::Role>, kind: Option<&Kind>) -> Result<(), Status> {
    let wanted = match kind {
        Some(Kind::Replica(_)) => Replica,
        Some(Kind::Gateway(_)) => Gateway,
        None => return Ok(()),
    };
    match role {
        Some(role) if role != wanted => Err(Status::permission_denied(format!(
            "a {role} sends no heartbeat of a {wanted}"
        ))),
        _ => Ok(()),
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
    Error::Invalid {
        field,
        reason: reason.into(),
    }
}

fn short(field: &'static str, text: String) -> Result<String, Error> {
    if text.len() > NAME_BYTES_MAX {
        return Err(invalid(
            field,
            format!("must have at most {NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(text)
}

fn name(field: &'static str, text: String) -> Result<String, Error> {
    if text.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    short(field, text)
}

fn address(text: String) -> Result<String, Error> {
    match ops::net::host_and_port(&text) {
        Some((_, port)) if port > 0 => short("address", text),
        _ => Err(invalid("address", format!("`{text}` must be host:port"))),
    }
}
