//! What phase 1 protects: the highest ballot of each slot, no hole, whole promises.

use alloc::collections::BTreeMap;
use alloc::vec;
use bytes::Bytes;

use super::{Candidate, Selection, is_well_formed, keep_highest, select};
use crate::RoleName;
use crate::entry::{Chain, Entry, EntryKind};
use crate::ids::{Ballot, DiskSeq, Epoch, Millis, NodeId, Round, Slot, Timestamp};
use crate::limits::{ACCEPT_AHEAD_SLOTS_MAX, PAGE_BYTES, PROMISE_PAGES_MAX, TICK_MS};
use crate::message::{Message, Nack, Prepare, Promise};
use crate::output::RejectReason;
use crate::testing::{Bench, accept, promise, rejected, sent, slot};

fn ballot(round: u64) -> Ballot {
    Ballot {
        epoch: Epoch::FIRST,
        round: Round(round),
        node: NodeId(round % 3 + 1),
    }
}

/// An entry that follows `previous`, named by its payload.
fn entry(previous: Chain, slot: u64, round: u64, value: u8) -> Entry {
    let payload = Bytes::from(vec![value]);
    let time = Timestamp(slot);
    Entry::new(
        previous,
        Slot(slot),
        ballot(round),
        EntryKind::Batch,
        time,
        payload,
    )
}

fn chosen(best: BTreeMap<Slot, Entry>) -> Selection {
    select(Slot::GENESIS, Chain::GENESIS, Timestamp(0), best)
}

#[test]
fn the_highest_ballot_of_each_slot_is_selected() {
    let low = entry(Chain::GENESIS, 1024, 1, b'a');
    let high = entry(Chain::GENESIS, 1024, 2, b'b');
    for order in [[&low, &high], [&high, &low]] {
        let mut best = BTreeMap::new();
        order
            .into_iter()
            .for_each(|row| keep_highest(&mut best, row.clone()));
        assert_eq!(chosen(best).entries, vec![high.clone()]);
    }
}

/// Goal: a suffix of a losing prefix is not proposed. Method: slot 1025 follows a value of
/// slot 1024 that a higher ballot has replaced.
#[test]
fn a_suffix_that_does_not_follow_is_dropped() {
    let lost = entry(Chain::GENESIS, 1024, 1, b'a');
    let suffix = entry(lost.chain, 1025, 1, b'c');
    let won = entry(Chain::GENESIS, 1024, 2, b'b');
    let best = BTreeMap::from([(Slot(1024), won.clone()), (Slot(1025), suffix)]);
    let selection = chosen(best);
    assert_eq!(selection.entries, vec![won]);
    assert_eq!(selection.dropped, Some((Slot(1025), Slot(1025), false)));
}

#[test]
fn rows_above_a_hole_are_dropped() {
    let low = entry(Chain::GENESIS, 1024, 1, b'a');
    let high = entry(low.chain, 1026, 1, b'c');
    let best = BTreeMap::from([(Slot(1024), low), (Slot(1026), high)]);
    assert_eq!(chosen(best).dropped, Some((Slot(1025), Slot(1026), true)));
}

fn page(decided: u64, page: u32, pages: u32) -> Promise {
    Promise {
        ballot: ballot(9),
        decided: Slot(decided),
        compacted_to: Slot::GENESIS,
        page,
        pages,
        entries: vec![],
        disk_seq: DiskSeq(0),
    }
}

/// Goal: the length of a log says nothing (trap 8). Method: the longer of two reports is the
/// older one; either arrives first.
#[test]
fn a_longer_log_does_not_win_against_a_higher_ballot() {
    let low = entry(Chain::GENESIS, 1024, 1, b'a');
    let longer = [low.clone(), entry(low.chain, 1025, 1, b'c')];
    let high = entry(Chain::GENESIS, 1024, 2, b'b');
    let report = |entries: &[Entry]| Promise {
        entries: entries.to_vec(),
        ..page(1023, 0, 1)
    };
    for reports in [
        [&longer[..], core::slice::from_ref(&high)],
        [core::slice::from_ref(&high), &longer[..]],
    ] {
        let mut candidate = Candidate::new(ballot(9), Slot::FIRST, Millis(0));
        for (peer, entries) in (2..).zip(reports) {
            assert!(candidate.add(NodeId(peer), report(entries)));
        }
        assert_eq!(chosen(candidate.best).entries, vec![high.clone()]);
    }
}

