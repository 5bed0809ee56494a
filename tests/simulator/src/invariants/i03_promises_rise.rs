//! I3: a promise never decreases, per disk identity; nor does the ballot of a row.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.2, P1a: an acceptor that has responded to
//! number n does not accept one below; so it must never forget n.

use paxos::{Ballot, PersistOp};

use super::{ByNode, Who};
use crate::disk::Image;
use crate::violation::{Verdict, hold};

const NAME: &str = "I3";

/// The highest promise that each disk has told.
#[derive(Clone, Debug, Default)]
pub struct PromisesRise {
    sent: ByNode<Ballot>,
}

impl PromisesRise {
    /// A node sends a promise.
    pub fn on_promise(&mut self, who: Who, ballot: Ballot) -> Verdict {
        let sent = self.sent.of(who);
        hold!(
            NAME,
            ballot >= *sent,
            "{} promises {ballot} after {sent}",
            who.id
        );
        *sent = ballot;
        Ok(())
    }

    /// A disk is about to make a change durable.
    pub fn on_op(&self, who: Who, image: &Image, op: &PersistOp) -> Verdict {
        match op {
            PersistOp::Promise(ballot) => {
                let before = image.promised;
                hold!(
                    NAME,
                    *ballot >= before,
                    "{} stores {ballot} after {before}",
                    who.id
                );
            }
            PersistOp::Accept(rows) => {
                for row in rows {
                    let old = image
                        .rows
                        .get(&row.slot)
                        .map_or(Ballot::ZERO, |old| old.ballot);
                    let damaged = image.damaged.contains(&row.slot);
                    hold!(
                        NAME,
                        row.ballot >= old || damaged,
                        "{}: {} falls from {old} to {}",
                        who.id,
                        row.slot,
                        row.ballot
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PromisesRise;
    use crate::invariants::testing::{ballot, broken, entries, image, who};
    use paxos::{Ballot, PersistOp};

    #[test]
    fn a_lower_promise_breaks_it_wherever_it_shows() {
        let mut promises = PromisesRise::default();
        assert_eq!(promises.on_promise(who(1), ballot(3, 2)), Ok(()));
        assert_eq!(
            promises.on_promise(who(2), ballot(2, 3)),
            Ok(()),
            "another node"
        );
        assert_eq!(
            promises.on_promise(who(1), ballot(3, 2)),
            Ok(()),
            "the same again"
        );
        assert_eq!(
            broken(promises.on_promise(who(1), ballot(2, 3))),
            Some("I3")
        );
        let held = image(ballot(3, 2), &[]);
        let store = |ballot| PersistOp::Promise(ballot);
        assert_eq!(promises.on_op(who(1), &held, &store(ballot(4, 1))), Ok(()));
        assert_eq!(
            broken(promises.on_op(who(1), &held, &store(Ballot::ZERO))),
            Some("I3")
        );
    }

    #[test]
    fn a_row_of_a_lower_ballot_breaks_it() {
        let held = image(ballot(3, 2), &entries(ballot(3, 2), 1, b'a'));
        let op = PersistOp::Accept(entries(ballot(2, 1), 1, b'a'));
        assert_eq!(
            broken(PromisesRise::default().on_op(who(1), &held, &op)),
            Some("I3")
        );
    }
}
