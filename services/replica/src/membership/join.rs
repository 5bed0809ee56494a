//! A disk without a past asks the cluster for a node id: the log gives it, for ever.
//!
//! What the disk was called before does not matter: a replica that lost its disk is a new node
//! (section 2.10).

use std::sync::Arc;

use paxos::ids::NodeId;
use proto::v1::admin_client::AdminClient;
use proto::v1::{JoinRequest, JoinResponse, Server};
use tonic::Status;
use tonic::transport::Endpoint;

use crate::errors::{Refused, plain};
use crate::limits::{CHANGE_WAIT, MEMBERSHIP_TIMEOUT};
use crate::role::{Shared, blocking};

/// Why it did not work this time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no replica of the cluster took the registration: {0}")]
    NoLeader(String),
    #[error("the answer of the cluster makes no sense: {0}")]
    Nonsense(&'static str),
    #[error("the identity cannot be stored: {0}")]
    Local(#[from] Refused),
}

/// Asks one after the other, and whom they name as the leader first.
pub(super) async fn join(shared: &Arc<Shared>, servers: &[Server]) -> Result<NodeId, Failure> {
    let disk_id = shared.identity().ok_or(Refused::Starting)?.disk_id;
    let request = JoinRequest {
        disk_id: disk_id.to_string(),
        address: shared.address.clone(),
    };
    let mut last = "none is known".to_owned();
    let leading = servers.iter().filter(|server| server.leading);
    let others = servers.iter().filter(|server| !server.leading);
    for server in leading.chain(others) {
        match ask(&shared.tls, &server.address, &request).await {
            Ok(answer) => return install(shared, answer).await,
            Err(status) => {
                let named = status.metadata().get("leader-address");
                let named = named.and_then(|address| address.to_str().ok());
                if let Some(address) = named
                    && let Ok(answer) = ask(&shared.tls, address, &request).await
                {
                    return install(shared, answer).await;
                }
                last = format!("{}: {}", server.address, plain(&status));
            }
        }
    }
    Err(Failure::NoLeader(last))
}

async fn ask(
    tls: &tls::Mutual,
    address: &str,
    request: &JoinRequest,
) -> Result<JoinResponse, Status> {
    let unreachable =
        |error: tonic::transport::Error| Status::unavailable(ops::errors::chain(&error));
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(unreachable)?
        .connect_timeout(MEMBERSHIP_TIMEOUT)
        .timeout(CHANGE_WAIT);
    let connected = tls.connect(&endpoint, &[tls::Role::Replica]).await;
    let channel = connected.map_err(unreachable)?;
    let answer = AdminClient::new(channel).join(request.clone()).await?;
    Ok(answer.into_inner())
}

async fn install(shared: &Arc<Shared>, answer: JoinResponse) -> Result<NodeId, Failure> {
    let node = NodeId(answer.node);
    let genesis = answer.genesis.ok_or(Failure::Nonsense("no genesis"))?;
    blocking(shared, move |shared| shared.install_joined(genesis, node)).await?;
    Ok(node)
}
