//! Who leads: heartbeat rounds, happiness, campaigns and their back-off.
//!
//! Reads: `Tick`, `Ping`, `Pong`. Emits: `Ping`, `Pong`; starts phase 1; steps down.
//! Invariants: evidence is what answers this round's `Ping`, one for each sender; nobody is
//! happy because a neighbour is. Tests: tests/simulation.rs, tests/recovery.rs

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::ids::{Ballot, Millis, NodeId, Round, Slot};
use crate::limits::{
    BACKOFF_MAX_MS, CAMPAIGN_WAIT_MIN_MS, CAMPAIGN_WAIT_MS, DISCONNECTED_ROUNDS,
    ELECTION_TIMEOUT_MS, HEARTBEAT_MS, PENALTY_MS, STUCK_MS, STUCK_RESET_MS, UNHAPPY_ROUNDS,
};
use crate::message::{Message, Ping, Pong};
use crate::output::{Event, HaltReason};
use crate::prepare::Candidate;

/// What this node has heard and what it thinks of it.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    /// The present round. Starts at a random number, so that answers to an earlier process of
    /// this node do not count.
    round: u64,
    /// When it began.
    began: Millis,
    /// Answers to this round's `Ping`.
    arriving: BTreeMap<NodeId, Pong>,
    /// Answers to the last complete round's.
    heard: BTreeMap<NodeId, Pong>,
    /// The last answer of each peer, whenever that was.
    views: BTreeMap<NodeId, View>,
    /// A majority was heard in the last complete round, counting this node.
    pub(crate) quorum_connected: bool,
    /// Complete rounds without one, in a row.
    disconnected_rounds: u32,
    /// Complete rounds with one, in a row. A node that was cut off looks around before it
    /// campaigns: a leader that nobody overtook resumes.
    connected_rounds: u32,
    /// Whether this node is content with its leader, or with itself as one.
    pub(crate) happy: bool,
    /// Complete rounds in which it was not, in a row.
    unhappy_rounds: u32,
    /// When it campaigns, unless something changes before.
    campaign_at: Option<Millis>,
    /// It does not campaign before this moment, because it led and was stuck.
    barred_until: Millis,
    /// Campaigns that failed since the last happy round.
    failures: u32,
    /// How often it stepped down because it was stuck.
    stuck: u32,
    /// When it began to lead, or was last stuck.
    steady_since: Millis,
    /// The highest round of any ballot seen.
    highest: Round,
    /// The ballot whose owner is known to lead. Equal to this node's promise.
    led_by: Option<Ballot>,
}

/// The last that was heard of a peer.
#[derive(Clone, Copy, Debug)]
struct View {
    pong: Pong,
    at: Millis,
    /// Since when it is a candidate at its present ballot.
    candidate_since: Millis,
}

impl Election {
    /// Nothing was heard yet.
    pub(crate) const fn new(round: u64, promised: Ballot, now: Millis) -> Self {
        Self {
            round,
            began: now,
            arriving: BTreeMap::new(),
            heard: BTreeMap::new(),
            views: BTreeMap::new(),
            quorum_connected: false,
            disconnected_rounds: 0,
            connected_rounds: 0,
            happy: false,
            unhappy_rounds: 0,
            campaign_at: None,
            barred_until: Millis(0),
            failures: 0,
            stuck: 0,
            steady_since: now,
            highest: promised.round,
            led_by: None,
        }
    }

    /// Notes a ballot, so that the next own one is higher.
    pub(crate) fn note_round(&mut self, round: Round) {
        self.highest = self.highest.max(round);
    }

    /// Whether no quorum was heard for several rounds.
    pub(crate) const fn is_disconnected(&self) -> bool {
        self.disconnected_rounds >= DISCONNECTED_ROUNDS
    }

    /// The last answer of a peer, if there was one.
    pub(crate) fn last_pong(&self, peer: NodeId) -> Option<&Pong> {
        self.views.get(&peer).map(|view| &view.pong)
    }

    /// When a peer was last heard.
    pub(crate) fn last_heard(&self, peer: NodeId) -> Option<Millis> {
        self.views.get(&peer).map(|view| view.at)
    }

    /// Whether a peer answered in the last complete round.
    pub(crate) fn was_heard(&self, peer: NodeId) -> bool {
        self.heard.contains_key(&peer)
    }

