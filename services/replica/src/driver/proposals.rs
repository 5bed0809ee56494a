//! Clients' commands: gathered, proposed, followed until they are decided.
//!
//! Each command is in one of three places: gathered (no slot), in flight (a slot, undecided),
//! or decided, from where on the thread that applies answers it. Whoever is in the first two
//! when this replica stops leading is told so.

use std::collections::VecDeque;
use std::time::Instant;

use ops::traces::Live;
use paxos::entry::EntryKind;
use paxos::ids::{Millis, NodeId, ProposalToken, Slot};
use paxos::input::Input;
use paxos::output::{Output, RejectReason};
use proto::v1::not_accepted::Reason;
use proto::v1::progress::Stage;

use super::{Driver, wall_clock};
use crate::failpoints;
use crate::gather::{Batch, Gather};
use crate::limits::UNSETTLED_WAIT;
use crate::metrics::{METRICS, Step};
use crate::waiters::{Key, Submission};

/// The proposals of this replica.
#[derive(Debug)]
pub(super) struct Proposals {
    gather: Gather,
    last_token: ProposalToken,
    /// Given to the core in this turn; its answers are among the outputs to be executed.
    offered: VecDeque<(ProposalToken, Batch)>,
    /// Proposed at the present ballot and undecided, in slot order.
    in_flight: VecDeque<InFlight>,
    /// Since when the core puts offers off, because an epoch or a lead is changing hands.
    put_off: Option<Instant>,
}

/// A batch in a slot that is not decided.
#[derive(Debug)]
struct InFlight {
    slot: Slot,
    keys: Vec<Key>,
    since: Instant,
    /// End when it is decided, or given up here.
    _traces: Vec<Live>,
}

/// How the core answered an offer.
#[derive(PartialEq, Eq)]
enum Answered {
    Placed,
    Full,
    Refused,
}

impl Proposals {
    pub(super) fn new() -> Self {
        Self {
            gather: Gather::default(),
            last_token: ProposalToken(0),
            offered: VecDeque::new(),
            in_flight: VecDeque::new(),
            put_off: None,
        }
    }

    /// A token that no other proposal has.
    pub(super) const fn next_token(&mut self) -> ProposalToken {
        self.last_token = ProposalToken(self.last_token.0 + 1);
        self.last_token
    }

    /// Slots proposed here, or about to be, that are not decided.
    fn undecided_slots(&self) -> u64 {
        (self.in_flight.len() + self.offered.len()) as u64
    }

    /// The batch that was offered under a token.
    fn take_offered(&mut self, token: ProposalToken) -> Option<Batch> {
        self.offered
            .pop_front_if(|(offered, _)| *offered == token)
            .map(|(_, batch)| batch)
    }
}

impl Driver {
    /// Enters commands as waiting and gathers those that are new.
    pub(super) fn take_submissions(&mut self, group: Vec<Submission>) {
        let fresh = self.waiters.enter(group);
        let mut refused = Vec::new();
        for command in fresh {
            refused.extend(self.proposals.gather.push(command));
        }
        if !refused.is_empty() {
            self.waiters.refuse(&refused, Reason::Overloaded, None);
        }
    }

    /// Proposes what is gathered, as far as it is time for it.
    pub(super) fn propose(&mut self, now: Millis) {
        while let Some(batch) = self
            .proposals
            .gather
            .next_batch(self.proposals.undecided_slots())
        {
            failpoints::pass(failpoints::BEFORE_PROPOSE);
            if self.offer(now, batch) != Answered::Placed {
                return;
            }
            failpoints::pass(failpoints::AFTER_PROPOSE_BEFORE_SEND);
        }
    }

    fn offer(&mut self, now: Millis, batch: Batch) -> Answered {
        let _span = tracing::debug_span!(
            "propose",
            commands = batch.keys.len(),
            bytes = batch.payload.len()
        )
        .entered();
        let token = self.proposals.next_token();
        let traced: Vec<_> = batch.traces.iter().map(Live::context).collect();
        let propose = Input::Propose {
            token,
            kind: EntryKind::Batch,
            payload: batch.payload.clone(),
            wall_clock: wall_clock(),
        };
        self.proposals.offered.push_back((token, batch));
        let before = self.out.len();
        self.step(now, propose);
        let answer = self
            .out
            .iter()
            .skip(before)
            .find_map(|output| match output {
                // Before its rows are sent and written, which is when they are looked up.
                Output::Proposed { slot, ballot, .. } => {
                    self.traces.note_proposed(*slot, *ballot, &traced);
                    Some(Answered::Placed)
                }
                Output::Rejected {
                    reason: RejectReason::WindowFull | RejectReason::Unsettled,
                    ..
                } => Some(Answered::Full),
                Output::Rejected { .. } => Some(Answered::Refused),
                _ => None,
            });
        // A halted core answers nothing; the process ends with this turn.
        answer.unwrap_or(Answered::Refused)
    }

