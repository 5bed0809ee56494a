//! Damaged rows (section 2.9): where the commit index ends, what is kept, what is reported, what
//! is refused, and how a row becomes whole again.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use std::path::Path;

use paxos::entry::{Chain, Entry};
use paxos::ids::{Ballot, Slot};
use paxos::output::PersistOp;
use rusqlite::{Connection, params};
use support::{ballot, base, decided, entries, tamper, voter};
use wal::{Base, Error, Recovery, Wal};

const BALLOT: fn() -> Ballot = || ballot(3, 2);

/// Ten rows; the log says that so many of them are decided. Closed properly.
fn closed_log(dir: &Path, marked: usize) -> Vec<Entry> {
    let mut wal = voter(dir);
    let rows = entries(Chain::GENESIS, Slot::FIRST, 10, BALLOT());
    let accept = PersistOp::Accept(rows.clone());
    match marked.checked_sub(1) {
        Some(last) => wal.commit(&[accept, decided(&rows[last])]).unwrap(),
        None => wal.commit(&[accept]).unwrap(),
    };
    rows
}

/// What happens to a row.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A bit of its payload flips.
    Flip(usize),
    /// Its columns become nonsense.
    Garble(usize),
    /// It is gone: the disk brought back a page from before it was written.
    Vanish(usize),
    /// It is whole, but what the slot held before: likewise.
    Older(usize),
}

impl Damage {
    fn inflict(self, dir: &Path, rows: &[Entry]) {
        match self {
            Self::Flip(at) => tamper(
                dir,
                &format!(
                    "UPDATE log SET payload = CAST(payload || 'x' AS BLOB) WHERE slot = {}",
                    rows[at].slot.0
                ),
            ),
            Self::Garble(at) => tamper(
                dir,
                &format!(
                    "UPDATE log SET payload = x'', chain = x'00', kind = 77 WHERE slot = {}",
                    rows[at].slot.0
                ),
            ),
            Self::Vanish(at) => tamper(
                dir,
                &format!("DELETE FROM log WHERE slot = {}", rows[at].slot.0),
            ),
            Self::Older(at) => {
                let other = entries(Chain([9; 32]), rows[at].slot, 1, BALLOT());
                Connection::open(dir.join("log.db"))
                    .unwrap()
                    .execute(
                        "UPDATE log SET timestamp = ?2, payload = ?3, chain = ?4, crc = ?5 \
                         WHERE slot = ?1",
                        params![
                            other[0].slot.0.cast_signed(),
                            other[0].timestamp.0.cast_signed(),
                            other[0].payload.as_ref(),
                            other[0].chain.0,
                            other[0].crc
                        ],
                    )
                    .unwrap();
            }
        }
    }
}

/// What the state machine holds that has applied so many rows.
fn applied(rows: &[Entry], count: usize) -> Base {
    count
        .checked_sub(1)
        .map_or(Base::EMPTY, |last| base(&rows[last]))
}

fn restore(dir: &Path, base: &Base) -> Result<Recovery, Error> {
    Wal::open(dir).unwrap().restore(base)
}

/// One row of the table: what is there, and what must come back. Numbers are indices of rows, or
/// counts of them.
struct Case {
    name: &'static str,
    marked: usize,
    applied: usize,
    damage: &'static [Damage],
    decided: usize,
    undecided: &'static [usize],
    damaged: &'static [usize],
    unreadable: bool,
}

