//! I4: one value per ballot and slot is ever sent.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.2: different proposals have different
//! numbers. Here the number is (ballot, slot).

use paxos::message::Accept;
use paxos::{Ballot, Chain, Slot};

use super::Who;
use crate::slots::Slots;
use crate::violation::hold;

const NAME: &str = "I4";

/// What was proposed in each slot.
#[derive(Clone, Debug, Default)]
pub struct OneValue {
    proposed: Slots<Vec<(Ballot, Chain)>>,
}

impl OneValue {
    /// A leader sends rows. Answers whether one of them is a value of a lower ballot that is
    /// proposed again.
    pub fn on_accept(&mut self, who: Who, accept: &Accept) -> Result<bool, super::Broken> {
        let mut again = false;
        let mut slot = accept.first;
        for entry in &accept.entries {
            let fits = entry.slot == slot && entry.ballot == accept.ballot;
            hold!(
                NAME,
                fits,
                "{} sends {} in the place of {slot}",
                who.id,
                entry.slot
            );
            slot = slot.next();
            let known = self.proposed.place(entry.slot);
            match known
                .iter()
                .rev()
                .find(|(ballot, _)| *ballot == entry.ballot)
            {
                Some((ballot, chain)) => hold!(
                    NAME,
                    *chain == entry.chain,
                    "{} at {ballot}: {} is sent after {chain}",
                    entry.slot,
                    entry.chain
                ),
                None => {
                    again |= known.iter().any(|(_, chain)| *chain == entry.chain);
                    known.push((entry.ballot, entry.chain));
                }
            }
        }
        Ok(again)
    }

    /// What was sent for a slot at a ballot.
    #[must_use]
    pub fn proposed(&self, ballot: Ballot, slot: Slot) -> Option<Chain> {
        let known = self.proposed.get(slot)?;
        let found = known.iter().rev().find(|(other, _)| *other == ballot);
        found.map(|(_, chain)| *chain)
    }
}

#[cfg(test)]
mod tests {
    use super::OneValue;
    use crate::invariants::testing::{at, ballot, entries, who};
    use paxos::message::Accept;
    use paxos::{Ballot, Entry};

    fn accept(ballot: Ballot, entries: Vec<Entry>) -> Accept {
        let (base, first, decided) = (at(1), at(1), at(0));
        Accept {
            ballot,
            base,
            first,
            entries,
            decided,
        }
    }

    #[test]
    fn a_second_value_at_one_ballot_breaks_it() {
        let (low, high) = (ballot(1, 1), ballot(2, 2));
        let mut values = OneValue::default();
        let send = |values: &mut OneValue, at, name| {
            values.on_accept(who(1), &accept(at, entries(at, 2, name)))
        };
        assert_eq!(send(&mut values, low, b'a'), Ok(false));
        assert_eq!(send(&mut values, low, b'a'), Ok(false), "sent again");
        assert_eq!(send(&mut values, high, b'a'), Ok(true), "proposed again");
        assert_eq!(
            send(&mut values, ballot(3, 3), b'b'),
            Ok(false),
            "another ballot"
        );
        assert!(send(&mut values, low, b'b').is_err_and(|broken| broken.invariant == "I4"));
    }
}
