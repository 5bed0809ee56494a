//! How much of the log is kept: a policy, without side effects.
//!
//! In: how far everybody is, how many bytes the slots weigh, what `state.db` holds durably. Out:
//! the slot up to which rows may go. Must hold: never above what the state holds durably; a
//! follower that keeps up catches up by rows; no node, dead or slow, keeps the log from being
//! bounded (trap 18). Tests: below.

use std::collections::VecDeque;

use paxos::entry::Entry;
use paxos::ids::Slot;
use paxos::status::Status;

use crate::limits::{COMPACT_STEP_BYTES, COMPACT_STEP_SLOTS, KEEP_SLOTS_MAX, SLOWEST_FACTOR};
use crate::signals::Signals;

/// Weights are kept for so many slots together: 4096 of them at most.
const MARK_SLOTS: u64 = KEEP_SLOTS_MAX / 4096;

/// The weight of the log's end, and what was asked for last.
#[derive(Debug)]
pub(super) struct Trim {
    keep_bytes: u64,
    /// Slots, each with the weight of everything handed out up to it. Rising.
    marks: VecDeque<(Slot, u64)>,
    /// The weight of everything handed out by this process.
    total: u64,
    /// The highest slot that was asked for.
    asked: Slot,
}

/// What the policy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Situation {
    /// Everything up to here is applied.
    applied: Slot,
    /// The state holds this durably.
    durable: Slot,
    /// The log begins after this.
    compacted_to: Slot,
    /// The lowest commit index of a node that was heard of late.
    slowest: Slot,
    /// What lies above this weighs no more than may be kept for everybody.
    light: Slot,
    /// What lies above this weighs no more than may be kept for one that is slow.
    light_for_slow: Slot,
    /// What lies above `compacted_to` weighs more than a step.
    heavy: bool,
}

impl Trim {
    pub(super) fn new(keep_bytes: u64) -> Self {
        Self {
            keep_bytes,
            marks: VecDeque::new(),
            total: 0,
            asked: Slot::GENESIS,
        }
    }

    /// Entries were handed to the state machine.
    pub(super) fn note_handed_out(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.total = self.total.saturating_add(entry.weight_bytes() as u64);
            let due = |(slot, _): &(Slot, u64)| entry.slot.distance_above(*slot) >= MARK_SLOTS;
            if self.marks.back().is_none_or(due) {
                self.marks.push_back((entry.slot, self.total));
            }
        }
        while self.marks.len() as u64 > KEEP_SLOTS_MAX / MARK_SLOTS {
            self.marks.pop_front();
        }
    }

    /// Where the log may begin now, if that is worth a deletion.
    pub(super) fn look(&mut self, status: &Status, signals: &Signals) -> Option<Slot> {
        let durable = signals.state_durable();
        // A damaged row is of no use to anybody once the state holds its effect: whoever needs
        // it gets a snapshot.
        let unreadable = signals.unreadable();
        if unreadable > status.compacted_to.max(self.asked) && unreadable <= durable {
            self.asked = unreadable;
            return Some(unreadable);
        }
        let voters = status.peers.values().filter(|peer| peer.heard);
        let voters = voters.map(|peer| peer.decided);
        let learners = status.learners.values().map(|learner| learner.decided);
        let slowest = voters.chain(learners).chain(signals.serving()).min();
        let compacted_to = status.compacted_to.max(self.asked);
        let kept = self.total.saturating_sub(self.weight_at(compacted_to));
        let situation = Situation {
            applied: status.applied,
            durable,
            compacted_to,
            slowest: slowest.unwrap_or(status.applied),
            light: self.slot_above_which(self.keep_bytes),
            light_for_slow: self.slot_above_which(self.keep_bytes.saturating_mul(SLOWEST_FACTOR)),
            heavy: kept >= self.keep_bytes.saturating_add(COMPACT_STEP_BYTES),
        };
        let upto = target(&situation)?;
        self.asked = upto;
        Some(upto)
    }

    /// The weight of what was handed out up to about this slot.
    fn weight_at(&self, slot: Slot) -> u64 {
        let before = self.marks.iter().rev().find(|(mark, _)| *mark <= slot);
        before.map_or(0, |(_, weight)| *weight)
    }

    /// The lowest slot known to have no more than so many bytes above it.
    fn slot_above_which(&self, bytes: u64) -> Slot {
        let light = |(_, weight): &&(Slot, u64)| self.total - weight <= bytes;
        // With everything light, what this process did not see counts as light, too.
        match self.marks.iter().find(light) {
            Some(first) if self.marks.front() != Some(first) => first.0,
            _ => Slot::GENESIS,
        }
    }
}

