//! What can be found wrong, by name.
//!
//! In: a rule and what broke it. Out: text. Invariants: none.

use std::fmt;

/// The rules that are checked, by the names of `docs/invariants.md`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Rule {
    /// I1, I9: one value per slot, whoever decided it and whenever.
    Agreement,
    /// I3: a promise never falls.
    Promise,
    /// I4, I19: one value per ballot and slot is ever sent, by the ballot's owner.
    OneValue,
    /// I5, I6, D1, D2: what is said is durable.
    SaidIsDurable,
    /// I7, D3: what is decided is on the disks of a quorum.
    Chosen,
    /// I9, I16, D5: what is applied is next, decided and durable.
    Applied,
    /// What is decided is never overwritten, lowered or lost on a disk.
    Rows,
    /// I12, R4: a slot belongs to one epoch, an epoch begins on the whole prefix.
    Epochs,
    /// I15: a linearizable read is not older than what was acknowledged before it.
    Reads,
    /// The core's own assertions.
    Assertion,
    /// I20: nothing halts without a cause.
    Halt,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Agreement,
        Self::Promise,
        Self::OneValue,
        Self::SaidIsDurable,
        Self::Chosen,
        Self::Applied,
        Self::Rows,
        Self::Epochs,
        Self::Reads,
        Self::Assertion,
        Self::Halt,
    ];

    /// The name on the command line and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Promise => "promise",
            Self::OneValue => "one-value",
            Self::SaidIsDurable => "said-is-durable",
            Self::Chosen => "chosen",
            Self::Applied => "applied",
            Self::Rows => "rows",
            Self::Epochs => "epochs",
            Self::Reads => "reads",
            Self::Assertion => "assertion",
            Self::Halt => "halt",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule broken.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fault {
    /// Which one.
    pub rule: Rule,
    /// How.
    pub text: String,
}

impl Fault {
    /// This rule was broken like this.
    #[must_use]
    pub const fn new(rule: Rule, text: String) -> Self {
        Self { rule, text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}
