//! I18: the same seed gives the same history.
//!
//! What makes a finding worth something: Zhou et al., *FoundationDB* (SIGMOD 2021), section
//! 4.1, deterministic simulation.

use crate::Report;
use crate::violation::{Verdict, hold};

const NAME: &str = "I18";

/// Compares two runs of one seed.
pub fn check(seed: u64, first: &Report, second: &Report) -> Verdict {
    hold!(
        NAME,
        first == second,
        "seed {seed}: {:016x} and {:016x}",
        first.trace,
        second.trace
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::Report;
    use crate::invariants::testing::broken;
    use crate::report::Counters;

    #[test]
    fn another_trace_or_count_breaks_it() {
        let report = |trace, steps| {
            let mut counters = Counters::default();
            counters.steps = steps;
            Report { trace, counters }
        };
        assert_eq!(check(1, &report(5, 9), &report(5, 9)), Ok(()));
        assert_eq!(broken(check(1, &report(5, 9), &report(6, 9))), Some("I18"));
        assert_eq!(broken(check(1, &report(5, 9), &report(5, 8))), Some("I18"));
    }
}
