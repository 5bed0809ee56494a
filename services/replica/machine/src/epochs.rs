//! Which configuration the applied prefix ends in: a function of its `Seal` entries.
//!
//! Lamport, Malkhi, Zhou, *Reconfiguring a State Machine*: the next configuration is a function
//! of the log's prefix, the same for all. It is kept beside the applied slot, so that the file
//! says by itself of which epoch it is, also as a snapshot on another node (section 2.9).
//!
//! The genesis configuration is not in the log, so it is not in the state either: before the
//! first `Seal` there is none here, and whoever asks takes the genesis' one.
//! Tests: tests/epochs.rs.

use paxos::config::{Configuration, Seal};
use paxos::entry::{Entry, EntryKind};
use paxos::ids::Epoch;

use crate::Error;

/// The configuration after this entry, where `active` was the one before it.
///
/// # Errors
///
/// The payload of a `Seal` cannot be read ([`Error::UnreadableSeal`]), or it begins another
/// epoch than the next one ([`Error::EpochOutOfOrder`]).
pub(crate) fn after(
    active: Option<&Configuration>,
    entry: &Entry,
) -> Result<Option<Configuration>, Error> {
    if entry.kind != EntryKind::Seal {
        return Ok(active.cloned());
    }
    let slot = entry.slot;
    let seal = Seal::decode(&entry.payload).ok_or(Error::UnreadableSeal { slot })?;
    let epoch = active.map_or(Epoch::FIRST, |active| active.epoch);
    if seal.epoch != epoch.next() {
        return Err(Error::EpochOutOfOrder {
            slot,
            active: epoch,
            found: seal.epoch,
        });
    }
    Ok(Some(seal.configuration(slot)))
}
