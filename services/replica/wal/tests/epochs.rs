//! The end of an epoch in the log (R4), and what is kept of other disks.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paxos::config::Configuration;
use paxos::entry::{Chain, Entry};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Slot};
use paxos::output::PersistOp;
use support::{activate, ballot, base, decided, entries, named_by, seal, voter};
use wal::{Base, Error, Wal};

/// Three rows, the end of the first epoch, and four rows above it that nobody decided.
fn sealed_log(dir: &Path) -> (Wal, Vec<Entry>, Entry) {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, 3, ballot(3, 2));
    let end = seal(&support::base(&rows[2]), ballot(3, 2), 2, &[2, 3, 1030]);
    let above = entries(end.chain, end.slot.next(), 4, ballot(2, 1));
    let all: Vec<Entry> = rows.iter().chain([&end]).chain(&above).cloned().collect();
    wal.commit(&[PersistOp::Accept(all.clone())]).unwrap();
    (wal, all, end)
}

/// Property (R4): configuration, commit index and the end of all rows above come together and
/// survive; the promise stays.
#[test]
fn an_epoch_begins_in_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, rows, end) = sealed_log(dir.path());
    assert_eq!(wal.configuration(), None);
    let before = wal.disk_seq();
    let committed = wal.commit(&[activate(&end)]).unwrap();
    assert_eq!(committed.disk_seq.0, before.0 + 1);
    for _ in 0..2 {
        assert_eq!(wal.configuration(), Some(&named_by(&end)));
        assert_eq!(wal.decided(), end.slot);
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!((restored.decided, restored.chain), (end.slot, end.chain));
        assert!(restored.undecided.is_empty() && restored.damaged.is_empty());
        assert_eq!(restored.promised, ballot(3, 2));
        let prefix: Vec<Entry> = wal
            .replay(&Base::EMPTY, end.slot)
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(prefix, rows[..4]);
        drop(wal);
        wal = Wal::open(dir.path()).unwrap();
    }
    // The log goes on where the epoch began, and the next one may end.
    let next = Ballot {
        epoch: Epoch(2),
        ..Ballot::ZERO
    };
    let more = entries(end.chain, end.slot.next(), 2, next);
    let second = seal(&support::base(&more[1]), next, 3, &[3, 1030]);
    let accept = PersistOp::Accept(more.iter().cloned().chain([second.clone()]).collect());
    wal.commit(&[accept, activate(&second)]).unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.configuration(), Some(&named_by(&second)));
    assert_eq!(
        wal.restore(&Base::EMPTY).unwrap().restored.decided,
        second.slot
    );
}

/// Property: what must never be asked for is refused before anything is written.
#[test]
fn a_wrong_activation_is_refused() {
    let wrong = |change: fn(&mut Configuration, &mut Chain)| {
        move |end: &Entry| {
            let (mut configuration, mut chain) = (named_by(end), end.chain);
            change(&mut configuration, &mut chain);
            vec![PersistOp::Activate {
                configuration,
                chain,
            }]
        }
    };
    type Ops = Box<dyn Fn(&Entry) -> Vec<PersistOp>>;
    let cases: Vec<(&str, Ops)> = vec![
        (
            "an epoch left out",
            Box::new(wrong(|next, _| next.epoch.0 += 1)),
        ),
        (
            "the epoch that is",
            Box::new(wrong(|next, _| next.epoch.0 -= 1)),
        ),
        (
            "another history",
            Box::new(wrong(|_, chain| *chain = Chain([8; 32]))),
        ),
        (
            "a slot without a row",
            Box::new(wrong(|next, _| next.start.0 += 5)),
        ),
        ("nobody", Box::new(wrong(|next, _| next.voters.clear()))),
        (
            "too many",
            Box::new(wrong(|next, _| next.voters = (1..9).map(NodeId).collect())),
        ),
        (
            "a second time",
            Box::new(|end| vec![activate(end), activate(end)]),
        ),
        (
            "with a decided row above",
            Box::new(|end| {
                let above = entries(end.chain, end.slot.next(), 1, ballot(3, 2));
                let known = decided(&above[0]);
                vec![PersistOp::Accept(above), known, activate(end)]
            }),
        ),
    ];
    for (what, ops) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, rows, end) = sealed_log(dir.path());
        let refused = wal.commit(&ops(&end));
        assert!(matches!(refused, Err(Error::Contract { .. })), "{what}");
        let copy = support::copy(dir.path());
        let mut wal = Wal::open(copy.path()).unwrap();
        assert_eq!(wal.configuration(), None, "{what}");
        let restored = wal.restore(&Base::EMPTY).unwrap().restored;
        assert_eq!(restored.undecided, rows, "{what}");
    }
}

