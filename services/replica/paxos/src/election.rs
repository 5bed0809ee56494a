//! Who leads: heartbeat rounds and what they say.
//!
//! Reads: `Tick`, `Ping`, `Pong`. Emits: `Ping`, `Pong`. `campaign` acts on it.
//! Invariants: evidence is what answers this round's `Ping`, one for each sender; nobody is
//! happy because a neighbour is. Tests: tests/simulator

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::ids::{Ballot, Millis, NodeId, Round, Slot};
use crate::limits::{
    DISCONNECTED_ROUNDS, HEARTBEAT_MS, LEARNER_SILENCE_MS, LEARNERS_MAX, UNHAPPY_ROUNDS,
};
use crate::message::{Message, Ping, Pong};
use crate::output::Event;

/// What this node has heard and what it thinks of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Election {
    /// The present round. Starts at a random number, so that answers to an earlier process of
    /// this node do not count.
    pub(crate) round: u64,
    /// When it began.
    pub(crate) began: Millis,
    /// Answers to this round's `Ping`.
    pub(crate) arriving: BTreeMap<NodeId, Pong>,
    /// Answers to the last complete round's.
    pub(crate) heard: BTreeMap<NodeId, Pong>,
    /// The last answer of each peer, whenever that was.
    pub(crate) views: BTreeMap<NodeId, View>,
    /// A majority was heard in the last complete round, counting this node.
    pub(crate) quorum_connected: bool,
    /// Complete rounds without one, in a row.
    pub(crate) disconnected_rounds: u32,
    /// Complete rounds with one, in a row. A node that was cut off looks around before it
    /// campaigns: a leader that nobody overtook resumes.
    pub(crate) connected_rounds: u32,
    /// Whether this node is content with its leader, or with itself as one.
    pub(crate) happy: bool,
    /// Complete rounds in which it was not, in a row.
    pub(crate) unhappy_rounds: u32,
    /// When it campaigns, unless something changes before.
    pub(crate) campaign_at: Option<Millis>,
    /// It does not campaign before this moment, because it led and was stuck.
    pub(crate) barred_until: Millis,
    /// Campaigns that failed since the last happy round.
    pub(crate) failures: u32,
    /// How often it stepped down because it was stuck.
    pub(crate) stuck: u32,
    /// When it began to lead, or was last stuck.
    pub(crate) steady_since: Millis,
    /// The highest round of any ballot seen.
    pub(crate) highest: Round,
    /// When the stream of the promised ballot was last heard: its owner leads, although its
    /// answers to this node's `Ping`s may be lost.
    pub(crate) stream_heard: Millis,
    /// Nodes that do not vote and were heard of late, at most [`LEARNERS_MAX`].
    pub(crate) learners: BTreeMap<NodeId, Learner>,
    /// The ballot whose owner is known to lead. Equal to this node's promise, if it votes.
    pub(crate) led_by: Option<Ballot>,
}

/// What a node that does not vote last told of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Learner {
    pub(crate) decided: Slot,
    pub(crate) heard: Millis,
}

/// The last that was heard of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct View {
    pub(crate) pong: Pong,
    pub(crate) at: Millis,
    /// Since when it is a candidate at its present ballot.
    pub(crate) candidate_since: Millis,
}

impl Election {
    /// Nothing was heard yet.
    pub(crate) const fn new(round: u64, highest: Round, now: Millis) -> Self {
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
            highest,
            stream_heard: Millis(0),
            learners: BTreeMap::new(),
            led_by: None,
        }
    }

    /// A new epoch: what was heard in the last one is no evidence in this one.
    pub(crate) fn begin_epoch(&mut self, now: Millis) {
        *self = Self {
            barred_until: self.barred_until,
            ..Self::new(self.round, Round(0), now)
        };
    }

    /// For `model`: heartbeats and what is concluded from them. Ballots stay.
    #[cfg(feature = "model")]
    pub(crate) fn forget_heard(&mut self) {
        self.round = 0;
        self.arriving.clear();
        self.heard.clear();
        self.views.clear();
        self.learners.clear();
        self.failures = 0;
        self.stream_heard = Millis(0);
        self.led_by = None;
    }

    /// A node that does not vote told how far it is.
    fn note_learner(&mut self, node: NodeId, decided: Slot, now: Millis) {
        self.learners
            .retain(|_, learner| now.since(learner.heard) < LEARNER_SILENCE_MS);
        if self.learners.len() < LEARNERS_MAX || self.learners.contains_key(&node) {
            self.learners.insert(
                node,
                Learner {
                    decided,
                    heard: now,
                },
            );
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

    /// What a peer has said does not count any more.
    pub(crate) fn forget(&mut self, peer: NodeId) {
        self.arriving.remove(&peer);
        self.heard.remove(&peer);
        self.views.remove(&peer);
    }

    /// The commit index that a peer last told.
    pub(crate) fn decided_of(&self, peer: NodeId) -> Slot {
        self.last_pong(peer)
            .map_or(Slot::GENESIS, |pong| pong.decided)
    }

    /// Everything that counts as evidence at this moment.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = (&NodeId, &Pong)> {
        let current = |node: &NodeId| self.arriving.get(node);
        let newest = move |(node, pong)| (node, current(node).unwrap_or(pong));
        let fresh = self
            .arriving
            .iter()
            .filter(|(node, _)| !self.heard.contains_key(node));
        self.heard.iter().map(newest).chain(fresh)
    }
}

