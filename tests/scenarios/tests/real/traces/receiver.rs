//! What a backend of traces is to the services: OTLP over gRPC. Keeps everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A span as it was received; ids in hexadecimal.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    /// Empty for the first span of a trace.
    pub(super) parent: String,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

/// A receiver on a port of its own, until the test ends.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Its URL.
    endpoint: String,
    collector: Collector,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        Self::serve("http", Server::builder()).await
    }

    /// One that speaks TLS, as `localhost`. The second is its certificate in PEM, which signs itself.
    pub(super) async fn start_encrypted() -> Result<(Self, String)> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
        let identity = Identity::from_pem(certificate.pem(), key.serialize_pem());
        let tls = ServerTlsConfig::new().identity(identity);
        let receiver = Self::serve("https", Server::builder().tls_config(tls)?).await?;
        Ok((receiver, certificate.pem()))
    }

    async fn serve(scheme: &str, mut server: Server) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("{scheme}://localhost:{}", listener.local_addr()?.port());
        let collector = Collector::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = server
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Ok(Self {
            endpoint,
            collector,
        })
    }

    /// The standard variables that make a service export to this one.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.endpoint.clone()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ]
    }

    /// Everything so far.
    pub(super) fn all(&self) -> Vec<Span> {
        self.collector.lock().clone()
    }

    /// The spans of a trace, once there are enough, in the order in which they began.
    pub(super) async fn trace(
        &self,
        trace: &str,
        within: Duration,
        enough: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>> {
        let deadline = Instant::now() + within;
        loop {
            let mut spans = self.all();
            spans.retain(|span| span.trace == trace);
            spans.sort_by_key(|span| span.began_ns);
            if enough(&spans) {
                return Ok(spans);
            }
            ensure!(Instant::now() < deadline, "not enough came: {spans:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Collector {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let resource = of_process.resource.unwrap_or_default();
            let service = attributes(resource.attributes).remove("service.name");
            let service = service.unwrap_or_default();
            let spans = of_process
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.lock().extend(spans.map(|span| Span {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                began_ns: span.start_time_unix_nano,
                ended_ns: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key, value)
    };
    pairs.into_iter().map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
