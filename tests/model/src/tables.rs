//! Everything that was seen once gets a number, and every step of a node is taken once.
//!
//! In: nodes, messages, histories, steps. Out: numbers, and what a step did. A global state is a
//! handful of numbers, and the real core runs once for each distinct step of each distinct
//! node, not once for each global state: this is what makes millions of states cheap.
//! Invariants: equal numbers mean equal things; nothing is ever taken away. Tested by: below.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

/// The first chunk's size; each further one is twice as large.
const CHUNK: usize = 1024;
/// So many chunks hold 2³⁰ things.
const CHUNKS: usize = 20;

/// A list that only grows, and that is read without a lock.
#[derive(Debug)]
struct Shelf<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    len: AtomicUsize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            len: AtomicUsize::new(0),
        }
    }
}

impl<T> Shelf<T> {
    /// The chunk of an index, and the place in it.
    const fn place(index: usize) -> (usize, usize) {
        let chunk = (index / CHUNK + 1).ilog2() as usize;
        (chunk, index - CHUNK * ((1 << chunk) - 1))
    }

    fn get(&self, index: usize) -> Option<&T> {
        let (chunk, place) = Self::place(index);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }

    /// Appends; the caller sees to it that only one thread does at a time.
    fn push(&self, thing: T) -> u32 {
        let index = self.len.load(Ordering::Acquire);
        let (chunk, place) = Self::place(index);
        let fresh = || (0..CHUNK << chunk).map(|_| OnceLock::new()).collect();
        let chunk = self.chunks.get(chunk).map(|chunk| chunk.get_or_init(fresh));
        let cell = chunk.and_then(|chunk| chunk.get(place));
        let set = cell.is_some_and(|cell| cell.set(thing).is_ok());
        assert!(set, "a shelf has room and one writer");
        self.len.store(index + 1, Ordering::Release);
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
}

type Index = RwLock<HashMap<u64, Vec<u32>>>;

/// Numbers for things, and what was worked out of each thing once.
#[derive(Debug)]
pub struct Numbered<T, D> {
    shelf: Shelf<(T, D)>,
    numbers: Index,
    derive: fn(&T) -> D,
}

impl<T: Eq + Hash, D> Numbered<T, D> {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(derive: fn(&T) -> D) -> Self {
        Self {
            shelf: Shelf::default(),
            numbers: RwLock::default(),
            derive,
        }
    }

    /// The number of a thing; the same as before if it was seen before.
    ///
    /// # Panics
    /// If there are more than 2³⁰ things.
    #[must_use]
    pub fn number(&self, thing: T) -> u32 {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&thing);
        let same = |number: &&u32| self.entry(**number).0 == thing;
        let find = |all: &HashMap<u64, Vec<u32>>| {
            let numbers = all.get(&hash)?;
            numbers.iter().find(same).copied()
        };
        let known = find(&self.numbers.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(number) = known {
            return number;
        }
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = find(&numbers) {
            return number;
        }
        let derived = (self.derive)(&thing);
        let number = self.shelf.push((thing, derived));
        numbers.entry(hash).or_default().push(number);
        number
    }

    fn entry(&self, number: u32) -> &(T, D) {
        let entry = self.shelf.get(number as usize);
        assert!(
            entry.is_some(),
            "only numbers that were given out come back"
        );
        entry.unwrap_or_else(|| unreachable!("asserted above"))
    }

    /// The thing with this number.
    ///
    /// # Panics
    /// If no thing has it.
    #[must_use]
    pub fn get(&self, number: u32) -> &T {
        &self.entry(number).0
    }

    /// What was worked out of it.
    ///
    /// # Panics
    /// If no thing has this number.
    #[must_use]
    pub fn derived(&self, number: u32) -> &D {
        &self.entry(number).1
    }

    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shards of a memory: two threads seldom meet.
const SHARDS: usize = 64;

/// What was worked out once, by key.
#[derive(Debug)]
pub struct Memory<K, V> {
    shelf: RwLock<()>,
    values: Shelf<V>,
    shards: Vec<RwLock<HashMap<K, u32, BuildHasherDefault<Quick>>>>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default());
        Self {
            shelf: RwLock::new(()),
            values: Shelf::default(),
            shards: shards.collect(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Memory<K, V> {
    /// What `key` has, worked out by `work` the first time. `shard` spreads the keys.
    ///
    /// # Panics
    /// If `work` does.
    #[must_use]
    pub fn recall(&self, shard: u32, key: K, work: impl FnOnce() -> V) -> &V {
        let shard = &self.shards[shard as usize % SHARDS];
        let read = shard.read().unwrap_or_else(PoisonError::into_inner);
        let known = read.get(&key).copied();
        drop(read);
        if let Some(value) = known.and_then(|index| self.values.get(index as usize)) {
            return value;
        }
        // Two threads may work the same out; the last one's result stays, and both are equal.
        let value = work();
        let one = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let index = self.values.push(value);
        drop(one);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.insert(key, index);
        drop(shard);
        let value = self.values.get(index as usize);
        value.unwrap_or_else(|| unreachable!("it was pushed above"))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A hasher for keys of a few small numbers that this program itself gave out, so that nobody
/// can choose them to collide: multiply and rotate, as in Firefox and rustc.
#[derive(Debug, Default)]
pub struct Quick(u64);

impl std::hash::Hasher for Quick {
    fn finish(&self) -> u64 {
        // The map takes the upper bits for one thing and the lower ones for another.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Memory, Numbered, Shelf};

    #[test]
    fn equal_things_have_equal_numbers() {
        let table = Numbered::new(|text: &&str| text.len());
        let (a, b) = (table.number("a"), table.number("bc"));
        assert_ne!(a, b);
        assert_eq!((table.number("a"), *table.get(b)), (a, "bc"));
        assert_eq!((*table.derived(b), table.len()), (2, 2));
    }

    #[test]
    fn work_is_done_once() {
        let memory = Memory::default();
        assert_eq!(*memory.recall(7, 1, || 10), 10);
        assert_eq!(*memory.recall(7, 1, || 11), 10);
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn a_shelf_finds_everything_again() {
        let shelf = Shelf::default();
        for number in 0..9 * CHUNK {
            assert_eq!(shelf.push(number) as usize, number);
        }
        assert!((0..9 * CHUNK).all(|number| shelf.get(number) == Some(&number)));
        assert_eq!(shelf.get(9 * CHUNK), None);
    }
}