#[test]
fn a_promise_counts_when_all_pages_of_one_view_are_there() {
    let mut candidate = Candidate::new(ballot(9), Slot::FIRST, Millis(0));
    let peer = NodeId(2);
    assert!(!candidate.add(peer, page(1030, 0, 2)));
    assert!(
        !candidate.add(peer, page(1030, 0, 2)),
        "the same page twice is one page"
    );
    assert!(
        !candidate.add(peer, page(1040, 1, 2)),
        "a newer view starts again"
    );
    assert!(
        !candidate.add(peer, page(1030, 1, 2)),
        "an older view is void"
    );
    assert!(candidate.add(peer, page(1040, 0, 2)));
    assert!(
        !candidate.add(peer, page(1040, 0, 2)),
        "a promise is counted once"
    );
    assert_eq!(
        candidate.furthest().map(|(_, reported)| reported.decided),
        Some(Slot(1040))
    );
}

/// A page with these rows, of a node that has decided nothing.
fn page_of(number: u32, pages: u32, entries: vec::Vec<Entry>) -> Promise {
    Promise {
        ballot: ballot(9),
        decided: Slot::GENESIS,
        compacted_to: Slot::GENESIS,
        page: number,
        pages,
        entries,
        disk_seq: DiskSeq(0),
    }
}

/// Goal: a page that no correct acceptor sends is not counted. Method: each bound, just within
/// and just beyond.
#[test]
fn a_page_makes_sense_by_itself() {
    let at = |slot, round| entry(Chain::GENESIS, slot, round, b'a');
    let last = Slot::GENESIS.0 + ACCEPT_AHEAD_SLOTS_MAX;
    for (page, wanted, why) in [
        (page_of(0, 1, vec![]), true, "nothing is undecided"),
        (
            page_of(0, 1, vec![at(1024, 1), at(1026, 8)]),
            true,
            "rising",
        ),
        (page_of(0, 1, vec![at(1023, 1)]), false, "it is decided"),
        (
            page_of(0, 1, vec![at(1024, 1), at(1024, 1)]),
            false,
            "twice",
        ),
        (page_of(0, 1, vec![at(1024, 9)]), false, "its own ballot"),
        (page_of(1, 1, vec![]), false, "beyond the last page"),
        (
            page_of(0, PROMISE_PAGES_MAX, vec![]),
            true,
            "as many pages as may be",
        ),
        (page_of(0, PROMISE_PAGES_MAX + 1, vec![]), false, "too many"),
        (
            page_of(0, 1, vec![at(last, 1)]),
            true,
            "as far ahead as may be",
        ),
        (page_of(0, 1, vec![at(last + 1, 1)]), false, "too far ahead"),
    ] {
        assert_eq!(is_well_formed(&page), wanted, "{why}");
    }
}

/// Goal: a promise is counted whole, and in the version that knows most. Method: pages of a promise
/// that was given again, with another commit index or another number of pages, between its own.
#[test]
fn pages_of_different_promises_are_not_mixed() {
    let node = NodeId(2);
    let with = |decided: u64, number, pages| Promise {
        decided: Slot(decided),
        ..page_of(number, pages, vec![])
    };
    let mut candidate = Candidate::new(ballot(9), Slot::FIRST, Millis(0));
    assert!(!candidate.add(node, with(1030, 0, 2)));
    assert!(!candidate.add(node, with(1029, 1, 2)), "an older one");
    assert!(
        !candidate.add(node, with(1031, 1, 2)),
        "a newer one begins again"
    );
    assert!(
        !candidate.add(node, with(1030, 1, 2)),
        "the one before is void"
    );
    assert!(
        !candidate.add(node, with(1031, 0, 3)),
        "in other pages, again"
    );
    assert!(!candidate.add(node, with(1031, 1, 3)));
    assert!(candidate.add(node, with(1031, 2, 3)), "whole");
    assert!(!candidate.add(node, with(1040, 0, 1)), "it counts once");
}

