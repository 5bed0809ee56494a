//! What the nemesis wants to do, drawn from the seed alone.
//!
//! Kinds are drawn like cards from a deck that holds each as often as it weighs, shuffled anew
//! when it is empty: a run that is long enough meets every kind. Whom a step meets is drawn as a
//! number, because who is there, and who leads, is known only when it happens.

use crate::kind::Kind;
use crate::limits::{
    FIRST_FAULT_MS, HOLD_MAX_MS, HOLD_MIN_MS, LAST_FAULT_MS, STEP_MAX_MS, STEP_MIN_MS,
};

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// When, in milliseconds since the load began.
    pub at_ms: u64,
    /// What.
    pub kind: Kind,
    /// For how long, if it has a length.
    pub hold_ms: u64,
    /// From which everything else of the step is drawn: whom it meets, how much.
    pub seed: u64,
}

/// The steps for a load of `length_ms`, in order.
#[must_use]
pub fn draw(seed: u64, length_ms: u64, kinds: &[Kind]) -> Vec<Step> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut deck = Vec::new();
    let mut steps = Vec::new();
    let mut at_ms = FIRST_FAULT_MS;
    while at_ms + LAST_FAULT_MS < length_ms {
        if deck.is_empty() {
            let copies = |kind: &Kind| std::iter::repeat_n(*kind, kind.weight());
            deck = kinds.iter().flat_map(copies).collect();
            random.shuffle(&mut deck);
        }
        let Some(kind) = deck.pop() else {
            break;
        };
        steps.push(Step {
            at_ms,
            kind,
            hold_ms: random.u64(HOLD_MIN_MS..=HOLD_MAX_MS),
            seed: random.u64(..),
        });
        at_ms += random.u64(STEP_MIN_MS..=STEP_MAX_MS);
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TEN_MINUTES: u64 = 600_000;

    /// A seed names one plan; another seed names another.
    #[test]
    fn the_seed_alone_decides() {
        let plan = draw(7, TEN_MINUTES, Kind::ALL);
        assert_eq!(plan, draw(7, TEN_MINUTES, Kind::ALL));
        assert_ne!(plan, draw(8, TEN_MINUTES, Kind::ALL));
    }

    /// Ten minutes of any seed have enough of everything.
    #[test]
    fn ten_minutes_meet_every_kind() {
        for seed in 0..100 {
            let plan = draw(seed, TEN_MINUTES, Kind::ALL);
            let kinds: BTreeSet<Kind> = plan.iter().map(|step| step.kind).collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}");
            assert!(plan.len() >= 90, "seed {seed}: {}", plan.len());
            let gone = [Kind::Replace, Kind::Wipe];
            let replaced = plan.iter().filter(|step| gone.contains(&step.kind)).count();
            assert!(replaced >= 8, "seed {seed}: {replaced}");
        }
    }

    /// Steps are in order, begin late enough and end early enough; what was not asked for does
    /// not come.
    #[test]
    fn steps_stay_within_the_load() {
        let plan = draw(1, 60_000, &[Kind::Kill]);
        assert!(plan.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
        assert!(plan.iter().all(|step| step.at_ms >= FIRST_FAULT_MS));
        assert!(plan.iter().all(|step| step.at_ms + LAST_FAULT_MS < 60_000));
        assert!(plan.iter().all(|step| step.kind == Kind::Kill));
        assert_eq!(draw(1, 60_000, &[]), []);
    }
}
