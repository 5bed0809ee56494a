//! Each kind of violation, in each way in which it can show: the history must not pass, and the
//! finding must be of that kind.

mod changes;
mod messages;
mod nodes;
mod order;

use checker::synthetic::History;
use checker::{Event, Kind, Line};
use uuid::Uuid;

use crate::correct;
use crate::edit::{Acked, acked, event, find, find_any};

type Case = (Kind, &'static str, fn(&mut History));

fn check(cases: &[Case]) {
    for (kind, name, wreck) in cases {
        let mut history = correct();
        wreck(&mut history);
        let report = history.check();
        assert!(report.found(*kind), "{name}: no {kind} is found: {report}");
        let told = report.violations.iter().any(|one| one.kind == *kind);
        assert!(told, "{name}: {kind} is counted, not told");
    }
}

/// A message in the middle of what all nodes have.
fn one(history: &History) -> Acked {
    let all = acked(history);
    all[all.len() * 3 / 4]
}

fn ack_of(history: &mut History, of: Acked) -> (&mut u64, &mut u64, &mut u64) {
    match event(history, of.client, of.line) {
        Event::Acked {
            room, seq, slot, ..
        } => (room, seq, slot),
        other => unreachable!("{other:?} is no acknowledgement"),
    }
}

/// [`checker::digest`] of a message's text.
fn body(history: &History, wanted: Uuid) -> u64 {
    let sent = |e: &Event| matches!(e, Event::Sent { cid, .. } if *cid == wanted);
    let (client, line) = find_any(history, sent);
    match history.clients[client].1[line].1 {
        Event::Sent { body, .. } => body,
        _ => unreachable!("it was found as one"),
    }
}

/// A client and a line, when two events of one room follow each other on a connection.
fn shown_twice(history: &History) -> (usize, usize) {
    let shown = |line: &Line| match line.1 {
        Event::Shown { room, .. } => Some(room),
        _ => None,
    };
    let found = history
        .clients
        .iter()
        .enumerate()
        .find_map(|(client, (_, lines))| {
            let follows = |pair: &[Line]| {
                pair[0].0 == pair[1].0
                    && shown(&pair[0]).is_some()
                    && shown(&pair[0]) == shown(&pair[1])
            };
            Some((client, lines.windows(2).position(follows)?))
        });
    found.expect("a replay shows two events at once")
}

/// A page of the last reader.
fn long_page(history: &History) -> (usize, usize) {
    let client = history.clients.len() - 1;
    let long = |e: &Event| matches!(e, Event::Page { rows, .. } if rows.len() > 5);
    (
        client,
        find(history, client, long).expect("a room has events"),
    )
}

/// A case that breaks what is broken already would prove nothing.
#[test]
fn the_base_is_correct() {
    let report = correct().check();
    assert!(report.holds(), "{report}");
}