/// Goal: of two rows at one ballot, which are equal, the first stays, whatever its copy says.
#[test]
fn a_row_at_the_same_ballot_replaces_none() {
    let (first, copy) = (
        entry(Chain::GENESIS, 1024, 1, b'a'),
        entry(Chain::GENESIS, 1024, 1, b'b'),
    );
    let mut best = BTreeMap::new();
    keep_highest(&mut best, first.clone());
    keep_highest(&mut best, copy);
    assert_eq!(best.into_values().collect::<vec::Vec<_>>(), [first]);
}

/// Goal: what an acceptor reports fits messages. Method: two rows that fill a page to the byte, and
/// two that are one byte more.
#[test]
fn a_promise_is_cut_where_a_page_is_full() {
    for (extra, wanted) in [(0, 1), (1, 2)] {
        let own = crate::testing::ballot(1, 2);
        let sized = |previous, at: u64, bytes: usize| {
            let payload = Bytes::from(vec![7; bytes]);
            Entry::new(
                previous,
                slot(at),
                own,
                EntryKind::Batch,
                Timestamp(at),
                payload,
            )
        };
        let overhead = sized(Chain::GENESIS, 1, 0).weight_bytes();
        let mut rows: vec::Vec<Entry> = vec![];
        for at in 1..=4 {
            let chain = rows.last().map_or(Chain::GENESIS, |row| row.chain);
            let more = if at == 4 { extra } else { 0 };
            rows.push(sized(chain, at, PAGE_BYTES / 4 - overhead + more));
        }
        let bytes: usize = rows.iter().map(Entry::weight_bytes).sum();
        assert_eq!(bytes, PAGE_BYTES + extra);
        let mut bench = Bench::new(3);
        bench.receive(2, accept(own, &rows, 0));
        bench.persisted();
        let prepare = Message::Prepare(Prepare {
            ballot: crate::testing::ballot(9, 3),
            from: Slot::FIRST,
        });
        bench.receive(3, prepare);
        let pages = sent(&bench.persisted())
            .into_iter()
            .filter(|(_, message)| matches!(message, Message::Promise(_)))
            .count();
        assert_eq!(pages, wanted, "{bytes} bytes");
    }
}

/// Property: of promises those count that were made to the present campaign, after its own promise is
/// on disk, and that make sense.
#[test]
fn only_promises_to_the_present_campaign_count() {
    let own = |round| crate::testing::ballot(round, 1);
    let role = |bench: &Bench| bench.core.status().role;
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    let nobody = RejectReason::NotLeader { leader: None };
    assert_eq!(
        rejected(&bench.propose(1, 1)),
        Some(nobody),
        "it has to win"
    );
    while role(&bench) == RoleName::Candidate {
        bench.wait(TICK_MS);
    }
    while role(&bench) != RoleName::Candidate {
        bench.round(&[2, 3]);
    }
    assert_eq!(bench.core.status().promised, own(2));
    bench.receive(2, promise(own(1), vec![]));
    bench.receive(2, promise(own(2), vec![]));
    bench.persisted();
    assert_eq!(
        role(&bench),
        RoleName::Candidate,
        "an old one, an early one"
    );
    let Message::Promise(page) = promise(own(2), vec![]) else {
        panic!("it is a promise");
    };
    let beyond = Promise { page: 1, ..page };
    bench.receive(2, Message::Promise(beyond));
    assert_eq!(
        role(&bench),
        RoleName::Candidate,
        "a page that is not there"
    );
    bench.receive(2, promise(own(2), vec![]));
    assert_eq!(role(&bench), RoleName::Leader);
}

/// Property: a refusal ends the campaign that it refuses, and only if it names a higher ballot.
#[test]
fn a_refusal_ends_the_campaign_that_it_refuses() {
    let at = crate::testing::ballot;
    let mut bench = Bench::new(3);
    bench.campaign(&[2, 3]);
    let mut hears = |ballot, promised| {
        bench.receive(2, Message::Nack(Nack { ballot, promised }));
        bench.core.status().role
    };
    assert_eq!(hears(at(1, 1), at(1, 1)), RoleName::Candidate, "no higher");
    assert_eq!(
        hears(at(0, 1), at(5, 3)),
        RoleName::Candidate,
        "another one"
    );
    assert_eq!(hears(at(1, 1), at(5, 3)), RoleName::Follower);
}
