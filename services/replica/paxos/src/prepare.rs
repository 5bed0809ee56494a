//! Phase 1: promises, what they report, and what a new leader has to propose again.
//!
//! Reads: `Prepare`, `Promise`, `Nack`. Emits: `Persist`, then `Prepare`, `Promise`; `CatchUp`.
//! Invariants: D1, I3; the value of the highest ballot per slot among a quorum of promises.
//! Tests: below and tests/simulator

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::durable::Held;
use crate::entry::{Chain, Entry, EntryKind};
use crate::ids::{Ballot, DiskSeq, Millis, NodeId, Slot, Timestamp};
use crate::limits::{ACCEPT_AHEAD_SLOTS_MAX, PAGE_BYTES, PROMISE_PAGES_MAX};
use crate::message::{Message, Nack, Prepare, Promise};
use crate::output::Event;

/// Phase 1 of one ballot at its owner.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Candidate {
    /// The ballot. Equal to this node's promise.
    pub(crate) ballot: Ballot,
    /// The slot after the commit index when the campaign began.
    from: Slot,
    /// When it gives up, unless something arrives before.
    pub(crate) deadline: Millis,
    /// Promises of which pages are missing.
    partial: BTreeMap<NodeId, Partial>,
    /// Complete promises of the others: their commit indexes and where their logs begin.
    promises: BTreeMap<NodeId, Reported>,
    /// The row of the highest ballot for each slot that a complete promise reports.
    best: BTreeMap<Slot, Entry>,
    /// It is the first of its epoch: there is nothing to find.
    skips_phase_one: bool,
}

/// The pages of one frozen view of one acceptor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Partial {
    /// Names the view: at one promised ballot rows change only when the commit index rises.
    decided: Slot,
    pages: u32,
    arrived: BTreeMap<u32, Vec<Entry>>,
}

/// What a complete promise says besides its rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Reported {
    decided: Slot,
    compacted_to: Slot,
}

impl Candidate {
    /// A candidate that still has to make its own promise durable.
    pub(crate) const fn new(ballot: Ballot, from: Slot, deadline: Millis) -> Self {
        Self {
            ballot,
            from,
            deadline,
            partial: BTreeMap::new(),
            promises: BTreeMap::new(),
            best: BTreeMap::new(),
            skips_phase_one: false,
        }
    }

    /// The node that a `Seal` names, at the lowest ballot of its epoch.
    pub(crate) const fn starter(ballot: Ballot, from: Slot, deadline: Millis) -> Self {
        let mut candidate = Self::new(ballot, from, deadline);
        candidate.skips_phase_one = true;
        candidate
    }

    /// Whether it leads without phase 1.
    pub(crate) const fn skips_phase_one(&self) -> bool {
        self.skips_phase_one
    }

    /// Adds a page. Answers whether the promise of `from` is complete with it.
    fn add(&mut self, from: NodeId, page: Promise) -> bool {
        if self.promises.contains_key(&from) {
            return false;
        }
        let (decided, pages) = (page.decided, page.pages);
        let fresh = || Partial {
            decided,
            pages,
            arrived: BTreeMap::new(),
        };
        let partial = self.partial.entry(from).or_insert_with(fresh);
        if partial.decided < decided || (partial.decided == decided && partial.pages != pages) {
            *partial = fresh();
        } else if partial.decided > decided {
            return false;
        }
        partial.arrived.insert(page.page, page.entries);
        let arrived = u32::try_from(partial.arrived.len()).unwrap_or(u32::MAX);
        assert!(arrived <= partial.pages, "no more pages than announced");
        if arrived < partial.pages {
            return false;
        }
        let rows = self
            .partial
            .remove(&from)
            .map(|partial| partial.arrived)
            .unwrap_or_default();
        for entry in rows.into_values().flatten() {
            keep_highest(&mut self.best, entry);
        }
        self.promises.insert(
            from,
            Reported {
                decided,
                compacted_to: page.compacted_to,
            },
        );
        true
    }

    /// Of the complete promises, the one with the highest commit index.
    fn furthest(&self) -> Option<(NodeId, Reported)> {
        let reports = self
            .promises
            .iter()
            .map(|(node, reported)| (*node, *reported));
        reports.max_by_key(|(node, reported)| (reported.decided, *node))
    }
}

