//! A vector indexed by slot: what is known of every slot of a run, which starts at genesis.

use paxos::Slot;

/// One value for each slot; the default for those that were not set.
#[derive(Clone, Debug)]
pub struct Slots<T> {
    all: Vec<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { all: Vec::new() }
    }
}

fn index(slot: Slot) -> usize {
    slot.distance_above(Slot::GENESIS) as usize
}

impl<T: Default> Slots<T> {
    /// What is known of a slot, if anything of it or of a higher one is.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.all.get(index(slot))
    }

    /// The place of a slot.
    ///
    /// # Panics
    ///
    /// If the slot is absurdly high: a run has thousands of slots, not millions.
    pub fn place(&mut self, slot: Slot) -> &mut T {
        let index = index(slot);
        assert!(index < 1 << 20, "{slot} is beyond what a run can reach");
        if index >= self.all.len() {
            self.all.resize_with(index + 1, T::default);
        }
        &mut self.all[index]
    }

    /// All slots up to the highest that was set, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (Slot::GENESIS.0..).map(Slot).zip(&self.all)
    }
}
