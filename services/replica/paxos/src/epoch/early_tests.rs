//! What comes before its epoch is active here: it waits, and is looked at once it is.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{Ballot, DiskSeq, Epoch, Slot};
use crate::limits::EARLY_MESSAGES_MAX;
use crate::message::{Accept, Message, Ping};
use crate::output::{Output, PersistOp};
use crate::testing::{Bench, accept, after, ballot, ballot_of, entries, seal, sent, slot, written};
use crate::{Entry, EntryKind};

/// The lowest ballot of epoch 2, of the node that begins it.
fn starts() -> Ballot {
    ballot_of(2, 0, 3)
}

/// A follower whose epoch 1 was just sealed in slot 2, which is not durable yet, and the log of the
/// node that begins epoch 2.
fn activating(count: usize) -> (Bench, Vec<Entry>) {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, 3, &[1, 2, 3]));
    bench.receive(2, accept(b, &log, 0));
    bench.receive(2, accept(b, &[], 2));
    log.push(after(&log, starts(), EntryKind::Ready, Bytes::new()));
    for _ in 1..count {
        log.push(after(&log, starts(), EntryKind::Batch, Bytes::new()));
    }
    (bench, log)
}

/// An `Accept` of the new epoch's first leader.
fn of_starter(rows: &[Entry], decided: u64) -> Message {
    Message::Accept(Accept {
        ballot: starts(),
        base: slot(3),
        first: rows.first().map_or_else(|| slot(3), |row| row.slot),
        entries: rows.to_vec(),
        decided: slot(decided),
    })
}

fn accepted_slots(outputs: &[Output]) -> Vec<Slot> {
    let rows = |op| match op {
        PersistOp::Accept(rows) => rows,
        _ => Vec::new(),
    };
    let rows = written(outputs).into_iter().flat_map(rows);
    rows.map(|row| row.slot).collect()
}

/// Property: rows that come too early are accepted in their order once the epoch is active, and so
/// many messages are kept at most.
#[test]
fn early_rows_are_accepted_when_their_epoch_begins() {
    let (mut bench, log) = activating(EARLY_MESSAGES_MAX + 2);
    for row in &log[2..] {
        let early = of_starter(core::slice::from_ref(row), 2);
        assert!(bench.receive(3, early).is_empty(), "{}", row.slot);
    }
    let kept: Vec<Slot> = (0..EARLY_MESSAGES_MAX as u64)
        .map(|n| slot(3 + n))
        .collect();
    assert_eq!(accepted_slots(&bench.persisted()), kept);
    let votes = sent(&bench.persisted());
    let last = votes.last().expect("it votes");
    assert!(
        matches!(last, (3, Message::Accepted(vote)) if Some(&vote.upto) == kept.last()),
        "{last:?}"
    );
}

/// Property: a heartbeat is asked again soon and an epoch that is over is over: neither waits.
#[test]
fn what_is_not_worth_keeping_is_not_answered_later() {
    let (mut bench, _) = activating(1);
    let ping = Message::Ping(Ping {
        epoch: Epoch(2),
        round: 1,
        decided: Slot::GENESIS,
        disk_seq: DiskSeq(0),
    });
    bench.receive(2, ping);
    bench.receive(2, accept(ballot(1, 2), &[], 2));
    let answers = bench.persisted().into_iter().filter(|output| {
        let said = |message: &Message| matches!(message, Message::Pong(_) | Message::EpochEnded(_));
        matches!(output, Output::Send { message, .. } if said(message))
    });
    assert_eq!(answers.count(), 0);
}

/// Property: early messages stop where they themselves end the epoch.
#[test]
fn early_messages_after_a_seal_are_dropped() {
    let (mut bench, mut log) = activating(1);
    log.push(seal(&log, starts(), 3, 3, &[1, 3]));
    log.push(after(&log, starts(), EntryKind::Batch, Bytes::new()));
    bench.receive(3, of_starter(&log[2..4], 4));
    bench.receive(3, of_starter(&log[4..], 4));
    let out = bench.persisted();
    assert_eq!(accepted_slots(&out), [slot(3), slot(4)]);
    assert_eq!(bench.core.configuration().epoch, Epoch(3));
}

/// I12: nothing above a `Seal` is decided, whatever a leader says.
#[test]
fn nothing_above_a_seal_is_decided() {
    let (mut bench, b) = (Bench::new(3), ballot(1, 2));
    let mut log = entries(b, 1, 0);
    log.push(seal(&log, b, 2, 3, &[1, 2, 3]));
    log.push(after(&log, b, EntryKind::Batch, Bytes::new()));
    bench.receive(2, accept(b, &log, 3));
    assert_eq!(bench.core.status().decided, slot(2));
}
