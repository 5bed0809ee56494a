//! Whether this disk may vote: what others have seen of it, and what is damaged on it.
//!
//! Reads: `Hello`, `HelloReply`, the transaction counts in votes. Emits: `Hello`, `HelloReply`,
//! `Halt` on a disk that was turned back.
//! Invariants: I13; nothing is promised or accepted before a majority has answered; nothing is
//! promised while a row is damaged. Tests: below, tests/simulator
//!
//! Best effort: only what some answering peer has seen is caught (section 2.9 of the design).
//! Damaged rows: Alagappan et al., *Protocol-Aware Recovery* (FAST 2018).

use alloc::collections::{BTreeMap, BTreeSet};

use crate::core::Core;
use crate::ids::{DiskSeq, Millis, NodeId, Slot};
use crate::limits::{ADMISSION_WAIT_MS, WITNESS_IDLE_STEP, WITNESS_STEP};
use crate::message::{Hello, HelloReply, Message};
use crate::output::{Event, HaltReason, PersistOp};

/// What is known of disks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Admission {
    /// The transaction count of this disk when the process started.
    started_at: DiskSeq,
    /// When that was.
    started: Millis,
    /// Voters that know of no later one.
    answered: BTreeSet<NodeId>,
    /// They are a majority with this node.
    admitted: bool,
    /// The highest counts seen in votes of other nodes.
    witnessed: BTreeMap<NodeId, Witnessed>,
    /// `Hello` is due at the next tick.
    pub(crate) due: bool,
}

/// What is known of one other disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Witnessed {
    seen: DiskSeq,
    /// As it was last written down here.
    written: DiskSeq,
}

impl Admission {
    /// Nobody has answered yet.
    pub(crate) fn new(
        started_at: DiskSeq,
        witnessed: BTreeMap<NodeId, DiskSeq>,
        started: Millis,
    ) -> Self {
        let known = |(node, seen)| {
            let written = seen;
            (node, Witnessed { seen, written })
        };
        Self {
            started_at,
            started,
            answered: BTreeSet::new(),
            admitted: false,
            witnessed: witnessed.into_iter().map(known).collect(),
            due: true,
        }
    }

    /// For `model`: a disk of which nothing was seen is none.
    #[cfg(feature = "model")]
    pub(crate) fn forget_unseen(&mut self) {
        self.witnessed.retain(|_, known| known.seen > DiskSeq(0));
    }

    /// Whether a majority knows of no later state of this disk.
    pub(crate) const fn is_admitted(&self) -> bool {
        self.admitted
    }
}

impl Core {
    /// Whether this node may promise, accept and lead in the active epoch. Not while it hears of a
    /// later one: nothing more is decided in this one, and a majority whose disks were all turned
    /// back to it must not begin it again.
    pub(crate) fn may_vote(&self) -> bool {
        self.is_voter() && self.admission.is_admitted() && !self.is_overtaken()
    }

    /// Whether this node may promise, and so lead: no row is unreadable that its vote may have
    /// made chosen.
    pub(crate) fn may_promise(&self) -> bool {
        self.may_vote() && self.acceptor.damaged.is_empty()
    }

    /// Whether this node may learn, which it writes down. A voter waits until it is admitted: the
    /// writes would raise the count of a disk that was turned back, and hide after one more
    /// restart that it was. In an epoch that is over nobody answers its `Hello`.
    pub(crate) fn may_learn(&self) -> bool {
        !self.is_voter() || self.admission.is_admitted() || self.is_overtaken()
    }

    /// Asks those that have not answered; once a round, and at the start. Also after a majority
    /// has: only who led or wanted to lead has seen votes, and that may be one of the others.
    pub(crate) fn send_hello(&mut self) {
        self.admission.due = false;
        self.admit_if_answered();
        if !self.is_voter() {
            return;
        }
        let answered = self.admission.answered.clone();
        let hello = Hello {
            epoch: self.configuration.epoch,
            disk_seq: self.admission.started_at,
        };
        for peer in self.peers() {
            if !answered.contains(&peer) {
                self.send(peer, Message::Hello(hello));
            }
        }
    }

