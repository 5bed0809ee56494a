//! The checks themselves: faults put into the layer on purpose, each of which must be caught.
//!
//! A recording is changed so that the disk was worse than it said, or the log acknowledged too
//! early. If the crash points of `crash.rs` do not find a violation then, they see nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::{Disk, Event, NodeId};

use crate::counters::Counters;
use crate::crash::{CrashPoints, WAL};
use crate::model::History;
use crate::recording::Recording;

/// A run with a restart, so that there is a checkpoint.
struct Run {
    disk: Arc<Disk>,
    events: Vec<Event>,
    history: History,
}

fn run(seed: u64) -> Run {
    let mut run = Recording::new(seed);
    run.steps(16).unwrap();
    run.stop();
    Run {
        events: run.disk.events(),
        disk: run.disk,
        history: run.history,
    }
}

impl Run {
    /// All files that ever had a name.
    fn nodes(&self, named: &str) -> BTreeSet<NodeId> {
        let mut medium = self.disk.before().clone();
        let mut nodes = BTreeSet::new();
        for event in &self.events {
            medium.apply(event);
            nodes.extend(medium.node(named));
        }
        nodes
    }

    /// The first violation of a changed recording.
    fn violation(&self, seed: u64, events: &[Event]) -> Option<String> {
        let points = CrashPoints::every(&self.disk, events, &self.history, seed);
        points.check(&mut Counters::default()).err()
    }

    fn without(&self, dropped: impl Fn(usize, &Event) -> bool) -> Vec<Event> {
        let events = self.events.iter().enumerate();
        events
            .filter(|(number, event)| !dropped(*number, event))
            .map(|(_, event)| event.clone())
            .collect()
    }

    /// The moment from which on something is acknowledged. What is planted begins there: before
    /// it nobody knows the log.
    fn born(&self) -> usize {
        let marked = |event: &Event| matches!(event, Event::Marked { .. });
        self.events.iter().position(marked).unwrap()
    }

    /// Every recording that is worse than it was, with what is wrong with it.
    fn planted(&self) -> Vec<(&'static str, Vec<Event>)> {
        let born = self.born();
        let (wals, logs) = (self.nodes(WAL), self.nodes("log.db"));
        let synced = |event: &Event, nodes: &BTreeSet<NodeId>| matches!(event, Event::Synced { node } if nodes.contains(node));
        let any_sync =
            |event: &Event| matches!(event, Event::Synced { .. } | Event::DirectorySynced);
        vec![
            (
                "no sync does anything (synchronous=OFF)",
                self.without(|number, event| number > born && any_sync(event)),
            ),
            (
                "every third sync does nothing",
                self.without(|number, event| number > born && number % 3 == 0 && any_sync(event)),
            ),
            (
                "no sync of the WAL does anything",
                self.without(|_, event| synced(event, &wals)),
            ),
            (
                "checkpoints do not sync log.db (synchronous=NORMAL without its sync)",
                self.without(|number, event| number > born && synced(event, &logs)),
            ),
            (
                "directories are not synced",
                self.without(|_, event| *event == Event::DirectorySynced),
            ),
            ("acknowledged before the sync", self.acknowledged_early()),
            ("written without being asked", self.written_unasked()),
        ]
    }

    fn acknowledged_early(&self) -> Vec<Event> {
        let events = self.events.iter().map(|event| match event {
            Event::Marked { asked, .. } => Event::Marked {
                asked: *asked,
                acked: *asked,
            },
            other => other.clone(),
        });
        events.collect()
    }

    fn written_unasked(&self) -> Vec<Event> {
        let events = self.events.iter().map(|event| match event {
            Event::Marked { asked, acked } => Event::Marked {
                asked: asked.saturating_sub(1),
                acked: acked.saturating_sub(1),
            },
            other => other.clone(),
        });
        events.collect()
    }
}

/// Property: the checks see each of the planted faults, and nothing in the run without one.
#[test]
fn planted_faults_are_caught() {
    let run = run(3);
    assert_eq!(
        run.violation(3, &run.events),
        None,
        "the run itself is sound"
    );
    for (fault, events) in run.planted() {
        let violation = run.violation(3, &events);
        println!(
            "{fault}: {:.160}",
            violation.as_deref().unwrap_or("NOT CAUGHT")
        );
        assert!(violation.is_some(), "not caught: {fault}");
    }
}
