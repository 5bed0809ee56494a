//! The commit index, catch-up, and what is handed to the state machine.
//!
//! Reads: `Accept` (its commit index), `CatchUp`, `Rows`, `Applied`. Emits: `Apply`,
//! `ServeRows`, `CatchUp`, `Rows`; `Halt` when histories differ.
//! Invariants: the learning rule of 2.5; I1, I9, I14, I16. Tests: tests/simulator

use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::entry::Entry;
use crate::ids::{Millis, NodeId, Slot};
use crate::limits::CATCH_UP_RETRY_MS;
use crate::message::{CatchUp, Message, Rows};
use crate::output::{Event, Output, PersistOp};

/// A request for decided rows that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fetch {
    /// Who was asked.
    peer: NodeId,
    /// The commit index to be reached.
    target: Slot,
    /// When. An answer that does not come is asked of another replica.
    asked: Millis,
}

impl Fetch {
    /// Whether `peer` was asked.
    pub(crate) fn is_from(&self, peer: NodeId) -> bool {
        self.peer == peer
    }
}

impl Core {
    /// Learns from the leader of the promised ballot: the next slot is decided if that ballot's
    /// owner counted it and the row here was accepted at that ballot. The number alone proves
    /// nothing: the row here may be of an older ballot, or lie below the ballot's base.
    pub(crate) fn learn_from_stream(&mut self) {
        let Some(stream) = self.acceptor.stream else {
            return;
        };
        assert!(
            stream.ballot == self.acceptor.promised,
            "learned at the promised ballot only"
        );
        while self.log.decided() < stream.decided && !self.is_sealed() {
            let next = self.log.decided().next();
            let accepted = self
                .log
                .get(next)
                .is_some_and(|row| row.ballot == stream.ballot);
            if next < stream.base || !accepted {
                break;
            }
            // Decided only if it follows the decided prefix.
            if !self.log.get(next).is_some_and(|row| self.may_follow(row)) {
                self.on_difference(next, stream.ballot.node);
                return;
            }
            self.decide_next();
            assert!(self.log.decided() == next, "the commit index rises by one");
        }
    }

    /// What lies below the ballot's base was decided before it: its owner has these rows.
    pub(crate) fn fetch_below_base(&mut self, leader: NodeId) {
        let base = self
            .acceptor
            .stream
            .map_or(Slot::GENESIS, |stream| stream.base);
        if base > self.log.decided().next() {
            self.fetch(leader, base.prev());
        }
    }

    /// Asks `peer` for decided rows up to `target`, unless an answer is awaited.
    pub(crate) fn fetch(&mut self, peer: NodeId, target: Slot) {
        assert!(
            target > self.log.decided(),
            "only what is missing is fetched"
        );
        if let Some(fetch) = &mut self.fetching {
            fetch.target = fetch.target.max(target);
            return;
        }
        let roomy = self.log.has_room() && !self.acceptor.no_space && self.may_learn();
        if !matches!(self.role, Role::Leader(_)) && roomy {
            let from = self.log.decided().next();
            self.fetching = Some(Fetch {
                peer,
                target,
                asked: self.now,
            });
            self.trace(Event::CatchingUp { from, upto: target });
            let epoch = self.configuration.epoch;
            self.send(peer, Message::CatchUp(CatchUp { epoch, from }));
        }
    }

    /// Once a round: asks another replica when an answer stays away, or when the commit index
    /// has not reached what others had a whole round ago.
    pub(crate) fn fetch_if_behind(&mut self) {
        let decided = self.log.decided();
        let heard = self.highest_decided_heard();
        let before = core::mem::replace(&mut self.decided_heard, heard);
        let mut last = None;
        if let Some(fetch) = self.fetching {
            if self.now.since(fetch.asked) < CATCH_UP_RETRY_MS {
                return;
            }
            last = Some(fetch.peer);
            self.fetching = None;
        }
        let target = before.min(heard);
        if target > decided
            && let Some(peer) = self.peer_ahead(decided, last)
        {
            self.fetch(peer, target);
        }
    }

