//! I14: acceptors accept in slot order within a ballot, from the ballot's base on (R1), so no
//! hole is ever left or filled.
//!
//! Lamport, *The Part-Time Parliament* (1998), section 3.1, fills gaps with "olive days"; Haridi
//! et al.'s *Sequence Paxos* (2023) and Ongaro, Ousterhout, *Raft* (ATC 2014), exclude them.

use std::collections::BTreeMap;

use paxos::message::Accept;
use paxos::{Ballot, Entry, EntryKind, Slot};

use super::Who;
use super::i01_agreement::Agreement;
use crate::disk::Image;
use crate::violation::{Verdict, hold};

const NAME: &str = "I14";

/// Where each ballot begins.
#[derive(Clone, Debug, Default)]
pub struct InOrder {
    bases: BTreeMap<Ballot, Slot>,
}

impl InOrder {
    /// A leader sends rows, or its commit index.
    pub fn on_accept(&mut self, accept: &Accept) -> Verdict {
        let (ballot, told) = (accept.ballot, accept.base);
        let base = *self.bases.entry(ballot).or_insert(told);
        hold!(
            NAME,
            base == told,
            "{ballot} begins at {base} and at {told}"
        );
        hold!(
            NAME,
            accept.first >= base,
            "{ballot} sends {} below {base}",
            accept.first
        );
        Ok(())
    }

    /// The first slot of a ballot, if its leader has sent anything.
    #[must_use]
    pub fn base(&self, ballot: Ballot) -> Option<Slot> {
        self.bases.get(&ballot).copied()
    }

    /// A row is about to become durable: the slot below it holds a row of the same ballot, or
    /// is decided, or lies below the ballot's base.
    pub fn on_row(&self, who: Who, image: &Image, row: &Entry, agreement: &Agreement) -> Verdict {
        let (slot, ballot) = (row.slot, row.ballot);
        let below = slot.prev();
        let Some(base) = self.base(ballot) else {
            return Ok(());
        };
        let first = below < base || below <= Slot::GENESIS;
        let decided = || agreement.settled(below).is_some() || agreement.settled(slot).is_some();
        let same = || {
            image
                .rows
                .get(&below)
                .is_some_and(|held| held.ballot == ballot)
        };
        hold!(
            NAME,
            first || same() || decided(),
            "{} accepts {slot} at {ballot} without {below}",
            who.id
        );
        Ok(())
    }

    /// A node applies an entry: nobody ever had to fill a hole.
    pub fn on_applied(&self, entry: &Entry) -> Verdict {
        hold!(
            NAME,
            entry.kind != EntryKind::Noop,
            "a hole at {} was filled",
            entry.slot
        );
        Ok(())
    }

    /// A new leader left rows out; `hole` says that a slot between them was not reported.
    pub fn on_suffix_dropped(&self, who: Who, from: Slot, hole: bool) -> Verdict {
        hold!(
            NAME,
            !hole,
            "{} was told of rows above {from}, not of it",
            who.id
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::InOrder;
    use crate::invariants::i01_agreement::Agreement;
    use crate::invariants::testing::{at, ballot, broken, entries, image, who};
    use paxos::message::Accept;

    fn accept(base: u64, first: u64) -> Accept {
        let (base, first, decided) = (at(base), at(first), at(0));
        Accept {
            ballot: ballot(1, 1),
            base,
            first,
            entries: Vec::new(),
            decided,
        }
    }

    #[test]
    fn a_row_without_the_one_below_breaks_it() {
        let (mut order, mut agreement) = (InOrder::default(), Agreement::default());
        order.on_accept(&accept(2, 2)).expect("its base");
        let rows = entries(ballot(1, 1), 4, b'a');
        let held = image(ballot(1, 1), &rows[..2]);
        let row = |order: &InOrder, agreement: &Agreement, index: usize| {
            broken(order.on_row(who(2), &held, &rows[index], agreement))
        };
        assert_eq!(row(&order, &agreement, 1), None, "the ballot's base");
        assert_eq!(row(&order, &agreement, 2), None, "the next");
        assert_eq!(
            row(&order, &agreement, 3),
            Some("I14"),
            "a slot is left out"
        );
        agreement.on_decided(at(3), rows[2].chain).expect("once");
        assert_eq!(row(&order, &agreement, 3), None, "above a decided slot");
    }

    #[test]
    fn a_ballot_has_one_base_and_sends_nothing_below_it() {
        let mut order = InOrder::default();
        assert_eq!(order.on_accept(&accept(2, 3)), Ok(()));
        assert_eq!(broken(order.on_accept(&accept(3, 3))), Some("I14"));
        assert_eq!(broken(order.on_accept(&accept(2, 1))), Some("I14"));
        assert_eq!(
            broken(order.on_suffix_dropped(who(1), at(2), true)),
            Some("I14")
        );
    }
}
