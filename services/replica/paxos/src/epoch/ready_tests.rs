//! What is told of the commit index and of the `Ready` of an epoch.

use bytes::Bytes;

use super::tests::sealed;
use crate::EntryKind;
use crate::ids::Epoch;
use crate::output::Event;
use crate::testing::{after, ballot_of, rows, slot, traced};

/// What is decided is told, and an epoch is ready once, with its `Ready`: then those that left may go.
#[test]
fn an_epoch_is_ready_once() {
    let (mut bench, mut log, out) = sealed(3, &[1, 2, 3]);
    let ready = Event::EpochReady(Epoch(2));
    assert!(traced(&out, Event::Decided(slot(2))));
    assert!(!traced(&out, ready), "sealed, and no more");
    let out = bench.persisted();
    assert!(!traced(&out, ready) && !traced(&out, Event::Decided(slot(2))));
    let first = ballot_of(2, 0, 3);
    for (kind, news) in [(EntryKind::Ready, true), (EntryKind::Batch, false)] {
        log.push(after(&log, first, kind, Bytes::new()));
        let out = bench.receive(2, rows(2, &log[log.len() - 1..]));
        let last = log.last().expect("just pushed");
        assert_eq!(bench.core.commit_index(), (last.slot, last.chain));
        assert!(traced(&out, Event::Decided(last.slot)), "{out:?}");
        assert_eq!(traced(&out, ready), news, "{kind:?}");
    }
}

/// The same when the `Ready` comes together with what follows it.
#[test]
fn an_epoch_is_ready_when_its_ready_was_one_of_many() {
    let (mut bench, mut log, _) = sealed(3, &[1, 2, 3]);
    bench.persisted();
    for kind in [EntryKind::Ready, EntryKind::Batch] {
        log.push(after(&log, ballot_of(2, 0, 3), kind, Bytes::new()));
    }
    let out = bench.receive(2, rows(2, &log[2..]));
    assert!(traced(&out, Event::EpochReady(Epoch(2))), "{out:?}");
}
