//! Every fault of a configuration, collected before anything is said.

use std::fmt;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the source when there is no such key.
    pub place: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// All faults of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    program: &'static str,
    faults: Vec<Fault>,
}

impl Faults {
    /// None yet.
    #[must_use]
    pub fn of(program: &'static str) -> Self {
        Self {
            program,
            faults: Vec::new(),
        }
    }

    /// Notes a fault.
    pub fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault {
            place: place.into(),
            message: message.into(),
        });
    }

    /// Notes a fault unless `right`.
    pub fn check(&mut self, right: bool, place: &str, message: impl Into<String>) {
        if !right {
            self.add(place, message);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.faults.len() == 1 {
            "fault"
        } else {
            "faults"
        };
        write!(
            f,
            "{}: {} {plural} in the configuration:",
            self.program,
            self.faults.len()
        )?;
        for fault in &self.faults {
            write!(f, "\n  - {}: {}", fault.place, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