/// Keeps, for each slot, the row with the highest ballot (*Paxos Made Simple*, P2c).
fn keep_highest(best: &mut BTreeMap<Slot, Entry>, entry: Entry) {
    let known = best.get(&entry.slot).map(|other| other.ballot);
    if known.is_none_or(|ballot| ballot < entry.ballot) {
        best.insert(entry.slot, entry);
    }
}

/// What a new leader proposes again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Selection {
    /// Contiguous from the slot after the commit index, under their old ballots.
    pub(crate) entries: Vec<Entry>,
    /// What was left out and whether its first slot was not reported.
    pub(crate) dropped: Option<(Slot, Slot, bool)>,
}

impl Selection {
    /// Whether its last entry is a `Seal`: nothing above one is proposed (R3).
    fn ends_epoch(&self) -> bool {
        let last = self.entries.last();
        last.is_some_and(|entry| entry.kind == EntryKind::Seal)
    }
}

/// Takes the rows above `decided` as long as each follows the one before.
///
/// A row that does not follow was not chosen, nor was any above it. Suppose slot k was chosen,
/// at ballot b. Then a quorum accepted all slots from base(b) to k at b, because acceptors
/// accept in order, so these are chosen too, and those below base(b) were decided. Every later
/// leader proposes the same values up to k and computes the same chain over them. So the rows
/// of the highest ballots up to k follow each other.
///
/// Such a suffix comes from a leader whose prefix lost. To propose it again would be safe for
/// agreement, but would let a later command of a client take effect without an earlier one,
/// and time run backwards along the log.
pub(crate) fn select(
    decided: Slot,
    chain: Chain,
    timestamp: Timestamp,
    best: BTreeMap<Slot, Entry>,
) -> Selection {
    let reported = best.keys().next_back().copied();
    let mut selection = Selection {
        entries: Vec::new(),
        dropped: None,
    };
    let (mut chain, mut timestamp) = (chain, timestamp);
    let mut next = decided.next();
    for (slot, entry) in best {
        if slot <= decided {
            continue;
        }
        let hole = slot != next;
        if hole || !entry.follows(chain) || entry.timestamp <= timestamp {
            selection.dropped = Some((next, reported.unwrap_or(slot), hole));
            break;
        }
        if selection.ends_epoch() {
            selection.dropped = Some((next, reported.unwrap_or(slot), false));
            break;
        }
        (chain, timestamp, next) = (entry.chain, entry.timestamp, slot.next());
        selection.entries.push(entry);
    }
    let count = u64::try_from(selection.entries.len()).unwrap_or(u64::MAX);
    assert!(
        next == Slot(decided.next().0.saturating_add(count)),
        "no hole is left"
    );
    selection
}

impl Core {
    /// A candidate asks for a promise.
    pub(crate) fn on_prepare(&mut self, from: NodeId, prepare: Prepare) {
        let ballot = prepare.ballot;
        // A row that cannot be read may be the one that the candidate needs: to say nothing of it
        // would be to say that there is none.
        if ballot.node != from || !self.durable.has_room() || !self.may_promise() {
            return;
        }
        if !self.promises(from, ballot) {
            return;
        }
        for page in self.promise_pages(ballot, prepare.from) {
            self.hold(Held::Promise { to: from, page });
        }
    }

    /// This node's undecided rows, as they are at this moment, in pages.
    fn promise_pages(&self, ballot: Ballot, from: Slot) -> Vec<Promise> {
        let mut pages: Vec<Vec<Entry>> = Vec::from([Vec::new()]);
        let mut bytes = 0_usize;
        for entry in self.log.undecided(from) {
            let weight = entry.weight_bytes();
            // A row fits a page (`limits`), so no page is empty.
            if bytes.saturating_add(weight) > PAGE_BYTES {
                pages.push(Vec::new());
                bytes = 0;
            }
            bytes = bytes.saturating_add(weight);
            if let Some(page) = pages.last_mut() {
                page.push(entry.clone());
            }
        }
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        assert!(count <= PROMISE_PAGES_MAX, "undecided rows are bounded");
        let compacted_to = self.log.compacted_to();
        let decided = self.log.decided();
        let page = |(entries, page)| Promise {
            ballot,
            decided,
            compacted_to,
            page,
            pages: count,
            entries,
            disk_seq: DiskSeq(0),
        };
        pages.into_iter().zip(0_u32..).map(page).collect()
    }

