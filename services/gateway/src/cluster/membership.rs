//! Asks the membership service who is there, and tells it that this gateway is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proto::v1::membership_client::MembershipClient;
use proto::v1::{
    GatewayHeartbeat, GetServersRequest, GetServersResponse, HeartbeatRequest, heartbeat_request,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use crate::channels::endpoint;
use crate::config::Options;
use crate::limits::{MEMBERSHIP_INTERVAL, MEMBERSHIP_INTERVAL_FIRST, MEMBERSHIP_TIMEOUT};

use super::collect::Report;

/// Never more often than this, whatever membership asks for.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Follows membership until the collector is gone.
pub(super) async fn follow(
    options: Options,
    tls: tls::Mutual,
    reports: mpsc::Sender<Report>,
    connections: Arc<AtomicU32>,
) {
    let Some(endpoint) = endpoint(&options.membership) else {
        tracing::error!(url = options.membership, "not a URL");
        return;
    };
    let mut client = MembershipClient::new(tls.connect_lazy(&endpoint, &[tls::Role::Membership]));
    let mut interval = MEMBERSHIP_INTERVAL_FIRST;
    let mut answered = None;
    loop {
        let answer = timeout(MEMBERSHIP_TIMEOUT, client.get_servers(GetServersRequest {})).await;
        let servers = answer
            .ok()
            .and_then(Result::ok)
            .map(tonic::Response::into_inner);
        if answered != Some(servers.is_some()) {
            answered = Some(servers.is_some());
            tracing::info!(
                url = options.membership,
                answers = servers.is_some(),
                "membership"
            );
        }
        if let Some(servers) = servers.as_ref().filter(|servers| servers.formed) {
            let connections = connections.load(Ordering::Relaxed);
            interval = heartbeat(&mut client, &options, servers, connections).await;
        }
        if reports
            .send(Report::Servers(servers.map(Box::new)))
            .await
            .is_err()
        {
            return;
        }
        sleep(interval).await;
    }
}

async fn heartbeat(
    client: &mut MembershipClient<Channel>,
    options: &Options,
    servers: &GetServersResponse,
    connections: u32,
) -> Duration {
    let gateway = GatewayHeartbeat {
        name: options.name.clone(),
        address: options.listen.clone(),
        connections,
    };
    let request = HeartbeatRequest {
        cluster_id: servers.cluster_id.clone(),
        kind: Some(heartbeat_request::Kind::Gateway(gateway)),
    };
    match timeout(MEMBERSHIP_TIMEOUT, client.heartbeat(request)).await {
        Ok(Ok(answer)) => {
            let wanted = Duration::from_millis(answer.into_inner().heartbeat_ms.into());
            wanted.clamp(INTERVAL_MIN, MEMBERSHIP_INTERVAL)
        }
        _ => MEMBERSHIP_INTERVAL,
    }
}
