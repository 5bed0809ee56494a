//! Disks that are lost, copied or emptied; snapshots; promises in pages.
//!
//! In: nothing. Out: worlds. Invariants: as in `worlds`. Tested by: tests/worlds.rs.

use crate::fault::Rule;
use crate::world::{Goal, Opening, World};

/// Batches so large that a page of a promise holds three.
const BIG: usize = 256 * 1024;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn small() -> Vec<World> {
    vec![
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 1,
            campaigns: 1,
            mortal: &[2, 3],
            losses: 1,
            goals: &[Goal::Ready(2), Goal::Lost(3)],
            ..World::still(
                "lost-disk",
                "one candidate, a disk is lost, a newcomer takes the place",
            )
        },
        World {
            campaigns: 1,
            proposers: &[2, 3],
            installs: 1,
            letters: true,
            fetching: true,
            opening: SNAPSHOT,
            goals: &[Goal::Installed, Goal::Everywhere(2)],
            ..World::still(
                "snapshot",
                "a node that missed everything finds compacted logs",
            )
        },
        World {
            campaigns: 1,
            proposers: &[3],
            proposals: 1,
            slots: 4,
            payload_bytes: BIG,
            opening: PAGES,
            goals: &[Goal::Everywhere(4)],
            ..World::still("pages", "the promise that matters has two pages")
        },
        World {
            slots: 1,
            damages: 1,
            goals: &[Goal::AfterDamage(1)],
            ..World::still("damage", "two candidates, one slot, a row is damaged")
        },
        World {
            campaigns: 2,
            proposers: &[1, 3],
            slots: 1,
            mortal: &[2],
            wipes: 1,
            broken: Some(Rule::Agreement),
            watched: vec![Rule::Agreement],
            ..World::still(
                "amnesia",
                "an empty disk under an old id, which the identity rule forbids",
            )
        },
        World {
            campaigns: 2,
            proposers: &[1, 3],
            slots: 1,
            mortal: &[1],
            copies: 1,
            hello: true,
            opening: GREETED,
            broken: Some(Rule::Agreement),
            watched: vec![Rule::Agreement],
            ..World::still(
                "turned-back",
                "an old copy of a disk, which Hello finds only at best",
            )
        },
        World {
            slots: 1,
            campaigns: 1,
            crashes: 1,
            waits: 1,
            hello: true,
            opening: GREETED,
            goals: &[Goal::AfterCrashes(1)],
            ..World::still(
                "hello",
                "a crash, and nobody is taken for a disk that was turned back",
            )
        },
    ]
}

/// Everybody has said hello and was admitted.
const GREETED: &[Opening] = &[Opening::Settle(&[1, 2, 3]), Opening::Lose];

/// Node 3 has nothing; the others have decided a slot and forgotten it, and node 1 leads.
const SNAPSHOT: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Settle(&[1, 2]),
    Opening::Compact(1),
    Opening::Compact(2),
    Opening::Settle(&[1, 2]),
    Opening::Lose,
];

/// Four rows are decided by node 1 and durable at node 2, which knows no commit index; node 3
/// has nothing.
const PAGES: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Settle(&[2]),
    Opening::Settle(&[1]),
    Opening::Lose,
];

/// As before, with six rows: what remains after two more are decided still takes two pages.
const VIEWS: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Settle(&[2]),
    Opening::Settle(&[1]),
    Opening::Lose,
];

pub(super) fn large() -> Vec<World> {
    vec![
        World {
            slots: 1,
            compactions: 1,
            installs: 1,
            crashes: 1,
            crashing: &[3],
            letters: true,
            fetching: true,
            goals: &[Goal::Installed, Goal::Everywhere(1), Goal::AfterCrashes(1)],
            ..World::still(
                "snapshot-crash",
                "compaction at any moment, a snapshot, a crash",
            )
        },
        World {
            campaigns: 1,
            proposers: &[3],
            proposals: 1,
            slots: 6,
            payload_bytes: BIG,
            opening: VIEWS,
            goals: &[Goal::Everywhere(6)],
            ..World::still(
                "pages-views",
                "a promise in pages, of which some are of a later view",
            )
        },
    ]
}
