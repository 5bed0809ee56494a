//! Which links are cut when the network falls apart.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::ground::{Link, Name};

fn both_ways(cut: &mut BTreeSet<Link>, a: &Name, b: &Name) {
    for (from, to) in [(a, b), (b, a)] {
        let (from, to) = (from.clone(), to.clone());
        cut.insert(Link { from, to });
    }
}

/// Nobody of one side reaches anybody of the other.
pub(super) fn between(left: &[Name], right: &[Name]) -> BTreeSet<Link> {
    let mut cut = BTreeSet::new();
    for a in left {
        for b in right {
            both_ways(&mut cut, a, b);
        }
    }
    cut
}

/// Each reaches its two neighbours in a row only.
pub(super) fn chain(row: &[Name]) -> BTreeSet<Link> {
    let mut cut = BTreeSet::new();
    for (index, a) in row.iter().enumerate() {
        for b in row.iter().skip(index + 2) {
            both_ways(&mut cut, a, b);
        }
    }
    cut
}

/// One hears all but is not heard, or the other way round; and in words.
pub(super) fn one_way(
    one: &Name,
    others: &[Name],
    random: &mut Rng,
) -> (BTreeSet<Link>, &'static str) {
    let mute = random.bool();
    let link = |other: &Name| {
        let (from, to) = if mute { (one, other) } else { (other, one) };
        Link {
            from: from.clone(),
            to: to.clone(),
        }
    };
    let words = if mute {
        "hears all and is not heard"
    } else {
        "is heard and hears nobody"
    };
    (others.iter().map(link).collect(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn has(cut: &BTreeSet<Link>, from: &str, to: &str) -> bool {
        let (from, to) = (from.to_owned(), to.to_owned());
        cut.contains(&Link { from, to })
    }

    #[test]
    fn sides_are_whole_in_themselves() {
        let cut = between(&names(&["a", "b"]), &names(&["c", "d", "e"]));
        assert_eq!(cut.len(), 12);
        assert!(has(&cut, "a", "c") && has(&cut, "c", "a") && !has(&cut, "a", "b"));
    }

    #[test]
    fn neighbours_reach_each_other() {
        let cut = chain(&names(&["a", "b", "c", "d"]));
        assert_eq!(cut.len(), 6);
        assert!(has(&cut, "a", "c") && has(&cut, "d", "a") && !has(&cut, "b", "c"));
    }

    #[test]
    fn one_direction_stays() {
        for seed in 0..8 {
            let mut random = Rng::with_seed(seed);
            let (cut, words) = one_way(&"a".to_owned(), &names(&["b", "c"]), &mut random);
            assert_eq!(cut.len(), 2);
            assert_eq!(has(&cut, "a", "b"), words.contains("is not heard"));
            assert_ne!(has(&cut, "a", "b"), has(&cut, "b", "a"));
        }
    }
}
