//! I16: compacted ≤ state on disk ≤ applied ≤ decided, each rising within a process; what the
//! disk marks as decided is on the disk.
//!
//! The marks of van Renesse, Altinbüken, *Paxos Made Moderately Complex* (2015), section 4
//! (`slot_out`, garbage collection), and of rule D4.

use paxos::{PersistOp, Slot};

use super::i01_agreement::Agreement;
use super::{ByNode, Who};
use crate::disk::Image;
use crate::violation::{Verdict, hold};

const NAME: &str = "I16";

/// The marks of a replica at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Levels {
    /// The log begins after this slot.
    pub compacted: Slot,
    /// The state survives a power loss up to here.
    pub stored: Slot,
    /// Applied.
    pub applied: Slot,
    /// The commit index.
    pub decided: Slot,
}

/// The last marks of each process.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    last: ByNode<Levels>,
    /// The last commit index that each process had marked on its disk.
    marked: ByNode<Slot>,
}

impl Marks {
    /// A process starts with these marks.
    pub fn on_start(&mut self, who: Who, levels: Levels) -> Verdict {
        *self.last.of(who) = levels;
        *self.marked.of(who) = Slot::GENESIS;
        self.on_step(who, levels)
    }

    /// A process has made a step.
    pub fn on_step(&mut self, who: Who, now: Levels) -> Verdict {
        let last = self.last.of(who);
        let ordered =
            now.compacted <= now.stored && now.stored <= now.applied && now.applied <= now.decided;
        hold!(NAME, ordered, "{}: {now:?}", who.id);
        let risen = now.compacted >= last.compacted
            && now.stored >= last.stored
            && now.applied >= last.applied
            && now.decided >= last.decided;
        hold!(NAME, risen, "{}: {now:?} after {last:?}", who.id);
        *last = now;
        Ok(())
    }

    /// A disk is about to make a change durable; its state survives a power loss up to `stored`.
    pub fn on_op(
        &mut self,
        who: Who,
        image: &Image,
        op: &PersistOp,
        stored: Slot,
        agreement: &Agreement,
    ) -> Verdict {
        match op {
            PersistOp::Decided { slot, chain } => {
                let marked = std::mem::replace(self.marked.of(who), *slot);
                hold!(
                    NAME,
                    *slot >= marked,
                    "{}: the mark falls to {slot}",
                    who.id
                );
                let row = image.rows.get(slot);
                let there = *slot <= image.compacted_to
                    || row.is_some_and(|row| row.chain == *chain && image.holds(*slot));
                hold!(
                    NAME,
                    there,
                    "{}: {slot} is marked and not on the disk",
                    who.id
                );
            }
            PersistOp::Activate { configuration, .. } => {
                let start = configuration.start;
                let there = start <= image.compacted_to || image.holds(start);
                hold!(
                    NAME,
                    there,
                    "{}: {start} began an epoch, it is not here",
                    who.id
                );
            }
            PersistOp::Compact { upto } => {
                hold!(
                    NAME,
                    *upto <= stored,
                    "{}: {upto} is deleted, {stored} stored",
                    who.id
                );
            }
            PersistOp::Accept(rows) => {
                for row in rows.iter().filter(|row| row.slot <= image.decided) {
                    let decided = agreement.settled(row.slot);
                    let same = decided == Some(row.chain);
                    hold!(
                        NAME,
                        same,
                        "{}: decided {} is overwritten",
                        who.id,
                        row.slot
                    );
                }
            }
            PersistOp::Promise(_) | PersistOp::Witness { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Levels, Marks};
    use crate::invariants::i01_agreement::Agreement;
    use crate::invariants::testing::{at, ballot, broken, entries, image, who};
    use paxos::PersistOp;

    fn levels(compacted: u64, stored: u64, applied: u64, decided: u64) -> Levels {
        let (compacted, stored) = (at(compacted), at(stored));
        Levels {
            compacted,
            stored,
            applied: at(applied),
            decided: at(decided),
        }
    }

    #[test]
    fn marks_out_of_order_or_falling_break_it() {
        let mut marks = Marks::default();
        assert_eq!(marks.on_start(who(1), levels(1, 2, 5, 9)), Ok(()));
        assert_eq!(marks.on_step(who(1), levels(1, 2, 6, 9)), Ok(()));
        assert_eq!(
            broken(marks.on_step(who(1), levels(1, 2, 5, 9))),
            Some("I16")
        );
        assert_eq!(
            marks.on_start(who(1), levels(1, 2, 2, 2)),
            Ok(()),
            "a restart"
        );
        assert_eq!(
            broken(marks.on_step(who(1), levels(3, 2, 2, 2))),
            Some("I16")
        );
        assert_eq!(
            broken(marks.on_step(who(1), levels(1, 2, 4, 3))),
            Some("I16")
        );
    }

    #[test]
    fn a_mark_without_its_row_and_an_overwritten_decision_break_it() {
        let (mut marks, mut agreement) = (Marks::default(), Agreement::default());
        let rows = entries(ballot(1, 1), 3, b'a');
        let mut held = image(ballot(1, 1), &rows[..2]);
        let mut op =
            |held: &_, agreement: &_, op| broken(marks.on_op(who(1), held, &op, at(1), agreement));
        let mark = |number: usize| {
            let row = &rows[number - 1];
            PersistOp::Decided {
                slot: row.slot,
                chain: row.chain,
            }
        };
        assert_eq!(op(&held, &agreement, mark(2)), None);
        assert_eq!(op(&held, &agreement, mark(3)), Some("I16"), "no row");
        held.decided = at(2);
        assert_eq!(
            op(&held, &agreement, mark(1)),
            Some("I16"),
            "the mark falls"
        );
        agreement.on_decided(at(2), rows[1].chain).expect("once");
        let write = |name| PersistOp::Accept(entries(ballot(2, 2), 2, name)[1..].to_vec());
        assert_eq!(op(&held, &agreement, write(b'a')), None, "the same value");
        assert_eq!(op(&held, &agreement, write(b'b')), Some("I16"));
        let compact = |number| PersistOp::Compact { upto: at(number) };
        assert_eq!(op(&held, &agreement, compact(1)), None);
        assert_eq!(
            op(&held, &agreement, compact(2)),
            Some("I16"),
            "the state is not stored"
        );
    }
}
