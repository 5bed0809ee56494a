//! The quickest worlds, searched to their end: nothing is wrong in any state that a schedule of
//! messages, disks and crashes can reach, and each thing that a world is for does happen in it.
//! `make model` searches the others.

use anyhow::{Context, Result, ensure};
use model::checker::{Bounds, check};
use model::worlds;

/// Half a minute in all, on two cores.
const QUICK: [&str; 7] = [
    "one-slot",
    "two-slots",
    "crash",
    "transfer",
    "read",
    "seal-slow",
    "seal",
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
