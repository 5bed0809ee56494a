//! Who is asked for decided rows, when, and when nobody is.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::{Chain, EntryKind};
use crate::ids::{Epoch, Slot};
use crate::input::Input;
use crate::limits::{APPLY_LAG_SLOTS_MAX, CATCH_UP_RETRY_MS};
use crate::message::{Message, Pong, Rows};
use crate::output::{Output, PersistOp};
use crate::testing::{Bench, accept, ballot, entries, rows, sent, slot, written};
use crate::{Entry, Restored, RoleName};

/// Far above everything here.
const FAR: u64 = 100_000;

/// Rounds in which peer 2 is ahead and peer 3 is not: who was asked, and when.
fn asked(bench: &mut Bench, rounds: u64) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let chain = bench.core.status().chain;
        let decided = bench.core.status().decided;
        let out = bench.round_with(&[2, 3], |peer, pong| Pong {
            decided: if peer == 2 { slot(FAR) } else { decided },
            chain: if peer == 2 { Chain([9; 32]) } else { chain },
            happy: true,
            ..pong
        });
        all.extend(questions(&out).into_iter().map(|to| (to, bench.now.0)));
    }
    all
}

fn questions(outputs: &[Output]) -> Vec<u64> {
    let asks = |(to, message): (u64, Message)| matches!(message, Message::CatchUp(_)).then_some(to);
    sent(outputs).into_iter().filter_map(asks).collect()
}

/// Property: who is ahead is asked, and again when no answer came in time; who is not ahead never.
#[test]
fn the_one_that_is_ahead_is_asked_again_in_time() {
    let mut bench = Bench::new(3);
    let asked = asked(&mut bench, 9);
    assert!(asked.iter().all(|(peer, _)| *peer == 2), "{asked:?}");
    assert!(asked.len() >= 3, "{asked:?}");
    let pauses: Vec<u64> = asked.windows(2).map(|two| two[1].1 - two[0].1).collect();
    assert!(
        pauses.iter().all(|pause| *pause == CATCH_UP_RETRY_MS),
        "{pauses:?}"
    );
}

/// Property: nobody asks for rows that it could not take: with a full disk, with a state machine that
/// is too far behind, before it may write.
#[test]
fn what_could_not_be_taken_is_not_asked_for() {
    let mut full = Bench::new(3);
    full.give(Input::Space { low: true });
    assert_eq!(asked(&mut full, 5), []);
    full.give(Input::Space { low: false });
    assert!(!asked(&mut full, 5).is_empty());

    let mut slow = Bench::new(3);
    let log = entries(ballot(1, 2), APPLY_LAG_SLOTS_MAX + 1, 0);
    slow.receive(2, rows(1, &log));
    slow.persisted();
    assert_eq!(asked(&mut slow, 5), []);
    slow.give(Input::Applied { slot: slot(2) });
    assert!(!asked(&mut slow, 5).is_empty());

    let mut unknown = Bench::starting(&[1, 2, 3], Restored::empty());
    assert_eq!(asked(&mut unknown, 5), []);
}

/// Property: a leader has what is decided, or is no leader any more; it asks nobody.
#[test]
fn a_leader_asks_nobody() {
    let mut bench = Bench::leader(3);
    let out = asked(&mut bench, 5);
    assert_eq!(bench.core.status().role, RoleName::Leader);
    assert_eq!(out, []);
}

/// The learning rule: a row of an older ballot is not decided because its slot is counted, also
/// above the base of the ballot that counts it.
#[test]
fn a_count_decides_rows_of_its_own_ballot() {
    let (mut bench, low, high) = (Bench::new(3), ballot(1, 2), ballot(2, 3));
    bench.receive(2, accept(low, &entries(low, 1, 0), 0));
    bench.receive(3, accept(high, &[], 1));
    assert_eq!(bench.core.status().decided, Slot::GENESIS);
    bench.receive(3, accept(high, &entries(high, 1, 7), 1));
    assert_eq!(bench.core.status().decided, slot(1));
}

/// An answer of a node whose log begins above `compacted_to`.
fn answer(entries: &[Entry], compacted_to: u64) -> Message {
    Message::Rows(Rows {
        epoch: Epoch::FIRST,
        entries: entries.to_vec(),
        decided: slot(FAR),
        compacted_to: slot(compacted_to),
    })
}

