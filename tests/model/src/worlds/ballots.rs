//! One epoch: ballots against each other, disks, crashes, hand-over, reads.
//!
//! In: nothing. Out: worlds. Invariants: as in `worlds`. Tested by: tests/worlds.rs.

use crate::world::{Goal, Opening, World};

#[expect(clippy::too_many_lines, reason = "a table")]
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
        crash_of(
            &[1],
            "crash-1",
            "two candidates, two slots, one crash of the first",
        ),
        crash_of(
            &[2],
            "crash-2",
            "two candidates, two slots, one crash of the second",
        ),
        crash_of(
            &[3],
            "crash-3",
            "two candidates, two slots, one crash of the third node",
        ),
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
        World {
            campaigns: 1,
            proposers: &[3],
            opening: OLD_ROW,
            goals: &[Goal::Everywhere(2)],
            ..World::still(
                "old-row",
                "a node holds a row that lost, below the base of the next ballot",
            )
        },
        World {
            nodes: &[1, 2, 3, 4],
            slots: 1,
            proposers: &[1, 4],
            goals: &[Goal::Everywhere(1)],
            ..World::still("learner", "a candidate, and a node that does not vote")
        },
        World {
            voters: &[1, 2, 3, 4, 5],
            nodes: &[1, 2, 3, 4, 5],
            campaigns: 0,
            opening: CUT_OFF,
            goals: &[Goal::Decided(1), Goal::Everywhere(1)],
            ..World::still(
                "cut-off",
                "a leader of two goes on, while three others have decided another value",
            )
        },
    ]
}

/// One crash of anybody at any moment is one of the first, of the second or of the third node: three
/// worlds, each of which can be searched to its end. Only the disk of a node that may die is slow.
fn crash_of(crashing: &'static [u64], name: &'static str, about: &'static str) -> World {
    World {
        crashes: 1,
        crashing,
        goals: &[Goal::AfterCrashes(2)],
        ..World::still(name, about)
    }
}

/// Node 1 has a row that nobody else has; the others have decided another one in its slot.
const OLD_ROW: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2]),
    Opening::Propose(1),
    Opening::Lose,
    Opening::Campaign(2),
    Opening::Settle(&[2, 3]),
    Opening::Propose(2),
    Opening::Settle(&[2, 3]),
    Opening::Lose,
];

/// Node 1 leads nodes 1 and 2, which hold its row; nodes 3 to 5 have decided another one in its
/// slot, and node 1 has not heard of it.
const CUT_OFF: &[Opening] = &[
    Opening::Campaign(1),
    Opening::Settle(&[1, 2, 3]),
    Opening::Propose(1),
    Opening::Settle(&[2]),
    Opening::Lose,
    Opening::Campaign(4),
    Opening::Settle(&[3, 4, 5]),
    Opening::Propose(4),
    Opening::Settle(&[3, 4, 5]),
    Opening::Lose,
];

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
