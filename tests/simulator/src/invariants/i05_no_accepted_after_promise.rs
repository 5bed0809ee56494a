//! I5: no `Accepted(b)` leaves a node after its `Promise` at a ballot above b.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.2, P1a.

use paxos::Ballot;

use super::{ByNode, Who};
use crate::violation::{Verdict, hold};

const NAME: &str = "I5";

/// The highest ballot that each node has promised to somebody.
#[derive(Clone, Debug, Default)]
pub struct NoAcceptedAfterPromise {
    promised: ByNode<Ballot>,
}

impl NoAcceptedAfterPromise {
    /// A node sends a promise.
    pub fn on_promise(&mut self, who: Who, ballot: Ballot) {
        let promised = self.promised.of(who);
        *promised = ballot.max(*promised);
    }

    /// A node says that it has accepted.
    pub fn on_accepted(&mut self, who: Who, ballot: Ballot) -> Verdict {
        let promised = *self.promised.of(who);
        hold!(
            NAME,
            ballot >= promised,
            "{} accepts at {ballot} after {promised}",
            who.id
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::NoAcceptedAfterPromise;
    use crate::invariants::testing::{ballot, broken, who};

    #[test]
    fn accepting_below_a_promise_breaks_it() {
        let mut order = NoAcceptedAfterPromise::default();
        assert_eq!(order.on_accepted(who(1), ballot(1, 2)), Ok(()));
        order.on_promise(who(1), ballot(2, 3));
        assert_eq!(order.on_accepted(who(1), ballot(2, 3)), Ok(()));
        assert_eq!(
            order.on_accepted(who(2), ballot(1, 2)),
            Ok(()),
            "another node"
        );
        assert_eq!(broken(order.on_accepted(who(1), ballot(1, 2))), Some("I5"));
    }
}
