//! `Core`: the state of one replica, and the dispatch of what enters it.
//!
//! Reads: every `Input`. Emits: what the other modules emit.
//! Invariants: messages are validated and dropped, never trusted; a halted core stays silent.
//! Tests: below and tests/simulator

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::accept::Acceptor;
use crate::admission::Admission;
use crate::config::Configuration;
use crate::durable::Durable;
use crate::election::Election;
use crate::entry::{Entry, EntryKind};
use crate::epoch::Succession;
use crate::ids::{Millis, NodeId, Slot};
use crate::input::Input;
use crate::lead::Leader;
use crate::learn::Fetch;
use crate::limits::ROUND_MAX;
use crate::log::Log;
use crate::message::Message;
use crate::output::{Event, HaltReason, Output};
use crate::prepare::Candidate;
use crate::quorum::Quorum;
use crate::random::Random;
use crate::reads::Reads;
use crate::restored::{Options, Restored};

/// What a node does at its promised ballot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Role {
    /// Answers others.
    Follower,
    /// In phase 1.
    Candidate(Candidate),
    /// In phase 2.
    Leader(Leader),
}

/// One replica's protocol state: proposer, acceptor and learner.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Core {
    /// This node.
    pub(crate) me: NodeId,
    /// The active epoch and its voters.
    pub(crate) configuration: Configuration,
    /// Its quorums.
    pub(crate) quorum: Quorum,
    /// The time of the present step.
    pub(crate) now: Millis,
    /// For the random waits of elections.
    pub(crate) random: Random,
    /// The outputs of the present step.
    pub(crate) out: Vec<Output>,
    /// The replica has stopped for good.
    pub(crate) halted: bool,
    /// Rows and the marks over them.
    pub(crate) log: Log,
    /// Requests to the disk and what waits for them.
    pub(crate) durable: Durable,
    /// The promise and the rows accepted at it.
    pub(crate) acceptor: Acceptor,
    /// What this node does at its promised ballot.
    pub(crate) role: Role,
    /// Heartbeat rounds and what they say.
    pub(crate) election: Election,
    /// The request for decided rows that is under way.
    pub(crate) fetching: Option<Fetch>,
    /// Peers whose logs no longer hold what is missing here.
    pub(crate) forgotten_at: BTreeSet<NodeId>,
    /// The highest commit index heard of in the round before the last.
    pub(crate) decided_heard: Slot,
    /// The end of the active epoch and the beginning of the next.
    pub(crate) succession: Succession,
    /// Whether this disk may vote.
    pub(crate) admission: Admission,
    /// Linearizable reads that wait.
    pub(crate) reads: Reads,
    /// Replicas whose history differs from the one here: ignored until this process ends.
    pub(crate) outcasts: BTreeSet<NodeId>,
}

impl Core {
    /// A replica that starts: a follower, whatever it was before.
    ///
    /// # Panics
    ///
    /// If the options or the restored state contradict themselves.
    #[must_use]
    pub fn new(options: Options, restored: Restored, now: Millis) -> Self {
        let Options {
            node,
            configuration,
            seed,
        } = options;
        assert!(
            restored.promised.epoch <= configuration.epoch,
            "the promise is of this epoch"
        );
        assert!(
            restored.decided >= configuration.start,
            "an epoch is active when its Seal is decided (R4)"
        );
        let mut random = Random::new(seed ^ node.0.rotate_left(32) ^ now.0.rotate_left(16));
        // Rounds count within an epoch.
        let promised = restored.promised;
        let round = if promised.epoch == configuration.epoch {
            promised.round
        } else {
            crate::ids::Round(0)
        };
        Self {
            me: node,
            quorum: Quorum::new(configuration.voters.len()),
            configuration,
            now,
            election: Election::new(random.next(), round, now),
            random,
            out: Vec::new(),
            halted: false,
            acceptor: Acceptor::new(promised, restored.damaged.clone()),
            admission: Admission::new(restored.disk_seq, restored.witnessed.clone(), now),
            durable: Durable::new(restored.decided, restored.disk_seq),
            log: Log::new(restored),
            role: Role::Follower,
            fetching: None,
            forgotten_at: BTreeSet::new(),
            decided_heard: Slot::GENESIS,
            succession: Succession::default(),
            reads: Reads::default(),
            outcasts: BTreeSet::new(),
        }
    }

