//! What a gateway measures. All names are here; docs/operations.md says what they are good for.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ops::metrics::{Counter, Family, Gauge, Histogram, Label, Registry, Unit, durations, gauge};
use proto::v1::Outcome;
use proto::v1::outcome::Result as Did;

use crate::app::App;
use crate::errors::Error;

const COMMITTED: Label = [("outcome", "committed")];
const DUPLICATE: Label = [("outcome", "duplicate")];
const REFUSED: Label = [("outcome", "refused")];
const FAILED: Label = [("outcome", "failed")];

/// Why somebody at the public port was refused: docs/operations.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `connections` are open.
    Full,
    /// `connections_per_address` are open.
    Address,
    /// No TLS, or not in time.
    Handshake,
    /// The head of a request took too long.
    SlowHead,
    /// The body of a request took too long.
    SlowBody,
    /// The body of a request was too large.
    LargeBody,
    /// An answer was not taken.
    Stalled,
    /// Too many frames.
    Frames,
    /// Too many requests from one address.
    Requests,
}

impl Refused {
    fn label(self) -> Label {
        let why = match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Handshake => "handshake",
            Self::SlowHead => "slow_head",
            Self::SlowBody => "slow_body",
            Self::LargeBody => "large_body",
            Self::Stalled => "stalled",
            Self::Frames => "frames",
            Self::Requests => "requests",
        };
        [("why", why)]
    }
}

/// What is counted where it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// From the moment at which a request is here until its answer goes to its socket.
    requests: Family<Label, Histogram, fn() -> Histogram>,
    fan_out: Counter,
    lagged: Counter,
    slow: Counter,
    wrong_passwords: Counter,
    rate_limited: Counter,
    refused: Family<Label, Counter>,
    unsaid: Counter,
    pending: Gauge,
}

/// Of this process.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    requests: Family::new_with_constructor(durations),
    fan_out: Counter::default(),
    lagged: Counter::default(),
    slow: Counter::default(),
    wrong_passwords: Counter::default(),
    rate_limited: Counter::default(),
    refused: Family::default(),
    unsaid: Counter::default(),
    pending: Gauge::default(),
});

impl Metrics {
    /// A request got its answer.
    pub(crate) fn answered(&self, result: &Result<Outcome, Error>, after: Duration) {
        let label = match result {
            Ok(outcome) if outcome.duplicate => &DUPLICATE,
            Ok(outcome) if matches!(outcome.result, Some(Did::Refusal(_))) => &REFUSED,
            Ok(_) => &COMMITTED,
            Err(_) => &FAILED,
        };
        self.requests
            .get_or_create(label)
            .observe(after.as_secs_f64());
    }

    /// An event was put into a queue of a socket.
    pub(crate) fn passed_on(&self) {
        self.fan_out.inc();
    }

    /// A socket was too slow: its queue of events was cleared.
    pub(crate) fn lags(&self) {
        self.lagged.inc();
    }

    /// That somebody writes was not told to a socket: too many wrote at once.
    pub(crate) fn unsaid(&self) {
        self.unsaid.inc();
    }

    /// So many commands wait for their outcome.
    pub(crate) fn pending(&self, commands: usize) {
        self.pending.set(gauge(commands as u64));
    }

    /// A socket was so slow that it was closed.
    pub(crate) fn too_slow(&self) {
        self.slow.inc();
    }

    /// Somebody at the public port was refused.
    pub(crate) fn refused(&self, why: Refused) {
        self.refused.get_or_create(&why.label()).inc();
    }

    /// A password or a name was wrong.
    pub(crate) fn wrong_password(&self) {
        self.wrong_passwords.inc();
    }

    /// Somebody tried passwords too often.
    pub(crate) fn rate_limited(&self) {
        self.rate_limited.inc();
    }
}

/// The registry, and what brings it up to date.
pub(crate) fn registry(app: Arc<App>) -> (Registry, impl Fn() + Send + Sync + 'static) {
    let mut registry = Registry::with_prefix("chatterbox_gateway");
    counted(&mut registry);
    let (sockets, followed) = (Gauge::<i64>::default(), Gauge::<i64>::default());
    let (ready, quorum, membership) = <(Gauge, Gauge, Gauge)>::default();
    let (serving, connections) = <(Gauge, Gauge)>::default();
    for (name, help, gauge) in [
        ("sockets", "Open sockets", &sockets),
        (
            "connections",
            "Open connections to the public port, sockets included",
            &connections,
        ),
        (
            "followed_slot",
            "How far this gateway has followed the log",
            &followed,
        ),
        ("ready", "1: it can serve people", &ready),
        (
            "quorum",
            "1: the cluster can commit, as far as it knows",
            &quorum,
        ),
        (
            "membership",
            "1: the membership service answers",
            &membership,
        ),
        ("replicas_serving", "Replicas that serve reads", &serving),
    ] {
        registry.register(name, help, gauge.clone());
    }
    let refresh = move || {
        let view = app.cluster.view();
        let serves = view.nodes.iter().filter(|node| node.serves()).count();
        sockets.set(gauge(app.sockets.len() as u64));
        connections.set(i64::from(app.places.taken()));
        followed.set(gauge(app.hub.position_or_zero().0));
        ready.set(i64::from(app.not_ready().is_none()));
        quorum.set(i64::from(view.quorum()));
        membership.set(i64::from(view.membership));
        serving.set(gauge(serves as u64));
    };
    (registry, refresh)
}

fn counted(registry: &mut Registry) {
    let metrics = &*METRICS;
    registry.register_with_unit(
        "request",
        "How long a request takes, from its arrival to its answer",
        Unit::Seconds,
        metrics.requests.clone(),
    );
    registry.register(
        "pending_commands",
        "Commands on their way to the leader, or in its hands, without an outcome yet",
        metrics.pending.clone(),
    );
    registry.register(
        "refused",
        "Connections, requests and sockets refused at the public port",
        metrics.refused.clone(),
    );
    for (name, help, counter) in [
        (
            "fan_out_events",
            "Events put into the queues of sockets",
            &metrics.fan_out,
        ),
        (
            "lagged_sockets",
            "Times that a queue was cleared, as its socket was too slow",
            &metrics.lagged,
        ),
        (
            "closed_slow_sockets",
            "Sockets closed because they took nothing",
            &metrics.slow,
        ),
        (
            "ephemeral_dropped",
            "Times that a socket was not told that somebody writes, as too many did",
            &metrics.unsaid,
        ),
        (
            "wrong_passwords",
            "Sign-ins with a wrong name or password",
            &metrics.wrong_passwords,
        ),
        (
            "sign_ins_limited",
            "Sign-ins refused because there were too many",
            &metrics.rate_limited,
        ),
    ] {
        registry.register(name, help, counter.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: each answer counts under what became of the request.
    #[test]
    fn answers_are_counted() {
        let outcome = |duplicate| Outcome {
            duplicate,
            ..Outcome::default()
        };
        METRICS.answered(&Ok(outcome(false)), Duration::from_millis(3));
        METRICS.answered(&Ok(outcome(true)), Duration::from_millis(3));
        METRICS.answered(&Err(Error::internal("test")), Duration::from_millis(3));
        let mut registry = Registry::default();
        counted(&mut registry);
        let mut text = String::new();
        ops::metrics::encode(&mut text, &registry).expect("it can be written");
        for outcome in ["committed", "duplicate", "failed"] {
            let wanted = format!("request_seconds_count{{outcome=\"{outcome}\"}}");
            assert!(text.contains(&wanted), "{wanted} is not in {text}");
        }
    }
}
