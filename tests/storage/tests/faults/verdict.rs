//! Opens what a crash left with the production code, and says what came back.
//!
//! In: an image, or a directory. Out: the whole durable state as the production code reads it,
//! or its refusal. A panic of the production code is a failure wherever it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use paxos::entry::Entry;
use paxos::ids::{DiskSeq, Slot};
use storage::Image;
use wal::{Base, Error, Wal};

use crate::model::{History, State};

/// What a process finds when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    /// The count of transactions with which it asks the others whether it was turned back.
    pub(crate) opened_at: DiskSeq,
    /// Slots that it knows to be damaged.
    pub(crate) damaged: BTreeSet<Slot>,
    /// Whether the rows came in slot order, each once.
    pub(crate) in_order: bool,
}

/// Does what the driver does at start with a state machine that holds `base`, and reads
/// everything that the log holds.
pub(crate) fn start(wal: &mut Wal, base: &Base) -> Result<Found, Error> {
    if wal.awaits_snapshot(base) {
        wal.install_snapshot(base)?;
    }
    let recovery = wal.restore(base)?;
    let restored = recovery.restored;
    let first = restored.compacted_to.next();
    let mut rows = BTreeMap::new();
    let mut damaged = restored.damaged;
    damaged.extend(recovery.unreadable);
    let below = applied_rows(wal, first, base.slot, &mut damaged)?;
    let above = wal
        .replay(base, restored.decided)
        .collect::<Result<Vec<_>, _>>()?;
    let found = below.into_iter().chain(above.into_iter().flatten());
    let mut last = restored.compacted_to;
    let mut in_order = true;
    for entry in found.chain(restored.undecided) {
        in_order &= entry.slot > last;
        last = entry.slot;
        rows.insert(entry.slot, entry);
    }
    let state = State {
        identity: wal.identity().clone(),
        peers: wal.peers()?,
        disk_seq: wal.disk_seq(),
        promised: restored.promised,
        configuration: wal.configuration().cloned(),
        decided: restored.decided,
        chain: restored.chain,
        compacted_to: restored.compacted_to,
        rows,
        witnessed: restored.witnessed,
        incoming: None,
    };
    Ok(Found {
        state,
        opened_at: restored.disk_seq,
        damaged,
        in_order,
    })
}

/// The rows that the state machine has applied, read as a replica that serves others reads them:
/// a damaged one is noticed then, and the others are served.
fn applied_rows(
    wal: &Wal,
    first: Slot,
    last: Slot,
    damaged: &mut BTreeSet<Slot>,
) -> Result<Vec<Entry>, Error> {
    let mut rows = Vec::new();
    let mut next = first;
    while next <= last {
        let page = match wal.read_rows(next, last, usize::MAX) {
            Err(Error::Damaged { .. } | Error::RowMissing { .. }) => {
                wal.read_rows(next, next, usize::MAX)
            }
            page => page,
        };
        match page {
            Ok(page) => {
                next = page.last().map_or(next, |row| row.slot).next();
                rows.extend(page);
            }
            Err(Error::Damaged { .. } | Error::RowMissing { .. }) => {
                damaged.insert(next);
                next = next.next();
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

/// Opens a directory and reads everything.
pub(crate) fn open(directory: &Path, base: &Base) -> Result<Found, Error> {
    let opened = catch_unwind(AssertUnwindSafe(|| start(&mut Wal::open(directory)?, base)));
    opened.unwrap_or_else(|_| panic!("the production code panicked on {}", directory.display()))
}

/// Opens an image in a directory of its own.
pub(crate) fn open_image(image: &Image, base: &Base) -> Result<Found, Error> {
    let directory = storage::directory().unwrap();
    image.place(directory.path()).unwrap();
    open(directory.path(), base)
}

/// The state after `number` requests as a process with `base` must find it.
pub(crate) fn expected(history: &History, number: usize, base: &Base) -> State {
    let mut state = history.states[number].opened_with(base);
    state.incoming = None;
    state
}

/// Which of the states from `acked` to `asked` this is; the text compares with the nearest.
pub(crate) fn matching(
    history: &History,
    acked: usize,
    asked: usize,
    base: &Base,
    found: &Found,
) -> Result<usize, String> {
    let wanted = |number: usize| {
        let mut state = expected(history, number, base);
        if history.groups.is_some() {
            let (lowest, highest) = history.disk_seqs(number, acked);
            state.disk_seq = found.state.disk_seq.clamp(lowest, highest);
        }
        state
    };
    let sound = found.damaged.is_empty() && found.in_order;
    let same = |number: &usize| sound && wanted(*number) == found.state;
    if let Some(number) = (acked..=asked).find(same) {
        return Ok(number);
    }
    // An earlier one says how much is gone.
    let earlier = earlier(history, acked, base, found);
    let earlier = earlier.map_or_else(String::new, |number| {
        format!("; it is the state after request {number}: what came later is GONE")
    });
    let difference = (acked..=asked)
        .map(|number| wanted(number).difference(&found.state))
        .min_by_key(String::len)
        .unwrap_or_default();
    Err(format!(
        "acknowledged {acked}, asked {asked}, applied {}: {difference}; damaged {:?}{earlier}",
        base.slot, found.damaged
    ))
}

/// The request before `acked` after which the state was as it is found now.
pub(crate) fn earlier(
    history: &History,
    acked: usize,
    base: &Base,
    found: &Found,
) -> Option<usize> {
    let same = |number: &usize| {
        let mut state = expected(history, *number, base);
        state.disk_seq = found.state.disk_seq;
        state == found.state
    };
    (0..acked).rev().find(same)
}