    /// The commit index that a peer last told.
    pub(crate) fn decided_of(&self, peer: NodeId) -> Slot {
        self.last_pong(peer)
            .map_or(Slot::GENESIS, |pong| pong.decided)
    }

    /// Everything that counts as evidence at this moment.
    fn evidence(&self) -> impl Iterator<Item = (&NodeId, &Pong)> {
        let current = |node: &NodeId| self.arriving.get(node);
        let newest = move |(node, pong)| (node, current(node).unwrap_or(pong));
        let fresh = self
            .arriving
            .iter()
            .filter(|(node, _)| !self.heard.contains_key(node));
        self.heard.iter().map(newest).chain(fresh)
    }
}

/// `base` doubled `times` times, within the bound of every back-off.
fn doubled(base: u64, times: u32) -> u64 {
    assert!(base > 0, "a back-off has a length");
    base.saturating_mul(1_u64.checked_shl(times.min(16)).unwrap_or(1))
        .min(BACKOFF_MAX_MS.max(base))
}

impl Core {
    /// Time passed.
    pub(crate) fn on_tick(&mut self) {
        self.give_up_when_overdue();
        self.step_down_when_stuck();
        if self.now.since(self.election.began) >= HEARTBEAT_MS {
            self.end_round();
            self.begin_round();
        }
        if self.election.campaign_at.is_some_and(|at| self.now >= at) {
            self.election.campaign_at = None;
            if self.may_campaign() {
                self.campaign();
            }
        }
    }

    /// Starts a heartbeat round.
    pub(crate) fn begin_round(&mut self) {
        let election = &mut self.election;
        election.round = election.round.wrapping_add(1);
        election.began = self.now;
        assert!(
            election.arriving.is_empty(),
            "a round starts with nothing heard"
        );
        let ping = Ping {
            epoch: self.configuration.epoch,
            round: election.round,
        };
        for peer in self.peers() {
            self.send(peer, Message::Ping(ping));
        }
    }

    /// Answers a `Ping`.
    pub(crate) fn on_ping(&mut self, from: NodeId, ping: Ping) {
        // An own ballot that is not durable may be forgotten in a crash: it is not told.
        let own = self.acceptor.promised.node == self.me;
        let ballot = if own {
            self.acceptor.durable
        } else {
            self.acceptor.promised
        };
        let candidate = match &self.role {
            Role::Candidate(candidate) if candidate.ballot == ballot => Some(ballot),
            Role::Candidate(_) | Role::Leader(_) | Role::Follower => None,
        };
        let following = self.leader_hint().filter(|leader| *leader != self.me);
        let pong = Pong {
            epoch: self.configuration.epoch,
            round: ping.round,
            ballot,
            following,
            leading: self.leading(),
            candidate,
            happy: self.election.happy,
            quorum_connected: self.election.quorum_connected,
            decided: self.log.decided(),
            chain: self.log.chain(),
            commit_latency_ms: self.durable.latency_ms(self.now),
        };
        assert!(
            candidate.is_none() || pong.leading.is_none(),
            "a candidate does not lead"
        );
        self.send(from, Message::Pong(pong));
    }

    /// An answer to a `Ping`. Late ones are news, but no evidence.
    pub(crate) fn on_pong(&mut self, from: NodeId, pong: Pong) {
        if self
            .log
            .chain_at(pong.decided)
            .is_some_and(|chain| chain != pong.chain)
        {
            self.halt(HaltReason::Diverged {
                slot: pong.decided,
                peer: Some(from),
            });
            return;
        }
        let now = self.now;
        let fresh = View {
            pong,
            at: now,
            candidate_since: now,
        };
        let view = self.election.views.entry(from).or_insert(fresh);
        if view.pong.candidate != pong.candidate {
            view.candidate_since = now;
        }
        (view.pong, view.at) = (pong, now);
        if pong.round == self.election.round {
            self.election.arriving.insert(from, pong);
        }
        if pong.leading == Some(self.acceptor.promised) {
            self.note_leader(self.acceptor.promised);
        }
        if self.leading().is_some_and(|ballot| pong.ballot > ballot) {
            self.step_down();
        }
    }