/// The policy: as much is kept as may weigh, and more for a live node that still reads it.
fn target(situation: &Situation) -> Option<Slot> {
    let Situation {
        applied,
        durable,
        compacted_to,
        slowest,
        light,
        light_for_slow,
        heavy,
    } = *situation;
    let many = Slot(applied.0.saturating_sub(KEEP_SLOTS_MAX));
    let many_for_slow = Slot(applied.0.saturating_sub(KEEP_SLOTS_MAX * SLOWEST_FACTOR));
    let wanted = light.max(many).min(slowest);
    let upto = wanted
        .max(light_for_slow)
        .max(many_for_slow)
        .min(durable)
        .min(applied);
    let gained = upto.distance_above(compacted_to);
    (gained >= COMPACT_STEP_SLOTS || (heavy && gained > 0)).then_some(upto)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use paxos::entry::{Chain, EntryKind};
    use paxos::ids::{Ballot, Timestamp};

    use super::*;

    const AT: u64 = 1_000_000;

    fn situation() -> Situation {
        Situation {
            applied: Slot(AT),
            durable: Slot(AT - 100),
            compacted_to: Slot::GENESIS,
            slowest: Slot(AT - 5),
            light: Slot(AT - 1000),
            light_for_slow: Slot(AT - 4000),
            heavy: true,
        }
    }

    #[test]
    fn the_policy_in_a_table() {
        let usual = situation();
        let cases = [
            ("by weight", usual, Some(AT - 1000)),
            (
                "never above what the state holds durably",
                Situation {
                    durable: Slot(5000),
                    ..usual
                },
                Some(5000),
            ),
            (
                "a slow follower is waited for",
                Situation {
                    slowest: Slot(AT - 3000),
                    ..usual
                },
                Some(AT - 3000),
            ),
            (
                "but not for ever",
                Situation {
                    slowest: Slot(AT - 9000),
                    ..usual
                },
                Some(AT - 4000),
            ),
            (
                "light slots are bounded in number",
                Situation {
                    light: Slot::GENESIS,
                    light_for_slow: Slot::GENESIS,
                    heavy: false,
                    ..usual
                },
                Some(AT - KEEP_SLOTS_MAX),
            ),
            (
                "nothing is gained",
                Situation {
                    compacted_to: Slot(AT - 1000),
                    ..usual
                },
                None,
            ),
            (
                "a few light slots are not worth it",
                Situation {
                    compacted_to: Slot(AT - 1010),
                    heavy: false,
                    ..usual
                },
                None,
            ),
            (
                "a few heavy ones are",
                Situation {
                    compacted_to: Slot(AT - 1010),
                    ..usual
                },
                Some(AT - 1000),
            ),
        ];
        for (what, situation, expected) in cases {
            assert_eq!(target(&situation), expected.map(Slot), "{what}");
        }
    }

    #[test]
    fn the_weight_of_the_end_is_known_within_a_mark() {
        let mut trim = Trim::new(100_000);
        let mut chain = Chain::GENESIS;
        for slot in 0..10_000 {
            let entry = Entry::new(
                chain,
                Slot(Slot::FIRST.0 + slot),
                Ballot::ZERO,
                EntryKind::Batch,
                Timestamp(1),
                Bytes::from(vec![0; 1000]),
            );
            chain = entry.chain;
            trim.note_handed_out(std::slice::from_ref(&entry));
        }
        let last = Slot::FIRST.0 + 9_999;
        let light = trim.slot_above_which(100_000);
        let above = last - light.0;
        assert!((70..=100).contains(&above), "{above} slots of about 1 KiB");
        assert_eq!(trim.slot_above_which(u64::MAX), Slot::GENESIS);
    }

    #[test]
    fn a_damaged_row_goes_once_the_state_holds_its_effect() {
        let status = crate::status::tests::status();
        let signals = Signals::new(Slot::GENESIS);
        let mut trim = Trim::new(1);
        signals.note_unreadable(Slot(2000));
        signals.note_state_durable(Slot(1999));
        assert_eq!(trim.look(&status, &signals), None);
        signals.note_state_durable(Slot(2000));
        assert_eq!(trim.look(&status, &signals), Some(Slot(2000)));
        assert_eq!(trim.look(&status, &signals), None);
    }
}