fn wants_snapshot(outputs: &[Output]) -> bool {
    let wants = |output: &Output| matches!(output, Output::NeedSnapshot { .. });
    outputs.iter().any(wants)
}

/// Property: rows that come unasked are not taken without room either.
#[test]
fn rows_without_room_are_not_taken() {
    let log = entries(ballot(1, 2), APPLY_LAG_SLOTS_MAX + 2, 0);
    let (last, most) = log.split_last().expect("there are rows");
    let mut full = Bench::new(3);
    full.give(Input::Space { low: true });
    full.receive(2, rows(1, most));
    assert_eq!(full.core.status().decided, Slot::GENESIS);
    let mut slow = Bench::new(3);
    slow.receive(2, rows(1, most));
    slow.persisted();
    slow.receive(2, rows(1, core::slice::from_ref(last)));
    assert_eq!(slow.core.status().decided, most.last().expect("rows").slot);
}

/// Property: a snapshot is for what nobody has as rows. Rows that came are used, whatever else was
/// forgotten, and a log that begins right above what is here has forgotten nothing of interest.
#[test]
fn a_snapshot_is_for_what_is_nowhere_a_row() {
    let log = entries(ballot(1, 2), 3, 0);
    let mut bench = Bench::new(3);
    asked(&mut bench, 3);
    let out = bench.receive(2, answer(&log, 2));
    assert!(!wants_snapshot(&out));
    assert_eq!(bench.core.status().decided, slot(3));
    asked(&mut bench, 3);
    assert!(!wants_snapshot(&bench.receive(2, answer(&[], 3))));
    asked(&mut bench, 3);
    assert!(wants_snapshot(&bench.receive(2, answer(&[], 4))));
}

/// Property: who has forgotten is remembered until something was learned, whatever useless answers come
/// in between.
#[test]
fn useless_answers_do_not_delay_a_snapshot() {
    let mut bench = Bench::new(3);
    let ahead = |_: u64, pong: Pong| Pong {
        decided: slot(FAR),
        chain: Chain([9; 32]),
        happy: true,
        ..pong
    };
    let mut first = Vec::new();
    while first.is_empty() {
        first = questions(&bench.round_with(&[2, 3], ahead));
    }
    assert_eq!(first, [2]);
    assert_eq!(questions(&bench.receive(2, answer(&[], 80))), [3]);
    bench.receive(2, answer(&[], 0));
    assert!(wants_snapshot(&bench.receive(3, answer(&[], 80))));
}

/// Property: the next page is asked for as soon as one has come, of the one that was asked.
#[test]
fn pages_follow_each_other() {
    let log = entries(ballot(1, 2), 4, 0);
    let mut bench = Bench::new(3);
    assert!(!asked(&mut bench, 3).is_empty());
    assert_eq!(questions(&bench.receive(3, answer(&log[..1], 0))), []);
    assert_eq!(questions(&bench.receive(2, answer(&log[1..3], 0))), [2]);
    assert_eq!(
        questions(&bench.receive(2, answer(&log[..3], 0))),
        [],
        "nothing new: somebody else may have it"
    );
}

/// I9: time rises along the log, or it is another log.
#[test]
fn rows_whose_time_stands_still_are_not_learned() {
    let b = ballot(1, 2);
    let first = entries(b, 1, 0).remove(0);
    let (kind, time) = (EntryKind::Batch, first.timestamp);
    let still = Entry::new(first.chain, slot(2), b, kind, time, Bytes::new());
    let mut bench = Bench::new(3);
    bench.receive(2, rows(1, &[first, still]));
    assert_eq!(bench.core.status().decided, slot(1));
}

/// Property: what was accepted here is not written again when it turns out to be decided.
#[test]
fn rows_that_are_here_are_decided_without_a_write() {
    let b = ballot(1, 2);
    let log = entries(b, 2, 0);
    let mut bench = Bench::new(3);
    bench.receive(2, accept(b, &log, 0));
    bench.persisted();
    let ops = written(&bench.receive(3, rows(1, &log)));
    assert!(
        !ops.iter().any(|op| matches!(op, PersistOp::Accept(_))),
        "{ops:?}"
    );
    assert_eq!(bench.core.status().decided, slot(2));
}