const CASES: &[Case] = &[
    Case {
        name: "a sound log",
        marked: 6,
        applied: 0,
        damage: &[],
        decided: 6,
        undecided: &[6, 7, 8, 9],
        damaged: &[],
        unreadable: false,
    },
    Case {
        name: "an undecided row",
        marked: 6,
        applied: 6,
        damage: &[Damage::Flip(8)],
        decided: 6,
        undecided: &[6, 7, 9],
        damaged: &[8],
        unreadable: false,
    },
    Case {
        name: "the last row",
        marked: 6,
        applied: 3,
        damage: &[Damage::Garble(9)],
        decided: 6,
        undecided: &[6, 7, 8],
        damaged: &[9],
        unreadable: false,
    },
    Case {
        name: "a decided row that is not applied",
        marked: 6,
        applied: 1,
        damage: &[Damage::Flip(3)],
        decided: 3,
        undecided: &[4, 5, 6, 7, 8, 9],
        damaged: &[3],
        unreadable: false,
    },
    Case {
        name: "several of them",
        marked: 6,
        applied: 0,
        damage: &[Damage::Garble(2), Damage::Flip(4), Damage::Flip(7)],
        decided: 2,
        undecided: &[3, 5, 6, 8, 9],
        damaged: &[2, 4, 7],
        unreadable: false,
    },
    Case {
        name: "the row at the stored commit index",
        marked: 6,
        applied: 0,
        damage: &[Damage::Flip(5)],
        decided: 5,
        undecided: &[6, 7, 8, 9],
        damaged: &[5],
        unreadable: false,
    },
    Case {
        name: "without a stored commit index nothing is decided",
        marked: 0,
        applied: 0,
        damage: &[Damage::Flip(0)],
        decided: 0,
        undecided: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        damaged: &[0],
        unreadable: false,
    },
    Case {
        name: "a row below the applied one is not looked at",
        marked: 6,
        applied: 4,
        damage: &[Damage::Flip(1), Damage::Vanish(2)],
        decided: 6,
        undecided: &[6, 7, 8, 9],
        damaged: &[],
        unreadable: false,
    },
    Case {
        name: "the applied row",
        marked: 6,
        applied: 4,
        damage: &[Damage::Garble(3)],
        decided: 6,
        undecided: &[6, 7, 8, 9],
        damaged: &[],
        unreadable: true,
    },
    Case {
        name: "the applied row, above the stored commit index",
        marked: 2,
        applied: 8,
        damage: &[Damage::Flip(7)],
        decided: 8,
        undecided: &[8, 9],
        damaged: &[],
        unreadable: true,
    },
    Case {
        // The disk lost a write. Rows 4 and 5 are proved by the chain; of the others any may be
        // of an older ballot.
        name: "a missing row",
        marked: 6,
        applied: 1,
        damage: &[Damage::Vanish(3)],
        decided: 1,
        undecided: &[4, 5],
        damaged: &[1, 2, 3, 6, 7, 8, 9],
        unreadable: false,
    },
    Case {
        name: "an older row",
        marked: 6,
        applied: 1,
        damage: &[Damage::Older(3)],
        decided: 1,
        undecided: &[4, 5],
        damaged: &[1, 2, 3, 6, 7, 8, 9],
        unreadable: false,
    },
    Case {
        name: "an older row behind a flipped bit",
        marked: 6,
        applied: 0,
        damage: &[Damage::Flip(1), Damage::Older(4)],
        decided: 0,
        undecided: &[5],
        damaged: &[0, 1, 2, 3, 4, 6, 7, 8, 9],
        unreadable: false,
    },
    Case {
        name: "an older row at the stored commit index proves nothing of the others",
        marked: 6,
        applied: 2,
        damage: &[Damage::Older(5)],
        decided: 2,
        undecided: &[],
        damaged: &[2, 3, 4, 5, 6, 7, 8, 9],
        unreadable: false,
    },
    Case {
        name: "a missing row at the stored commit index",
        marked: 6,
        applied: 4,
        damage: &[Damage::Vanish(5)],
        decided: 4,
        undecided: &[],
        damaged: &[4, 5, 6, 7, 8, 9],
        unreadable: false,
    },
    Case {
        name: "a missing applied row",
        marked: 6,
        applied: 4,
        damage: &[Damage::Vanish(3)],
        decided: 6,
        undecided: &[],
        damaged: &[6, 7, 8, 9],
        unreadable: true,
    },
];

