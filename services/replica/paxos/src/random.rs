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

    /// The first numbers of the generator of the paper with seed 1234567, as its reference
    /// implementation gives them.
    #[test]
    fn the_numbers_are_those_of_the_paper() {
        let mut random = Random::new(1_234_567);
        for number in [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ] {
            assert_eq!(random.next(), number);
        }
        let mut bounded = Random::new(1_234_567);
        assert_eq!(bounded.up_to(999), 317);
    }

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