    /// The core gave a batch a slot.
    pub(super) fn on_proposed(&mut self, token: ProposalToken, slot: Slot) {
        if self.answer_proposal(token, Ok(slot)) {
            return;
        }
        self.proposals.put_off = None;
        let Some(batch) = self.proposals.take_offered(token) else {
            return;
        };
        for trace in &batch.traces {
            trace.span().record("slot", slot.0);
        }
        self.waiters.progress(&batch.keys, slot, Stage::Proposed);
        METRICS.step(Step::Gather, batch.since);
        METRICS.batch(batch.keys.len());
        self.proposals.in_flight.push_back(InFlight {
            slot,
            keys: batch.keys,
            since: Instant::now(),
            _traces: batch.traces,
        });
    }

    /// The core gave it none.
    pub(super) fn on_rejected(&mut self, token: ProposalToken, reason: RejectReason) {
        if self.answer_proposal(token, Err(reason)) {
            return;
        }
        let Some(batch) = self.proposals.take_offered(token) else {
            return;
        };
        let (reason, leader) = match reason {
            RejectReason::WindowFull => {
                self.proposals.gather.give_back(batch);
                return;
            }
            RejectReason::Unsettled => {
                let since = *self.proposals.put_off.get_or_insert_with(Instant::now);
                if since.elapsed() < UNSETTLED_WAIT {
                    self.proposals.gather.give_back(batch);
                    return;
                }
                (Reason::NotLeader, None)
            }
            RejectReason::NotLeader { leader } => self.not_leader(leader),
            RejectReason::NoQuorum => (Reason::NoQuorum, None),
            RejectReason::TooLarge => (Reason::TooLarge, None),
            RejectReason::NoSpace => (Reason::NoSpace, None),
            // Answers to a change of voters, not to a batch: whoever waits tries again.
            RejectReason::EpochChanged { .. } | RejectReason::BadVoters => {
                (Reason::Overloaded, None)
            }
        };
        self.proposals.put_off = None;
        self.waiters.refuse(&batch.keys, reason, leader);
        // The same holds for all that wait behind it, if it is not about this batch.
        if reason != Reason::TooLarge {
            let keys = self.proposals.gather.drain();
            self.waiters.refuse(&keys, reason, leader);
        }
    }

    /// The commit index rose: what is in flight up to it will be applied here.
    pub(super) fn on_decided(&mut self, decided: Slot) {
        while let Some(batch) = self
            .proposals
            .in_flight
            .pop_front_if(|batch| batch.slot <= decided)
        {
            METRICS.step(Step::Decide, batch.since);
            self.waiters
                .progress(&batch.keys, batch.slot, Stage::Chosen);
        }
    }

    /// This replica stopped leading: the fate of what is undecided is not known here.
    pub(super) fn on_stepped_down(&mut self) {
        let (reason, leader) = self.not_leader(self.core.status().leader);
        let mut keys = self.proposals.gather.drain();
        keys.extend(
            self.proposals
                .in_flight
                .drain(..)
                .flat_map(|batch| batch.keys),
        );
        self.waiters.refuse(&keys, reason, leader);
    }

    /// This replica leads but reaches no majority: those who wait are told so now. What is in
    /// flight stays, and is decided when a majority is back; a retry then takes no effect twice.
    pub(super) fn on_no_quorum(&mut self) {
        let mut keys = self.proposals.gather.drain();
        for batch in &mut self.proposals.in_flight {
            keys.append(&mut batch.keys);
        }
        self.waiters.refuse(&keys, Reason::NoQuorum, None);
    }

    /// Without a leader and without a majority nobody else can take a command either.
    fn not_leader(&self, leader: Option<NodeId>) -> (Reason, Option<NodeId>) {
        let leader = leader.filter(|node| *node != self.core.status().node);
        if leader.is_none() && !self.core.status().quorum_connected {
            (Reason::NoQuorum, None)
        } else {
            (Reason::NotLeader, leader)
        }
    }
}