/// Property (2.9): the commit index ends before the first row that cannot be trusted; every
/// other row comes back as it was, or its slot is reported.
#[test]
fn damage_is_reported_and_nothing_else_is_lost() {
    for case in CASES {
        let dir = tempfile::tempdir().unwrap();
        let rows = closed_log(dir.path(), case.marked);
        for damage in case.damage {
            damage.inflict(dir.path(), &rows);
        }
        let base = applied(&rows, case.applied);
        let Recovery {
            restored,
            unreadable,
        } = restore(dir.path(), &base).unwrap();
        let end = applied(&rows, case.decided);
        assert_eq!(
            (restored.decided, restored.chain, restored.timestamp),
            (end.slot, end.chain, end.timestamp),
            "{}",
            case.name
        );
        assert_eq!(restored.promised, BALLOT(), "{}", case.name);
        let undecided = case.undecided.iter().map(|at| &rows[*at]);
        assert!(restored.undecided.iter().eq(undecided), "{}", case.name);
        let damaged = case.damaged.iter().map(|at| &rows[*at].slot);
        assert!(restored.damaged.iter().eq(damaged), "{}", case.name);
        let expected = case.unreadable.then_some(base.slot);
        assert_eq!(unreadable, expected, "{}", case.name);
    }
}

/// Property: a damaged row is whole once it was written again, whatever its slot is given; until
/// then a restart reports it.
#[test]
fn a_row_becomes_whole_by_being_written_again() {
    for case in CASES.iter().filter(|case| !case.damaged.is_empty()) {
        let dir = tempfile::tempdir().unwrap();
        let rows = closed_log(dir.path(), case.marked);
        for damage in case.damage {
            damage.inflict(dir.path(), &rows);
        }
        let base = applied(&rows, case.applied);
        let last_decided = case.marked.max(case.applied);
        for repaired in case.damaged {
            let mut wal = Wal::open(dir.path()).unwrap();
            let before = wal.restore(&base).unwrap().restored.damaged;
            assert!(before.contains(&rows[*repaired].slot), "{}", case.name);
            // A decided one comes back with its value, under any ballot.
            let again = if *repaired < last_decided {
                let previous = applied(&rows, *repaired).chain;
                rows[*repaired].reproposed(previous, ballot(4, 1))
            } else {
                entries(Chain([3; 32]), rows[*repaired].slot, 1, ballot(4, 1)).remove(0)
            };
            wal.commit(&[PersistOp::Accept(vec![again.clone()])])
                .unwrap();
            drop(wal);
            let after = restore(dir.path(), &base).unwrap().restored;
            assert!(!after.damaged.contains(&again.slot), "{}", case.name);
            if again.slot > after.decided {
                assert!(after.undecided.contains(&again), "{}", case.name);
            }
        }
        let restored = restore(dir.path(), &base).unwrap().restored;
        assert!(restored.damaged.is_empty(), "{}", case.name);
        let end = applied(&rows, last_decided).slot;
        assert_eq!(restored.decided, end, "{}", case.name);
        assert_eq!(restored.undecided.len(), 10 - last_decided, "{}", case.name);
    }
}

/// Property: only a damaged slot may take another value than the decided one.
#[test]
fn a_whole_decided_row_keeps_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path(), 6);
    Damage::Flip(3).inflict(dir.path(), &rows);
    let mut wal = Wal::open(dir.path()).unwrap();
    wal.restore(&Base::EMPTY).unwrap();
    let other = entries(Chain([3; 32]), rows[4].slot, 1, ballot(4, 1));
    let refused = wal.commit(&[PersistOp::Accept(other)]);
    assert!(
        matches!(refused, Err(Error::Contract { .. })),
        "{refused:?}"
    );
}