    /// A peer with a higher commit index, the next one after `last`.
    fn peer_ahead(&self, decided: Slot, last: Option<NodeId>) -> Option<NodeId> {
        let ahead = |node: &NodeId| self.is_ahead(*node, decided);
        let peers: Vec<NodeId> = self.peers().into_iter().filter(ahead).collect();
        let after = peers
            .iter()
            .find(|node| last.is_none_or(|last| **node > last));
        after.or_else(|| peers.first()).copied()
    }

    /// Whether a peer is there and has a higher commit index. One that is gone may have told one,
    /// but answers nothing.
    fn is_ahead(&self, peer: NodeId, decided: Slot) -> bool {
        self.election.was_heard(peer) && self.election.decided_of(peer) > decided
    }

    /// A replica asks for decided rows. What is not in memory is read from the log by the
    /// driver. An empty answer sends the asker elsewhere.
    pub(crate) fn on_catch_up(&mut self, from: NodeId, request: CatchUp) {
        let upto = self.log.durable();
        let first = request.from.max(Slot::FIRST);
        let compacted_to = self.log.compacted_to();
        if first > upto || first <= compacted_to {
            self.send_rows(from, Vec::new());
        } else if self.log.holds(first) {
            let entries = self.log.page(first, upto);
            assert!(!entries.is_empty(), "the first row is here");
            self.send_rows(from, entries);
        } else {
            self.out.push(Output::ServeRows {
                to: from,
                from: first,
                upto,
                compacted_to,
            });
        }
    }

    fn send_rows(&mut self, to: NodeId, entries: Vec<Entry>) {
        let decided = self.log.decided();
        let compacted_to = self.log.compacted_to();
        let epoch = self.configuration.epoch;
        self.send(
            to,
            Message::Rows(Rows {
                epoch,
                entries,
                decided,
                compacted_to,
            }),
        );
    }

    /// Decided rows from another replica. They keep their ballots; a row here of a higher
    /// ballot stays, because it must hold the same value.
    pub(crate) fn on_rows(&mut self, from: NodeId, rows: Rows) {
        let roomy = self.durable.has_room() && self.log.has_room() && !self.acceptor.no_space;
        if !roomy || !self.may_learn() || !are_well_formed(&rows) {
            return;
        }
        let highest = rows.entries.iter().map(|entry| entry.ballot).max();
        if let Some(ballot) = highest
            && ballot > self.acceptor.promised
        {
            self.promise_to(ballot);
        }
        if matches!(self.role, Role::Leader(_)) {
            return;
        }
        let before = self.log.decided();
        if rows.entries.is_empty() && rows.compacted_to > before {
            self.on_compacted_away(from, rows.compacted_to);
            return;
        }
        self.decide_rows(from, rows.entries);
        if self.halted {
            return;
        }
        self.go_on_fetching(from, before);
        if self.log.decided() > before {
            self.forgotten_at.clear();
            self.learn_from_stream();
            self.extend_candidacy();
            self.lead_if_promised();
        }
    }

    /// What is missing here is no longer in a peer's log. Another one may still have it; if all
    /// that are ahead have forgotten it, it takes a snapshot.
    fn on_compacted_away(&mut self, from: NodeId, compacted_to: Slot) {
        let Some(fetch) = self.fetching.take_if(|fetch| fetch.peer == from) else {
            return;
        };
        if fetch.target <= self.log.decided() {
            // The leader's stream was faster: nothing is missing any more.
            return;
        }
        self.forgotten_at.insert(from);
        let decided = self.log.decided();
        let ahead = |node: &NodeId| self.is_ahead(*node, decided);
        let voters = self.peers().into_iter().filter(ahead);
        let other = voters.into_iter().find(|n| !self.forgotten_at.contains(n));
        if let Some(peer) = other {
            self.fetch(peer, fetch.target);
        } else {
            self.forgotten_at.clear();
            self.out.push(Output::NeedSnapshot {
                from,
                at_least: compacted_to,
            });
        }
    }

