//! The background check of decided rows: damage is found before the row is needed.
//!
//! In: a slot to begin at and a number of slots. Out: [`Scrubbed`]. Must hold: it changes
//! nothing, and between two commits it takes no longer than [`SCRUB_SLICE`] and one row.
//! Tested in: `tests/scrub.rs`.
//!
//! What is checked is what SQLite would give to a reader. A page in the cache of the operating
//! system hides its counterpart on the medium until it is evicted.

use std::ops::ControlFlow;
use std::time::Instant;

use paxos::entry::Chain;
use paxos::ids::Slot;

use crate::error::Error;
use crate::limits::{SCRUB_DAMAGED_MAX, SCRUB_SLICE};
use crate::log::Wal;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scrubbed {
    /// How many slots were looked at.
    pub checked: u64,
    /// Where to go on; `None` when the commit index, as the disk knows it, was reached.
    pub next: Option<Slot>,
    /// Slots whose rows are damaged or missing, at most [`SCRUB_DAMAGED_MAX`]; the check ends
    /// there. All are decided. When two rows are whole but do not follow each other, both.
    pub damaged: Vec<Slot>,
}

/// Takes what a check found, on the writer's thread. Not called when the writer stops before
/// its end.
pub type ScrubReply = Box<dyn FnOnce(Result<Scrubbed, Error>) + Send>;

/// A check under way.
pub(crate) struct Scrub {
    /// The next slot.
    pub(crate) next: Slot,
    /// Slots still to be looked at.
    pub(crate) left: u64,
    /// The row before `next`, if it was whole.
    previous: Option<Chain>,
    found: Scrubbed,
    pub(crate) reply: ScrubReply,
}

impl Scrub {
    pub(crate) const fn new(from: Slot, slots: u64, reply: ScrubReply) -> Self {
        Self {
            next: from,
            left: slots,
            previous: None,
            found: Scrubbed {
                checked: 0,
                next: None,
                damaged: Vec::new(),
            },
            reply,
        }
    }

    /// The result so far.
    pub(crate) fn finish(self, next: Option<Slot>) -> (ScrubReply, Scrubbed) {
        let found = Scrubbed { next, ..self.found };
        (self.reply, found)
    }

    fn is_over(&self) -> bool {
        self.left == 0 || self.found.damaged.len() >= SCRUB_DAMAGED_MAX
    }

    /// Notes one slot. `row` is its chain and whether it follows the row before, if it is whole.
    fn note(&mut self, row: Option<(Chain, bool)>) {
        let slot = self.next;
        match row {
            Some((_, false)) if !self.found.damaged.contains(&slot.prev()) => {
                self.found.damaged.extend([slot.prev(), slot]);
            }
            Some((_, true)) => {}
            None | Some(_) => self.found.damaged.push(slot),
        }
        self.previous = row.map(|(chain, _)| chain);
        self.next = slot.next();
        self.left -= 1;
        self.found.checked += 1;
    }
}

impl Wal {
    /// Goes on with a check for a short while. Breaks when it is over, with the slot to go on
    /// at, if there is one.
    pub(crate) fn scrub_slice(
        &self,
        scrub: &mut Scrub,
    ) -> Result<ControlFlow<Option<Slot>>, Error> {
        let started = Instant::now();
        let end = self.decided();
        let lowest = self.compacted_to().next();
        if scrub.next < lowest {
            scrub.next = lowest;
            scrub.previous = None;
        }
        let mut in_time = true;
        self.reader(end)?.scan(scrub.next, end, |slot, found| {
            while scrub.next < slot && !scrub.is_over() {
                scrub.note(None);
            }
            if scrub.is_over() {
                return Ok(ControlFlow::Break(()));
            }
            let previous = scrub.previous;
            scrub.note(found.ok().map(|entry| {
                let follows = previous.is_none_or(|previous| entry.follows(previous));
                (entry.chain, follows)
            }));
            in_time = started.elapsed() < SCRUB_SLICE;
            Ok(if in_time && !scrub.is_over() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        // The rows end before the commit index.
        while in_time && scrub.next <= end && !scrub.is_over() {
            scrub.note(None);
        }
        Ok(if scrub.next > end {
            ControlFlow::Break(None)
        } else if scrub.is_over() {
            ControlFlow::Break(Some(scrub.next))
        } else {
            ControlFlow::Continue(())
        })
    }
}
