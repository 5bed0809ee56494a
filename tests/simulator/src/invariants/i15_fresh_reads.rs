//! I15: a linearizable read is not older than any answer that was given before it began.
//!
//! Herlihy, Wing, *Linearizability* (1990): the order of operations that do not overlap is
//! kept. The state after a slot is the state after all below, so slots can be compared instead
//! of values. Ongaro's dissertation (2014), section 6.4, for the method under test.

use paxos::Slot;

use crate::violation::{Verdict, hold};

const NAME: &str = "I15";

/// The highest slot of which some client has had an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreshReads {
    told: Slot,
}

impl FreshReads {
    /// A client is told of a slot: its command took effect there.
    pub fn on_acknowledged(&mut self, slot: Slot) {
        self.told = self.told.max(slot);
    }

    /// A read begins. Its answer is at this slot or a later one.
    #[must_use]
    pub const fn on_begun(&self) -> Slot {
        self.told
    }

    /// A read that began at `floor` is answered from the state after `slot`.
    pub fn on_answered(&mut self, floor: Slot, slot: Slot) -> Verdict {
        hold!(
            NAME,
            slot >= floor,
            "a read that began at {floor} is answered from {slot}"
        );
        self.told = self.told.max(slot);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FreshReads;
    use crate::invariants::testing::{at, broken};

    #[test]
    fn a_stale_read_breaks_it() {
        let mut reads = FreshReads::default();
        reads.on_acknowledged(at(4));
        let (early, floor) = (reads.on_begun(), reads.on_begun());
        assert_eq!(reads.on_answered(floor, at(6)), Ok(()));
        assert_eq!(
            reads.on_answered(early, at(5)),
            Ok(()),
            "it began before that answer"
        );
        let late = reads.on_begun();
        assert_eq!(
            broken(reads.on_answered(late, at(5))),
            Some("I15"),
            "reads are answers"
        );
    }
}
