//! Campaigns: when a node tries to lead, when it stops, and how long it waits in between.
//!
//! Reads: what `election` heard. Emits: starts phase 1; steps down.
//! Invariants: D1 (a ballot is never used twice), I19; nobody disturbs a happy neighbour.
//! Tests: below and tests/simulation (scenarios)

use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::ids::{Ballot, NodeId, Round};
use crate::limits::{
    BACKOFF_MAX_MS, CAMPAIGN_WAIT_MIN_MS, CAMPAIGN_WAIT_MS, ELECTION_TIMEOUT_MS, PENALTY_MS,
    STUCK_MS, STUCK_RESET_MS, UNHAPPY_ROUNDS,
};
use crate::message::Pong;
use crate::output::{Event, RejectReason};
use crate::prepare::Candidate;

/// `base` doubled `times` times, within the bound of every back-off.
fn doubled(base: u64, times: u32) -> u64 {
    assert!(base > 0, "a back-off has a length");
    base.saturating_mul(1_u64.checked_shl(times.min(16)).unwrap_or(1))
        .min(BACKOFF_MAX_MS.max(base))
}

impl Core {
    /// Waits a random time before campaigning: less if nobody knows of more decided slots.
    pub(crate) fn plan_campaign(&mut self) {
        if self.election.campaign_at.is_some() || !self.may_campaign() {
            return;
        }
        let furthest = self.log.decided() >= self.highest_decided_heard();
        let longest = if furthest {
            CAMPAIGN_WAIT_MS / 2
        } else {
            CAMPAIGN_WAIT_MS
        };
        assert!(longest > 0, "candidates are spread apart");
        // At least so long that the answers of the round that begins now are weighed, too.
        let extra = self
            .random
            .up_to(longest.saturating_sub(CAMPAIGN_WAIT_MIN_MS));
        let wait = CAMPAIGN_WAIT_MIN_MS.saturating_add(extra);
        self.election.campaign_at = Some(self.now.plus(wait));
    }

    /// The conditions of section 2.4 of the design.
    pub(crate) fn may_campaign(&self) -> bool {
        let election = &self.election;
        matches!(self.role, Role::Follower)
            && self.may_promise()
            && !(self.acceptor.no_space && self.another_has_space())
            && election.unhappy_rounds >= UNHAPPY_ROUNDS
            && election.connected_rounds >= UNHAPPY_ROUNDS
            && self.now >= election.barred_until
            && !election.evidence().any(|(_, pong)| pong.happy)
            && !election
                .evidence()
                .any(|(node, pong)| self.is_live_candidate(*node, pong))
    }

    /// Whether a peer campaigns at a ballot that this node would have to beat, and still has
    /// time to succeed.
    fn is_live_candidate(&self, node: NodeId, pong: &Pong) -> bool {
        let hold = self.election_timeout_ms();
        let since = self
            .election
            .views
            .get(&node)
            .map(|view| view.candidate_since);
        pong.candidate
            .is_some_and(|ballot| ballot >= self.acceptor.promised)
            && since.is_some_and(|since| self.now.since(since) < hold)
    }

    /// Starts phase 1 at a ballot of its own that is above everything seen.
    pub(crate) fn campaign(&mut self) {
        assert!(matches!(self.role, Role::Follower), "a follower campaigns");
        // Counts within the epoch, and includes what this node has promised in it.
        let round = Round(self.election.highest.0.saturating_add(1));
        let ballot = Ballot {
            epoch: self.configuration.epoch,
            round,
            node: self.me,
        };
        assert!(
            ballot > self.acceptor.promised,
            "a ballot is never used twice"
        );
        self.promise_to(ballot);
        self.election.note_round(round);
        let deadline = self.now.plus(self.election_timeout_ms());
        self.fetching = None;
        self.role = Role::Candidate(Candidate::new(ballot, self.log.decided().next(), deadline));
        self.trace(Event::Campaigning(ballot));
    }

    /// A candidate's time without progress, and for how long others leave a candidate alone:
    /// longer on slow disks, doubled after each failure.
    pub(crate) fn election_timeout_ms(&self) -> u64 {
        let base = ELECTION_TIMEOUT_MS.max(self.median_latency_ms().saturating_mul(3));
        doubled(base, self.election.failures)
    }

    /// The median of the commit latencies that this node and its peers report.
    fn median_latency_ms(&self) -> u64 {
        let reported = self
            .election
            .views
            .values()
            .map(|view| view.pong.commit_latency_ms);
        let mut all: Vec<u64> = reported
            .chain([self.durable.latency_ms(self.now)])
            .collect();
        all.sort_unstable();
        assert!(!all.is_empty(), "this node's own latency is among them");
        all.get(all.len() / 2).copied().unwrap_or(0)
    }

    /// A candidate that made progress gets its full time again.
    pub(crate) fn extend_candidacy(&mut self) {
        let deadline = self.now.plus(self.election_timeout_ms());
        if let Role::Candidate(candidate) = &mut self.role {
            candidate.deadline = deadline;
        }
    }

    pub(crate) fn give_up_when_overdue(&mut self) {
        if matches!(&self.role, Role::Candidate(candidate) if self.now >= candidate.deadline) {
            self.give_up();
        }
    }

    /// Stops campaigning or leading, and leaves the next campaign some time to others.
    pub(crate) fn give_up(&mut self) {
        if matches!(self.role, Role::Candidate(_)) {
            self.election.failures = self.election.failures.saturating_add(1);
        }
        self.step_down();
        assert!(matches!(self.role, Role::Follower), "gave up");
        self.election.unhappy_rounds = 0;
        self.election.campaign_at = None;
    }

    /// Stops sending at its own ballot. Proposals in flight may still be chosen.
    pub(crate) fn step_down(&mut self) {
        let ballot = match core::mem::replace(&mut self.role, Role::Follower) {
            Role::Follower => return,
            Role::Candidate(candidate) => candidate.ballot,
            Role::Leader(leader) => leader.ballot,
        };
        self.election.happy = false;
        self.set_led_by(None);
        self.trace(Event::SteppedDown(ballot));
        self.reject_reads(RejectReason::NotLeader { leader: None });
    }

    /// A leader that reaches a majority with heartbeats but not with its proposals, or whose
    /// own disk hangs, steps down at once and lets others try.
    pub(crate) fn step_down_when_stuck(&mut self) {
        let (now, median) = (self.now, self.median_latency_ms());
        let decided = self.log.decided();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.last == decided || !self.election.quorum_connected {
            leader.moved = now;
        }
        // A disk that hangs keeps the leader from applying, and so from answering its clients.
        let hangs = if leader.peers.is_empty() {
            0
        } else {
            self.durable.oldest_ms(now)
        };
        let election = &mut self.election;
        let limit = doubled(STUCK_MS, election.stuck).max(median.saturating_mul(3));
        if now.since(leader.moved).max(hangs) >= limit {
            let penalty = doubled(PENALTY_MS, election.stuck);
            election.stuck = election.stuck.saturating_add(1);
            election.barred_until = now.plus(penalty);
            self.give_up();
        } else if now.since(election.steady_since) >= STUCK_RESET_MS {
            election.stuck = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::doubled;
    use crate::limits::BACKOFF_MAX_MS;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        assert_eq!(doubled(400, 0), 400);
        assert_eq!(doubled(400, 3), 3_200);
        assert_eq!(doubled(400, 40), BACKOFF_MAX_MS);
        assert_eq!(
            doubled(30_000, 1),
            30_000,
            "a slow disk's own time is never cut"
        );
    }
}
