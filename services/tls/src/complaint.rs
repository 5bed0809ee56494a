//! A fault of files that somebody else writes: said once, and only if it stays.

/// What was found at the looks so far.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: String,
    said: bool,
}

impl Complaint {
    /// Takes what was found at this look, empty for nothing, and whether it is to be said now. Files
    /// that are written one after the other do not fit for a moment: what is still so at the next
    /// look is a fault, and is said once.
    pub(crate) fn is_due(&mut self, fault: &str) -> bool {
        let stays = fault == self.last;
        self.said &= stays;
        let due = stays && !fault.is_empty() && !self.said;
        self.said |= due;
        fault.clone_into(&mut self.last);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: a moment is no fault, what stays is said once, and what comes again is said again.
    #[test]
    fn what_stays_is_said_once() {
        let mut complaint = Complaint::default();
        let said = ["", "a", "", "a", "a", "a", "b", "b", "", "b", "b"];
        let due = said.map(|fault| complaint.is_due(fault));
        let at: Vec<usize> = (0..due.len()).filter(|look| due[*look]).collect();
        assert_eq!(at, [4, 7, 10]);
    }
}
