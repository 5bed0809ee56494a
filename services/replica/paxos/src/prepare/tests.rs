//! What phase 1 protects: the highest ballot of each slot, no hole, whole promises.

use alloc::collections::BTreeMap;
use alloc::vec;
use bytes::Bytes;

use super::{Candidate, Selection, keep_highest, select};
use crate::entry::{Chain, Entry, EntryKind};
use crate::ids::{Ballot, DiskSeq, Epoch, Millis, NodeId, Round, Slot, Timestamp};
use crate::message::Promise;

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
