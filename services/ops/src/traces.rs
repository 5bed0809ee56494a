//! Traces: which way one message took, and where the time went.
//!
//! A trace crosses services as a W3C `traceparent`. Here it becomes spans, which
//! [`crate::telemetry::start`] exports when the standard `OTEL_*` variables ask for it. When they do
//! not, [`begin`] and [`record`] do nothing and make nothing: a service never asks whether it is
//! traced, it only carries a [`Live`] that is not there.
//!
//! Two kinds of spans. A [`Live`] one is a span of `tracing`: log lines within it carry its
//! `trace_id`. What is known only afterwards, such as the time of an `fsync` on another thread,
//! is [`record`]ed with both its ends.

use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use opentelemetry::KeyValue;

/// The target of every span that is exported; nothing else of `tracing` is.
pub const TARGET: &str = "trace";

/// The length in characters of a `traceparent` of the version that is spoken.
const LENGTH: usize = 55;

/// Present while spans are exported.
static EXPORTING: OnceLock<Exporting> = OnceLock::new();

#[derive(Debug)]
pub(crate) struct Exporting {
    pub(crate) tracer: SdkTracer,
    /// Of a million messages, how many a page should trace.
    pub(crate) page_ppm: u32,
}

/// From now on spans are exported.
pub(crate) fn set_exporting(exporting: Exporting) {
    // A second start of telemetry was refused before it came here.
    let _ = EXPORTING.set(exporting);
}

/// Of a million messages, how many a client that begins its traces by itself should trace; `None`
/// while nothing is exported.
pub fn page_ppm() -> Option<u32> {
    EXPORTING.get().map(|exporting| exporting.page_ppm)
}

/// One span as its children name it: W3C Trace Context, level 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Context {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

impl Context {
    /// Reads a `traceparent`. `None` for what is none, as the standard wishes: a trace that cannot
    /// be read is no reason to refuse a message. Later versions are read as the first one.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let hex = |text: &str| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.bytes().all(digit).then(|| text.to_owned())
        };
        let known = traceparent.get(..LENGTH)?;
        let mut parts = known.split('-');
        let version = parts.next().filter(|part| part.len() == 2).and_then(hex)?;
        let trace = parts.next().filter(|part| part.len() == 32).and_then(hex)?;
        let span = parts.next().filter(|part| part.len() == 16).and_then(hex)?;
        let flags = parts.next().filter(|part| part.len() == 2).and_then(hex)?;
        let rest = traceparent.get(LENGTH..)?;
        let whole = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        if version == "ff" || parts.next().is_some() || !whole {
            return None;
        }
        let trace = TraceId::from_hex(&trace).ok()?;
        let span = SpanId::from_hex(&span).ok()?;
        let sampled = u8::from_str_radix(&flags, 16).ok()? & 1 == 1;
        let valid = trace != TraceId::INVALID && span != SpanId::INVALID;
        valid.then_some(Self {
            trace,
            span,
            sampled,
        })
    }

    /// As [`Context::parse`], if spans are exported and this trace was chosen to be: what a
    /// service asks that is not the first on the way.
    #[must_use]
    pub fn sampled(traceparent: &str) -> Option<Self> {
        EXPORTING.get()?;
        Self::parse(traceparent).filter(|context| context.sampled)
    }

    fn remote(self) -> opentelemetry::Context {
        let flags = TraceFlags::default().with_sampled(self.sampled);
        let span = SpanContext::new(self.trace, self.span, flags, true, TraceState::NONE);
        opentelemetry::Context::new().with_remote_span_context(span)
    }

    fn of(span: &SpanContext) -> Option<Self> {
        span.is_sampled().then_some(Self {
            trace: span.trace_id(),
            span: span.span_id(),
            sampled: true,
        })
    }
}

/// As it stands in a `traceparent`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

/// A span that lasts until it is dropped.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Live {
    span: tracing::Span,
    context: Context,
}

impl Live {
    /// What its children name.
    #[must_use]
    pub const fn context(&self) -> Context {
        self.context
    }

    /// The span, for fields that are known late and for log lines within it.
    #[must_use]
    pub const fn span(&self) -> &tracing::Span {
        &self.span
    }
}

/// Begins a span, if spans are exported and the sampler (`OTEL_TRACES_SAMPLER`) takes it; without a
/// parent it is the first of its trace. `make` must make a span with the target [`TARGET`], no
/// parent of its own, and an empty field `trace_id`.
pub fn begin(parent: Option<Context>, make: impl FnOnce() -> tracing::Span) -> Option<Live> {
    EXPORTING.get()?;
    let span = make();
    if let Some(parent) = parent {
        // Refused for a span that nobody listens to: then it has no context either.
        span.set_parent(parent.remote()).ok()?;
    }
    let context = Context::of(span.context().span().span_context())?;
    span.record("trace_id", tracing::field::display(context.trace));
    Some(Live { span, context })
}

/// A span that has passed, from the first moment to the second. `None` when spans are not
/// exported or the sampler does not take it.
pub fn record(
    name: &'static str,
    parent: Context,
    (began, ended): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) -> Option<Context> {
    let tracer = &EXPORTING.get()?.tracer;
    let builder = tracer
        .span_builder(name)
        .with_start_time(began)
        .with_attributes(attributes);
    let mut span = tracer.build_with_context(builder, &parent.remote());
    let context = Context::of(span.span_context());
    span.end_with_timestamp(ended);
    context
}

#[cfg(test)]
mod tests {
    use super::{Context, begin, page_ppm, record};
    use std::time::SystemTime;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_comes_out_as_it_went_in() {
        let context = Context::parse(GOOD).expect("the standard's own example");
        assert_eq!(context.to_string(), GOOD);
        let not_sampled = GOOD.replace("-01", "-00");
        let context = Context::parse(&not_sampled).expect("valid");
        assert_eq!(context.to_string(), not_sampled);
        let later = format!("{}-what-comes-then", GOOD.replacen("00", "01", 1));
        let context = Context::parse(&later).expect("a later version begins as this one does");
        assert_eq!(context.to_string(), GOOD);
    }

    #[test]
    fn what_is_no_traceparent_is_passed_over() {
        let cases = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}0"),
            format!("{GOOD}-more"),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf9", "+bf9"),
            GOOD.replace('-', "_"),
            GOOD.replace("4bf9", "4b-9"),
            "é".repeat(LENGTH_IN_TWO_BYTES),
        ];
        for case in cases {
            assert_eq!(Context::parse(&case), None, "{case}");
        }
    }

    /// So that the 55th byte is in the middle of a character.
    const LENGTH_IN_TWO_BYTES: usize = 28;

    #[test]
    fn without_an_exporter_nothing_is_made() {
        let parent = Context::parse(GOOD).expect("valid");
        let begun = begin(Some(parent), || unreachable!("a span costs something"));
        assert!(begun.is_none());
        let now = SystemTime::now();
        assert_eq!(record("never", parent, (now, now), Vec::new()), None);
        assert_eq!(Context::sampled(GOOD), None);
        assert_eq!(page_ppm(), None);
    }
}
