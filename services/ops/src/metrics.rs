//! What a service measures, for a monitoring system that asks: OpenMetrics over HTTP.
//!
//! A port of its own, which is closed unless the setting `metrics` names it: figures are for
//! operators, and the public port is for people. A service keeps its metrics in one file,
//! `metrics.rs`, registers them there, and gives a function that brings those up to date that are
//! read off something else.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
pub use prometheus_client::encoding::text::encode;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
pub use prometheus_client::registry::{Registry, Unit};

use crate::shutdown::Token;

/// As the specification of OpenMetrics 1.0 has it.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label: its name and its value, of which there are a few.
pub type Label = [(&'static str, &'static str); 1];

/// Durations from 50 µs to 26 s, each bound twice the one before.
#[must_use]
pub fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 20))
}

/// Numbers from 1 to 1024, each bound twice the one before.
#[must_use]
pub fn numbers() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 11))
}

/// A number as a gauge has it.
#[must_use]
pub fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Serves `GET /metrics` at `listen` until `stop`; nothing when `listen` is empty. `refresh` is
/// called before each answer. `setting` is the variable to name when the port cannot be had.
///
/// # Errors
/// When the port cannot be had.
pub async fn serve(
    listen: &str,
    setting: &'static str,
    registry: Registry,
    refresh: impl Fn() + Send + Sync + 'static,
    stop: Token,
) -> Result<(), crate::net::Error> {
    if listen.is_empty() {
        return Ok(());
    }
    let listener = crate::net::bind(listen, setting).await?;
    tracing::info!(address = listen, "metrics");
    let measured = Arc::new((registry, refresh));
    let answer = move || {
        let measured = Arc::clone(&measured);
        async move {
            let (registry, refresh) = &*measured;
            refresh();
            text(registry)
        }
    };
    let routes = Router::new().route("/metrics", get(answer));
    tokio::spawn(async move {
        let server = axum::serve(listener, routes)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = server.await {
            tracing::warn!(%error, "the metrics are not served any more");
        }
    });
    Ok(())
}

fn text(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "bug: a metric cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: what is registered is told as OpenMetrics, brought up to date first.
    #[tokio::test]
    async fn figures_are_served() -> Result<(), Box<dyn std::error::Error>> {
        let mut registry = Registry::with_prefix("test");
        let sockets = Gauge::<i64>::default();
        registry.register("sockets", "Open sockets", sockets.clone());
        let stop = Token::new();
        let refresh = move || {
            sockets.inc();
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        serve(
            &port.to_string(),
            "TEST_METRICS",
            registry,
            refresh,
            stop.clone(),
        )
        .await?;
        for expected in ["test_sockets 1\n", "test_sockets 2\n"] {
            let mut stream = tokio::net::TcpStream::connect(port).await?;
            let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, request).await?;
            let mut answer = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await?;
            assert!(answer.contains(CONTENT_TYPE), "{answer}");
            assert!(answer.contains(expected), "{answer}");
            assert!(answer.ends_with("# EOF\n"), "{answer}");
        }
        stop.cancel();
        Ok(())
    }
}