impl Core {
    /// Time passed.
    pub(crate) fn on_tick(&mut self) {
        if self.is_activating() {
            return;
        }
        if self.admission.due {
            self.send_hello();
        }
        self.give_up_when_overdue();
        self.advance_transfer();
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
            decided: self.log.decided(),
            disk_seq: self.disk_seq_told(),
        };
        for peer in self.peers() {
            self.send(peer, Message::Ping(ping));
        }
        // Who has no quorum may have missed the end of its epoch; who does not vote certainly
        // may.
        if !self.election.quorum_connected || !self.is_voter() {
            let voters = &self.configuration.voters;
            let contacts = self.succession.contacts.iter().copied();
            let strangers: Vec<NodeId> = contacts.filter(|n| !voters.contains(n)).collect();
            for node in strangers {
                self.send(node, Message::Ping(ping));
            }
        }
        self.send_hello();
        self.send_confirm();
    }

    /// Answers a `Ping`.
    pub(crate) fn on_ping(&mut self, from: NodeId, ping: Ping) {
        if self.configuration.voters.contains(&from) {
            self.witness(from, ping.disk_seq);
        } else {
            self.election.note_learner(from, ping.decided, self.now);
        }
        if !self.is_voter() {
            return;
        }
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
            no_space: self.acceptor.no_space,
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
            self.on_difference(pong.decided, from);
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
        if !self.is_voter() {
            self.learn_from_pong(from, pong);
            return;
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
        let own = usize::from(self.configuration.voters.contains(&self.me));
        let connected = self.quorum.elects(election.heard.len().saturating_add(own));
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
            let silence = self.now.since(self.election.stream_heard);
            let silent = silence >= HEARTBEAT_MS.saturating_mul(u64::from(UNHAPPY_ROUNDS));
            let unhappy = self.election.unhappy_rounds >= UNHAPPY_ROUNDS;
            if unhappy && silent && self.leading().is_none() {
                self.set_led_by(None);
            }
            self.plan_campaign();
        }
        self.hand_over_when_unfit();
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
        if !self.is_voter() {
            return self.election.heard.values().any(|pong| {
                let leads = pong.leading.is_some();
                leads && pong.happy
            });
        }
        let promised = self.acceptor.promised;
        let pong = self.election.heard.get(&promised.node);
        pong.is_some_and(|pong| pong.leading == Some(promised) && pong.happy)
    }

    /// A node that does not vote follows whoever leads, and asks for what it lacks at once: the
    /// stream of the leader does not reach it.
    fn learn_from_pong(&mut self, from: NodeId, pong: Pong) {
        if pong.leading.is_some() && pong.leading >= self.election.led_by {
            self.set_led_by(pong.leading);
        }
        if pong.decided > self.log.decided() {
            self.fetch(from, pong.decided);
        }
    }

    /// A higher ballot was promised: following anybody ends, and its owner gets some time.
    pub(crate) fn on_new_promise(&mut self) {
        self.election.happy = false;
        self.election.unhappy_rounds = 0;
        self.election.campaign_at = None;
        // A node that does not vote follows by what it hears, not by what it promised.
        if self.is_voter() {
            self.set_led_by(None);
        }
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

    pub(crate) fn set_led_by(&mut self, ballot: Option<Ballot>) {
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
mod tests;
