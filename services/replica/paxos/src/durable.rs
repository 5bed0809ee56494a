//! Persist batches, and the messages that wait for them inside the core.
//!
//! Reads: `Persisted`. Emits: one `Persist` for each step that changes durable state; then,
//! once it is done, the `Promise` and `Accepted` messages that depend on it.
//! Invariants: D1, D2, D3, I6. Tests: below and tests/simulator

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::core::Core;
use crate::ids::{Ballot, DiskSeq, Epoch, Millis, NodeId, PersistSeq, Slot};
use crate::limits::{DECIDED_MARK_SLOTS_MAX, HELD_MAX, LATENCY_SAMPLES, PERSISTS_IN_FLIGHT_MAX};
use crate::message::{Accepted, Message, Promise};
use crate::output::{Output, PersistOp};

/// What happens when a persist request is done.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Held {
    /// This ballot is durably promised. If it is the candidate's own, phase 1 begins.
    Promised(Ballot),
    /// This epoch is durably active.
    Activated(Epoch),
    /// A page for the candidate.
    Promise {
        /// The candidate.
        to: NodeId,
        /// The page.
        page: Promise,
    },
    /// The rows up to a slot are durably accepted: tell the ballot's owner, or count it here.
    Accepted {
        /// The ballot at which they were accepted.
        ballot: Ballot,
        /// The last of them.
        upto: Slot,
    },
}

#[cfg(feature = "model")]
impl Held {
    /// For `model`: promises first, then their pages, then votes.
    const fn order(&self) -> (u8, u64, u64, u64) {
        match self {
            Self::Promised(ballot) => (0, ballot.epoch.0, ballot.round.0, ballot.node.0),
            Self::Activated(epoch) => (0, epoch.0, 0, 0),
            Self::Promise { to, page } => (1, to.0, page.decided.0, page.page as u64),
            Self::Accepted { ballot, upto } => (2, ballot.round.0, ballot.node.0, upto.0),
        }
    }
}

/// The requests to the disk of one process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Durable {
    /// What this step writes. Becomes one request when the step ends.
    ops: Vec<PersistOp>,
    /// The last request handed out.
    last: PersistSeq,
    /// The last request that is done. Requests are done in order.
    done: PersistSeq,
    /// When each request under way was handed out.
    in_flight: VecDeque<(PersistSeq, Millis)>,
    /// What waits, in the order of requests.
    held: VecDeque<(PersistSeq, Held)>,
    /// The last latencies, in milliseconds.
    samples: VecDeque<u64>,
    /// The commit index last written.
    marked: Slot,
    /// The disk's transaction count as of `done`.
    disk_seq: DiskSeq,
}

impl Durable {
    /// Nothing is under way; the disk knows the commit index `marked`.
    pub(crate) const fn new(marked: Slot, disk_seq: DiskSeq) -> Self {
        Self {
            ops: Vec::new(),
            last: PersistSeq(0),
            done: PersistSeq(0),
            in_flight: VecDeque::new(),
            held: VecDeque::new(),
            samples: VecDeque::new(),
            marked,
            disk_seq,
        }
    }

    /// A write of this step tells the disk this commit index.
    pub(crate) fn mark(&mut self, decided: Slot) {
        self.marked = self.marked.max(decided);
    }

    /// The last request that is done.
    pub(crate) const fn done(&self) -> PersistSeq {
        self.done
    }

    /// The disk's transaction count, as of what is done.
    pub(crate) const fn disk_seq(&self) -> DiskSeq {
        self.disk_seq
    }

    /// The request that makes durable what this step writes.
    pub(crate) const fn next(&self) -> PersistSeq {
        PersistSeq(self.last.0.saturating_add(1))
    }

    /// Adds a write to this step's request.
    pub(crate) fn write(&mut self, op: PersistOp) {
        assert!(
            self.in_flight.len() <= PERSISTS_IN_FLIGHT_MAX.saturating_mul(2),
            "disk queue"
        );
        self.ops.push(op);
    }

