//! gRPC channels to the services, with time limits that suit a person who waits.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use proto::v1::admin_client::AdminClient;
use proto::v1::membership_client::MembershipClient;
use proto::v1::{GetServersRequest, GetServersResponse, GetStatusRequest, GetStatusResponse};
use tls::{Mutual, Role};
use tonic::transport::{Channel, Endpoint};

/// How long one answer may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

/// How this process speaks: one person, one cluster.
static TLS: OnceLock<Mutual> = OnceLock::new();

/// Speaks TLS from now on, with the certificate in `directory`, of whatever role: in a container
/// there is no other one than that of its service. What was chosen first stays.
pub(crate) fn certify(directory: &Path) -> anyhow::Result<()> {
    if TLS.get().is_none() {
        let _ = TLS.set(Mutual::load(directory, &Role::ALL)?);
    }
    Ok(())
}

/// `host:port` of an address written with or without a scheme.
pub(crate) fn bare(address: &str) -> &str {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    address.trim_end_matches('/')
}

/// The address of a gateway as a person writes it, without the slash at its end.
pub(crate) fn gateway(url: &str) -> anyhow::Result<String> {
    let url = url.trim_end_matches('/');
    ensure!(
        url.starts_with("http://") || url.starts_with("https://"),
        "`{url}` must begin with http:// or https://"
    );
    Ok(url.to_owned())
}

/// Connects, or says in words why not.
pub(crate) async fn channel(address: &str) -> anyhow::Result<Channel> {
    connect(address, &endpoint(address)?).await
}

/// How an address is dialled.
pub(crate) fn endpoint(address: &str) -> anyhow::Result<Endpoint> {
    let address = bare(address);
    Ok(Endpoint::from_shared(format!("http://{address}"))
        .with_context(|| format!("`{address}` must be host:port"))?
        .connect_timeout(CONNECT_TIMEOUT))
}

/// Connects to an endpoint, or says in words why not.
pub(crate) async fn connect(address: &str, endpoint: &Endpoint) -> anyhow::Result<Channel> {
    let address = bare(address);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT * 2, dial(endpoint)).await;
    connected
        .with_context(|| format!("{address} does not answer"))?
        .map_err(|error| anyhow::anyhow!("{address} does not answer: {}", cause(&error)))
}

async fn dial(endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    match TLS.get() {
        Some(tls) => {
            let services = &[Role::Replica, Role::Membership];
            tls.connect(endpoint, services).await
        }
        None => endpoint.connect().await,
    }
}

/// The innermost cause: "connection refused" is all that people need of five layers.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// What a replica says of itself.
pub(crate) async fn status(address: &str) -> anyhow::Result<GetStatusResponse> {
    let mut client = AdminClient::new(channel(address).await?);
    let answer = tokio::time::timeout(CALL_TIMEOUT, client.get_status(GetStatusRequest {})).await;
    let answer = answer.with_context(|| format!("{} does not answer", bare(address)))?;
    Ok(answer.map_err(words)?.into_inner())
}

/// What the membership service knows.
pub(crate) async fn servers(address: &str) -> anyhow::Result<GetServersResponse> {
    let mut client = MembershipClient::new(channel(address).await?);
    let answer = tokio::time::timeout(CALL_TIMEOUT, client.get_servers(GetServersRequest {})).await;
    let answer = answer.with_context(|| format!("{} does not answer", bare(address)))?;
    Ok(answer.map_err(words)?.into_inner())
}

/// A gRPC status as people read it.
pub(crate) fn words(status: tonic::Status) -> anyhow::Error {
    match status.message() {
        "" => anyhow::anyhow!("{:?}", status.code()),
        message => anyhow::anyhow!("{message} ({:?})", status.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn schemes_are_optional() {
        for address in ["h:1", "http://h:1", "grpc://h:1/", "http://h:1/"] {
            assert_eq!(bare(address), "h:1");
        }
    }
}