    /// Takes one input and appends what is to be done to `out`, in order.
    ///
    /// After a `Halt` the core ignores every input.
    ///
    /// # Panics
    ///
    /// If an invariant of this node's own state is violated, or the driver breaks its contract
    /// (`Persisted` or `Applied` for something that was not handed out).
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        if self.halted {
            return;
        }
        self.now = self.now.max(now);
        let decided = self.log.decided();
        assert!(self.out.is_empty(), "outputs leave with their step");
        match input {
            Input::Tick => self.on_tick(),
            Input::Message { from, message } => self.on_message(from, message),
            Input::Propose {
                token,
                kind,
                payload,
                wall_clock,
            } => {
                self.on_propose(token, kind, payload, wall_clock);
            }
            Input::Persisted { seq, disk_seq } => self.on_persisted(seq, disk_seq),
            Input::Applied { slot } => self.on_applied(slot),
            Input::Read { token } => self.on_read(token),
            Input::Reconfigure {
                token,
                expected_epoch,
                voters,
                wall_clock,
            } => self.on_reconfigure(token, expected_epoch, voters, wall_clock),
            Input::TransferLead { to } => self.on_transfer(to),
            Input::Compact { upto } => self.on_compact(upto),
            Input::Space { low } => self.on_space(low),
            Input::Contacts { nodes } => self.on_contacts(&nodes),
        }
        if !self.halted {
            self.finish_step(decided);
        }
        out.append(&mut self.out);
    }

    /// What every step ends with.
    pub(crate) fn finish_step(&mut self, decided: Slot) {
        self.take_early();
        if self.halted {
            return;
        }
        self.replicate();
        if self.log.decided() > decided {
            self.trace(Event::Decided(self.log.decided()));
            let ready = self.configuration.ready();
            if decided < ready && ready <= self.log.decided() {
                self.trace(Event::EpochReady(self.configuration.epoch));
            }
        }
        self.begin_epoch_if_sealed();
        if self.halted {
            return;
        }
        self.hand_out();
        self.flush();
        self.check();
    }

    /// One message. Its sender is authenticated; what it says is not trusted.
    pub(crate) fn on_message(&mut self, from: NodeId, mut message: Message) {
        if from == self.me || self.is_from_outcast(from, &message) {
            return;
        }
        if let Message::Rows(rows) = &mut message {
            cut_after_seal(&mut rows.entries, self.log.decided());
        }
        // What belongs to a later epoch is no news here, but for its being there.
        let timeless = matches!(message, Message::CatchUp(_) | Message::Rows(_));
        let later = message.epoch() > self.configuration.epoch && !timeless;
        if !later && !self.note_ballots(&message) {
            return;
        }
        // What is decided stays so, in every epoch.
        if let Message::CatchUp(request) = message {
            self.on_catch_up(from, request);
        } else if self.is_activating() {
            // One epoch after the other: nothing is learned before this one is durable.
            self.keep_early(from, message);
        } else if let Message::Rows(rows) = message {
            self.on_rows(from, rows);
        } else if !later {
            self.on_message_so_far(from, message);
        } else if let Message::EpochEnded(ended) = message {
            self.on_epoch_ended(from, ended);
        } else {
            self.on_later_epoch(from, message.decided());
            self.keep_early(from, message);
        }
    }

    /// A message of the active epoch or of an earlier one.
    fn on_message_so_far(&mut self, from: NodeId, message: Message) {
        if message.epoch() == self.configuration.epoch {
            self.on_message_of_epoch(from, message);
        } else if message.is_question() {
            self.tell_epoch_ended(from);
        }
    }

    /// A message of the active epoch, which is durable here (D7).
    fn on_message_of_epoch(&mut self, from: NodeId, message: Message) {
        // Nodes that do not vote learn, too.
        if let Message::Ping(ping) = message {
            self.on_ping(from, ping);
            return;
        }
        if !self.configuration.voters.contains(&from) {
            return;
        }
        match message {
            Message::Pong(pong) => self.on_pong(from, pong),
            Message::Hello(hello) => self.on_hello(from, hello),
            Message::HelloReply(reply) => self.on_hello_reply(from, reply),
            _ if !self.may_vote() => {}
            Message::Prepare(prepare) => self.on_prepare(from, prepare),
            Message::Promise(promise) => self.on_promise(from, promise),
            Message::Accept(accept) => self.on_accept(from, accept),
            Message::Accepted(accepted) => self.on_accepted(from, accepted),
            Message::Nack(nack) => self.on_nack(nack),
            Message::Gap(gap) => self.on_gap(from, gap),
            Message::Confirm(confirm) => self.on_confirm(from, confirm),
            Message::Confirmed(confirmed) => self.on_confirmed(from, confirmed),
            Message::CampaignNow(request) => self.on_campaign_now(from, request),
            Message::Ping(_) | Message::CatchUp(_) | Message::Rows(_) | Message::EpochEnded(_) => {}
        }
    }

    /// Notes the ballots of a message. Answers whether all of them can exist; one of this node
    /// that it never issued means that another process runs under its identity.
    fn note_ballots(&mut self, message: &Message) -> bool {
        for ballot in message.ballots() {
            if ballot.round > ROUND_MAX || ballot.epoch > self.configuration.epoch {
                return false;
            }
            if ballot.node == self.me && ballot > self.acceptor.promised {
                self.halt(HaltReason::DuplicateIdentity { ballot });
                return false;
            }
            if ballot.epoch == self.configuration.epoch {
                self.election.note_round(ballot.round);
            }
        }
        true
    }

    /// The other voters, in order.
    pub(crate) fn peers(&self) -> Vec<NodeId> {
        let others = self.configuration.voters.iter().copied();
        others.filter(|node| *node != self.me).collect()
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        assert!(to != self.me, "a node does not write to itself");
        self.out.push(Output::Send { to, message });
    }

    pub(crate) fn trace(&mut self, event: Event) {
        self.out.push(Output::Trace(event));
    }

    /// Stops for good. Nothing else of this step leaves.
    pub(crate) fn halt(&mut self, reason: HaltReason) {
        if self.halted {
            return;
        }
        self.halted = true;
        self.out.clear();
        self.out.push(Output::Halt { reason });
    }
}

