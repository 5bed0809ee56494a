//! Disks that are lost, copied or emptied; snapshots; promises in pages.
//!
//! In: nothing. Out: worlds. Invariants: as in `worlds`. Tested by: tests/worlds.rs.

use crate::fault::Rule;
use crate::world::{Goal, Opening, World};

/// Batches so large that a page of a promise holds three.
const BIG: usize = 256 * 1024;

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
            ..World::still("lost-disk", "one candidate, a disk is lost, a newcomer takes the place")
        },
        World {
            campaigns: 1,
            slots: 2,
            compactions: 1,
            installs: 1,
            letters: true,
            fetching: true,
            opening: SNAPSHOT,
            goals: &[Goal::Installed, Goal::Everywhere(2)],
            ..World::still("snapshot", "a node that missed everything finds a compacted log")
        },
        World {
            campaigns: 1,
            proposers: &[2, 3],
            slots: 4,
            payload_bytes: BIG,
            opening: PAGES,
            letters: true,
            fetching: true,
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
            ..World::still("amnesia", "an empty disk under an old id, which the identity rule forbids")
        },
        World {
            campaigns: 2,
            proposers: &[1, 3],
            slots: 1,
            copies: 1,
            hello: true,
            opening: GREETED,
            broken: Some(Rule::Agreement),
            watched: vec![Rule::Agreement],
            ..World::still("turned-back", "an old copy of a disk, which Hello finds only at best")
        },
        World {
            slots: 1,
            campaigns: 1,
            crashes: 1,
            hello: true,
            opening: GREETED,
            goals: &[Goal::AfterCrashes(1)],
            ..World::still("hello", "a crash, and nobody is taken for a disk that was turned back")
        },
    ]
}

/// Everybody has said hello and was admitted.
const GREETED: &[Opening] = &[Opening::Settle(&[1, 2, 3]), Opening::Lose];

/// Node 3 has nothing; node 1 leads, has decided two slots and forgotten them.
const SNAPSHOT: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Settle(&[1, 2]),
    Opening::Compact(1),
    Opening::Settle(&[1, 2]),
];

/// Four rows are decided by nodes 1 and 2; node 2 knows no commit index, node 3 nothing.
const PAGES: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Settle(&[1, 2]),
];

pub(super) fn large() -> Vec<World> {
    vec![]
}
