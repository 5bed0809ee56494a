//! What a node asserts of itself after every step.
//!
//! Reads: the core. Emits: nothing; a violated assertion stops the process.
//! Invariants: I16, I17, I19 as far as one node can see them. Tests: tests/simulator

use crate::core::{Core, Role};
use crate::limits::{ACCEPT_AHEAD_SLOTS_MAX, HELD_MAX};

impl Core {
    /// Relations that hold between steps, whatever happened.
    pub(crate) fn check(&self) {
        assert!(
            self.log.applied() <= self.log.handed(),
            "applied what was handed out (I16)"
        );
        assert!(
            self.log.handed() <= self.log.durable(),
            "handed out what is durable (D5)"
        );
        assert!(
            self.log.durable() <= self.log.decided(),
            "durable means decided as well (I16)"
        );
        assert!(
            self.acceptor.durable <= self.acceptor.promised,
            "promised before durable"
        );
        assert!(
            self.durable.held_len() <= HELD_MAX.saturating_mul(2),
            "what waits is bounded (I17)"
        );
        self.check_role();
        self.check_stream();
    }

    fn check_role(&self) {
        let promised = self.acceptor.promised;
        match &self.role {
            Role::Follower => {}
            Role::Candidate(candidate) => {
                assert!(
                    candidate.ballot == promised,
                    "a candidate has promised itself"
                );
                assert!(
                    promised.node == self.me,
                    "a candidate owns its ballot (I19)"
                );
            }
            Role::Leader(leader) => {
                assert!(leader.ballot == promised, "a leader has promised itself");
                assert!(promised.node == self.me, "a leader owns its ballot (I19)");
                assert!(self.acceptor.durable == promised, "it led only after D1");
                assert!(
                    leader.base <= self.log.decided().next(),
                    "the base is decided below"
                );
                assert!(
                    self.log.decided() <= leader.last,
                    "it decides what it proposed"
                );
                assert!(
                    self.fetching.is_none(),
                    "a leader decides by its own count only"
                );
            }
        }
    }

    fn check_stream(&self) {
        let Some(stream) = self.acceptor.stream else {
            return;
        };
        assert!(
            stream.ballot == self.acceptor.promised,
            "one ballot's rows are accepted"
        );
        assert!(
            stream.upto >= stream.base.prev(),
            "a stream starts at its base (R1)"
        );
        let ahead = stream.upto.distance_above(self.log.decided());
        let base = stream.base.distance_above(self.log.decided());
        assert!(
            ahead <= ACCEPT_AHEAD_SLOTS_MAX || ahead < base,
            "acceptance is bounded (I17)"
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, accept, ballot, entries};

    /// Property: a step that ends with a promise on disk that was never given stops the process.
    #[test]
    #[should_panic(expected = "promised before durable")]
    fn a_promise_that_is_only_on_disk_is_noticed() {
        let mut bench = Bench::new(3);
        bench.core.acceptor.durable = ballot(9, 2);
        bench.core.check();
    }

    /// Property: so does one that ends with a leader whose promise is another's.
    #[test]
    #[should_panic(expected = "a leader has promised itself")]
    fn a_leader_of_another_ballot_is_noticed() {
        let mut bench = Bench::leader(3);
        bench.core.acceptor.promised = ballot(9, 2);
        bench.core.check();
    }

    /// Property: so does one that ends with rows accepted at a ballot that is not the promised one.
    #[test]
    #[should_panic(expected = "one ballot's rows are accepted")]
    fn a_stream_of_another_ballot_is_noticed() {
        let (mut bench, b) = (Bench::new(3), ballot(1, 2));
        bench.receive(2, accept(b, &entries(b, 1, 0), 0));
        bench.core.acceptor.promised = ballot(9, 3);
        bench.core.check();
    }
}