    /// Weighs what was heard in the round.
    fn end_round(&mut self) {
        let election = &mut self.election;
        election.heard = core::mem::take(&mut election.arriving);
        let connected = self.quorum.elects(election.heard.len().saturating_add(1));
        let changed = election.quorum_connected != connected;
        election.quorum_connected = connected;
        if connected {
            election.connected_rounds = election.connected_rounds.saturating_add(1);
            election.disconnected_rounds = 0;
        } else {
            election.connected_rounds = 0;
            election.disconnected_rounds = election.disconnected_rounds.saturating_add(1);
        }
        if changed {
            self.trace(Event::QuorumConnected(connected));
        }
        self.election.happy = self.is_happy();
        if self.election.happy {
            self.election.unhappy_rounds = 0;
            self.election.campaign_at = None;
            self.election.failures = 0;
        } else {
            self.election.unhappy_rounds = self.election.unhappy_rounds.saturating_add(1);
            if self.election.unhappy_rounds >= UNHAPPY_ROUNDS && self.leading().is_none() {
                self.set_led_by(None);
            }
            self.plan_campaign();
        }
        self.send_prepare();
        self.retransmit();
        self.fetch_if_behind();
        self.ask_again_when_roomy();
        self.mark_decided_when_idle();
    }

    /// Content with its leader: as that leader, or because the owner of its own promise says
    /// that it leads at exactly that ballot and is content itself.
    fn is_happy(&self) -> bool {
        if let Some(ballot) = self.leading() {
            assert!(
                ballot == self.acceptor.promised,
                "a leader has promised itself"
            );
            return self.election.quorum_connected;
        }
        let promised = self.acceptor.promised;
        let pong = self.election.heard.get(&promised.node);
        pong.is_some_and(|pong| pong.leading == Some(promised) && pong.happy)
    }

    /// Waits a random time before campaigning: less if nobody knows of more decided slots.
    fn plan_campaign(&mut self) {
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
    fn may_campaign(&self) -> bool {
        let election = &self.election;
        matches!(self.role, Role::Follower)
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
    fn campaign(&mut self) {
        assert!(matches!(self.role, Role::Follower), "a follower campaigns");
        let highest = self.election.highest.max(self.acceptor.promised.round);
        let round = Round(highest.0.saturating_add(1));
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

    fn give_up_when_overdue(&mut self) {
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
    }

    /// A leader that reaches a majority with heartbeats but not with its proposals, or whose
    /// own disk hangs, steps down at once and lets others try.
    fn step_down_when_stuck(&mut self) {
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

    /// A higher ballot was promised: following anybody ends, and its owner gets some time.
    pub(crate) fn on_new_promise(&mut self) {
        self.election.happy = false;
        self.election.unhappy_rounds = 0;
        self.election.campaign_at = None;
        self.set_led_by(None);
    }

    /// Phase 1 is complete.
    pub(crate) fn on_leading(&mut self, ballot: Ballot) {
        assert!(self.leading() == Some(ballot), "the role comes first");
        self.election.happy = self.election.quorum_connected;
        self.election.unhappy_rounds = 0;
        self.election.failures = 0;
        self.election.steady_since = self.now;
        self.set_led_by(Some(ballot));
        self.trace(Event::Leading(ballot));
    }

    /// The owner of the promised ballot is known to lead.
    pub(crate) fn note_leader(&mut self, ballot: Ballot) {
        assert!(
            ballot == self.acceptor.promised,
            "only the promised ballot's owner is followed"
        );
        if ballot.node != self.me {
            self.set_led_by(Some(ballot));
        }
    }

    fn set_led_by(&mut self, ballot: Option<Ballot>) {
        if self.election.led_by == ballot {
            return;
        }
        self.election.led_by = ballot;
        match ballot {
            Some(ballot) if ballot.node != self.me => self.trace(Event::Following(ballot)),
            Some(_) => {}
            None => self.trace(Event::Leaderless),
        }
    }

    /// The node to which proposals should go, as far as is known.
    pub(crate) fn leader_hint(&self) -> Option<NodeId> {
        self.election.led_by.map(|ballot| ballot.node)
    }

    /// The highest commit index that a peer told in the last complete round.
    pub(crate) fn highest_decided_heard(&self) -> Slot {
        let heard = self.election.heard.values().map(|pong| pong.decided).max();
        heard.unwrap_or(Slot::GENESIS)
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
