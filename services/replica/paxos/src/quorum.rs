//! Majority arithmetic: how many voters elect, and what so many have accepted.
//!
//! Lamport, *Paxos Made Simple*: any two quorums meet. A type of its own, so that quorums of
//! different sizes for the two phases stay possible (Howard et al., *Flexible Paxos*).

use alloc::vec::Vec;

use crate::ids::Slot;

/// The quorums of one configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Quorum {
    voters: usize,
}

impl Quorum {
    /// The quorums of `voters` nodes.
    ///
    /// # Panics
    ///
    /// If there are none, or more than [`crate::limits::VOTERS_MAX`].
    #[must_use]
    pub const fn new(voters: usize) -> Self {
        assert!(voters > 0, "a configuration has voters");
        assert!(
            voters <= crate::limits::VOTERS_MAX,
            "a configuration has few voters"
        );
        Self { voters }
    }

    /// The smallest number of voters of which any two sets meet.
    #[must_use]
    pub const fn majority(self) -> usize {
        (self.voters / 2).saturating_add(1)
    }

    /// Whether so many distinct voters can complete phase 1.
    #[must_use]
    pub const fn elects(self, count: usize) -> bool {
        count >= self.majority()
    }

    /// The highest slot that a quorum has reached, out of one report for each voter.
    ///
    /// # Panics
    ///
    /// If the number of reports is not that of the voters.
    #[must_use]
    pub fn reached(self, reports: impl Iterator<Item = Slot>) -> Slot {
        let mut slots: Vec<Slot> = reports.collect();
        assert!(slots.len() == self.voters, "every voter is counted once");
        slots.sort_unstable_by(|left, right| right.cmp(left));
        let last = self.majority().saturating_sub(1);
        slots.get(last).copied().unwrap_or(Slot::GENESIS)
    }
}

#[cfg(test)]
mod tests {
    use super::Quorum;
    use crate::ids::Slot;

    #[test]
    fn any_two_majorities_meet() {
        for voters in 1..=crate::limits::VOTERS_MAX {
            let majority = Quorum::new(voters).majority();
            assert!(2 * majority > voters && 2 * (majority - 1) <= voters);
        }
    }

    #[test]
    fn reached_is_the_slot_of_the_slowest_member_of_the_fastest_quorum() {
        for (reports, expected) in [
            (vec![5], 5),
            (vec![5, 9], 5),
            (vec![5, 9, 7], 7),
            (vec![1, 9, 8, 2, 3], 3),
            (vec![4, 4, 4, 9, 9], 4),
        ] {
            let quorum = Quorum::new(reports.len());
            let slots = reports.iter().map(|number| Slot(*number));
            assert_eq!(quorum.reached(slots), Slot(expected), "{reports:?}");
        }
    }

    /// Goal: agree with the definition. Method: count, for every slot, who reached it.
    #[test]
    fn reached_agrees_with_counting() {
        let mut random = crate::random::Random::new(3);
        for _ in 0..500 {
            let voters = 1 + random.up_to(6) as usize;
            let reports: Vec<u64> = (0..voters).map(|_| random.up_to(8)).collect();
            let quorum = Quorum::new(voters);
            let counted = (0..=8)
                .filter(|slot| quorum.elects(reports.iter().filter(|r| *r >= slot).count()))
                .max();
            assert_eq!(
                Some(quorum.reached(reports.iter().map(|r| Slot(*r))).0),
                counted,
                "{reports:?}"
            );
        }
    }
    use alloc::{vec, vec::Vec};
}
