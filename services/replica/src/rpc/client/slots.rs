//! What this replica's own log has of a slot: the X-ray of a message asks every replica.

use paxos::ids::Slot;
use proto::v1 as pb;
use tokio::sync::oneshot;

use crate::errors::Refused;
use crate::role::Shared;
use crate::wire;

/// One entry is read, however large it is.
const ONE_ENTRY: usize = 1;

/// Answers `GetSlot`.
pub(super) async fn slot(
    shared: &Shared,
    request: pb::GetSlotRequest,
) -> Result<pb::GetSlotResponse, Refused> {
    let member = shared.serving(request.shard)?;
    let slot = Slot(request.slot);
    let status = member.driver.status_now().await;
    let compacted_to = status.compacted_to;
    // Whoever was told of a message looks behind it at once, before its transaction is committed.
    let applied = member.signals.told().0;
    // What is not decided may still be another entry tomorrow.
    if slot < Slot::FIRST || slot <= compacted_to || slot > status.decided {
        return Ok(pb::GetSlotResponse {
            ballot: None,
            compacted_to: compacted_to.0,
            applied,
        });
    }
    let (reply, answer) = oneshot::channel();
    let send = Box::new(move |read| {
        // Nobody waits any more: nothing to do.
        let _ = reply.send(read);
    });
    member.wal.read(slot, slot, ONE_ENTRY, send)?;
    let entries = answer.await.unwrap_or(Err(wal::Error::Stopped))?;
    let entry = entries.into_iter().find(|entry| entry.slot == slot);
    Ok(pb::GetSlotResponse {
        ballot: entry.and_then(|entry| wire::ballot(entry.ballot)),
        compacted_to: compacted_to.0,
        applied,
    })
}
