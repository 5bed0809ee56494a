//! `chatterctl health`: one probe, for containers without a shell.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::output::Output;
use crate::remote;

const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn run(url: &str, output: &mut Output) -> anyhow::Result<ExitCode> {
    let probe = tokio::time::timeout(TIMEOUT, probe(url)).await;
    let probe = probe.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {TIMEOUT:?}")));
    match probe {
        Ok(words) => {
            output.line(&words)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            Output::stderr_line(&format!("unhealthy: {error:#}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn probe(url: &str) -> anyhow::Result<String> {
    match url.split_once("://") {
        Some(("http" | "https", _)) => http(url).await,
        Some(("grpc", address)) => grpc(address).await,
        _ => bail!("`{url}` must begin with http://, https:// or grpc://"),
    }
}

async fn http(url: &str) -> anyhow::Result<String> {
    let words = |error: reqwest::Error| {
        let error = error.without_url();
        anyhow::anyhow!("{}", ops::errors::chain(&error))
    };
    // A probe asks its own container by an address that no certificate names, and tells nothing.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true);
    let asked = client.build().map_err(words)?.get(url).send();
    let answer = asked.await.map_err(words)?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        bail!("{status} {}", body.trim());
    }
    Ok(format!("healthy: {status}"))
}

/// `host:port`, or `host:port/SERVICE` for one of its health services.
async fn grpc(target: &str) -> anyhow::Result<String> {
    let (address, service) = target.split_once('/').unwrap_or((target, ""));
    let mut client = HealthClient::new(remote::channel(address).await?);
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = client
        .check(request)
        .await
        .map_err(remote::words)?
        .into_inner();
    let status = ServingStatus::try_from(answer.status).context("an unknown health status")?;
    if status != ServingStatus::Serving {
        bail!("{}", status.as_str_name());
    }
    Ok("healthy: SERVING".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::probe;

    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!(
            "http://{}/health/ready",
            listener.local_addr().expect("bound")
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn http_expects_success_and_says_why_not() {
        let well = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert!(probe(&well).await.is_ok());
        let ill = server("HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\nno leader").await;
        let error = probe(&ill).await.expect_err("ill").to_string();
        assert!(
            error.contains("503") && error.contains("no leader"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn grpc_expects_serving() {
        let (health, service) = tonic_health::server::health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("grpc://{}", listener.local_addr().expect("bound"));
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        assert!(probe(&url).await.is_ok());
        health
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
        let error = probe(&url).await.expect_err("ill").to_string();
        assert!(error.contains("NOT_SERVING"), "{error}");
        assert!(probe("grpc://127.0.0.1:1").await.is_err());
        assert!(probe("nonsense").await.is_err());
    }
}
