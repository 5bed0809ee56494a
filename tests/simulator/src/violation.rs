//! What a run reports when something that must hold does not.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic;
use std::sync::Once;

use crate::network::Micros;

/// An invariant does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Its name in docs/invariants.md: `I1` to `I20`, `L1` to `L6`.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl Broken {
    /// An invariant does not hold: what was seen.
    #[must_use]
    pub const fn new(invariant: &'static str, what: String) -> Self {
        Self { invariant, what }
    }
}

/// Whether an invariant holds.
pub type Verdict = Result<(), Broken>;

/// Answers `Broken` from the enclosing function unless a condition holds. The first argument is
/// the invariant's name.
macro_rules! hold {
    ($name:expr, $condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::violation::Broken::new($name, format!($($what)+)));
        }
    };
}
pub(crate) use hold;

/// A run that broke something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The seed that shows it again.
    pub seed: u64,
    /// When, in simulated time.
    pub at_us: Micros,
    /// What.
    pub broken: Broken,
}

impl fmt::Display for Violation {
    /// One line that a program can read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.broken.what.replace('\n', " ");
        write!(
            f,
            "VIOLATION seed={} invariant={} at_us={} what={what}",
            self.seed, self.broken.invariant, self.at_us
        )
    }
}

thread_local! {
    /// Whether a panic of this thread is a finding, not a crash of the simulator.
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    /// The time of the run on this thread, for what panics.
    static AT_US: Cell<Micros> = const { Cell::new(0) };
    /// Where the last one happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The time of the run on this thread.
pub(crate) fn at_us() -> Micros {
    AT_US.get()
}

/// The time of the run on this thread moves.
pub(crate) fn set_at_us(now: Micros) {
    AT_US.set(now);
}

static HOOK: Once = Once::new();

/// Runs something; a panic in it (an assertion of the core, say) becomes what is said of it.
pub(crate) fn catch<T>(run: impl FnOnce() -> T + panic::UnwindSafe) -> Result<T, String> {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if LISTENING.get() {
                let place = info.location().map(ToString::to_string);
                PLACE.set(place.unwrap_or_default());
            } else {
                usual(info);
            }
        }));
    });
    LISTENING.set(true);
    let result = panic::catch_unwind(run);
    LISTENING.set(false);
    result.map_err(|payload| format!("{} ({})", said(&*payload), PLACE.take()))
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Broken, Violation, catch};

    #[test]
    fn a_panic_is_caught_with_its_words_and_its_place() {
        let caught = catch(|| assert_eq!(1, 2, "one is less"));
        let text = caught.expect_err("it panics");
        assert!(
            text.contains("one is less") && text.contains("violation.rs"),
            "{text}"
        );
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn a_violation_is_one_line() {
        let broken = Broken::new("I7", "two\nlines".to_owned());
        let line = Violation {
            seed: 42,
            at_us: 9,
            broken,
        }
        .to_string();
        assert_eq!(
            line,
            "VIOLATION seed=42 invariant=I7 at_us=9 what=two lines"
        );
    }
}
