//! Several epochs: seals, newcomers, nodes that left and come back.
//!
//! In: nothing. Out: worlds. Invariants: as in `worlds`. Tested by: tests/worlds.rs.

use crate::world::{Goal, Opening, World};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn small() -> Vec<World> {
    vec![
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 0,
            seal_slots: 1,
            campaigns: 1,
            slow_disks: true,
            early: true,
            goals: &[Goal::Ready(2), Goal::Everywhere(1), Goal::Everywhere(2)],
            ..World::still(
                "seal-slow",
                "one candidate, one voter replaced, every disk slow",
            )
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 2,
            seal_slots: 1,
            goals: &[Goal::Ready(2), Goal::Decided(2), Goal::Everywhere(2)],
            ..World::still("seal", "two candidates, one voter replaced")
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            first_slot: 3,
            slots: 3,
            seal_slots: 1,
            goals: &[Goal::Ready(2), Goal::Decided(3), Goal::Everywhere(3)],
            ..World::still(
                "seal-next",
                "two candidates, a seal at once, and what follows it",
            )
        },
        World {
            nodes: &[1, 2, 3, 4, 5],
            seals: &[&[1, 2, 4], &[1, 4, 5]],
            slots: 0,
            campaigns: 1,
            seal_slots: 3,
            goals: &[Goal::Ready(2), Goal::Ready(3), Goal::Everywhere(4)],
            ..World::still("two-seals", "one candidate, two seals")
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[2, 3, 4]],
            slots: 0,
            seal_slots: 1,
            reads: 1,
            campaigns: 1,
            goals: &[Goal::Ready(2), Goal::Read],
            ..World::still("read-seal", "one candidate, which is replaced, one read")
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 3,
            seal_slots: 1,
            campaigns: 1,
            proposers: &[3],
            opening: SEAL_BELOW_A_ROW,
            goals: &[Goal::Ready(2), Goal::Everywhere(2)],
            ..World::still(
                "seal-below-a-row",
                "a Seal is found in phase 1, and above it a row that lost",
            )
        },
        World {
            nodes: &[1, 2, 3, 4, 5],
            seals: &[&[1, 2, 4], &[1, 4, 5]],
            slots: 0,
            seal_slots: 3,
            campaigns: 0,
            slow_disks: true,
            opening: TWO_SEALS,
            goals: &[Goal::Returned(5, 3), Goal::Everywhere(3)],
            ..World::still(
                "late-newcomer",
                "a node on a slow disk learns of two Seals that others are past",
            )
        },
    ]
}

/// Nodes 1 to 4 have been through two Seals; node 5 has nothing.
const TWO_SEALS: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2, 3, 4]),
    Opening::Reconfigure(1),
    Opening::Settle(&[1, 2, 3, 4]),
    Opening::Reconfigure(1),
    Opening::Settle(&[1, 2, 3, 4]),
    Opening::Lose,
];

/// Node 1 has two rows that nobody else has; nodes 2 and 3 have a Seal in the slot of the first one,
/// and nobody knows that it is decided.
const SEAL_BELOW_A_ROW: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Propose(1),
    Opening::Lose,
    Opening::Campaign(2),
    Opening::Settle(&[2, 3]),
    Opening::Reconfigure(2),
    Opening::Settle(&[3]),
    Opening::Lose,
];

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn large() -> Vec<World> {
    vec![
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 3,
            seal_slots: 2,
            goals: &[Goal::Ready(2), Goal::Decided(3), Goal::Everywhere(3)],
            ..World::still(
                "seal-slots",
                "two candidates, one voter replaced, three slots",
            )
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            seal_slots: 1,
            campaigns: 3,
            goals: &[Goal::Ready(2), Goal::Decided(2)],
            ..World::still(
                "seal-old-rows",
                "two candidates, three campaigns, one voter replaced",
            )
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            first_slot: 3,
            slots: 3,
            seal_slots: 1,
            crashes: 1,
            crashing: &[1, 4],
            goals: &[Goal::Ready(2), Goal::Decided(3), Goal::AfterCrashes(3)],
            ..World::still(
                "seal-next-crash",
                "as seal-next, and the starter or the newcomer crashes",
            )
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[2, 3, 4]],
            slots: 0,
            seal_slots: 1,
            reads: 1,
            goals: &[Goal::Ready(2), Goal::Read],
            ..World::still(
                "read-seal-candidates",
                "two candidates, one of them is replaced, one read",
            )
        },
        World {
            nodes: &[1, 2, 3, 4, 5, 6],
            proposers: &[1, 4],
            seals: &[&[4, 5, 6]],
            slots: 0,
            seal_slots: 1,
            goals: &[Goal::Ready(2), Goal::Everywhere(1), Goal::Everywhere(2)],
            ..World::still("disjoint", "two candidates, all voters replaced")
        },
        World {
            nodes: &[1, 2, 3, 4],
            seals: &[&[1, 2, 4]],
            slots: 0,
            seal_slots: 1,
            crashes: 1,
            goals: &[Goal::Ready(2), Goal::AfterCrashes(2)],
            ..World::still(
                "seal-crash",
                "two candidates, one voter replaced, one crash",
            )
        },
        World {
            nodes: &[1, 2, 3, 4, 5],
            seals: &[&[1, 2, 4], &[1, 4, 5]],
            slots: 0,
            campaigns: 1,
            seal_slots: 3,
            slow_disks: true,
            goals: &[Goal::Ready(2), Goal::Ready(3), Goal::Everywhere(4)],
            ..World::still(
                "two-seals-slow",
                "one candidate, two seals, every disk slow",
            )
        },
        World {
            nodes: &[1, 2, 3, 4, 5],
            seals: &[&[1, 2, 4], &[1, 4, 5]],
            slots: 0,
            seal_slots: 3,
            goals: &[Goal::Ready(2), Goal::Ready(3), Goal::Everywhere(4)],
            ..World::still("two-seals-candidates", "two candidates, two seals")
        },
        World {
            nodes: &[1, 2, 3, 4],
            proposers: &[1, 3],
            seals: &[&[1, 2, 4], &[1, 2, 3]],
            slots: 0,
            seal_slots: 3,
            crashes: 1,
            crashing: &[3],
            goals: &[
                Goal::Ready(2),
                Goal::Ready(3),
                Goal::Returned(3, 3),
                Goal::AfterCrashes(4),
            ],
            ..World::still(
                "return",
                "a voter leaves, crashes, and comes back with its old disk",
            )
        },
    ]
}
