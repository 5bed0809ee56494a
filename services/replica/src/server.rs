//! The gRPC server as one visible stack.

use std::sync::Arc;
use std::time::Duration;

use proto::v1::admin_server::AdminServer;
use proto::v1::chat_server::ChatServer;
use proto::v1::demo_server::DemoServer;
#[cfg(feature = "failpoints")]
use proto::v1::failpoints_server::FailpointsServer;
use proto::v1::peer_server::PeerServer;
use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::access::ACCESS;
use crate::errors::Error;
use crate::health;
use crate::limits::PEER_QUEUE_BYTES_MAX;
use crate::role::Shared;
use crate::rpc::{Admin, Chat, Demo, Peer, Relay};

/// Streams and calls at the same time over one connection.
const STREAMS_MAX: u32 = 1024;
/// A client that vanished without a word is noticed after so long, and as long again.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Serves until the process stops and every stream has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    is_demo: bool,
) -> Result<(), Error> {
    let health = health::start(&shared).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let window = u32::try_from(PEER_QUEUE_BYTES_MAX).unwrap_or(u32::MAX >> 1);
    let server = Server::builder()
        // A frame of a window's rows must not wait for the receiver's permission in pieces.
        .initial_connection_window_size(window)
        .initial_stream_window_size(window)
        // One client must not have all the memory.
        .max_concurrent_streams(STREAMS_MAX)
        // A half-open connection is closed, and its waiters are forgotten.
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        // By its certificate, each caller reaches what is for its role.
        .layer(shared.tls.access(ACCESS))
        // Whether this replica can be used, for people, probes and orchestrators.
        .add_service(health)
        // What it offers, for grpcurl.
        .add_service(reflection)
        // The other replicas.
        .add_service(PeerServer::new(Peer(Arc::clone(&shared))))
        // Gateways.
        .add_service(ChatServer::new(Chat(Arc::clone(&shared))))
        // Gateways among themselves.
        .add_service(Relay::server(Arc::clone(&shared)))
        // Operators and membership.
        .add_service(AdminServer::new(Admin(Arc::clone(&shared))))
        // The buttons of a demo, where there are any.
        .add_optional_service(is_demo.then(|| DemoServer::new(Demo(Arc::clone(&shared)))));
    #[cfg(feature = "failpoints")]
    let server = server.add_service(FailpointsServer::new(crate::rpc::Failpoints));
    let incoming = shared.tls.incoming(listener);
    server
        .serve_with_incoming_shutdown(incoming, shared.stopping.clone().cancelled_owned())
        .await?;
    Ok(())
}
