//! Phase 2, acceptor side: accepts entries in slot order within a ballot.
//!
//! Reads: `Accept`. Emits: `Persist`, then `Accepted`; or `Gap`, or `Nack`.
//! Invariants: D1, D2, R1, I3, I5, I14; a slot ≤ the commit index is never overwritten.
//! Tests: below and tests/simulator

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::core::Core;
use crate::durable::Held;
use crate::entry::Entry;
use crate::ids::{Ballot, NodeId, Slot};
use crate::limits::{ACCEPT_AHEAD_BYTES_MAX, ACCEPT_AHEAD_SLOTS_MAX};
use crate::message::{Accept, Gap, Message, Nack};
use crate::output::PersistOp;

/// What this node has promised, and how far it has accepted at that ballot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Acceptor {
    /// The highest ballot promised, durably or not yet. Never falls.
    pub(crate) promised: Ballot,
    /// The highest ballot promised durably.
    pub(crate) durable: Ballot,
    /// The rows of the promised ballot; `None` until its owner's first `Accept`.
    pub(crate) stream: Option<Stream>,
    /// Rows were refused for want of room: tell the leader when there is some again.
    pub(crate) starved: bool,
    /// The disk is nearly full: no new rows are taken.
    pub(crate) no_space: bool,
    /// Slots above the commit index whose rows are unreadable. Nothing is promised before each
    /// was overwritten: what they held may have been chosen by this acceptor's vote.
    pub(crate) damaged: BTreeSet<Slot>,
}

/// Acceptance in slot order at one ballot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stream {
    /// The ballot. Equal to `promised`.
    pub(crate) ballot: Ballot,
    /// Its first slot.
    pub(crate) base: Slot,
    /// All slots in `[base, upto]` are accepted at this ballot or decided; `base - 1` at first.
    pub(crate) upto: Slot,
    /// The highest commit index that the ballot's owner counted.
    pub(crate) decided: Slot,
}

impl Acceptor {
    /// After a start. Where the promised ballot begins is learned from its next `Accept`.
    pub(crate) const fn new(promised: Ballot, damaged: BTreeSet<Slot>) -> Self {
        Self {
            promised,
            durable: promised,
            stream: None,
            starved: false,
            no_space: false,
            damaged,
        }
    }
}

impl Core {
    /// Promises a higher ballot. Whatever this node did at a lower one ends here.
    pub(crate) fn promise_to(&mut self, ballot: Ballot) {
        assert!(ballot > self.acceptor.promised, "a promise only rises (I3)");
        assert!(
            ballot.epoch <= self.configuration.epoch,
            "ballots belong to the active epoch"
        );
        self.step_down();
        self.acceptor.promised = ballot;
        self.acceptor.stream = None;
        self.acceptor.starved = false;
        self.durable.write(PersistOp::Promise(ballot));
        self.hold(Held::Promised(ballot));
        self.on_new_promise();
    }

    /// Whether `ballot` is the promised one from now on. A lower one is refused, a higher one is
    /// promised.
    pub(crate) fn promises(&mut self, from: NodeId, ballot: Ballot) -> bool {
        let promised = self.acceptor.promised;
        if ballot < promised {
            self.send(from, Message::Nack(Nack { ballot, promised }));
            return false;
        }
        if ballot > promised {
            self.promise_to(ballot);
        }
        assert!(
            self.acceptor.promised == ballot,
            "only the promised ballot is accepted or answered"
        );
        true
    }

    /// A leader's entries, its commit index, or both.
    pub(crate) fn on_accept(&mut self, from: NodeId, accept: Accept) {
        let ballot = accept.ballot;
        if ballot.node != from || !is_well_formed(&accept) || !self.durable.has_room() {
            return;
        }
        if !self.promises(from, ballot) {
            return;
        }
        self.enter_stream(&accept);
        self.note_leader(ballot);
        self.election.stream_heard = self.now;
        self.accept_in_order(from, accept);
        self.learn_from_stream();
        self.fetch_below_base(from);
    }