    /// Whether one more message may cause a write.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < PERSISTS_IN_FLIGHT_MAX && self.held.len() < HELD_MAX
    }

    /// The median of the recent commit latencies, or the age of the oldest request if that is
    /// longer: a stalled disk is slow before it answers.
    pub(crate) fn latency_ms(&self, now: Millis) -> u64 {
        let mut sorted: Vec<u64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        median.max(self.oldest_ms(now))
    }

    /// The age of the oldest request under way, in milliseconds.
    pub(crate) fn oldest_ms(&self, now: Millis) -> u64 {
        let oldest = self.in_flight.front();
        oldest.map_or(0, |(_, since)| now.since(*since))
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.ops.is_empty()
    }

    /// What everything written so far waits for; `None` if it is done already.
    fn barrier(&self) -> Option<PersistSeq> {
        let seq = if self.ops.is_empty() {
            self.last
        } else {
            self.next()
        };
        assert!(seq >= self.done, "nothing is done before it was asked for");
        (seq > self.done).then_some(seq)
    }

    /// How many messages wait.
    pub(crate) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// For `model`: counts requests from the last one that is done, which is answered, forgets
    /// how long they took, and the same thing waiting twice: the later one says nothing that the
    /// earlier one does not. What waits for the same request leaves in the same step, so its
    /// order is of no importance.
    #[cfg(feature = "model")]
    pub(crate) fn forget_timing(&mut self) -> PersistSeq {
        let done = self.done;
        let since = |seq: PersistSeq| PersistSeq(seq.0.saturating_sub(done.0));
        self.samples.clear();
        (self.last, self.done) = (since(self.last), since(done));
        self.in_flight
            .iter_mut()
            .for_each(|(seq, _)| *seq = since(*seq));
        let mut held: Vec<(PersistSeq, Held)> = Vec::new();
        for (seq, waits) in core::mem::take(&mut self.held) {
            if held.iter().all(|(_, other)| *other != waits) {
                held.push((since(seq), waits));
            }
        }
        held.sort_by_key(|(seq, held)| (*seq, held.order()));
        self.held = held.into();
        done
    }

    fn note_done(&mut self, seq: PersistSeq, now: Millis) {
        assert!(seq <= self.last, "only what was handed out is done");
        while let Some((first, since)) = self.in_flight.front().copied() {
            if first > seq {
                break;
            }
            self.in_flight.pop_front();
            self.samples.push_back(now.since(since));
            if self.samples.len() > LATENCY_SAMPLES {
                self.samples.pop_front();
            }
        }
        self.done = self.done.max(seq);
    }

    fn next_released(&mut self) -> Option<Held> {
        match self.held.front() {
            Some((seq, _)) if *seq <= self.done => self.held.pop_front().map(|(_, held)| held),
            _ => None,
        }
    }
}

impl Core {
    /// Does `held` when everything written so far is durable.
    pub(crate) fn hold(&mut self, held: Held) {
        let Some(seq) = self.durable.barrier() else {
            self.release(held);
            return;
        };
        let last = self.durable.held.back();
        assert!(
            last.is_none_or(|(before, _)| *before <= seq),
            "held in the order of requests"
        );
        if last.is_none_or(|(before, other)| *before != seq || *other != held) {
            self.durable.held.push_back((seq, held));
        }
    }

    /// All requests up to `seq` are durable.
    pub(crate) fn on_persisted(&mut self, seq: PersistSeq, disk_seq: DiskSeq) {
        self.durable.note_done(seq, self.now);
        self.durable.disk_seq = self.durable.disk_seq.max(disk_seq);
        while let Some(held) = self.durable.next_released() {
            self.release(held);
        }
        assert!(self.durable.done >= seq, "completions are cumulative");
    }

    /// Sends or counts what became durable, unless a higher ballot was promised meanwhile: then
    /// the view that a promise froze, or the ballot of an acceptance, is void.
    fn release(&mut self, held: Held) {
        match held {
            Held::Promised(ballot) => {
                self.acceptor.durable = self.acceptor.durable.max(ballot);
                if ballot == self.acceptor.promised {
                    self.on_own_promise_durable(ballot);
                }
            }
            Held::Activated(epoch) => self.on_activated(epoch),
            Held::Promise { to, mut page } => {
                if self.is_current(page.ballot) {
                    assert!(
                        self.acceptor.durable >= page.ballot,
                        "promised before told (D1)"
                    );
                    page.disk_seq = self.durable.disk_seq;
                    self.send(to, Message::Promise(page));
                }
            }
            Held::Accepted { ballot, upto } => {
                if self.is_current(ballot) {
                    assert!(
                        self.acceptor.durable >= ballot,
                        "promised before accepted (D2)"
                    );
                    if ballot.node == self.me {
                        self.on_own_accepted(ballot, upto);
                    } else {
                        let disk_seq = self.durable.disk_seq;
                        let accepted = Accepted {
                            ballot,
                            upto,
                            disk_seq,
                        };
                        self.send(ballot.node, Message::Accepted(accepted));
                    }
                }
            }
        }
    }

