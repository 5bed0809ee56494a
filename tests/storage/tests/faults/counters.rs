//! What a run did: printed at its end, and checked, so that a fault which never happened is
//! noticed.

use std::collections::BTreeMap;

use storage::Traits;

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// It happened once more.
    pub(crate) fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &str, times: u64) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// How often anything happened that begins like this.
    pub(crate) fn sum(&self, beginning: &str) -> u64 {
        let like = self
            .0
            .iter()
            .filter(|(what, _)| what.starts_with(beginning));
        like.map(|(_, times)| times).sum()
    }

    /// What an image went through.
    pub(crate) fn count_traits(&mut self, traits: &Traits) {
        for (what, there) in [
            ("lost", traits.lost),
            ("torn", traits.torn),
            ("reordered", traits.reordered),
            ("garbage", traits.garbage),
            ("length apart", traits.length_apart),
            ("name lost", traits.name_lost),
        ] {
            if there {
                self.count(what);
            }
        }
    }

    /// Prints everything under a title, and fails unless each of `wanted` happened.
    pub(crate) fn report(&self, title: &str, wanted: &[&str]) {
        println!("{title}:");
        for (what, times) in &self.0 {
            println!("  {times:>8}  {what}");
        }
        for what in wanted {
            assert!(self.get(what) > 0, "{title}: \"{what}\" never happened");
        }
    }
}
