//! Runs a world through stateright.
//!
//! In: a world, bounds on the search. Out: a [`Report`]: how many states, what was reached, the
//! shortest way to what was found wrong.
//! Invariants: a search that stopped early says so. Tested by: tests/worlds.rs.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::fault::Fault;
use crate::system::{Move, State, System};
use crate::world::World;

/// The name of the one safety property; the fault in its state says which rule it was.
const SAFE: &str = "nothing is wrong";

/// Whether a goal of the world is reached.
type Reached = fn(&System, &State) -> bool;

impl Model for System {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![self.opened()]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        self.moves(state, moves);
    }

    fn next_state(&self, state: &State, next: Move) -> Option<State> {
        self.after(state, next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![Property::always(SAFE, |_, state: &State| {
            state.fault.is_none()
        })];
        let goals: [(&'static str, Reached); 4] = [
            ("goal 1", |system, state| system.reaches_nth(state, 0)),
            ("goal 2", |system, state| system.reaches_nth(state, 1)),
            ("goal 3", |system, state| system.reaches_nth(state, 2)),
            ("goal 4", |system, state| system.reaches_nth(state, 3)),
        ];
        let named = goals.into_iter().take(self.world.goals.len());
        all.extend(named.map(|(name, reached)| Property::sometimes(name, reached)));
        all
    }
}

impl System {
    fn reaches_nth(&self, state: &State, index: usize) -> bool {
        let goal = self.world.goals.get(index);
        goal.is_some_and(|goal| self.reaches(state, *goal))
    }
}

/// Bounds of a search.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Threads.
    pub threads: usize,
    /// The search stops after so many steps; 0 for never.
    pub steps: usize,
    /// Depth first takes less memory, but what it finds is not the shortest way.
    pub depth_first: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            threads: 1,
            steps: 0,
            depth_first: false,
        }
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Report {
    /// Distinct states.
    pub states: usize,
    /// Steps from state to state.
    pub steps: usize,
    /// The longest way that was looked at.
    pub depth: usize,
    /// Distinct states of a node, messages, and steps of a node: how often the core ran.
    pub sizes: (usize, usize, usize),
    /// How long it took.
    pub took: Duration,
    /// Every state was seen.
    pub complete: bool,
    /// Goals that were not reached.
    pub missed: Vec<crate::world::Goal>,
    /// What was found wrong, and the way to it.
    pub fault: Option<(Fault, Vec<String>)>,
}

/// Searches a world.
#[must_use]
pub fn check(world: World, bounds: Bounds) -> Report {
    let began = Instant::now();
    let system = System::new(world);
    let mut builder = system
        .checker()
        .threads(bounds.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if bounds.steps > 0 {
        builder = builder.target_state_count(bounds.steps);
    }
    if bounds.depth_first {
        report(builder.spawn_dfs().join(), bounds, began)
    } else {
        report(builder.spawn_bfs().join(), bounds, began)
    }
}

fn report(checker: impl Checker<System>, bounds: Bounds, began: Instant) -> Report {
    let took = began.elapsed();
    let system = checker.model();
    let discoveries = checker.discoveries();
    let fault = discoveries.get(SAFE).and_then(|path| {
        let fault = system.fault(path.last_state())?.clone();
        let way = path.clone().into_vec();
        let told = way.iter().map(|(state, next)| system.tell(state, *next));
        Some((fault, told.collect()))
    });
    let goals = (1..).zip(system.world.goals);
    let missed = goals.filter(|(n, _)| !discoveries.contains_key(format!("goal {n}").as_str()));
    let stopped = bounds.steps > 0 && checker.state_count() >= bounds.steps;
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        sizes: system.sizes(),
        took,
        complete: fault.is_none() && !stopped,
        missed: missed.map(|(_, goal)| *goal).collect(),
        fault,
    }
}