/// Leaves out what follows the first `Seal` that is new here. It belongs to the next epoch, in
/// which this node takes part once that is active.
fn cut_after_seal(entries: &mut Vec<Entry>, decided: Slot) {
    let seal = |entry: &Entry| entry.kind == EntryKind::Seal && entry.slot > decided;
    if let Some(index) = entries.iter().position(seal) {
        entries.truncate(index.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::{Ballot, Epoch, NodeId, Round, Slot};
    use crate::limits::ROUND_MAX;
    use crate::message::{CatchUp, Message, Nack, Ping, Prepare};
    use crate::output::{HaltReason, Output};
    use crate::testing::{Bench, ballot, entries, halted, pong, sent, slot};

    #[test]
    fn an_own_ballot_from_elsewhere_halts() {
        let mut bench = Bench::new(3);
        let mine = ballot(7, 1);
        let out = bench.receive(2, Message::Pong(pong(1, mine)));
        let reason = HaltReason::DuplicateIdentity { ballot: mine };
        assert_eq!(out, [Output::Halt { reason }]);
        let ping = Ping {
            epoch: Epoch::FIRST,
            round: 1,
            decided: Slot::GENESIS,
            disk_seq: crate::ids::DiskSeq(0),
        };
        assert!(
            bench.receive(2, Message::Ping(ping)).is_empty(),
            "a halted core is silent"
        );
    }

    #[test]
    fn other_epochs_strangers_and_absurd_rounds_are_ignored() {
        let mut bench = Bench::new(3);
        let later = Ballot {
            epoch: Epoch(2),
            round: Round(1),
            node: NodeId(2),
        };
        let absurd = ballot(u64::MAX, 2);
        let stranger = ballot(1, 9);
        let prepare = |ballot| {
            let from = slot(1);
            Message::Prepare(Prepare { ballot, from })
        };
        for (from, ballot) in [(2, absurd), (9, stranger), (3, ballot(1, 2))] {
            assert!(bench.receive(from, prepare(ballot)).is_empty(), "{ballot}");
        }
        // Of a later epoch this node knows nothing: it asks for the Seal, and promises nothing.
        let asked = CatchUp {
            epoch: Epoch::FIRST,
            from: slot(1),
        };
        let out = bench.receive(2, prepare(later));
        assert_eq!(sent(&out), [(2, Message::CatchUp(asked))]);
        assert_eq!(bench.core.status().promised, Ballot::ZERO);
    }

    /// The last round that can be is one; the next one is not.
    #[test]
    fn the_highest_round_counts() {
        let mut bench = Bench::new(3);
        for (round, promised) in [
            (ROUND_MAX.0 + 1, Ballot::ZERO),
            (ROUND_MAX.0, ballot(ROUND_MAX.0, 2)),
        ] {
            let (ballot, from) = (ballot(round, 2), slot(1));
            bench.receive(2, Message::Prepare(Prepare { ballot, from }));
            assert_eq!(bench.core.status().promised, promised);
        }
    }

    #[test]
    fn a_ballot_is_above_every_round_seen() {
        let mut bench = Bench::new(3);
        let nack = Nack {
            ballot: ballot(1, 2),
            promised: ballot(41, 3),
        };
        bench.receive(2, Message::Nack(nack));
        let out = bench.campaign(&[2, 3]);
        let is_above = |(_, message): &(u64, Message)| match message {
            Message::Prepare(prepare) => prepare.ballot == ballot(42, 1),
            _ => false,
        };
        assert!(sent(&out).iter().all(is_above), "{out:?}");
    }

    #[test]
    fn prepare_waits_for_the_own_promise() {
        let mut bench = Bench::new(3);
        for _ in 0..6 {
            let out = bench.round(&[2, 3]);
            assert!(sent(&out).is_empty(), "nothing before D1: {out:?}");
        }
        let out = bench.persisted();
        assert_eq!(sent(&out).len(), 2, "then both are asked");
    }

    #[test]
    fn a_row_of_an_unknown_own_ballot_halts() {
        let mut bench = Bench::new(3);
        let entries = entries(ballot(3, 1), 1, 0);
        let rows = crate::message::Rows {
            epoch: Epoch::FIRST,
            entries,
            decided: slot(1),
            compacted_to: Slot::GENESIS,
        };
        assert!(halted(&bench.receive(2, Message::Rows(rows))));
    }
}
