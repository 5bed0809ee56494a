//! Transactions that stay open over several calls.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

#[path = "support/logs.rs"]
mod logs;

mod support;

use logs::{any_log, any_ordered_log};
use machine::{Error, Machine};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Fixture, Log, post};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Property: when transactions end makes no difference to answers, effects and state; a reader
    /// sees what was committed last and nothing of the open one; what was never committed is gone
    /// when the machine is, and the log brings the file forward again.
    #[test]
    fn commits_do_not_matter(
        log in prop_oneof![any_log(), any_ordered_log()],
        calls in vec((1..5_usize, any::<bool>()), 1..6),
    ) {
        let mut plain = Fixture::new();
        let expected = plain.machine.apply(&log.entries).unwrap();
        let hash = plain.machine.state_hash().unwrap();

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let mut machine = Machine::open(&path).unwrap();
        let mut reader = machine.reader().unwrap();
        let (mut found, mut committed) = (Vec::new(), machine.applied().slot);
        let mut rest = log.entries.as_slice();
        for (size, commit) in calls.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*size).min(rest.len()));
            found.extend(machine.advance(now).unwrap());
            prop_assert_eq!(machine.applied().slot, now[now.len() - 1].slot);
            if *commit {
                machine.commit().unwrap();
                committed = machine.applied().slot;
            }
            prop_assert_eq!(reader.applied().unwrap(), committed);
            rest = later;
        }
        prop_assert_eq!(&found, &expected);

        drop((machine, reader));
        let mut machine = Machine::open(&path).unwrap();
        prop_assert_eq!(machine.applied().slot, committed);
        let missing = log.entries.partition_point(|entry| entry.slot <= committed);
        machine.apply(&log.entries[missing..]).unwrap();
        prop_assert_eq!(machine.state_hash().unwrap(), hash);
    }
}

/// Property: an error takes back the whole open transaction and nothing that was committed before;
/// the machine then stands where the file does.
#[test]
fn an_error_takes_back_what_was_open() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let before = (
        fixture.machine.applied().clone(),
        fixture.machine.state_hash().unwrap(),
    );
    let said = |number| vec![post(number, 1, 1, "hi")];
    let first = fixture.log.batch(said(1));
    let _left_out = fixture.log.batch(said(2));
    let after_a_hole = fixture.log.batch(said(3));
    fixture
        .machine
        .advance(std::slice::from_ref(&first))
        .unwrap();
    let error = fixture.machine.advance(&[after_a_hole]).unwrap_err();
    assert!(matches!(error, Error::Gap { .. }), "{error}");
    let now = (
        fixture.machine.applied().clone(),
        fixture.machine.state_hash().unwrap(),
    );
    assert_eq!(now, before);
    fixture.machine.commit().unwrap();
    fixture.machine.apply(&[first]).unwrap();
    let mut again = Log::new();
    again.entries.clone_from(&fixture.log.entries);
    again.entries.truncate(2);
    let mut clean = Fixture::new();
    clean.machine.apply(&again.entries).unwrap();
    assert_eq!(
        fixture.machine.state_hash().unwrap(),
        clean.machine.state_hash().unwrap()
    );
}

/// Property: making the state durable ends the open transaction, so that what it reports is
/// really in the file.
#[test]
fn a_durable_checkpoint_has_the_open_transaction() {
    let mut fixture = Fixture::with_people(&["Ann"]);
    let entry = fixture.log.batch(vec![post(1, 1, 1, "hi")]);
    fixture.machine.advance(&[entry]).unwrap();
    let durable = fixture.machine.checkpoint_durable().unwrap().clone();
    assert_eq!(durable, *fixture.machine.applied());
    let mut reader = fixture.machine.reader().unwrap();
    assert_eq!(reader.applied().unwrap(), durable.slot);
}
