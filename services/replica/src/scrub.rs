//! Reads what nobody asks for, slowly, so that damage is found while other replicas have it whole.
//!
//! In: the log and the state on disk. Out: signals; what is done about it, `service.rs` and
//! `driver/trim.rs` decide. Tests: tests/scenarios (snapshots), wal/tests/scrub.rs,
//! machine/tests/damage.rs.

use machine::CheckFrom;
use paxos::ids::Slot;
use tokio::sync::oneshot;

use crate::limits::{SCRUB_EVENTS, SCRUB_EVENTS_PAUSE, SCRUB_PAUSE, SCRUB_SLOTS};
use crate::role::Member;

/// Reads the whole log again and again, slowly, so that damage is found before a row is needed.
pub(crate) async fn log(member: &Member) {
    let mut from = Slot::FIRST;
    loop {
        tokio::time::sleep(SCRUB_PAUSE).await;
        let (reply, answer) = oneshot::channel();
        let take = Box::new(move |found| {
            // The process ends: nothing to do.
            let _ = reply.send(found);
        });
        let asked = member.wal.scrub(from, SCRUB_SLOTS, take);
        let Ok(Ok(found)) = answer.await.map(|found| asked.and(found)) else {
            continue;
        };
        if let Some(last) = found.damaged.last() {
            tracing::error!(
                slots = ?found.damaged,
                "decided rows are damaged on this disk and are dropped; check the disk"
            );
            member.signals.note_unreadable(*last);
        }
        from = found.next.unwrap_or(Slot::FIRST);
    }
}

/// The same for the events of the state. What reads from the state notes what it finds.
pub(crate) async fn state(member: &Member) {
    let mut from = CheckFrom::default();
    loop {
        tokio::time::sleep(SCRUB_EVENTS_PAUSE).await;
        let check = move |reader: &mut machine::Reader| reader.check_events(from, SCRUB_EVENTS);
        // Refused: too many read now, or the process ends.
        if let Ok(next) = member.reads.read(0, check).await {
            from = next;
        }
    }
}
