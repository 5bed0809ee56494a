//! The known key that a mistyped one most likely meant.

/// Two letters exchanged count as two edits, and are the most common slip in a short name.
const EDITS_ALWAYS: usize = 2;

/// The nearest of `known`, when it is near enough to be a slip of the fingers: at most two or a
/// third of the letters differ, or one name is a part of the other.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, near) = known.map(|known| (distance(key, known), known)).min()?;
    let contains = !key.is_empty() && (near.contains(key) || key.contains(near));
    let edits_max = EDITS_ALWAYS.max(key.len().max(near.len()) / 3);
    (contains || distance <= edits_max).then_some(near)
}

/// Levenshtein: how many letters must be inserted, deleted or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            before = replaced.min(diagonal + 1).min(before + 1);
            row[j + 1] = before;
        }
        row[0] = i + 1;
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn counts_edits() {
        for (left, right, expected) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("listen", "listne", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn names_a_slip_but_not_a_stranger() {
        let known = ["listen", "data", "election_timeout_ms"];
        assert_eq!(nearest("lisen", known.into_iter()), Some("listen"));
        assert_eq!(
            nearest("election_timeout", known.into_iter()),
            Some("election_timeout_ms")
        );
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
