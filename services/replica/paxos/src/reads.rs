//! Linearizable reads: the leader confirms that nobody has overtaken it.
//!
//! Reads: `Read`, `Confirm`, `Confirmed`. Emits: `Confirm`, `Confirmed`, `ReadReady`,
//! `ReadRejected`.
//! Invariants: I15; the question is asked after the read arrived; a leader that knows a `Seal`
//! serves none. Tests: below, tests/simulator, tests/model
//!
//! Ongaro's dissertation, section 6.4 (read index), with one round for all reads that wait.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::ids::{NodeId, ReadToken, Slot};
use crate::limits::READS_MAX;
use crate::message::{Confirm, Confirmed, Message, Nack};
use crate::output::{Output, RejectReason};

/// The reads of one leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reads {
    /// Counts the questions of this process.
    sequence: u64,
    /// Arrived while a question was under way: the next one is for them.
    waiting: Vec<ReadToken>,
    /// The question under way.
    asked: Option<Asked>,
}

/// One question to all voters, for all reads that had arrived before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    tokens: Vec<ReadToken>,
    /// The commit index when it was asked.
    slot: Slot,
    /// Who has promised nothing higher, this node not counted.
    confirmed: BTreeSet<NodeId>,
}

impl Reads {
    fn len(&self) -> usize {
        let asked = self.asked.as_ref().map_or(0, |asked| asked.tokens.len());
        self.waiting.len().saturating_add(asked)
    }

    /// Takes everything that waits.
    fn drain(&mut self) -> Vec<ReadToken> {
        let mut tokens = self
            .asked
            .take()
            .map(|asked| asked.tokens)
            .unwrap_or_default();
        tokens.append(&mut self.waiting);
        tokens
    }
}

impl Core {
    /// A client wants to read.
    pub(crate) fn on_read(&mut self, token: ReadToken) {
        if let Some(reason) = self.read_refusal() {
            self.out.push(Output::ReadRejected { token, reason });
            return;
        }
        self.reads.waiting.push(token);
        self.ask_for_reads();
    }

    fn read_refusal(&self) -> Option<RejectReason> {
        let Role::Leader(leader) = &self.role else {
            return Some(self.no_leader_here());
        };
        if leader.sealed.is_some() {
            Some(RejectReason::Unsettled)
        } else if self.election.is_disconnected() {
            Some(RejectReason::NoQuorum)
        } else if self.reads.len() >= READS_MAX {
            Some(RejectReason::WindowFull)
        } else {
            None
        }
    }

    /// Asks all voters, for all that wait, unless a question is under way or what earlier
    /// leaders may have acknowledged is not decided yet.
    pub(crate) fn ask_for_reads(&mut self) {
        let decided = self.log.decided();
        let settled = matches!(&self.role, Role::Leader(leader) if decided >= leader.settled);
        if !settled || self.reads.asked.is_some() || self.reads.waiting.is_empty() {
            return;
        }
        self.reads.sequence = self.reads.sequence.saturating_add(1);
        self.reads.asked = Some(Asked {
            tokens: core::mem::take(&mut self.reads.waiting),
            slot: decided,
            confirmed: BTreeSet::new(),
        });
        self.send_confirm();
        self.answer_reads_if_confirmed();
    }

    /// Sends the question, or sends it again once a round.
    pub(crate) fn send_confirm(&mut self) {
        let (Some(ballot), Some(asked)) = (self.leading(), &self.reads.asked) else {
            return;
        };
        let confirm = Confirm {
            ballot,
            sequence: self.reads.sequence,
        };
        let done = asked.confirmed.clone();
        for peer in self.peers() {
            if !done.contains(&peer) {
                self.send(peer, Message::Confirm(confirm));
            }
        }
    }

    /// A leader asks whether this acceptor has promised anything above its ballot.
    pub(crate) fn on_confirm(&mut self, from: NodeId, confirm: Confirm) {
        let Confirm { ballot, sequence } = confirm;
        if ballot.node != from {
            return;
        }
        let promised = self.acceptor.promised;
        let answer = if promised > ballot {
            Message::Nack(Nack { ballot, promised })
        } else {
            Message::Confirmed(Confirmed { ballot, sequence })
        };
        self.send(from, answer);
    }

    /// An acceptor has promised nothing above this leader's ballot.
    pub(crate) fn on_confirmed(&mut self, from: NodeId, confirmed: Confirmed) {
        let current = confirmed.sequence == self.reads.sequence;
        if self.leading() != Some(confirmed.ballot) || !current {
            return;
        }
        if let Some(asked) = &mut self.reads.asked {
            asked.confirmed.insert(from);
            self.answer_reads_if_confirmed();
        }
    }

    /// Everything acknowledged before the question is decided here: a later leader would have
    /// needed a promise of somebody who has confirmed.
    fn answer_reads_if_confirmed(&mut self) {
        let Some(asked) = &self.reads.asked else {
            return;
        };
        if !self.quorum.elects(asked.confirmed.len().saturating_add(1)) {
            return;
        }
        if matches!(&self.role, Role::Leader(leader) if leader.sealed.is_some()) {
            self.reject_reads(RejectReason::Unsettled);
            return;
        }
        let Some(Asked { tokens, slot, .. }) = self.reads.asked.take() else {
            return;
        };
        assert!(
            slot <= self.log.decided(),
            "a read is answered from what is decided"
        );
        for token in tokens {
            self.out.push(Output::ReadReady { token, slot });
        }
        self.ask_for_reads();
    }

    /// Answers all reads that wait: they cannot be confirmed here any more.
    pub(crate) fn reject_reads(&mut self, reason: RejectReason) {
        for token in self.reads.drain() {
            self.out.push(Output::ReadRejected { token, reason });
        }
    }
}

#[cfg(test)]
mod tests;
