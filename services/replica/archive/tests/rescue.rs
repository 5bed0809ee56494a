//! What a survivor holds, and when it is refused.

#![allow(clippy::unwrap_used, reason = "tests: a panic is the report")]

mod support;

use std::fs;
use std::path::Path;

use archive::{Error, Survivor, found};
use machine::Machine;
use support::{audit, entries, plan, replica, stray};
use wal::Wal;

fn refusal(directory: &Path) -> String {
    match Survivor::open(directory) {
        Err(error @ Error::NotRescuable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Property: everything that the log holds and that follows what is decided is taken, also what
/// the state has not applied yet; the survivor's own files are as before, and it goes on.
#[test]
fn takes_every_row_that_follows() {
    let root = tempfile::tempdir().unwrap();
    let survivor = root.path().join("r1");
    let mut rows = entries(10);
    let last = rows[9].clone();
    rows.push(stray(last.slot.next()));
    replica(&survivor, &rows, 4, 7);
    let opened = Survivor::open(&survivor).unwrap();
    let report = opened.report().clone();
    assert_eq!(
        (report.decided, report.taken_upto),
        (rows[6].slot.0, last.slot.0)
    );
    assert_eq!((report.undecided_taken, report.left_out), (3, 1));
    assert_eq!((report.node, report.epoch, report.voters.len()), (1, 1, 3));
    assert_eq!(report.last_row_ms, last.timestamp.0);
    let scratch = root.path().join("scratch");
    let source = opened.carry_over(&scratch).unwrap();
    let target = root.path().join("new");
    found(&source, &plan(&target, 1), &audit()).unwrap();
    let made = Machine::open(target.join("r1/state.db")).unwrap();
    assert_eq!(
        (made.applied().slot, made.applied().chain),
        (last.slot, last.chain)
    );
    drop(opened);
    let same = Survivor::open(&survivor).unwrap();
    assert_eq!(*same.report(), report);
    let state = Machine::open(survivor.join("state.db")).unwrap();
    assert_eq!(
        state.applied().slot,
        rows[3].slot,
        "its state was not brought forward"
    );
}

/// Property: what runs, what belongs to no cluster, and what is damaged is refused, with the
/// reason.
#[test]
fn refuses_what_runs_or_is_damaged() {
    let root = tempfile::tempdir().unwrap();
    assert!(refusal(root.path()).contains("log.db"));
    let runs = root.path().join("runs");
    replica(&runs, &entries(3), 3, 3);
    let held = Wal::open(&runs).unwrap();
    assert!(refusal(&runs).contains("stop the replica first"));
    drop(held);
    Survivor::open(&runs).unwrap();

    let blank = root.path().join("blank");
    drop(Wal::open(&blank).unwrap());
    drop(Machine::open(blank.join("state.db")).unwrap());
    assert!(refusal(&blank).contains("belongs to no cluster"));

    for name in ["log.db", "state.db"] {
        let damaged = root.path().join(format!("damaged-{name}"));
        replica(&damaged, &entries(300), 300, 300);
        let path = damaged.join(name);
        let mut bytes = fs::read(&path).unwrap();
        // Behind the first pages: in rows, not in the header.
        let from = bytes.len() / 2;
        for byte in bytes.iter_mut().skip(from) {
            *byte ^= 0x5a;
        }
        fs::write(&path, bytes).unwrap();
        let words = refusal(&damaged);
        assert!(words.contains("another survivor"), "{words}");
    }
}
