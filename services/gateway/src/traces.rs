//! The gateway's spans in the trace of a message: `gateway.submit`, from its frame to its outcome,
//! and `gateway.fan_out`, when its event is put into the queues of all who listen.
//!
//! Must hold: never a text, a name or a token in an attribute. What a client says of its trace
//! decides nothing else.

use std::time::SystemTime;

use ops::traces::{Context, KeyValue, Live, begin, record};
use proto::v1::{Outcome, TracedSlot};

use crate::errors::Error;
use crate::ids::Slot;
use crate::limits::FAN_OUT_TRACES_MAX;

/// Begins the span of a message that came from a client. Without a `traceparent` of the client's
/// the trace begins here, if the sampler takes it. Other requests are not traced.
pub(crate) fn submitted(traceparent: Option<&str>, is_message: bool) -> Option<Live> {
    if !is_message {
        return None;
    }
    begin(traceparent.and_then(Context::parse), || {
        tracing::info_span!(
            target: ops::traces::TARGET,
            parent: None,
            "gateway.submit",
            trace_id = tracing::field::Empty,
            slot = tracing::field::Empty,
            duplicate = tracing::field::Empty,
            error = tracing::field::Empty,
        )
    })
}

/// Says in the span what became of the message.
pub(crate) fn ended(trace: Option<&Live>, result: &Result<Outcome, Error>) {
    let Some(trace) = trace else { return };
    match result {
        Ok(outcome) => {
            trace.span().record("slot", outcome.slot);
            trace.span().record("duplicate", outcome.duplicate);
        }
        Err(error) => {
            let code = tracing::field::debug(error.code);
            trace.span().record("error", code);
        }
    }
}

/// One piece of the log on its way into the queues of the sockets.
#[derive(Debug)]
pub(crate) struct FanOut {
    /// Slots, each with the span of its application at the replica. Mostly none.
    traced: Vec<(u64, Context)>,
    /// `None` when nothing of it is traced.
    began: Option<SystemTime>,
}

impl FanOut {
    /// The replica said that these slots are traced; those up to `position` came already.
    pub(crate) fn begin(traces: &[TracedSlot], position: Slot) -> Self {
        let new = traces.iter().filter(|traced| traced.slot > position.0);
        let known = new.take(FAN_OUT_TRACES_MAX).filter_map(|traced| {
            let applied = Context::sampled(&traced.traceparent)?;
            Some((traced.slot, applied))
        });
        let traced: Vec<_> = known.collect();
        let began = (!traced.is_empty()).then(SystemTime::now);
        Self { traced, began }
    }

    /// Everybody who listens has it in the queue.
    pub(crate) fn end(self, gateway: &str) {
        let Some(began) = self.began else { return };
        // The clock may have been set back meanwhile.
        let ended = SystemTime::now().max(began);
        for (slot, applied) in self.traced {
            let attributes = vec![
                KeyValue::new("gateway", gateway.to_owned()),
                KeyValue::new("slot", i64::try_from(slot).unwrap_or(i64::MAX)),
            ];
            record("gateway.fan_out", applied, (began, ended), attributes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FanOut, submitted};
    use crate::ids::Slot;
    use proto::v1::TracedSlot;

    #[test]
    fn without_an_exporter_a_traceparent_costs_nothing() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(submitted(Some(traceparent), true).is_none());
        assert!(submitted(None, true).is_none());
        let traced = TracedSlot {
            slot: 1024,
            traceparent: traceparent.to_owned(),
        };
        let fan_out = FanOut::begin(&[traced], Slot(1023));
        assert!(fan_out.traced.is_empty() && fan_out.began.is_none());
        fan_out.end("gateway1");
    }
}
