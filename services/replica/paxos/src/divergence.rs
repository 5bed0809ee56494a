//! Replicas whose history differs: found by the chain, ignored, or a reason to stop.
//!
//! Reads: the chains in `Pong`, `Rows`, `Accept`. Emits: `Halt`.
//! Invariants: I9; a history that a majority may share goes on without the odd one, a history
//! that no majority can share stops. Tests: below, tests/scripts (learning/divergence)
//!
//! Neither side of a difference knows by itself which one is wrong. If whoever hears of one
//! stopped, a single bad machine would stop all the good ones, again after every restart.

use crate::core::Core;
use crate::ids::{NodeId, Slot};
use crate::message::Message;
use crate::output::{Event, HaltReason};

impl Core {
    /// A peer has another history at `slot`. From here on nothing that it says counts, until
    /// this process ends. Once so many differ that no majority can agree with this node, it is
    /// this node that is wrong, or nobody knows: it stops and keeps its files.
    pub(crate) fn on_difference(&mut self, slot: Slot, peer: NodeId) {
        self.outcasts.insert(peer);
        let voters = &self.configuration.voters;
        let differ = self.outcasts.intersection(voters).count();
        if !self.quorum.elects(voters.len().saturating_sub(differ)) {
            let peer = Some(peer);
            self.halt(HaltReason::Diverged { slot, peer });
            return;
        }
        self.trace(Event::Differs { slot, peer });
        self.election.forget(peer);
        if self.leader_hint() == Some(peer) {
            self.set_led_by(None);
        }
        if self.fetching.is_some_and(|fetch| fetch.is_from(peer)) {
            self.fetching = None;
        }
    }

    /// Whether a message is to be ignored: its sender has another history. It still gets
    /// answers, so that it finds out.
    pub(crate) fn is_from_outcast(&self, from: NodeId, message: &Message) -> bool {
        let asks = matches!(message, Message::Ping(_) | Message::CatchUp(_));
        !asks && self.outcasts.contains(&from)
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::{NodeId, Slot};
    use crate::message::{Message, Pong, Prepare};
    use crate::output::{Event, HaltReason, Output};
    use crate::testing::{Bench, accept, ballot, entries, pong, rows, sent, slot, traced};

    /// A `Pong` of a node whose history differs from that of [`decided`].
    fn other_history() -> Message {
        let other = entries(ballot(1, 3), 2, 9);
        Message::Pong(Pong {
            decided: slot(2),
            chain: other[1].chain,
            ..pong(1, ballot(1, 3))
        })
    }

    fn decided(voters: u64) -> Bench {
        let mut bench = Bench::new(voters);
        bench.receive(2, rows(1, &entries(ballot(1, 3), 2, 0)));
        assert_eq!(bench.core.status().decided, slot(2));
        bench
    }

    /// One bad machine does not stop the good ones: it is ignored.
    #[test]
    fn one_that_differs_is_ignored() {
        let mut bench = decided(3);
        let peer = NodeId(3);
        let out = bench.receive(3, other_history());
        let slot = slot(2);
        assert_eq!(out, [Output::Trace(Event::Differs { slot, peer })]);
        let prepare = Message::Prepare(Prepare {
            ballot: ballot(7, 3),
            from: Slot::FIRST,
        });
        assert!(bench.receive(3, prepare.clone()).is_empty(), "no vote");
        let from_other = match prepare {
            Message::Prepare(p) => Message::Prepare(Prepare {
                ballot: ballot(7, 2),
                ..p
            }),
            other => other,
        };
        bench.receive(2, from_other);
        assert!(!sent(&bench.persisted()).is_empty(), "others count");
    }

    /// A leader that differs is followed no more; one that another node differs from is.
    #[test]
    fn only_a_leader_that_differs_is_left() {
        for (leader, followed) in [(2, Some(NodeId(2))), (3, None)] {
            let mut bench = decided(3);
            bench.receive(leader, accept(ballot(2, leader), &[], 0));
            assert_eq!(bench.core.status().leader, Some(NodeId(leader)));
            bench.receive(3, other_history());
            assert_eq!(bench.core.status().leader, followed);
        }
    }

    /// Who differs from so many that no majority can agree with it stops.
    #[test]
    fn one_that_differs_from_the_majority_stops() {
        for (voters, peers) in [(2, &[2][..]), (3, &[2, 3]), (5, &[2, 3, 4])] {
            let mut bench = decided(voters);
            let (last, others) = peers.split_last().unwrap();
            for peer in others {
                let out = bench.receive(*peer, other_history());
                let slot = slot(2);
                let peer = NodeId(*peer);
                assert!(traced(&out, Event::Differs { slot, peer }), "{out:?}");
            }
            let reason = HaltReason::Diverged {
                slot: slot(2),
                peer: Some(NodeId(*last)),
            };
            let out = bench.receive(*last, other_history());
            assert_eq!(out, [Output::Halt { reason }], "{voters} voters");
        }
    }
}