    /// Opens the stream of the promised ballot, or notes what this `Accept` says of it.
    fn enter_stream(&mut self, accept: &Accept) {
        let ballot = self.acceptor.promised;
        let decided = self.log.decided();
        let (base, known) = match self.acceptor.stream {
            Some(stream) => (stream.base.max(accept.base), stream.decided),
            None => (accept.base, Slot::GENESIS),
        };
        let before = self
            .acceptor
            .stream
            .map_or(Slot::GENESIS, |stream| stream.upto);
        let mut upto = before.max(base.prev()).max(decided);
        // After a restart the rows of this ballot are here, but how far they reach is not known.
        while self
            .log
            .get(upto.next())
            .is_some_and(|entry| entry.ballot == ballot)
        {
            upto = upto.next();
        }
        assert!(upto >= before, "what was accepted stays accepted");
        let decided = known.max(accept.decided);
        self.acceptor.stream = Some(Stream {
            ballot,
            base,
            upto,
            decided,
        });
    }

    /// Takes the entries that are next in order.
    fn accept_in_order(&mut self, from: NodeId, accept: Accept) {
        let Some(stream) = self.acceptor.stream else {
            return;
        };
        let ballot = stream.ballot;
        let next = stream.upto.next();
        assert!(
            next > self.log.decided(),
            "acceptance starts above the commit index"
        );
        // Who can take nothing asks for nothing, or the leader would send its window each round.
        if accept.first > next && (self.acceptor.no_space || !self.log.has_room()) {
            self.acceptor.starved = true;
            return;
        }
        if accept.first > next {
            self.send(
                from,
                Message::Gap(Gap {
                    ballot,
                    expect: next,
                }),
            );
            return;
        }
        if accept.entries.is_empty() {
            return;
        }
        if let Some(slot) = self.conflict(&accept.entries) {
            self.on_difference(slot, from);
            return;
        }
        let mut fresh: Vec<Entry> = accept.entries;
        fresh.retain(|entry| entry.slot >= next);
        if let Some(last) = fresh.last().map(|entry| entry.slot) {
            if !self.has_room_for(last) {
                self.acceptor.starved = true;
                return;
            }
            self.write_rows(fresh);
            self.acceptor.stream = Some(Stream {
                upto: last,
                ..stream
            });
        }
        let upto = self
            .acceptor
            .stream
            .map_or(stream.upto, |stream| stream.upto);
        self.hold(Held::Accepted { ballot, upto });
    }

    /// The first entry that contradicts what this node has of the same ballot, or decided.
    fn conflict(&self, entries: &[Entry]) -> Option<Slot> {
        let differs = |entry: &&Entry| {
            let decided = self.log.chain_at(entry.slot);
            let same = self
                .log
                .get(entry.slot)
                .filter(|own| own.ballot == entry.ballot);
            decided.is_some_and(|chain| chain != entry.chain)
                || same.is_some_and(|own| own.chain != entry.chain)
        };
        entries.iter().find(differs).map(|entry| entry.slot)
    }

    /// Whether this replica may hold undecided rows up to `last`. One that lacks decided slots
    /// gets these first; one that cannot apply what is decided takes nothing new.
    fn has_room_for(&self, last: Slot) -> bool {
        let lacks = self
            .acceptor
            .stream
            .is_some_and(|s| s.decided > self.log.decided());
        last.distance_above(self.log.decided()) <= ACCEPT_AHEAD_SLOTS_MAX
            && (!lacks || self.log.undecided_bytes() <= ACCEPT_AHEAD_BYTES_MAX)
            && self.log.has_room()
            && !self.acceptor.no_space
    }

    /// Puts undecided rows into memory and into this step's request.
    pub(crate) fn write_rows(&mut self, entries: Vec<Entry>) {
        assert!(!entries.is_empty(), "a write has rows");
        let seq = self.durable.next();
        for entry in &entries {
            assert!(
                entry.ballot <= self.acceptor.promised,
                "a row is never above the promise"
            );
            self.log.put(entry.clone(), seq);
        }
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            self.note_whole(first.slot, last.slot);
        }
        self.durable.write(PersistOp::Accept(entries));
    }

    /// After rows were refused for want of room: asks the leader to go on where it stopped.
    pub(crate) fn ask_again_when_roomy(&mut self) {
        let Some(stream) = self.acceptor.stream else {
            return;
        };
        let expect = stream.upto.max(self.log.decided()).next();
        if self.acceptor.starved && stream.ballot.node != self.me && self.has_room_for(expect) {
            assert!(
                stream.ballot == self.acceptor.promised,
                "the stream is the promised one's"
            );
            self.acceptor.starved = false;
            self.send(
                stream.ballot.node,
                Message::Gap(Gap {
                    ballot: stream.ballot,
                    expect,
                }),
            );
        }
    }
}