/// Property: the count of rows is right across the end of an epoch: rows lost before it are not
/// missed after it, those lost after it are.
#[test]
fn rows_are_counted_across_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, _, end) = sealed_log(dir.path());
    wal.commit(&[activate(&end)]).unwrap();
    let next = Ballot {
        epoch: Epoch(2),
        ..Ballot::ZERO
    };
    let more = entries(end.chain, end.slot.next(), 3, next);
    wal.commit(&[PersistOp::Accept(more.clone())]).unwrap();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!(restored.undecided, more);
    drop(wal);
    let last = more[2].slot.0;
    support::tamper(dir.path(), &format!("DELETE FROM log WHERE slot = {last}"));
    let refused = Wal::open(dir.path()).unwrap().restore(&Base::EMPTY);
    assert!(
        matches!(refused, Err(Error::RowsLost { .. })),
        "{refused:?}"
    );
}

/// Property (R4): a node acts in an epoch only with everything up to its start. When such a row
/// is damaged and not applied, it takes a snapshot first: the core never starts below.
#[test]
fn damage_below_the_active_epoch_needs_a_snapshot() {
    let spoiled = |slot: Slot| {
        let slot = slot.0;
        [
            format!("UPDATE log SET crc = crc + 1 WHERE slot = {slot}"),
            format!("DELETE FROM log WHERE slot = {slot}"),
            format!("UPDATE log SET chain = x'00' WHERE slot = {slot}"),
        ]
    };
    for damaged in 0..7_usize {
        for applied in [0, damaged, damaged + 1, 7] {
            for kind in 0..3 {
                let dir = tempfile::tempdir().unwrap();
                let mut wal = voter(dir.path());
                let mut rows = entries(Chain::GENESIS, Slot::FIRST, 6, ballot(3, 2));
                rows.push(seal(&base(&rows[5]), ballot(3, 2), 2, &[1, 2, 4]));
                let end = rows[6].clone();
                wal.commit(&[PersistOp::Accept(rows.clone()), activate(&end)])
                    .unwrap();
                drop(wal);
                support::tamper(dir.path(), &spoiled(rows[damaged].slot)[kind]);
                let state = match applied.checked_sub(1) {
                    Some(last) => base(&rows[last]),
                    None => Base::EMPTY,
                };
                let mut wal = Wal::open(dir.path()).unwrap();
                let context = format!("{damaged} damaged, {applied} applied");
                match wal.restore(&state) {
                    Ok(recovery) => {
                        assert!(damaged < applied, "{context}");
                        assert_eq!(recovery.restored.decided, end.slot, "{context}");
                    }
                    Err(Error::SnapshotNeeded { at_least, .. }) => {
                        assert!(damaged >= applied, "{context}");
                        assert_eq!(at_least, end.slot, "{context}");
                    }
                    Err(error) => panic!("{context}: {error}"),
                }
            }
        }
    }
}

