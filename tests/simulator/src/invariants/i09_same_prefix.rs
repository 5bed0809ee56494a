//! I9: applied prefixes are comparable: equal slots, equal chains, equal states.
//!
//! Schneider, *Implementing Fault-Tolerant Services Using the State Machine Approach* (1990):
//! replicas that start alike and apply the same commands in order are alike.

use paxos::{Chain, Slot};

use super::Who;
use super::i01_agreement::Agreement;
use crate::slots::Slots;
use crate::violation::{Verdict, hold};

const NAME: &str = "I9";

/// The one state after each slot.
#[derive(Clone, Debug, Default)]
pub struct SamePrefix {
    digests: Slots<Option<u64>>,
}

impl SamePrefix {
    /// A node's state is at a slot: it has applied it, or installed a snapshot.
    pub fn on_state(
        &mut self,
        who: Who,
        (slot, chain): (Slot, Chain),
        digest: u64,
        agreement: &Agreement,
    ) -> Verdict {
        if slot <= Slot::GENESIS {
            return Ok(());
        }
        let decided = agreement.decided(slot);
        hold!(
            NAME,
            decided == Some(chain),
            "{} is at {slot} with {chain}, decided is {decided:?}",
            who.id
        );
        let known = *self.digests.place(slot).get_or_insert(digest);
        hold!(
            NAME,
            known == digest,
            "{} has another state at {slot}",
            who.id
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SamePrefix;
    use crate::invariants::i01_agreement::Agreement;
    use crate::invariants::testing::{at, ballot, broken, entries, who};

    #[test]
    fn another_state_or_chain_at_one_slot_breaks_it() {
        let (mut prefixes, mut agreement) = (SamePrefix::default(), Agreement::default());
        let chain = entries(ballot(1, 1), 1, b'a')[0].chain;
        let other = entries(ballot(1, 1), 1, b'b')[0].chain;
        agreement.on_decided(at(1), chain).expect("once");
        let mut state = |number, chain, digest| {
            prefixes.on_state(who(number), (at(1), chain), digest, &agreement)
        };
        assert_eq!(state(1, chain, 7), Ok(()));
        assert_eq!(state(2, chain, 7), Ok(()));
        assert_eq!(broken(state(3, chain, 8)), Some("I9"));
        assert_eq!(broken(state(3, other, 7)), Some("I9"));
    }
}