/// Whether an `Accept` from the network makes sense by itself.
fn is_well_formed(accept: &Accept) -> bool {
    let mut slot = accept.first;
    let entries = accept.entries.iter().all(|entry| {
        let expected = slot;
        slot = slot.next();
        entry.slot == expected && entry.ballot == accept.ballot && entry.fits_limits()
    });
    entries
        && accept.base >= Slot::FIRST
        && accept.first >= accept.base
        && accept.decided >= accept.base.prev()
        && slot.0 < u64::MAX
}

#[cfg(test)]
mod limit_tests;

#[cfg(test)]
mod tests {
    use crate::ids::DiskSeq;
    use crate::message::{Accepted, Gap, Message, Nack, Prepare};
    use crate::testing::{Bench, accept, ballot, entries, sent, slot, wrote};

    #[test]
    fn accepted_leaves_when_the_rows_are_durable() {
        let (mut bench, b) = (Bench::new(3), ballot(1, 2));
        let out = bench.receive(2, accept(b, &entries(b, 2, 0), 0));
        assert!(wrote(&out) && sent(&out).is_empty());
        let accepted = Message::Accepted(Accepted {
            ballot: b,
            upto: slot(2),
            disk_seq: DiskSeq(0),
        });
        assert_eq!(sent(&bench.persisted()), [(2, accepted)]);
    }

    #[test]
    fn entries_are_accepted_in_order_only() {
        let (mut bench, b) = (Bench::new(3), ballot(1, 2));
        let rows = entries(b, 4, 0);
        let out = bench.receive(2, accept(b, &rows[2..], 0));
        assert_eq!(
            sent(&out),
            [(
                2,
                Message::Gap(Gap {
                    ballot: b,
                    expect: slot(1)
                })
            )]
        );
        bench.receive(2, accept(b, &rows[..2], 0));
        bench.receive(2, accept(b, &rows[1..], 0));
        let accepted = Message::Accepted(Accepted {
            ballot: b,
            upto: slot(4),
            disk_seq: DiskSeq(0),
        });
        assert_eq!(
            sent(&bench.persisted()).last(),
            Some(&(2, accepted.clone()))
        );
        let again = bench.receive(2, accept(b, &rows, 0));
        assert!(!wrote(&again), "what is here is not written again");
        assert_eq!(sent(&again), [(2, accepted)]);
    }

    #[test]
    fn a_lower_ballot_is_refused() {
        let (mut bench, high, low) = (Bench::new(3), ballot(2, 3), ballot(1, 2));
        bench.receive(
            3,
            Message::Prepare(Prepare {
                ballot: high,
                from: slot(1),
            }),
        );
        let nack = Message::Nack(Nack {
            ballot: low,
            promised: high,
        });
        let out = bench.receive(2, accept(low, &entries(low, 1, 0), 0));
        assert_eq!(sent(&out), [(2, nack.clone())]);
        let out = bench.receive(
            2,
            Message::Prepare(Prepare {
                ballot: low,
                from: slot(1),
            }),
        );
        assert_eq!(sent(&out), [(2, nack)]);
    }

    /// Goal: I5. Method: a higher ballot is promised while the rows are on their way to disk.
    #[test]
    fn accepted_is_void_when_a_higher_ballot_was_promised_meanwhile() {
        let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
        let rows = entries(low, 1, 0);
        bench.receive(2, accept(low, &rows, 0));
        bench.receive(
            3,
            Message::Prepare(Prepare {
                ballot: high,
                from: slot(1),
            }),
        );
        match sent(&bench.persisted()).as_slice() {
            [(3, Message::Promise(promise))] => assert_eq!(promise.entries, rows),
            other => panic!("one promise, not {other:?}"),
        }
    }

    #[test]
    fn a_decided_slot_is_never_overwritten() {
        let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
        bench.receive(2, accept(low, &entries(low, 1, 0), 1));
        assert_eq!(bench.core.status().decided, slot(1));
        bench.receive(3, accept(high, &entries(high, 1, 0), 0));
        let answers = sent(&bench.persisted());
        let accepted = Message::Accepted(Accepted {
            ballot: high,
            upto: slot(1),
            disk_seq: DiskSeq(0),
        });
        assert_eq!(
            answers,
            [(3, accepted)],
            "the same value counts as accepted"
        );
        let other = ballot(3, 3);
        bench.receive(3, accept(other, &entries(other, 1, 9), 0));
        let out = bench.persisted();
        assert!(sent(&out).is_empty(), "another value is not accepted");
        assert_eq!(bench.core.status().chain, entries(low, 1, 0)[0].chain);
    }
}
