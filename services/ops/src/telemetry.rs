//! Logs and traces.
//!
//! Logs go to stderr: text, or JSON with `CHATTERBOX_LOG_FORMAT=json`, filtered by `RUST_LOG`.
//! Traces go out by OTLP over gRPC only when the standard variable
//! `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) is set; without it there is no cost.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Libraries whose `info` is noise to an operator.
const FILTER_DEFAULT: &str = "info,h2=warn,hyper=warn,tower=warn,opentelemetry=warn";

/// How long the end of a process waits for its last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An unknown log format.
    #[error("CHATTERBOX_LOG_FORMAT is `{0}`; it must be `text` or `json`")]
    Format(String),
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG is not a filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter's endpoint or options are wrong.
    #[error("cannot export traces to OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Called twice.
    #[error("telemetry is already started: {0}")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Keep it until the end of `main`: dropping it sends the last spans.
#[must_use = "spans are lost when this is dropped early"]
#[derive(Debug)]
pub struct Guard {
    /// Absent when no endpoint is configured.
    provider: Option<SdkTracerProvider>,
}

/// Starts logging, and tracing when an endpoint is configured. `service` is the name in traces
/// unless `OTEL_SERVICE_NAME` gives another. Call it once, inside a multi-threaded runtime.
pub fn start(service: &'static str) -> Result<Guard, Error> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::new(FILTER_DEFAULT),
    };
    let format = std::env::var("CHATTERBOX_LOG_FORMAT").unwrap_or_default();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match format.as_str() {
        "" | "text" => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        "json" => log.json().flatten_event(true).boxed(),
        _ => return Err(Error::Format(format)),
    };
    let wanted = ENDPOINTS
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    let provider = if wanted {
        Some(exporter(service)?)
    } else {
        None
    };
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(service)));
    tracing_subscriber::registry()
        .with(filter)
        .with(traces)
        .with(log)
        .try_init()?;
    log_panics();
    Ok(Guard { provider })
}

fn exporter(service: &'static str) -> Result<SdkTracerProvider, Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .build()?;
    // The resource reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES itself.
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build();
    Ok(provider)
}

/// A panic must be found by whoever reads the log in JSON, too.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("bug: {panic}");
        before(panic);
    }));
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
