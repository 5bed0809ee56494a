//! I7: what is decided is on the durable images of a quorum of the voters of its epoch.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.2: a value is chosen when a majority has
//! accepted it. Counted here from the disks, not from what nodes say of themselves (D3).

use paxos::{Chain, Entry, Slot};

use super::Who;
use super::i01_agreement::Agreement;
use crate::slots::Slots;
use crate::violation::{Verdict, hold};

const NAME: &str = "I7";

/// Who has durably accepted a value of one slot at one ballot, ever.
#[derive(Clone, Copy, Debug)]
struct Votes {
    ballot: paxos::Ballot,
    chain: Chain,
    /// One bit for each node.
    nodes: u64,
}

/// The votes of all slots, counted from the disks.
#[derive(Clone, Debug, Default)]
pub struct ChosenIsDurable {
    votes: Slots<Vec<Votes>>,
}

impl ChosenIsDurable {
    /// A voter has made a row durable. Answers whether its value is chosen by that: `quorum`
    /// voters have it at this ballot.
    pub fn on_vote(&mut self, who: Who, row: &Entry, quorum: usize) -> bool {
        let votes = self.votes.place(row.slot);
        let known = votes
            .iter_mut()
            .rev()
            .find(|votes| votes.ballot == row.ballot);
        let votes = match known {
            Some(votes) if votes.chain == row.chain => votes,
            _ => {
                votes.push(Votes {
                    ballot: row.ballot,
                    chain: row.chain,
                    nodes: 0,
                });
                let last = votes.len() - 1;
                &mut votes[last]
            }
        };
        votes.nodes |= 1 << who.index;
        votes.nodes.count_ones() as usize >= quorum
    }

    /// A node decides.
    pub fn on_decided(&self, who: Who, slot: Slot, chain: Chain, agreement: &Agreement) -> Verdict {
        hold!(
            NAME,
            slot <= Slot::GENESIS || agreement.chosen(slot) == Some(chain),
            "{} decides {slot}, which no quorum has on disk",
            who.id
        );
        Ok(())
    }

    /// The end of a run: of the voters of the last epoch, all but `lost` disks are looked at;
    /// `holders` of them have the slot.
    pub fn at_end(&self, slot: Slot, holders: usize, lost: usize, quorum: usize) -> Verdict {
        hold!(
            NAME,
            holders + lost >= quorum,
            "decided {slot} is on {holders} disks, {lost} are lost; a quorum is {quorum}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ChosenIsDurable;
    use crate::invariants::i01_agreement::Agreement;
    use crate::invariants::testing::{at, ballot, broken, entries, who};

    #[test]
    fn deciding_what_no_quorum_holds_breaks_it() {
        let (mut votes, mut agreement) = (ChosenIsDurable::default(), Agreement::default());
        let row = &entries(ballot(1, 1), 1, b'a')[0];
        assert!(!votes.on_vote(who(1), row, 2));
        assert!(!votes.on_vote(who(1), row, 2), "one node counts once");
        let decided = votes.on_decided(who(1), at(1), row.chain, &agreement);
        assert_eq!(broken(decided), Some("I7"));
        assert!(votes.on_vote(who(2), row, 2));
        agreement.on_chosen(at(1), row.chain).expect("one value");
        assert_eq!(
            votes.on_decided(who(1), at(1), row.chain, &agreement),
            Ok(())
        );
    }

    #[test]
    fn votes_at_different_ballots_do_not_add_up() {
        let mut votes = ChosenIsDurable::default();
        assert!(!votes.on_vote(who(1), &entries(ballot(1, 1), 1, b'a')[0], 2));
        assert!(!votes.on_vote(who(2), &entries(ballot(2, 2), 1, b'a')[0], 2));
    }

    #[test]
    fn too_few_holders_at_the_end_break_it() {
        let votes = ChosenIsDurable::default();
        assert_eq!(votes.at_end(at(1), 2, 1, 3), Ok(()));
        assert_eq!(broken(votes.at_end(at(1), 1, 1, 3)), Some("I7"));
    }
}
