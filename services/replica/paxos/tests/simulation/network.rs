//! The simulated network. Faults: loss, duplication, delay, reordering, and links that are cut
//! in one direction or both.

use crate::random::Random;

/// Microseconds of simulated time.
pub(crate) type Micros = u64;

/// Directed links between `count` nodes.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    count: usize,
    /// `cut[from][to]`.
    cut: Vec<Vec<bool>>,
    /// When the last message of a link arrives: without reordering none arrives before it.
    last: Vec<Vec<Micros>>,
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) reorders: bool,
    pub(crate) delay_us: (Micros, Micros),
}

impl Network {
    /// A network without faults.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            cut: vec![vec![false; count]; count],
            last: vec![vec![0; count]; count],
            loss: 0,
            duplication: 0,
            reorders: false,
            delay_us: (100, 1_000),
        }
    }

    /// When a message sent now arrives: never, once or twice.
    pub(crate) fn arrivals(
        &mut self,
        random: &mut Random,
        (from, to): (usize, usize),
        now: Micros,
    ) -> Vec<Micros> {
        let mut arrivals = Vec::new();
        let copies = if random.per_mille(self.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut at = now + random.between(self.delay_us.0, self.delay_us.1);
            if self.cut[from][to] || random.per_mille(self.loss) {
                continue;
            }
            if !self.reorders {
                at = at.max(self.last[from][to] + 1);
                self.last[from][to] = at;
            }
            arrivals.push(at);
        }
        arrivals
    }

    pub(crate) fn heal(&mut self) {
        self.cut = vec![vec![false; self.count]; self.count];
    }

    pub(crate) fn cut_one_way(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    pub(crate) fn cut_both(&mut self, left: usize, right: usize) {
        self.cut_one_way(left, right);
        self.cut_one_way(right, left);
    }

    /// Cuts every link but those for which `keep` holds.
    pub(crate) fn keep_only(&mut self, keep: impl Fn(usize, usize) -> bool) {
        for from in 0..self.count {
            for to in 0..self.count {
                self.cut[from][to] = from != to && !keep(from, to);
            }
        }
    }
}
