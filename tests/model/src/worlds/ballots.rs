//! One epoch: ballots against each other, disks, crashes, hand-over, reads.
//!
//! In: nothing. Out: worlds. Invariants: as in `worlds`. Tested by: tests/worlds.rs.

use crate::world::{Goal, World};

pub(super) fn small() -> Vec<World> {
    vec![
        World {
            slots: 1,
            slow_disks: true,
            letters: true,
            nacks: true,
            gaps: true,
            goals: &[Goal::Everywhere(1)],
            ..World::still(
                "one-slot",
                "two candidates, one slot, every disk slow, every message a message",
            )
        },
        World {
            goals: &[Goal::Everywhere(2)],
            ..World::still("two-slots", "two candidates, two slots")
        },
        World {
            slots: 1,
            crashes: 1,
            goals: &[Goal::AfterCrashes(1)],
            ..World::still(
                "crash",
                "two candidates, one slot, one crash of anybody at any moment",
            )
        },
        World {
            campaigns: 1,
            transfers: 1,
            waits: 1,
            slots: 1,
            proposers: &[1],
            goals: &[Goal::Everywhere(1)],
            ..World::still(
                "transfer",
                "the lead is handed over, and the old leader goes on after a while",
            )
        },
        World {
            slots: 1,
            reads: 1,
            goals: &[Goal::Read, Goal::Everywhere(1)],
            ..World::still("read", "two candidates, one slot, one linearizable read")
        },
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn large() -> Vec<World> {
    vec![
        World {
            slow_disks: true,
            letters: true,
            goals: &[Goal::Everywhere(2)],
            ..World::still(
                "two-slots-slow",
                "two candidates, two slots, every disk slow",
            )
        },
        World {
            crashes: 1,
            goals: &[Goal::AfterCrashes(2)],
            ..World::still("crash-two-slots", "two candidates, two slots, one crash")
        },
        World {
            crashes: 2,
            slots: 1,
            goals: &[Goal::AfterCrashes(1)],
            ..World::still("two-crashes", "two candidates, one slot, two crashes")
        },
        World {
            slots: 1,
            campaigns: 3,
            proposers: &[1, 2, 3],
            goals: &[Goal::Everywhere(1)],
            ..World::still("three-candidates", "three candidates, one slot")
        },
        World {
            campaigns: 3,
            goals: &[Goal::Everywhere(2)],
            ..World::still(
                "three-campaigns",
                "two candidates, three campaigns, two slots",
            )
        },
        World {
            campaigns: 3,
            proposers: &[1, 2, 3],
            goals: &[Goal::Everywhere(2)],
            ..World::still("three-candidates-two", "three candidates, two slots")
        },
        World {
            slots: 1,
            campaigns: 3,
            crashes: 1,
            goals: &[Goal::AfterCrashes(1)],
            ..World::still(
                "three-campaigns-crash",
                "two candidates, three campaigns, one slot, one crash",
            )
        },
        World {
            voters: &[1, 2, 3, 4, 5],
            nodes: &[1, 2, 3, 4, 5],
            slots: 1,
            goals: &[Goal::Everywhere(1)],
            ..World::still("five", "five acceptors, two candidates, one slot")
        },
        World {
            reads: 2,
            goals: &[Goal::Read, Goal::Everywhere(2)],
            ..World::still(
                "read-two-slots",
                "two candidates, two slots, two linearizable reads",
            )
        },
        World {
            campaigns: 2,
            transfers: 1,
            waits: 1,
            goals: &[Goal::Everywhere(2)],
            ..World::still(
                "transfer-candidates",
                "hand-over, two candidates, two slots",
            )
        },
    ]
}
