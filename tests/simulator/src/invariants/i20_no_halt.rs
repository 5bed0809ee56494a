//! I20: no panic, and no `Halt` without a cause that was injected.
//!
//! A panic is what the core's own checks (`check.rs`) say of a state that must not be; it is
//! caught around the whole run. Yuan et al., *Simple Testing Can Prevent Most Critical
//! Failures* (OSDI 2014): most catastrophic failures come from the handling of signalled errors.

use paxos::HaltReason;

use super::Who;
use crate::violation::{Broken, Verdict, hold};

const NAME: &str = "I20";

/// A node stops for good. `turned_back` says that its disk was replaced by an older image of
/// itself: the one thing that a run does to a disk for which halting is the designed answer.
pub fn on_halt(who: Who, reason: &HaltReason, turned_back: bool) -> Verdict {
    let designed = matches!(
        reason,
        HaltReason::DiskTurnedBack { .. } | HaltReason::DuplicateIdentity { .. }
    );
    hold!(
        NAME,
        turned_back && designed,
        "{} halts: {reason:?}",
        who.id
    );
    Ok(())
}

/// A run ended in a panic.
#[must_use]
pub const fn on_panic(said: String) -> Broken {
    Broken::new(NAME, said)
}

#[cfg(test)]
mod tests {
    use super::{on_halt, on_panic};
    use crate::invariants::testing::{at, ballot, broken, who};
    use paxos::HaltReason;

    #[test]
    fn a_halt_needs_a_cause() {
        let reason = HaltReason::DuplicateIdentity {
            ballot: ballot(1, 1),
        };
        assert_eq!(broken(on_halt(who(1), &reason, false)), Some("I20"));
        assert_eq!(on_halt(who(1), &reason, true), Ok(()));
        let other = HaltReason::Diverged {
            slot: at(1),
            peer: None,
        };
        assert_eq!(
            broken(on_halt(who(1), &other, true)),
            Some("I20"),
            "not by that"
        );
        assert_eq!(broken(Err(on_panic("assertion".to_owned()))), Some("I20"));
    }
}