    /// `state.db` holds everything up to a slot durably.
    pub(crate) fn on_compact(&mut self, upto: Slot) {
        let upto = upto.min(self.log.applied());
        if upto > self.log.compacted_to() {
            // The disk, too, knows that these rows are decided before it forgets them.
            self.mark_decided_if_behind();
            self.log.compact(upto);
            self.durable.write(PersistOp::Compact { upto });
        }
    }

    /// Decides the rows that come next. All that are new here go into one write.
    fn decide_rows(&mut self, from: NodeId, entries: Vec<Entry>) {
        let seq = self.durable.next();
        let mut fresh = Vec::new();
        let mut differs = None;
        for entry in entries {
            let slot = entry.slot;
            let known = self.log.chain_at(slot);
            let is_next = slot == self.log.decided().next();
            let follows = || self.may_follow(&entry);
            if known.is_some_and(|chain| chain != entry.chain) || (is_next && !follows()) {
                differs = Some(slot);
                break;
            }
            if !is_next {
                continue;
            }
            if self
                .log
                .get(slot)
                .is_none_or(|own| own.ballot < entry.ballot)
            {
                assert!(
                    entry.ballot <= self.acceptor.promised,
                    "a row is never above the promise"
                );
                self.log.put(entry.clone(), seq);
                fresh.push(entry);
            }
            self.decide_next();
            assert!(self.log.decided() == slot, "the commit index rises by one");
            self.note_whole(slot, slot);
        }
        if !fresh.is_empty() {
            self.durable.write(PersistOp::Accept(fresh));
        }
        if let Some(slot) = differs {
            self.on_difference(slot, from);
        }
    }

    /// Whether a decided row continues the history here: it follows the decided prefix, and a
    /// row here of its ballot or a higher one holds the same value.
    fn may_follow(&self, entry: &Entry) -> bool {
        let own = self
            .log
            .get(entry.slot)
            .filter(|own| own.ballot >= entry.ballot);
        own.is_none_or(|own| own.chain == entry.chain)
            && entry.timestamp > self.log.timestamp()
            && entry.follows(self.log.chain())
    }

    /// Asks for the next page at once, or gives the request up.
    fn go_on_fetching(&mut self, from: NodeId, before: Slot) {
        let Some(fetch) = self.fetching else { return };
        let decided = self.log.decided();
        if decided >= fetch.target {
            self.fetching = None;
        } else if fetch.peer == from {
            self.fetching = None;
            if decided > before {
                self.fetch(from, fetch.target);
            }
        }
    }

    /// Hands out what may be applied.
    pub(crate) fn hand_out(&mut self) {
        // The state machine never holds the beginning of an epoch that the log does not know.
        let last = if self.is_activating() {
            self.configuration.start.prev()
        } else {
            Slot(u64::MAX)
        };
        let entries = self.log.hand_out(self.durable.done(), last);
        if !entries.is_empty() {
            assert!(
                self.log.handed() <= self.log.decided(),
                "only decided entries are applied"
            );
            self.out.push(Output::Apply { entries });
        }
    }

    /// The state machine caught up to a slot.
    pub(crate) fn on_applied(&mut self, slot: Slot) {
        self.log.note_applied(slot);
        self.ask_again_when_roomy();
    }
}

/// Whether rows from the network make sense by themselves.
fn are_well_formed(rows: &Rows) -> bool {
    let mut last = None;
    rows.entries.iter().all(|entry| {
        let fits = last.is_none_or(|last: Slot| entry.slot == last.next());
        last = Some(entry.slot);
        fits && entry.fits_limits() && entry.slot >= Slot::FIRST
    })
}

#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod tests;
