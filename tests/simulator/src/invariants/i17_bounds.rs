//! I17: nothing is over its limit: messages, queues, windows, the log.
//!
//! Trap 30 of docs/invariants.md. van Renesse, Altinbüken, *Paxos Made Moderately Complex*
//! (2015), section 2.3, bounds the slots under way by a window for the same reason.

use paxos::limits::{
    APPLY_LAG_SLOTS_MAX, BATCH_BYTES_MAX, ENTRY_OVERHEAD_BYTES, PAGE_BYTES, PERSISTS_IN_FLIGHT_MAX,
    PROMISE_PAGES_MAX, WINDOW_SLOTS_MAX,
};
use paxos::{Entry, Message, Slot};

use super::Who;
use crate::violation::{Verdict, hold};

const NAME: &str = "I17";

/// A page holds at least one row, and is full when the next one does not fit.
const PAGE_BYTES_MAX: usize = PAGE_BYTES + BATCH_BYTES_MAX + ENTRY_OVERHEAD_BYTES;
/// Requests to a disk: those under way when the core stops taking more, and what one step may
/// add for each of its inputs.
const REQUESTS_MAX: usize = 2 * PERSISTS_IN_FLIGHT_MAX;

/// Slots that a state machine may be behind: those after which a replica takes nothing more, and
/// one page of the smallest rows, which is taken whole.
const UNAPPLIED_MAX: u64 = APPLY_LAG_SLOTS_MAX + (PAGE_BYTES / ENTRY_OVERHEAD_BYTES) as u64;

/// Looks at sizes. Holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds;

impl Bounds {
    /// A node sends a message; `commit` is its commit index.
    pub fn on_send(&self, who: Who, message: &Message, commit: Slot) -> Verdict {
        match message {
            Message::Promise(promise) => {
                let pages = promise.pages;
                hold!(
                    NAME,
                    pages <= PROMISE_PAGES_MAX,
                    "{}: {pages} pages",
                    who.id
                );
                check_rows(who, &promise.entries)
            }
            Message::Accept(accept) => {
                let last = accept.entries.last().map_or(commit, |entry| entry.slot);
                let window = last.distance_above(commit.max(accept.base.prev()));
                hold!(
                    NAME,
                    window <= WINDOW_SLOTS_MAX,
                    "{}: {window} undecided",
                    who.id
                );
                check_rows(who, &accept.entries)
            }
            Message::Rows(rows) => check_rows(who, &rows.entries),
            _ => Ok(()),
        }
    }

    /// A node has asked its disk or its state machine for something: so many requests are not
    /// durable, so many slots are not applied.
    pub fn on_queues(&self, who: Who, requests: usize, unapplied: u64) -> Verdict {
        hold!(
            NAME,
            requests <= REQUESTS_MAX,
            "{}: {requests} requests",
            who.id
        );
        hold!(
            NAME,
            unapplied <= UNAPPLIED_MAX,
            "{}: {unapplied} slots to apply",
            who.id
        );
        Ok(())
    }

    /// The end of a run: a log holds `rows`, and its policy keeps at most so many.
    pub fn at_end(&self, who: Who, rows: usize, most: u64) -> Verdict {
        hold!(
            NAME,
            rows as u64 <= most,
            "{}: {rows} rows are kept, not {most}",
            who.id
        );
        Ok(())
    }
}

fn check_rows(who: Who, rows: &[Entry]) -> Verdict {
    let bytes: usize = rows.iter().map(Entry::weight_bytes).sum();
    hold!(
        NAME,
        bytes <= PAGE_BYTES_MAX,
        "{}: a message of {bytes} bytes",
        who.id
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Bounds;
    use crate::invariants::testing::{at, ballot, broken, entries, entry, who};
    use bytes::Bytes;
    use paxos::message::{Accept, Rows};
    use paxos::{Chain, Epoch, Message};

    #[test]
    fn a_message_that_is_too_large_breaks_it() {
        let large = entry(
            Chain::GENESIS,
            1,
            ballot(1, 1),
            Bytes::from(vec![0; 200_000]),
        );
        let rows = |count| {
            let (epoch, decided, compacted_to) = (Epoch::FIRST, at(1), at(0));
            let entries = vec![large.clone(); count];
            Message::Rows(Rows {
                epoch,
                entries,
                decided,
                compacted_to,
            })
        };
        assert_eq!(Bounds.on_send(who(1), &rows(5), at(1)), Ok(()));
        assert_eq!(broken(Bounds.on_send(who(1), &rows(9), at(1))), Some("I17"));
    }

    #[test]
    fn a_window_that_is_too_wide_breaks_it() {
        let entries = entries(ballot(1, 1), 1_100, b'a');
        let send = |count: usize| {
            let (ballot, entries) = (ballot(1, 1), entries[..count].to_vec());
            let accept = Accept {
                ballot,
                base: at(1),
                first: at(1),
                entries,
                decided: at(0),
            };
            Bounds.on_send(who(1), &Message::Accept(accept), at(0))
        };
        assert_eq!(send(1_024), Ok(()));
        assert_eq!(broken(send(1_025)), Some("I17"));
    }

    #[test]
    fn queues_and_logs_have_bounds() {
        assert_eq!(Bounds.on_queues(who(1), 8_192, 10_240), Ok(()));
        assert_eq!(broken(Bounds.on_queues(who(1), 8_193, 0)), Some("I17"));
        assert_eq!(broken(Bounds.on_queues(who(1), 0, 10_241)), Some("I17"));
        assert_eq!(broken(Bounds.at_end(who(1), 101, 100)), Some("I17"));
    }
}