    /// A voter has started. Answered from the first moment on, or a cluster that lost its power
    /// would wait for itself.
    pub(crate) fn on_hello(&mut self, from: NodeId, hello: Hello) {
        let known = self.admission.witnessed.get(&from);
        let seen = known.map_or(DiskSeq(0), |witnessed| witnessed.seen);
        let reply = HelloReply {
            epoch: hello.epoch,
            disk_seq: hello.disk_seq,
            seen,
        };
        self.send(from, Message::HelloReply(reply));
    }

    /// What a voter has seen of this disk.
    pub(crate) fn on_hello_reply(&mut self, from: NodeId, reply: HelloReply) {
        // Before it was admitted this process has not voted, however much it has written: what
        // others have seen is from before its start. A later answer may count its own votes.
        let (own, seen) = (self.disk_seq_told(), reply.seen);
        if seen > own {
            let peer = from;
            self.halt(HaltReason::DiskTurnedBack { own, seen, peer });
            return;
        }
        if reply.disk_seq != self.admission.started_at {
            return;
        }
        self.admission.answered.insert(from);
        self.admit_if_answered();
    }

    /// Admits this node when all have answered, or a majority and the others had their time.
    fn admit_if_answered(&mut self) {
        if self.admission.admitted || !self.is_voter() {
            return;
        }
        let voters = &self.configuration.voters;
        let answers = self.admission.answered.intersection(voters).count();
        let count = answers.saturating_add(1);
        let waited = self.now.since(self.admission.started) >= ADMISSION_WAIT_MS;
        if self.quorum.elects(count) && (waited || count == voters.len()) {
            self.admission.admitted = true;
            self.trace(Event::Admitted);
        }
    }

    /// The count of this disk that others may hold against a later start. Before it is admitted
    /// this process raises the count by what it learns, and votes with none of it.
    pub(crate) fn disk_seq_told(&self) -> DiskSeq {
        if self.admission.is_admitted() {
            self.durable.disk_seq()
        } else {
            self.admission.started_at
        }
    }

    /// A vote of a peer's disk was seen.
    pub(crate) fn witness(&mut self, node: NodeId, disk_seq: DiskSeq) {
        let fresh = Witnessed {
            seen: disk_seq,
            written: DiskSeq(0),
        };
        let known = self.admission.witnessed.entry(node).or_insert(fresh);
        known.seen = known.seen.max(disk_seq);
    }

    /// Disks that vote no more are forgotten.
    pub(crate) fn forget_strangers(&mut self) {
        let voters = &self.configuration.voters;
        self.admission
            .witnessed
            .retain(|node, _| voters.contains(node));
    }

    /// Writes down what was seen, along with other writes: what moved on by a step, a smaller one
    /// when the disk has nothing else to do.
    pub(crate) fn write_witnessed(&mut self, idle: bool) {
        let step = if idle {
            WITNESS_IDLE_STEP
        } else {
            WITNESS_STEP
        };
        for (node, known) in &mut self.admission.witnessed {
            if known.seen.0.saturating_sub(known.written.0) >= step {
                known.written = known.seen;
                self.durable.write(PersistOp::Witness {
                    node: *node,
                    disk_seq: known.seen,
                });
            }
        }
    }

    /// The rows of these slots are whole again: overwritten, at a ballot that is promised, or
    /// decided. What they held before no longer matters, exactly as for any acceptor.
    pub(crate) fn note_whole(&mut self, from: Slot, upto: Slot) {
        if self.acceptor.damaged.is_empty() {
            return;
        }
        self.acceptor
            .damaged
            .retain(|slot| *slot < from || *slot > upto);
        if self.acceptor.damaged.is_empty() {
            self.trace(Event::Repaired);
        }
    }
}

#[cfg(test)]
mod tests;
