//! Was anything acknowledged while a majority was dead (C7)?

use crate::facts::Facts;
use crate::violation::Kind;

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    for outage in &facts.outages {
        for message in &facts.messages {
            if message.sent_at < outage.from_us || message.sent_at > outage.to_us {
                continue;
            }
            facts.figures.sent_in_outage += 1;
            if let Some(ack) = message.ack.filter(|ack| ack.at <= outage.to_us) {
                findings.add(Kind::WithoutQuorum, || {
                    format!(
                        "{} was sent at {} us and acknowledged at {} us; from {} us to {} us: {}",
                        message.cid,
                        message.sent_at,
                        ack.at,
                        outage.from_us,
                        outage.to_us,
                        outage.why
                    )
                });
            }
        }
        for change in &facts.changes.asked {
            let within = |at: &u64| (outage.from_us..=outage.to_us).contains(at);
            let done = change.done.filter(|(at, _)| within(at));
            if let Some((at, _)) = done.filter(|_| within(&change.asked_at)) {
                findings.add(Kind::WithoutQuorum, || {
                    format!(
                        "{} was asked for at {} us and answered at {at} us; from {} us to {} us: {}",
                        change.cid, change.asked_at, outage.from_us, outage.to_us, outage.why
                    )
                });
            }
        }
    }
    facts.findings = findings;
}
