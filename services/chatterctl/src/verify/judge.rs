//! Who differs. Pure.

/// What one replica has at the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) address: String,
    /// The chain as its state has it.
    pub(super) chain: Vec<u8>,
    /// The hash of its state.
    pub(super) state: Vec<u8>,
    /// The chain in the row of its log; none when the row is compacted away, or why it cannot be
    /// read.
    pub(super) row: Result<Option<Vec<u8>>, String>,
    /// The first slot at which its log differs from the others', once that is known.
    pub(super) differs_from: Option<u64>,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    address: String,
    log: String,
    state: String,
    result: String,
}

/// All that were compared.
#[derive(Debug)]
pub(super) struct Verdict {
    compared: Vec<Compared>,
    /// What more than half of them have.
    reference: Option<(Vec<u8>, Vec<u8>)>,
}

impl Line {
    /// One that could not be compared.
    pub(super) fn absent(name: &str, address: &str, why: String) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            log: "-".to_owned(),
            state: "-".to_owned(),
            result: format!("not compared: {why}"),
        }
    }

    /// For a table.
    pub(super) fn cells(self) -> Vec<String> {
        vec![self.name, self.address, self.log, self.state, self.result]
    }
}

impl Verdict {
    /// Compares. More than half of the replicas that were asked are right; with less nobody can
    /// say who is.
    pub(super) fn of(compared: Vec<Compared>) -> Self {
        let same = |a: &Compared, b: &Compared| a.chain == b.chain && a.state == b.state;
        let reference = compared.iter().find(|one| {
            let count = compared.iter().filter(|other| same(one, other)).count();
            count * 2 > compared.len()
        });
        let reference = reference.map(|one| (one.chain.clone(), one.state.clone()));
        Self {
            compared,
            reference,
        }
    }

    /// One of those that have what most have.
    pub(super) fn reference_name(&self) -> Option<String> {
        let (chain, state) = self.reference.as_ref()?;
        let found = self
            .compared
            .iter()
            .find(|one| one.chain == *chain && one.state == *state)?;
        Some(found.name.clone())
    }

    /// Those whose log is not that of most.
    pub(super) fn with_other_logs(&mut self) -> Vec<&mut Compared> {
        let Some((chain, _)) = &self.reference else {
            return Vec::new();
        };
        self.compared
            .iter_mut()
            .filter(|one| one.chain != *chain)
            .collect()
    }

    /// Whether at least two were compared, and all are the same.
    pub(super) fn is_equal(&self) -> bool {
        self.compared.len() > 1 && self.compared.iter().all(|one| self.fault(one).is_none())
    }

    /// A line for each.
    pub(super) fn lines(&self) -> Vec<Line> {
        let line = |one: &Compared| Line {
            name: one.name.clone(),
            address: one.address.clone(),
            log: short(&one.chain),
            state: short(&one.state),
            result: self.fault(one).unwrap_or_else(|| "equal".to_owned()),
        };
        self.compared.iter().map(line).collect()
    }

    /// All of it in a sentence.
    pub(super) fn words(&self) -> String {
        let count = self.compared.len();
        let wrong = self.compared.iter().filter(|one| self.fault(one).is_some());
        let wrong: Vec<&str> = wrong.map(|one| one.name.as_str()).collect();
        match (count, wrong.is_empty(), &self.reference) {
            (0 | 1, ..) => format!("{count} replicas could be compared: that proves nothing"),
            (_, true, _) => format!("{count} replicas: logs and states are equal"),
            (_, false, Some(_)) => format!(
                "DIFFERENT: {}; see docs/runbooks/replica-differs.md",
                wrong.join(", ")
            ),
            (_, false, None) => format!(
                "DIFFERENT, and no majority of {count} agrees: nobody can say which is right; see \
                 docs/runbooks/replica-differs.md"
            ),
        }
    }

    fn fault(&self, one: &Compared) -> Option<String> {
        let Some((chain, state)) = &self.reference else {
            return Some("DIFFERS, as all do".to_owned());
        };
        if one.chain != *chain {
            let from = one.differs_from;
            let from = from.map_or_else(
                || "before what its log still has".to_owned(),
                |slot| format!("from slot {slot} on"),
            );
            return Some(format!("DIFFERS: its log, {from}"));
        }
        if one.state != *state {
            return Some("DIFFERS: its state; its log is equal".to_owned());
        }
        match &one.row {
            Ok(Some(row)) if *row != one.chain => {
                Some("DIFFERS: its log is of another history than its state".to_owned())
            }
            Err(why) => Some(format!("DIFFERS: its log cannot be read: {why}")),
            Ok(_) => None,
        }
    }
}

/// Enough of a hash for people.
fn short(hash: &[u8]) -> String {
    hash.iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Compared, Verdict};

    fn one(name: &str, chain: u8, state: u8) -> Compared {
        Compared {
            name: name.to_owned(),
            address: format!("{name}:1"),
            chain: vec![chain; 32],
            state: vec![state; 32],
            row: Ok(Some(vec![chain; 32])),
            differs_from: None,
        }
    }

    fn results(verdict: &Verdict) -> Vec<String> {
        let lines = verdict.lines().into_iter();
        lines.map(|line| line.result).collect()
    }

    #[test]
    fn the_minority_is_named() {
        let equal = Verdict::of(vec![one("r1", 1, 1), one("r2", 1, 1), one("r3", 1, 1)]);
        assert!(equal.is_equal() && equal.words().contains("equal"));
        let mut state = Verdict::of(vec![one("r1", 1, 1), one("r2", 1, 9), one("r3", 1, 1)]);
        assert!(!state.is_equal());
        assert!(
            state.words().contains("DIFFERENT: r2;"),
            "{}",
            state.words()
        );
        assert!(results(&state)[1].contains("its state"));
        assert!(state.with_other_logs().is_empty());
        let mut log = Verdict::of(vec![one("r1", 7, 8), one("r2", 1, 1), one("r3", 1, 1)]);
        assert_eq!(log.reference_name().as_deref(), Some("r2"));
        for wrong in log.with_other_logs() {
            wrong.differs_from = Some(1030);
        }
        assert!(results(&log)[0].contains("from slot 1030"), "{log:?}");
    }

    #[test]
    fn without_a_majority_nobody_is_blamed() {
        let two = Verdict::of(vec![one("r1", 1, 1), one("r2", 1, 2)]);
        assert!(!two.is_equal());
        assert!(two.words().contains("nobody can say"), "{}", two.words());
        let alone = Verdict::of(vec![one("r1", 1, 1)]);
        assert!(!alone.is_equal(), "one replica proves nothing");
        assert!(!Verdict::of(Vec::new()).is_equal());
    }

    #[test]
    fn a_log_that_is_not_its_states_or_cannot_be_read_differs() {
        let mut other = one("r2", 1, 1);
        other.row = Ok(Some(vec![3; 32]));
        let mut unreadable = one("r3", 1, 1);
        unreadable.row = Err("damaged".to_owned());
        let mut compacted = one("r4", 1, 1);
        compacted.row = Ok(None);
        let verdict = Verdict::of(vec![one("r1", 1, 1), other, unreadable, compacted]);
        let results = results(&verdict);
        assert_eq!(
            (results[0].as_str(), results[3].as_str()),
            ("equal", "equal")
        );
        assert!(results[1].contains("another history"), "{results:?}");
        assert!(results[2].contains("damaged"), "{results:?}");
        assert!(!verdict.is_equal());
    }
}
