//! Which voters this replica misses, and for how long: what a quorum must agree on before
//! membership replaces one.
//!
//! In: the core's status, at every heartbeat to membership. Out: the report in it. Tests: below.

use std::collections::BTreeMap;

use paxos::ids::{Millis, NodeId};
use paxos::status::Status;
use proto::v1::MissedVoter;

/// Since when each voter is missed.
#[derive(Debug, Default)]
pub(super) struct Missed(BTreeMap<NodeId, Millis>);

impl Missed {
    /// Looks again. A voter that was never heard is missed from the first look on; one that was
    /// heard between two looks is missed from then on. Who does not vote reports nothing.
    pub(super) fn look(&mut self, status: &Status, now: Millis) -> Vec<MissedVoter> {
        let silent = |node: &NodeId| status.peers.get(node).is_some_and(|peer| !peer.heard);
        self.0.retain(|node, _| silent(node));
        if !status.is_voter {
            self.0.clear();
            return Vec::new();
        }
        let mut report = Vec::new();
        for (node, peer) in status.peers.iter().filter(|(_, peer)| !peer.heard) {
            let first = peer.last_heard.unwrap_or(now);
            let since = self.0.entry(*node).or_insert(first);
            *since = peer.last_heard.map_or(*since, |heard| heard.max(*since));
            report.push(MissedVoter {
                node: node.0,
                for_ms: now.since(*since),
            });
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::{Millis, Missed, NodeId, Status};
    use paxos::status::PeerStatus;

    fn status(heard: bool, last_heard: Option<u64>) -> Status {
        let mut status = crate::status::tests::status();
        let known = status.peers[&NodeId(2)];
        for (node, peer) in &mut status.peers {
            let r2 = *node == NodeId(2);
            *peer = PeerStatus {
                heard: heard || !r2,
                last_heard: last_heard.map(Millis),
                ..known
            };
        }
        status
    }

    fn reported(missed: &mut Missed, status: &Status, now: u64) -> Vec<(u64, u64)> {
        let report = missed.look(status, Millis(now));
        report.iter().map(|m| (m.node, m.for_ms)).collect()
    }

    #[test]
    fn a_silent_voter_is_missed_since_it_was_last_heard() {
        let mut missed = Missed::default();
        assert_eq!(reported(&mut missed, &status(true, Some(90)), 100), []);
        let silent = status(false, Some(90));
        assert_eq!(reported(&mut missed, &silent, 600), [(2, 510)]);
        // It spoke between two looks.
        let flaps = status(false, Some(800));
        assert_eq!(reported(&mut missed, &flaps, 1000), [(2, 200)]);
        assert_eq!(reported(&mut missed, &status(true, Some(1100)), 1100), []);
        assert_eq!(
            reported(&mut missed, &status(false, Some(1100)), 1600),
            [(2, 500)]
        );
    }

    #[test]
    fn one_that_was_never_heard_is_missed_from_the_first_look_on() {
        let mut missed = Missed::default();
        let never = status(false, None);
        assert_eq!(reported(&mut missed, &never, 5000), [(2, 0)]);
        assert_eq!(reported(&mut missed, &never, 5700), [(2, 700)]);
    }

    #[test]
    fn who_does_not_vote_reports_nothing() {
        let mut standby = status(false, None);
        standby.is_voter = false;
        assert_eq!(reported(&mut Missed::default(), &standby, 100), []);
    }
}
