//! Goal: what is chosen, found and refused, one table row at a time. Kills are in
//! tests/forming.rs.

use super::{Action, Event, Forming};
use crate::genesis::Genesis;

fn forming(expected: usize) -> Forming {
    Forming::new("name".to_owned(), expected, "fresh".to_owned(), None)
}

fn register(forming: &mut Forming, disk: &str) {
    let address = format!("{disk}:1");
    forming.on(Event::Registered {
        disk: disk.to_owned(),
        address,
    });
}

fn blank(forming: &mut Forming, disk: &str) {
    forming.on(Event::Blank {
        disk: disk.to_owned(),
    });
}

fn holds(forming: &mut Forming, disk: &str, genesis: &Genesis, confirmed: bool) {
    forming.on(Event::Holds {
        disk: disk.to_owned(),
        genesis: genesis.clone(),
        confirmed,
    });
}

fn genesis(id: &str, disks: &[&str]) -> Genesis {
    let disks = disks
        .iter()
        .map(|d| ((*d).to_owned(), format!("{d}:1")))
        .collect();
    Genesis::new(id.to_owned(), "name".to_owned(), disks)
}

fn installs(actions: &[Action]) -> Vec<&str> {
    actions
        .iter()
        .map(|action| match action {
            Action::Install { disk, .. } => disk.as_str(),
            other => panic!("not an installation: {other:?}"),
        })
        .collect()
}

#[test]
fn asks_who_is_there_only_when_enough_are() {
    let mut forming = forming(2);
    register(&mut forming, "a");
    assert_eq!(forming.decide(), []);
    assert_eq!(forming.waiting_for(), "1 more of 2 replicas to register");
    register(&mut forming, "b");
    assert_eq!(forming.decide().len(), 2);
    blank(&mut forming, "a");
    assert_eq!(forming.decide().len(), 1, "b has not answered");
}

#[test]
fn writes_before_it_installs_and_confirms_only_what_all_hold() {
    let mut forming = forming(2);
    for disk in ["b", "a"] {
        register(&mut forming, disk);
        blank(&mut forming, disk);
    }
    let made = genesis("fresh", &["a", "b"]);
    assert_eq!(
        forming.decide(),
        [Action::Persist {
            genesis: made.clone(),
            held: false
        }]
    );
    assert_eq!(forming.decide().len(), 1, "still not written");
    forming.on(Event::Persisted { held: false });
    assert_eq!(installs(&forming.decide()), ["a", "b"]);
    holds(&mut forming, "a", &made, false);
    assert_eq!(installs(&forming.decide()), ["b"]);
    assert!(!forming.is_formed());
    holds(&mut forming, "b", &made, false);
    assert!(forming.is_formed());
    assert_eq!(
        forming.decide(),
        [Action::Persist {
            genesis: made,
            held: true
        }]
    );
    forming.on(Event::Persisted { held: true });
    assert_eq!(forming.decide().len(), 2);
    forming.on(Event::Confirmed {
        disk: "a".to_owned(),
    });
    forming.on(Event::Confirmed {
        disk: "b".to_owned(),
    });
    assert_eq!(forming.decide(), []);
    assert_eq!(forming.waiting_for(), "");
}

#[test]
fn resumes_a_genesis_that_a_disk_holds() {
    let mut forming = forming(2);
    let found = genesis("old", &["a", "b"]);
    register(&mut forming, "a");
    holds(&mut forming, "b", &found, false);
    assert_eq!(
        forming.decide(),
        [Action::Persist {
            genesis: found.clone(),
            held: false
        }]
    );
    forming.on(Event::Persisted { held: false });
    assert_eq!(
        installs(&forming.decide()),
        ["a", "b"],
        "it asks again, whatever it heard before"
    );
}

#[test]
fn one_confirmation_proves_that_all_held_it() {
    let mut forming = forming(2);
    let found = genesis("old", &["a", "b"]);
    holds(&mut forming, "b", &found, true);
    assert!(forming.is_formed());
    forming.on(Event::Persisted { held: true });
    let expected = Action::Confirm {
        disk: "a".to_owned(),
        address: "a:1".to_owned(),
        cluster_id: "old".to_owned(),
    };
    assert_eq!(
        forming.decide(),
        [expected],
        "a may still wait for its confirmation"
    );
}

#[test]
fn two_geneses_stop_it_until_a_person_decides() {
    let mut forming = forming(2);
    let (one, two) = (genesis("one", &["a", "b"]), genesis("two", &["b", "c"]));
    holds(&mut forming, "a", &one, false);
    holds(&mut forming, "b", &two, false);
    assert!(forming.stopped().is_some());
    assert_eq!(forming.decide(), []);
    holds(&mut forming, "a", &one, true);
    assert_eq!(forming.decide(), [], "stopped stays stopped");
    let words = forming.waiting_for();
    assert!(
        words.contains("one") && words.contains("two") && words.contains("restart"),
        "{words}"
    );
}

#[test]
fn a_stranger_changes_nothing_of_a_cluster_that_exists() {
    let mut forming = forming(1);
    let (ours, theirs) = (genesis("ours", &["a"]), genesis("theirs", &["b"]));
    holds(&mut forming, "a", &ours, true);
    holds(&mut forming, "b", &theirs, true);
    assert!(forming.is_formed());
    assert_eq!(forming.genesis(), Some(&ours));
}

#[test]
fn a_rumour_is_looked_into_before_anything_is_chosen() {
    let mut forming = forming(1);
    forming.on(Event::Rumoured {
        address: "x:1".to_owned(),
    });
    register(&mut forming, "a");
    blank(&mut forming, "a");
    let ask = Action::Identify {
        disk: None,
        address: "x:1".to_owned(),
    };
    assert_eq!(forming.decide(), [ask]);
    forming.looked_into("x:1");
    assert!(matches!(forming.decide()[..], [Action::Persist { .. }]));
}

#[test]
fn a_new_disk_at_an_address_replaces_the_one_that_was_there() {
    let mut forming = forming(2);
    register(&mut forming, "a");
    forming.on(Event::Registered {
        disk: "b".to_owned(),
        address: "a:1".to_owned(),
    });
    assert_eq!(forming.registered(), 1);
}

#[test]
fn a_disk_lost_while_forming_is_named_with_the_remedy() {
    let mut forming = forming(2);
    holds(&mut forming, "a", &genesis("old", &["a", "b"]), false);
    forming.on(Event::Registered {
        disk: "c".to_owned(),
        address: "b:1".to_owned(),
    });
    assert!(
        forming.waiting_for().contains("delete their data"),
        "{}",
        forming.waiting_for()
    );
}

#[test]
fn spare_disks_are_not_named() {
    let mut forming = forming(2);
    for disk in ["c", "a", "b"] {
        register(&mut forming, disk);
        blank(&mut forming, disk);
    }
    forming.decide();
    assert_eq!(forming.genesis(), Some(&genesis("fresh", &["a", "b"])));
}

#[test]
fn a_stored_genesis_is_resumed_at_once() {
    let stored = genesis("old", &["a", "b"]);
    let stored = Some((stored, false));
    let mut forming = Forming::new("name".to_owned(), 3, "fresh".to_owned(), stored);
    assert_eq!(
        forming.expected(),
        2,
        "the genesis says how many, not the setting"
    );
    assert_eq!(installs(&forming.decide()), ["a", "b"]);
    forming.moved("a", "z:9");
    let Some(Action::Install { address, .. }) = forming.decide().into_iter().next() else {
        panic!("no installation")
    };
    assert_eq!(address, "z:9");
}
