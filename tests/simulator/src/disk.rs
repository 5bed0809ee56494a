//! The simulated disk of one replica: a queue of requests, committed in groups.
//!
//! Faults: slow commits; at a crash or a power loss of the running group any number of
//! requests from the front survives and the rest does not (a transaction is whole or absent,
//! and transactions are lost from the end); a commit that fails. What goes wrong with bytes
//! that were written stands in `disk/image.rs`.

pub mod image;

use std::collections::VecDeque;

use paxos::{Configuration, PersistOp, PersistSeq};

use crate::network::Micros;
use crate::random::Random;
use crate::state::DiskId;
pub use image::Image;

/// The commit latency of a good disk, in microseconds.
pub const LATENCY_US: (Micros, Micros) = (200, 2_000);

/// A disk that commits in groups: what arrives during a commit joins the next one.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Which disk this is; another one after a replacement.
    pub id: DiskId,
    /// What a power loss leaves.
    pub image: Image,
    queue: VecDeque<(PersistSeq, Vec<PersistOp>)>,
    /// How many requests of the queue are in the running commit.
    committing: usize,
    /// The shortest and the longest commit.
    pub latency_us: (Micros, Micros),
    /// The next commit fails, and with it the process.
    pub fails: bool,
}

/// What became of the running commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// Everything up to this request is durable. Another commit takes so long, if there is
    /// something to commit.
    Done(PersistSeq, Option<Micros>),
    /// The disk reported an error. Nobody knows what is durable; the process must end.
    Failed,
}

impl Disk {
    /// An empty disk that was made for a cluster of these first voters.
    #[must_use]
    pub fn new(id: DiskId, configuration: Configuration) -> Self {
        Self {
            id,
            image: Image::new(configuration),
            queue: VecDeque::new(),
            committing: 0,
            latency_us: LATENCY_US,
            fails: false,
        }
    }

    /// Takes a request. Answers how long the commit takes that starts with it, if none runs.
    ///
    /// # Panics
    ///
    /// If requests are not numbered in order: the core breaks its contract.
    pub fn submit(
        &mut self,
        random: &mut Random,
        seq: PersistSeq,
        ops: Vec<PersistOp>,
    ) -> Option<Micros> {
        if let Some((last, _)) = self.queue.back() {
            assert!(*last < seq, "requests are numbered in order");
        }
        self.queue.push_back((seq, ops));
        self.start(random)
    }

    /// How many requests are not durable.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn start(&mut self, random: &mut Random) -> Option<Micros> {
        if self.committing > 0 || self.queue.is_empty() {
            return None;
        }
        self.committing = self.queue.len();
        Some(random.between(self.latency_us.0, self.latency_us.1))
    }

    /// The running commit ends. `on_op` sees each change before it is in the image.
    ///
    /// # Panics
    ///
    /// If no commit runs.
    pub fn complete(
        &mut self,
        random: &mut Random,
        on_op: impl FnMut(&Image, &PersistOp),
    ) -> Completion {
        assert!(self.committing > 0, "a commit runs");
        if std::mem::take(&mut self.fails) {
            return Completion::Failed;
        }
        let count = std::mem::take(&mut self.committing);
        let last = self.commit(count, on_op);
        Completion::Done(last, self.start(random))
    }

    /// Makes so many requests from the front of the queue durable, in one transaction.
    fn commit(&mut self, count: usize, mut on_op: impl FnMut(&Image, &PersistOp)) -> PersistSeq {
        let mut last = PersistSeq(0);
        for (seq, ops) in self.queue.drain(..count) {
            for op in ops {
                on_op(&self.image, &op);
                self.image.write(op);
            }
            last = seq;
        }
        self.image.disk_seq.0 += 1;
        last
    }

    /// The process ends: of the running commit any number of requests from the front may have
    /// reached the disk.
    pub fn crash(&mut self, random: &mut Random, on_op: impl FnMut(&Image, &PersistOp)) {
        let survivors = random.index(self.committing + 1);
        if survivors > 0 {
            self.commit(survivors, on_op);
        }
        self.queue.clear();
        self.committing = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Completion, Disk};
    use crate::random::Random;
    use crate::state::DiskId;
    use paxos::{Ballot, Configuration, Epoch, NodeId, PersistOp, PersistSeq, Round};

    fn promise(round: u64) -> Vec<PersistOp> {
        let (epoch, round) = (Epoch::FIRST, Round(round));
        vec![PersistOp::Promise(Ballot {
            epoch,
            round,
            node: NodeId(1),
        })]
    }

    #[test]
    fn what_arrives_during_a_commit_joins_the_next_one() {
        let (mut random, first) = (Random::new(1), Configuration::first([NodeId(1)].into()));
        let mut disk = Disk::new(DiskId(1), first);
        assert!(
            disk.submit(&mut random, PersistSeq(1), promise(1))
                .is_some()
        );
        assert!(
            disk.submit(&mut random, PersistSeq(2), promise(2))
                .is_none()
        );
        assert!(
            disk.submit(&mut random, PersistSeq(3), promise(3))
                .is_none()
        );
        let done = disk.complete(&mut random, |_, _| {});
        assert!(matches!(done, Completion::Done(PersistSeq(1), Some(_))));
        assert_eq!(disk.image.promised.round, Round(1));
        let done = disk.complete(&mut random, |_, _| {});
        assert!(matches!(done, Completion::Done(PersistSeq(3), None)));
        assert_eq!(disk.image.disk_seq.0, 2, "one count for each transaction");
    }

    /// Goal: a crash loses requests from the end only. Method: many crashes in a group of 3.
    #[test]
    fn a_crash_leaves_a_prefix_of_the_running_group() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let (mut random, voters) = (Random::new(seed), [NodeId(1)].into());
            let mut disk = Disk::new(DiskId(1), Configuration::first(voters));
            disk.submit(&mut random, PersistSeq(1), promise(1));
            for seq in 2..=4 {
                disk.submit(&mut random, PersistSeq(seq), promise(seq));
            }
            disk.complete(&mut random, |_, _| {});
            disk.crash(&mut random, |_, _| {});
            seen.insert(disk.image.promised.round.0);
            assert_eq!(disk.queued(), 0);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
