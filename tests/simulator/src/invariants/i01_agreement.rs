//! I1 Agreement: one chosen and one decided value per slot, across all nodes and all time.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.1: only a single value is chosen. Nodes that
//! were removed, and disks that were lost since, count as well.

use paxos::{Chain, NodeId, Slot};

use super::Who;
use crate::slots::Slots;
use crate::violation::{Verdict, hold};

const NAME: &str = "I1";

/// What was chosen and decided.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// The value that a quorum made durable at one ballot.
    chosen: Slots<Option<Chain>>,
    /// The value that some node decided.
    decided: Slots<Option<Chain>>,
    highest: Slot,
}

impl Agreement {
    /// A quorum has accepted a value.
    pub fn on_chosen(&mut self, slot: Slot, chain: Chain) -> Verdict {
        let chosen = *self.chosen.place(slot).get_or_insert(chain);
        hold!(
            NAME,
            chosen == chain,
            "{slot}: {chain} is chosen beside {chosen}"
        );
        Ok(())
    }

    /// A node decides a value.
    pub fn on_decided(&mut self, slot: Slot, chain: Chain) -> Verdict {
        if slot <= Slot::GENESIS {
            return Ok(());
        }
        let decided = *self.decided.place(slot).get_or_insert(chain);
        hold!(
            NAME,
            decided == chain,
            "{slot}: {chain} is decided beside {decided}"
        );
        self.highest = self.highest.max(slot);
        Ok(())
    }

    /// A node finds that another's history differs from its own. No fault of a run does that.
    pub fn on_differs(&self, who: Who, slot: Slot, peer: NodeId) -> Verdict {
        hold!(
            NAME,
            false,
            "{} finds that {peer} differs at {slot}",
            who.id
        );
        Ok(())
    }

    /// The chosen value of a slot, if there is one.
    #[must_use]
    pub fn chosen(&self, slot: Slot) -> Option<Chain> {
        self.chosen.get(slot).copied().flatten()
    }

    /// The decided value of a slot, if some node has decided it.
    #[must_use]
    pub fn decided(&self, slot: Slot) -> Option<Chain> {
        self.decided.get(slot).copied().flatten()
    }

    /// The one value that a slot can have, as far as it is known: decided by some node, or on
    /// the disks of a quorum. A node that decides many slots at once is seen at the last only.
    #[must_use]
    pub fn settled(&self, slot: Slot) -> Option<Chain> {
        self.decided(slot).or_else(|| self.chosen(slot))
    }

    /// The highest slot that some node has decided.
    #[must_use]
    pub fn highest(&self) -> Slot {
        self.highest.max(Slot::GENESIS)
    }
}

#[cfg(test)]
mod tests {
    use super::Agreement;
    use crate::invariants::testing::{at, ballot, broken, entries, who};

    #[test]
    fn two_values_for_one_slot_break_it() {
        let (left, right) = (
            entries(ballot(1, 1), 1, b'a'),
            entries(ballot(2, 2), 1, b'b'),
        );
        let mut agreement = Agreement::default();
        assert_eq!(agreement.on_decided(at(1), left[0].chain), Ok(()));
        assert_eq!(
            agreement.on_decided(at(1), left[0].chain),
            Ok(()),
            "by another node"
        );
        assert_eq!(
            broken(agreement.on_decided(at(1), right[0].chain)),
            Some("I1")
        );
        assert_eq!(agreement.on_chosen(at(1), left[0].chain), Ok(()));
        assert_eq!(
            broken(agreement.on_chosen(at(1), right[0].chain)),
            Some("I1")
        );
        assert_eq!(agreement.highest(), at(1));
        let differs = agreement.on_differs(who(1), at(1), who(2).id);
        assert_eq!(broken(differs), Some("I1"));
    }
}
