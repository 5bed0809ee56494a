//! Rules that hold for whatever view: drawn views, and sequences without a fault.

use std::time::Duration;

use super::{fit, healthy, secs, silent, voter, wishes};
use crate::plan::{Standby, Step, View, Voter, plan};

/// Small and without a crate: xorshift, from a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn view(&mut self) -> View {
        let count = 1 + self.below(7);
        let mut view = healthy(count);
        for node in 1..=count {
            let by: Vec<u64> = (1..=count + 1).filter(|_| self.below(3) > 0).collect();
            let (here, there) = (self.below(3) * 6, self.below(3) * 6);
            view = silent(view, node, here, there, &by);
            voter(&mut view, node).draining = self.below(4) == 0;
            voter(&mut view, node).leading = self.below(3) == 0;
        }
        view.settled = self.below(8) > 0;
        view.changing = self.below(8) == 0;
        view.last_change = (self.below(2) == 0).then(|| secs(900 + self.below(100)));
        view.standbys = (0..self.below(4))
            .map(|number| Standby {
                node: 1030 + number,
                suspected: self.below(4) == 0,
                caught_up: u32::try_from(self.below(4)).unwrap_or(0),
                lag: self.below(1024),
                draining: self.below(4) == 0,
            })
            .collect();
        view
    }
}

/// Whatever is known: a step keeps the rules of the module, one by one.
#[test]
fn no_view_leads_to_a_step_that_breaks_a_rule() {
    let mut random = Random(42);
    let mut kinds = [0_u32; 4];
    for _ in 0..500_000 {
        let view = random.view();
        let policy = wishes([0, 3, 5, 7][usize::try_from(random.below(4)).unwrap_or(0)]);
        let Some(step) = plan(&view, &policy).step else {
            continue;
        };
        let voters: Vec<u64> = view.voters.iter().map(|voter| voter.node).collect();
        let after = step.apply(&voters);
        assert!(view.settled && !view.changing, "{step}: {view:?}");
        let rested = |at: Duration| view.now - at >= policy.pause;
        assert!(view.last_change.is_none_or(rested), "{step}: {view:?}");
        let heard = |node: &&u64| {
            let known = view.voters.iter().find(|voter| voter.node == **node);
            known.is_none_or(|voter| voter.suspected_for.is_none())
        };
        let living = |nodes: &[u64]| nodes.iter().filter(heard).count();
        assert!(living(&voters) * 2 > voters.len(), "{step}: {view:?}");
        assert!(living(&after) * 2 > after.len(), "{step}: {view:?}");
        let differing = voters.iter().filter(|node| !after.contains(node)).count();
        assert!(
            differing <= 1 && after.len().abs_diff(voters.len()) <= 1,
            "{step}"
        );
        if let Step::Replace { new, .. } | Step::Add { new } = step {
            let found = view.standbys.iter().find(|standby| standby.node == new);
            let found = found.expect("a standby");
            assert!(
                !found.suspected && !found.draining && found.caught_up >= 3,
                "{step}"
            );
        }
        if let Step::Remove { .. } = step {
            assert!(after.len() >= 3 && after.len() >= policy.wished, "{step}");
        }
        let kind = match step {
            Step::Replace { .. } => 0,
            Step::Add { .. } => 1,
            Step::Remove { .. } => 2,
            Step::Transfer { .. } => 3,
        };
        kinds[kind] += 1;
    }
    assert!(
        kinds.iter().all(|count| *count > 100),
        "all kinds: {kinds:?}"
    );
}

/// Replaying a plan over and over ends: no sequence of views without a fault flaps.
#[test]
fn a_cluster_without_faults_comes_to_rest() {
    for (count, wished) in [(3, 5), (5, 3), (3, 7), (7, 3), (4, 3)] {
        let mut view = healthy(count);
        view.standbys = (0..4).map(|number| fit(1030 + number)).collect();
        let mut steps = 0;
        while let Some(step) = plan(&view, &wishes(wished)).step {
            let voters: Vec<u64> = view.voters.iter().map(|voter| voter.node).collect();
            let after = step.apply(&voters);
            view.standbys
                .retain(|standby| !after.contains(&standby.node));
            view.voters = healthy(0).voters;
            view.voters.extend(after.iter().map(|node| Voter {
                node: *node,
                leading: *node == after[0],
                ..Voter::default()
            }));
            steps += 1;
            assert!(steps <= 4, "{count} to {wished}: {step}");
        }
        assert_eq!(view.voters.len(), wished, "{count} to {wished}");
    }
}
