//! The quickest worlds, searched to their end: nothing is wrong in any state that a schedule of
//! messages, disks and crashes can reach, and each thing that a world is for does happen in it.
//! `make model` searches the others.

use anyhow::{Context, Result, ensure};
use model::checker::{Bounds, check};
use model::world::World;
use model::worlds;

/// Half a minute in all, on two cores.
const QUICK: [&str; 12] = [
    "one-slot",
    "two-slots",
    "crash",
    "transfer",
    "read",
    "old-row",
    "learner",
    "cut-off",
    "seal-slow",
    "seal",
    "seal-below-a-row",
    "late-newcomer",
];

/// Goal: no order of events breaks a rule. Method: all orders, in worlds of few events.
#[test]
fn quick_worlds_hold_every_rule() -> Result<()> {
    let bounds = Bounds {
        threads: 2,
        steps: 0,
        depth_first: false,
    };
    for name in QUICK {
        let world = worlds::named(name).context(name)?;
        let (name, broken) = (world.name, world.broken);
        let report = check(world, bounds);
        println!(
            "{name}: {} states, {:.1} s",
            report.states,
            report.took.as_secs_f64()
        );
        let found = report.fault.as_ref().map(|(fault, way)| (fault.rule, way));
        ensure!(
            found.map(|(rule, _)| rule) == broken,
            "{name}: {found:?} instead of {broken:?}"
        );
        ensure!(
            broken.is_some() || (report.complete && report.missed.is_empty()),
            "{name}: complete: {}, not reached: {:?}",
            report.complete,
            report.missed
        );
    }
    Ok(())
}

/// Property: to take messages away that can only be ignored changes nothing. Method: the same states of
/// nodes are reached without it, in worlds that are small enough for that.
#[test]
fn forgetting_messages_changes_no_verdict() -> Result<()> {
    for name in ["transfer", "learner", "old-row", "pages"] {
        let world = World {
            // Large batches are for pages, and take time.
            payload_bytes: 4,
            ..worlds::named(name).context(name)?
        };
        let whole = World {
            forget: false,
            ..world.clone()
        };
        let (some, all) = (
            check(world, Bounds::default()),
            check(whole, Bounds::default()),
        );
        println!(
            "{name}: {} states, {} without forgetting",
            some.states, all.states
        );
        ensure!(
            some.complete && all.complete,
            "{name}: both are searched to their end"
        );
        ensure!(
            some.fault.is_none() && all.fault.is_none(),
            "{name}: {:?}",
            all.fault
        );
        ensure!(some.missed == all.missed, "{name}: {:?}", all.missed);
        let (nodes, _, _) = some.sizes;
        let (without, _, _) = all.sizes;
        // More: to see whether a node ignores a message it is tried.
        ensure!(
            nodes >= without,
            "{name}: {nodes} states of a node, not {without}"
        );
    }
    Ok(())
}
