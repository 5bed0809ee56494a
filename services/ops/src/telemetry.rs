//! Logs and traces.
//!
//! Logs go to stderr: text, or JSON with `CHATTERBOX_LOG_FORMAT=json`, filtered by `RUST_LOG`.
//! Traces ([`crate::traces`]) go out by OTLP over gRPC only when the standard variable
//! `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) is set; without it there is no cost. What
//! is exported does not depend on `RUST_LOG`, nor the log on what is exported.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::otlp;
use crate::traces::{self, Exporting};

/// Libraries whose `info` is noise to an operator.
const FILTER_DEFAULT: &str = "info,h2=warn,hyper=warn,tower=warn,opentelemetry=warn";

/// How long the end of a process waits for its last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// A ratio of one, as pages are told it.
const MILLION: f64 = 1_000_000.0;

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
    /// Another protocol than the one that is spoken.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL is `{0}`; traces go out by `grpc` only")]
    Protocol(String),
    /// A file that a setting of the exporter names cannot be read.
    #[error("{name} names {path}, which cannot be read: {source}")]
    File {
        /// The variable.
        name: String,
        /// Its value.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together: set both or none"
    )]
    HalfIdentity,
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
    let provider = if is_wanted(|name| std::env::var(name).ok()) {
        Some(exporter(service)?)
    } else {
        None
    };
    let traces = provider.as_ref().map(|provider| {
        let exported = Targets::new().with_target(traces::TARGET, LevelFilter::TRACE);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            // Of use for programs with one task per request; here they would name the place
            // where a span happened to be made.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(exported)
    });
    tracing_subscriber::registry()
        .with(traces)
        .with(log.with_filter(filter))
        .try_init()?;
    log_panics();
    if let Some(provider) = &provider {
        let page_ppm = page_ppm(|name| std::env::var(name).ok());
        let tracer = provider.tracer(service);
        traces::set_exporting(Exporting { tracer, page_ppm });
    }
    Ok(Guard { provider })
}

/// Whether the environment asks for traces: an endpoint is named and nothing is said against.
fn is_wanted(var: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name, value: &str| var(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    otlp::has_endpoint(&var)
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// Of a million messages, how many a page should trace. A sampler that follows the parent follows
/// the page, so the page draws by its ratio; any other decides by itself about each.
fn page_ppm(var: impl Fn(&str) -> Option<String>) -> u32 {
    match var("OTEL_TRACES_SAMPLER").as_deref() {
        Some("parentbased_always_off") => 0,
        Some("parentbased_traceidratio") => {
            let ratio = var("OTEL_TRACES_SAMPLER_ARG").and_then(|arg| arg.parse::<f64>().ok());
            // As the SDK, which says so in the log.
            let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
            (ratio.unwrap_or(1.0) * MILLION).round() as u32
        }
        _ => MILLION as u32,
    }
}

fn exporter(service: &'static str) -> Result<SdkTracerProvider, Error> {
    let exporter = otlp::exporter(|name| std::env::var(name).ok())?;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::{is_wanted, page_ppm};

    /// An environment.
    pub(crate) fn vars<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |wanted| {
            let found = set.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn traces_are_exported_only_where_the_environment_says_so() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        assert!(is_wanted(vars(&[endpoint])));
        assert!(is_wanted(vars(&[(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://127.0.0.1:4317"
        )])));
        assert!(!is_wanted(vars(&[])));
        assert!(!is_wanted(vars(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")])));
        assert!(!is_wanted(vars(&[endpoint, ("OTEL_SDK_DISABLED", "true")])));
        assert!(!is_wanted(vars(&[
            endpoint,
            ("OTEL_TRACES_EXPORTER", "none")
        ])));
    }

    #[test]
    fn a_page_draws_by_the_ratio_of_a_sampler_that_follows_it() {
        let sampler = |name, arg| {
            page_ppm(vars(&[
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", arg),
            ]))
        };
        assert_eq!(page_ppm(vars(&[])), 1_000_000);
        assert_eq!(sampler("parentbased_traceidratio", "0.01"), 10_000);
        assert_eq!(sampler("parentbased_traceidratio", "7"), 1_000_000);
        assert_eq!(sampler("parentbased_always_off", ""), 0);
        assert_eq!(sampler("traceidratio", "0.01"), 1_000_000);
    }
}
