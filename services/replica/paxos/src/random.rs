//! A seeded generator for the random waits of elections.
//!
//! SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*): one word
//! of state, good enough to spread candidates apart, the same on every machine.

/// The generator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose numbers depend on `seed` only.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..=max`.
    pub(crate) const fn up_to(&mut self, max: u64) -> u64 {
        match self.next().checked_rem(max.saturating_add(1)) {
            Some(number) => number,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn equal_seeds_give_equal_numbers_within_the_bound() {
        let (mut left, mut right) = (Random::new(7), Random::new(7));
        for max in [0, 1, 2, 199, u64::MAX] {
            let number = left.up_to(max);
            assert_eq!(number, right.up_to(max));
            assert!(number <= max);
        }
    }
}