/// Property (R4): the process may end between the moment when a `Seal` is durable and decided
/// and the one when its epoch is. The start completes it, from the row or from the state machine.
#[test]
fn an_epoch_that_had_to_begin_begins_at_the_start() {
    for (marked, in_state) in [(true, false), (false, true), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = voter(dir.path());
        let rows = entries(Chain::GENESIS, Slot::FIRST, 3, ballot(3, 2));
        let end = seal(&support::base(&rows[2]), ballot(3, 2), 2, &[1, 2, 4]);
        let above = entries(end.chain, end.slot.next(), 4, ballot(3, 2));
        let all = rows.iter().cloned().chain([end.clone()]).chain(above);
        let accept = PersistOp::Accept(all.collect());
        wal.commit(&[accept]).unwrap();
        if marked {
            wal.commit(&[decided(&end)]).unwrap();
        }
        let mut base = base(&rows[1]);
        if in_state {
            base = support::base(&end);
            base.configuration = Some(named_by(&end));
        }
        assert_eq!(wal.configuration(), None);
        for _ in 0..2 {
            let restored = wal.restore(&base).unwrap().restored;
            assert_eq!((restored.decided, restored.chain), (end.slot, end.chain));
            assert!(
                restored.undecided.is_empty(),
                "rows of the epoch that ended"
            );
            assert_eq!(wal.configuration(), Some(&named_by(&end)));
            drop(wal);
            wal = Wal::open(dir.path()).unwrap();
        }
        assert_eq!(wal.configuration().unwrap().epoch, Epoch(2));
    }
}

/// Property (2.9): what a process asks the others about is the count that it found, whatever it
/// had to write before the core started.
#[test]
fn the_count_is_the_one_from_before_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let rows = entries(Chain::GENESIS, Slot::FIRST, 6, ballot(3, 2));
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(&rows[3])])
        .unwrap();
    let count = wal.disk_seq();
    drop(wal);
    support::tamper(
        dir.path(),
        "DELETE FROM meta_a; UPDATE log SET crc = 0 WHERE slot = 1029",
    );
    let mut wal = Wal::open(dir.path()).unwrap();
    wal.announce_snapshot(&base(&rows[2])).unwrap();
    wal.install_snapshot(&base(&rows[2])).unwrap();
    let restored = wal.restore(&base(&rows[2])).unwrap().restored;
    assert_eq!(restored.damaged.len(), 1);
    assert_eq!(restored.disk_seq, count);
    assert!(wal.disk_seq().0 >= count.0 + 4, "{}", wal.disk_seq());
}

fn seen(node: u64, disk_seq: u64) -> PersistOp {
    PersistOp::Witness {
        node: NodeId(node),
        disk_seq: DiskSeq(disk_seq),
    }
}

/// Property (2.9): the highest count seen of a disk survives; it never falls, is bounded in
/// number, and goes when its node does not vote any more.
#[test]
fn what_was_seen_of_other_disks_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, _, end) = sealed_log(dir.path());
    wal.commit(&[seen(1, 5), seen(3, 9), seen(1, 8), seen(1, 6)])
        .unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let own = wal.disk_seq();
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    let expected = BTreeMap::from([(NodeId(1), DiskSeq(8)), (NodeId(3), DiskSeq(9))]);
    assert_eq!((restored.witnessed, restored.disk_seq), (expected, own));

    let many: Vec<PersistOp> = (100..1000).map(|node| seen(node, 1)).collect();
    wal.commit(&many).unwrap();
    wal.commit(&[seen(3, 11)]).unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let witnessed = wal.restore(&Base::EMPTY).unwrap().restored.witnessed;
    assert_eq!(witnessed.len(), wal::limits::WITNESSES_MAX);
    assert_eq!(witnessed[&NodeId(3)], DiskSeq(11));

    wal.commit(&[activate(&end), seen(1030, 4)]).unwrap();
    drop(wal);
    let mut wal = Wal::open(dir.path()).unwrap();
    let witnessed = wal.restore(&Base::EMPTY).unwrap().restored.witnessed;
    let left: BTreeSet<NodeId> = witnessed.into_keys().collect();
    assert_eq!(left, BTreeSet::from([NodeId(3), NodeId(1030)]));
}