    /// This node's promise is durable. If it is its own, phase 1 goes out now (D1).
    pub(crate) fn on_own_promise_durable(&mut self, ballot: Ballot) {
        match &self.role {
            Role::Candidate(candidate) if candidate.skips_phase_one => {
                self.lead(ballot, Vec::new());
            }
            Role::Candidate(_) => {
                self.send_prepare();
                self.lead_if_promised();
            }
            Role::Leader(_) | Role::Follower => {}
        }
    }

    /// Asks everybody whose promise is not complete.
    pub(crate) fn send_prepare(&mut self) {
        let Role::Candidate(candidate) = &self.role else {
            return;
        };
        let ballot = candidate.ballot;
        if self.acceptor.durable != ballot {
            return;
        }
        assert!(
            ballot == self.acceptor.promised,
            "a candidate has promised itself"
        );
        let prepare = Prepare {
            ballot,
            from: candidate.from,
        };
        let done: BTreeSet<NodeId> = candidate.promises.keys().copied().collect();
        for peer in self.peers() {
            if !done.contains(&peer) {
                self.send(peer, Message::Prepare(prepare));
            }
        }
    }

    /// A page of a promise.
    pub(crate) fn on_promise(&mut self, from: NodeId, page: Promise) {
        self.witness(from, page.disk_seq);
        let deadline = self.now.plus(self.election_timeout_ms());
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        if page.ballot != candidate.ballot
            || self.acceptor.durable != page.ballot
            || !is_well_formed(&page)
        {
            return;
        }
        candidate.deadline = deadline;
        if candidate.add(from, page) {
            self.lead_if_promised();
        }
    }

    /// Completes phase 1 when a quorum has promised and this node's commit index is not behind
    /// any of them. Before that it fetches the decided rows, so that decided slots are never
    /// selected anew.
    pub(crate) fn lead_if_promised(&mut self) {
        let Role::Candidate(candidate) = &self.role else {
            return;
        };
        let promised = candidate.promises.len().saturating_add(1);
        // What it fetched may have ended the epoch: then nobody leads it any more (R3).
        if self.acceptor.durable != candidate.ballot
            || !self.quorum.elects(promised)
            || self.is_sealed()
        {
            return;
        }
        let decided = self.log.decided();
        if let Some((node, furthest)) = candidate.furthest()
            && furthest.decided > decided
        {
            if furthest.compacted_to > decided {
                // It takes a snapshot, and that takes its time: others may lead meanwhile.
                self.give_up();
            }
            self.fetch(node, furthest.decided);
            return;
        }
        let Role::Candidate(candidate) = core::mem::replace(&mut self.role, Role::Follower) else {
            return;
        };
        assert!(
            candidate.ballot == self.acceptor.promised,
            "a candidate has promised itself"
        );
        let mut best = candidate.best;
        for entry in self.log.undecided(Slot::FIRST) {
            keep_highest(&mut best, entry.clone());
        }
        let selection = select(decided, self.log.chain(), self.log.timestamp(), best);
        if let Some((from, upto, hole)) = selection.dropped {
            self.trace(Event::SuffixDropped { from, upto, hole });
        }
        self.lead(candidate.ballot, selection.entries);
    }

    /// An acceptor has promised a higher ballot.
    pub(crate) fn on_nack(&mut self, nack: Nack) {
        if nack.promised > self.acceptor.promised && nack.ballot == self.acceptor.promised {
            self.give_up();
        }
    }
}

/// Whether a page from the network makes sense by itself.
fn is_well_formed(page: &Promise) -> bool {
    let bound = page.decided.0.saturating_add(ACCEPT_AHEAD_SLOTS_MAX);
    let mut last = page.decided;
    let entries = page.entries.iter().all(|entry| {
        let rising = entry.slot > last;
        last = entry.slot;
        rising && entry.ballot < page.ballot && entry.fits_limits()
    });
    entries && page.page < page.pages && page.pages <= PROMISE_PAGES_MAX && last.0 <= bound
}

#[cfg(test)]
mod tests;