    /// Whether a vote at this ballot still counts: nothing higher was promised, and its epoch
    /// is not over (D7).
    fn is_current(&self, ballot: Ballot) -> bool {
        ballot == self.acceptor.promised && ballot.epoch == self.configuration.epoch
    }

    /// Hands out what this step wrote as one request. The commit index goes along for free.
    pub(crate) fn flush(&mut self) {
        let decided = self.log.decided();
        let behind = decided.distance_above(self.durable.marked);
        if behind > 0 && (!self.durable.ops.is_empty() || behind >= DECIDED_MARK_SLOTS_MAX) {
            self.mark_decided();
        }
        if self.durable.ops.is_empty() {
            return;
        }
        self.write_witnessed(false);
        let seq = self.durable.next();
        let ops = core::mem::take(&mut self.durable.ops);
        self.durable.last = seq;
        self.durable.in_flight.push_back((seq, self.now));
        self.out.push(Output::Persist { seq, ops });
        assert!(self.durable.done < seq, "a new request is not done");
    }

    /// Writes the commit index, and what was seen of other disks, if this one has nothing else
    /// to do: at most once a round.
    pub(crate) fn mark_decided_when_idle(&mut self) {
        if !self.durable.is_idle() {
            return;
        }
        self.mark_decided_if_behind();
        self.write_witnessed(true);
    }

    /// Writes the commit index if the disk does not know it.
    pub(crate) fn mark_decided_if_behind(&mut self) {
        if self.log.decided() > self.durable.marked {
            self.mark_decided();
        }
    }

    /// The rows up to the commit index are in this request or an earlier one (D4).
    fn mark_decided(&mut self) {
        let slot = self.log.decided();
        assert!(slot > self.durable.marked, "the mark only rises");
        self.durable.marked = slot;
        self.durable.write(PersistOp::Decided {
            slot,
            chain: self.log.chain(),
        });
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Durable, Held};
    use crate::ids::{DiskSeq, Millis, PersistSeq, Slot};
    use crate::input::Input;
    use crate::limits::{HELD_MAX, LATENCY_SAMPLES, PERSISTS_IN_FLIGHT_MAX};
    use crate::message::Message;
    use crate::output::{Output, PersistOp};
    use crate::testing::{Bench, accept, ballot, entries, sent, slot, written};

