//! What an acceptor takes at its limits: from whom, how far ahead, and with how little room.

use alloc::vec::Vec;

use bytes::Bytes;

use super::is_well_formed;
use crate::entry::{Entry, EntryKind};
use crate::ids::Slot;
use crate::input::Input;
use crate::limits::{ACCEPT_AHEAD_BYTES_MAX, ACCEPT_AHEAD_SLOTS_MAX, BATCH_BYTES_MAX};
use crate::message::{Accept, Gap, Message};
use crate::testing::{Bench, accept, after, ballot, entries, sent, slot, wrote};

fn gap(expect: u64) -> Message {
    Message::Gap(Gap {
        ballot: ballot(1, 2),
        expect: slot(expect),
    })
}

/// `Accept` of ballot 1.2 that begins at some slot.
fn from_base(base: u64, rows: &[Entry], decided: u64) -> Message {
    Message::Accept(Accept {
        ballot: ballot(1, 2),
        base: slot(base),
        first: rows.first().map_or_else(|| slot(base), |row| row.slot),
        entries: rows.to_vec(),
        decided: slot(decided),
    })
}

/// Property: rows come from the owner of their ballot, and only if they make sense.
#[test]
fn rows_of_others_and_senseless_ones_are_ignored() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let rows = entries(b, 2, 0);
    let is_silent = |bench: &mut Bench, from, message| bench.receive(from, message).is_empty();
    assert!(
        is_silent(&mut bench, 3, accept(b, &rows, 0)),
        "not its owner"
    );
    let misfiled = Message::Accept(Accept {
        ballot: b,
        base: slot(1),
        first: slot(2),
        entries: rows.clone(),
        decided: slot(0),
    });
    assert!(
        is_silent(&mut bench, 2, misfiled),
        "slots that do not count up"
    );
    assert!(wrote(&bench.receive(2, accept(b, &rows, 0))));
}

/// Property: each thing that is wrong with a message is enough to ignore it.
#[test]
fn a_message_makes_sense_as_a_whole() {
    let b = ballot(1, 2);
    let rows = entries(b, 4, 0);
    let with = |base, first, entries: &[Entry], decided| Accept {
        ballot: b,
        base: slot(base),
        first,
        entries: entries.to_vec(),
        decided: slot(decided),
    };
    assert!(is_well_formed(&with(1, slot(1), &rows, 0)));
    assert!(is_well_formed(&with(3, slot(3), &rows[2..], 2)));
    assert!(is_well_formed(&with(1, Slot(u64::MAX - 1), &[], 0)));
    let other = entries(ballot(1, 3), 4, 0);
    let huge = Bytes::from(alloc::vec![1; BATCH_BYTES_MAX + 1]);
    let huge = after(&[], b, EntryKind::Batch, huge);
    let senseless = [
        ("slots that do not count up", with(1, slot(2), &rows, 0)),
        ("rows of another ballot", with(1, slot(1), &other, 0)),
        ("a row that is too large", with(1, slot(1), &[huge], 0)),
        ("a base before the first slot", with(0, slot(1), &rows, 0)),
        ("rows below the base", with(2, slot(1), &rows, 1)),
        (
            "a base that is not decided",
            with(3, slot(3), &rows[2..], 1),
        ),
        ("no slot after it", with(1, Slot(u64::MAX), &[], 0)),
    ];
    for (why, accept) in senseless {
        assert!(!is_well_formed(&accept), "{why}");
    }
}

/// Property: who can take nothing does not ask for what it lacks, or its leader would send the
/// window again each round; it asks once there is room. A heartbeat is nothing that it lacks.
#[test]
fn a_full_disk_asks_when_it_has_space_again() {
    let b = ballot(1, 2);
    let rows = entries(b, 3, 0);
    let full = |bench: &mut Bench, low| sent(&bench.give(Input::Space { low }));
    let mut bench = Bench::new(3);
    full(&mut bench, true);
    assert!(sent(&bench.receive(2, accept(b, &rows[1..], 0))).is_empty());
    assert_eq!(full(&mut bench, false), [(2, gap(1))]);

    let mut bench = Bench::new(3);
    full(&mut bench, true);
    assert!(sent(&bench.receive(2, accept(b, &[], 0))).is_empty());
    assert_eq!(full(&mut bench, false), []);
}

/// Rows of the largest size, from a slot on.
fn large(first: u64, count: usize) -> Vec<Entry> {
    let payload = Bytes::from(alloc::vec![1; BATCH_BYTES_MAX]);
    let mut rows = entries(ballot(1, 2), first - 1, 0);
    for _ in 0..count {
        let next = after(&rows, ballot(1, 2), EntryKind::Batch, payload.clone());
        rows.push(next);
    }
    rows.split_off(usize::try_from(first - 1).unwrap_or(0))
}

/// Property: a node that lacks decided rows fetches these before it fills its memory with what is
/// above them; one that lacks nothing is bounded by its leader's window alone.
#[test]
fn who_lacks_decided_rows_takes_a_bounded_number_of_bytes() {
    // With what a row weighs beside its payload these are a little more than may be.
    let past = ACCEPT_AHEAD_BYTES_MAX / BATCH_BYTES_MAX;
    for (base, lacks) in [(3, true), (1, false)] {
        let mut bench = Bench::new(3);
        let rows = large(base, past + 1);
        for row in &rows[..past] {
            let message = from_base(base, core::slice::from_ref(row), base - 1);
            assert!(wrote(&bench.receive(2, message)), "{}", row.slot);
        }
        let message = from_base(base, &rows[past..], base - 1);
        assert_eq!(wrote(&bench.receive(2, message)), !lacks, "{base}");
    }
}

/// Property: so many slots above the commit index are accepted, and not one more.
#[test]
fn rows_far_ahead_are_refused() {
    let b = ballot(1, 2);
    let rows = entries(b, ACCEPT_AHEAD_SLOTS_MAX + 1, 0);
    let (last, fit) = rows.split_last().expect("there are rows");
    let mut bench = Bench::new(3);
    assert!(wrote(&bench.receive(2, accept(b, fit, 0))));
    let beyond = accept(b, core::slice::from_ref(last), 0);
    assert!(!wrote(&bench.receive(2, beyond)));
}