/// Property: undecided rows that vanish are missed, and nobody can say which they were: refused.
#[test]
fn vanished_undecided_rows_are_refused() {
    for (marked, applied_rows, vanished) in [(6, 0, 8), (6, 6, 6), (3, 6, 9), (0, 0, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let rows = closed_log(dir.path(), marked);
        Damage::Vanish(vanished).inflict(dir.path(), &rows);
        let refused = restore(dir.path(), &applied(&rows, applied_rows));
        assert!(
            matches!(refused, Err(Error::RowsLost { .. })),
            "{refused:?}"
        );
    }
    // Nor does a row appear from nowhere.
    let dir = tempfile::tempdir().unwrap();
    closed_log(dir.path(), 6);
    tamper(
        dir.path(),
        "INSERT INTO log SELECT slot + 500, epoch, round, node, kind, timestamp, payload, chain, \
         crc FROM log WHERE slot = 1030",
    );
    let refused = restore(dir.path(), &Base::EMPTY);
    assert!(
        matches!(refused, Err(Error::RowsLost { .. })),
        "{refused:?}"
    );
}

/// Property: a state machine that is ahead of the log, or of another history, is refused.
#[test]
fn files_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows = closed_log(dir.path(), 6);
    let beyond = entries(rows[9].chain, rows[9].slot.next(), 1, BALLOT());
    let refused = restore(dir.path(), &base(&beyond[0]));
    assert!(
        matches!(refused, Err(Error::RowMissing { .. })),
        "{refused:?}"
    );
    for at in [2, 5, 7] {
        let mut other = base(&rows[at]);
        other.chain = Chain([9; 32]);
        let refused = restore(dir.path(), &other);
        assert!(
            matches!(refused, Err(Error::Diverged { slot, .. }) if slot == other.slot),
            "{refused:?}"
        );
    }
}

/// Property: damage far below what was decided here is left to a snapshot: the core could not
/// hold what lies between.
#[test]
fn damage_too_far_below_needs_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let count = paxos::limits::ACCEPT_AHEAD_SLOTS_MAX + 5;
    let rows = entries(Chain::GENESIS, Slot::FIRST, count, BALLOT());
    let last = rows.last().unwrap();
    wal.commit(&[PersistOp::Accept(rows.clone()), decided(last)])
        .unwrap();
    drop(wal);
    Damage::Flip(3).inflict(dir.path(), &rows);
    let refused = restore(dir.path(), &Base::EMPTY);
    assert!(
        matches!(refused, Err(Error::SnapshotNeeded { applied, at_least, .. })
            if applied == Slot::GENESIS && at_least == last.slot),
        "{refused:?}"
    );
    // A row nearer to it is not.
    let near = rows.len() - 10;
    tamper(dir.path(), "DELETE FROM log WHERE slot = 1027");
    let mut wal = Wal::open(dir.path()).unwrap();
    wal.commit(&[PersistOp::Accept(vec![rows[3].clone()])])
        .unwrap();
    drop(wal);
    Damage::Flip(near).inflict(dir.path(), &rows);
    let restored = restore(dir.path(), &Base::EMPTY).unwrap().restored;
    assert_eq!(restored.decided, rows[near - 1].slot);
    assert_eq!(restored.damaged.len(), 1);
}

/// Property: what lies under a damaged row is written over only when the file's structure is
/// sound; otherwise rows that nobody suspects could be destroyed.
#[test]
fn a_damaged_structure_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let payload = vec![7_u8; 20_000];
    let mut rows: Vec<Entry> = Vec::new();
    for _ in 0..4 {
        let (chain, slot) = rows.last().map_or((Chain::GENESIS, Slot::FIRST), |row| {
            (row.chain, row.slot.next())
        });
        rows.push(Entry::new(
            chain,
            slot,
            BALLOT(),
            paxos::EntryKind::Batch,
            paxos::Timestamp(slot.0),
            payload.clone().into(),
        ));
    }
    wal.commit(&[PersistOp::Accept(rows.clone())]).unwrap();
    drop(wal);
    // A row of 20 kB lies on a chain of pages. One that points into another row's chain gives
    // that row's bytes here, and would free its pages when this row is replaced.
    let path = dir.path().join("log.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let chained: Vec<usize> = (0..bytes.len())
        .step_by(4096)
        .filter(|page| bytes[page + 4..page + 4096].iter().all(|byte| *byte == 7))
        .collect();
    let (first, other) = (chained[0], chained[chained.len() / 2]);
    let target = u32::try_from(other / 4096 + 1).unwrap();
    bytes[first..first + 4].copy_from_slice(&target.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let refused = restore(dir.path(), &Base::EMPTY);
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}