    #[test]
    fn latency_is_the_median_or_the_age_of_what_is_stuck() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        for seq in 1..=LATENCY_SAMPLES as u64 {
            durable.last = PersistSeq(seq);
            durable
                .in_flight
                .push_back((PersistSeq(seq), Millis(100 * seq)));
            let slow = if seq == 3 { 90 } else { 2 };
            durable.note_done(PersistSeq(seq), Millis(100 * seq + slow));
        }
        assert_eq!(durable.latency_ms(Millis(5_000)), 2);
        durable.last = PersistSeq(100);
        durable
            .in_flight
            .push_back((PersistSeq(100), Millis(5_000)));
        assert_eq!(durable.latency_ms(Millis(5_700)), 700);
    }

    /// Property: of few samples it is the middle one, not the first or the last.
    #[test]
    fn the_median_of_five_is_the_third() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        durable.samples = [40, 3, 9, 7, 50].into();
        assert_eq!(durable.latency_ms(Millis(0)), 9);
    }

    /// Property: so many samples count, and the oldest goes first.
    #[test]
    fn old_latencies_are_forgotten() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        for seq in 1..=LATENCY_SAMPLES as u64 + 2 {
            durable.last = PersistSeq(seq);
            durable.in_flight.push_back((PersistSeq(seq), Millis(0)));
            durable.note_done(PersistSeq(seq), Millis(seq));
        }
        let kept: Vec<u64> = durable.samples.iter().copied().collect();
        let wanted: Vec<u64> = (3..=LATENCY_SAMPLES as u64 + 2).collect();
        assert_eq!(kept, wanted);
    }

    /// Property: a disk with a write under way is not idle, nor is a step that has one to make.
    #[test]
    fn idle_is_neither_writing_nor_about_to() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        assert!(durable.is_idle());
        durable.ops.push(PersistOp::Decided {
            slot: Slot::FIRST,
            chain: crate::Chain::GENESIS,
        });
        assert!(!durable.is_idle(), "about to write");
        durable.ops.clear();
        durable.in_flight.push_back((PersistSeq(1), Millis(0)));
        assert!(!durable.is_idle(), "writing");
    }

    /// Property: messages that wait for the disk are bounded like the writes that they wait for.
    #[test]
    fn what_waits_is_bounded() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        let waits = || (PersistSeq(1), Held::Activated(crate::Epoch::FIRST));
        durable.held = (0..HELD_MAX - 1).map(|_| waits()).collect();
        assert!(durable.has_room());
        durable.held.push_back(waits());
        assert!(!durable.has_room(), "full is full");
        assert_eq!(durable.held_len(), HELD_MAX);
    }

    /// The numbers of slots that were acknowledged to node 2, in order.
    fn acknowledged(outputs: &[Output]) -> Vec<u64> {
        let upto = |(to, message)| match message {
            Message::Accepted(accepted) if to == 2 => Some(accepted.upto.0 - Slot::GENESIS.0),
            _ => None,
        };
        sent(outputs).into_iter().filter_map(upto).collect()
    }

    /// D2: an acknowledgement waits for its own write, not for an earlier one, and is given once
    /// however often it was asked for meanwhile.
    #[test]
    fn each_acknowledgement_waits_for_its_own_write() {
        let (mut bench, b) = (Bench::new(3), ballot(1, 2));
        let log = entries(b, 2, 0);
        let mut request = |upto: usize| {
            let out = bench.receive(2, accept(b, &log[..upto], 0));
            assert_eq!(acknowledged(&out), []);
            out.iter().find_map(|output| match output {
                Output::Persist { seq, .. } => Some(*seq),
                _ => None,
            })
        };
        let first = request(1).expect("a row is written");
        assert_eq!(request(1), None, "once");
        let second = request(2).expect("another row is written");
        for (seq, upto) in [(first, 1), (second, 2)] {
            let disk_seq = DiskSeq(seq.0);
            let out = bench.give(Input::Persisted { seq, disk_seq });
            assert_eq!(acknowledged(&out), [upto]);
        }
    }

    /// The commit index goes along with the next write, or is written alone in a quiet round;
    /// either way once.
    #[test]
    fn the_commit_index_is_written_once() {
        let (mut bench, b) = (Bench::new(3), ballot(1, 2));
        let log = entries(b, 2, 0);
        let marks = |outputs: &[Output]| {
            let mark = |op| match op {
                PersistOp::Decided { slot, .. } => Some(slot),
                _ => None,
            };
            written(outputs)
                .into_iter()
                .filter_map(mark)
                .collect::<Vec<_>>()
        };
        assert_eq!(marks(&bench.receive(2, accept(b, &log[..1], 0))), []);
        assert_eq!(marks(&bench.receive(2, accept(b, &log, 1))), [slot(1)]);
        bench.persisted();
        assert_eq!(marks(&bench.receive(2, accept(b, &[], 2))), []);
        assert_eq!(marks(&bench.round(&[])), [slot(2)]);
        bench.persisted();
        assert_eq!(marks(&bench.round(&[])), []);
    }

    #[test]
    fn completions_are_cumulative() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        for seq in 1..=3 {
            durable.last = PersistSeq(seq);
            durable.in_flight.push_back((PersistSeq(seq), Millis(0)));
        }
        durable.note_done(PersistSeq(3), Millis(1));
        assert!(durable.is_idle());
        assert_eq!(durable.done(), PersistSeq(3));
        assert_eq!(durable.barrier(), None);
    }

    /// Trap 30: a stalled disk makes a replica deaf, not large.
    #[test]
    fn a_stalled_disk_is_asked_for_a_bounded_number_of_writes() {
        let mut durable = Durable::new(Slot::GENESIS, DiskSeq(0));
        for seq in 1..=PERSISTS_IN_FLIGHT_MAX as u64 {
            assert!(durable.has_room());
            durable.last = PersistSeq(seq);
            durable.in_flight.push_back((PersistSeq(seq), Millis(0)));
        }
        assert!(!durable.has_room());
        durable.note_done(PersistSeq(1), Millis(1));
        assert!(durable.has_room());
    }
}
