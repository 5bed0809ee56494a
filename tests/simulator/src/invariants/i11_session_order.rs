//! I11: the commands of a session take effect in order and without a gap.
//!
//! Lamport, *How to Make a Multiprocessor Computer That Correctly Executes Multiprocess
//! Programs* (1979), for program order; FIFO client order as in Hunt et al., *ZooKeeper*
//! (ATC 2010), section 2.3.

use std::collections::BTreeMap;

use paxos::Slot;

use crate::state::Outcome;
use crate::violation::{Verdict, hold};

const NAME: &str = "I11";

/// The last command of each session, along the log.
#[derive(Clone, Debug, Default)]
pub struct SessionOrder {
    last: BTreeMap<Slot, u32>,
    /// The highest slot that some node has applied.
    highest: Slot,
}

impl SessionOrder {
    /// Some node has applied a slot, with this outcome.
    pub fn on_applied(&mut self, at: Slot, outcome: &Outcome) -> Verdict {
        if at <= self.highest {
            return Ok(());
        }
        self.highest = at;
        if let Outcome::Done {
            command,
            repeated: false,
            ..
        } = outcome
            && let Some((session, number)) = command.session
        {
            let last = self.last.entry(session).or_default();
            let before = *last;
            *last = number;
            hold!(
                NAME,
                number == before + 1,
                "session {session}: {number} takes effect at {at}, after {before}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SessionOrder;
    use crate::command::Command;
    use crate::invariants::testing::{at, broken};
    use crate::state::Outcome;

    #[test]
    fn a_gap_or_a_step_back_breaks_it() {
        let done = |slot, number| {
            let command = Command {
                client: 0,
                cid: number,
                session: Some((at(1), number)),
            };
            Outcome::Done {
                command,
                slot: at(slot),
                repeated: false,
            }
        };
        let mut order = SessionOrder::default();
        assert_eq!(order.on_applied(at(2), &done(2, 1)), Ok(()));
        assert_eq!(order.on_applied(at(3), &done(3, 2)), Ok(()));
        assert_eq!(
            order.on_applied(at(2), &done(2, 1)),
            Ok(()),
            "at another node"
        );
        assert_eq!(
            broken(order.clone().on_applied(at(4), &done(4, 4))),
            Some("I11")
        );
        assert_eq!(broken(order.on_applied(at(4), &done(4, 2))), Some("I11"));
    }
}
