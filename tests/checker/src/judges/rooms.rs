//! Is each room one sequence without a hole (C1), in the order of the log?

use crate::facts::{Facts, Seen};
use crate::violation::Kind;

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    for (room, rows) in &facts.rooms {
        let mut rows: Vec<&Seen> = rows.values().collect();
        rows.sort_unstable_by_key(|seen| seen.row.seq);
        let whole = facts.whole_reads.iter().any(|read| read.room == *room);
        let mut last_message = whole.then_some((0, 0));
        let mut last: Option<&Seen> = None;
        for seen in rows {
            let row = &seen.row;
            let before = last.map_or(0, |last| last.row.seq);
            if row.seq > before + 1 {
                // Only a room that somebody has read as a whole must have been shown as a whole.
                if whole {
                    findings.add(Kind::Gap, || {
                        format!(
                            "room {room}: nothing is known between seq {before} and {}",
                            row.seq
                        )
                    });
                }
                last_message = None;
            }
            if let Some(last) = last
                && row.slot < last.row.slot
            {
                findings.add(Kind::Reordered, || {
                    format!(
                        "room {room}: seq {} is of slot {}, seq {} of slot {}",
                        last.row.seq, last.row.slot, row.seq, row.slot
                    )
                });
            }
            if let Some(message) = row.message {
                if let Some((seq, number)) = last_message
                    && message.msg_no != number + 1
                {
                    findings.add(Kind::Gap, || {
                        format!(
                            "room {room}: seq {} is message {}, seq {seq} before it {number}",
                            row.seq, message.msg_no
                        )
                    });
                }
                last_message = Some((row.seq, message.msg_no));
            }
            last = Some(seen);
        }
    }
    facts.findings = findings;
}
