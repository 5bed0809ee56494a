//! The simulated network. Faults: loss, duplication, delay, reordering; links that are cut in
//! one direction or both; links that are clogged (everything is held, then released in
//! order); a node whose heartbeats pass while its rows do not.
//!
//! A link is directed and joins two hosts. Without reordering it keeps its order, like the
//! streams between real replicas.

use crate::random::Random;

/// Microseconds of simulated time.
pub type Micros = u64;

/// One directed link.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    cut: bool,
    /// What is sent arrives after this moment.
    clogged_until: Micros,
    /// When the last message arrives: without reordering none arrives before it.
    last: Micros,
}

/// Directed links between hosts.
#[derive(Clone, Debug)]
pub struct Network {
    hosts: usize,
    links: Vec<Link>,
    /// Messages lost, of a thousand.
    pub loss: u64,
    /// Messages that arrive twice, of a thousand.
    pub duplication: u64,
    /// Messages overtake each other.
    pub reorders: bool,
    /// The shortest and the longest way, in microseconds.
    pub delay_us: (Micros, Micros),
    /// A host whose rows are lost though its heartbeats are not, and until when.
    pub muted: Option<(usize, Micros)>,
}

/// The delays of a network without faults.
pub const DELAY_US: (Micros, Micros) = (100, 1_000);

impl Network {
    /// A network without faults.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            hosts,
            links: vec![Link::default(); hosts * hosts],
            loss: 0,
            duplication: 0,
            reorders: false,
            delay_us: DELAY_US,
            muted: None,
        }
    }

    /// How many hosts there are.
    #[must_use]
    pub const fn hosts(&self) -> usize {
        self.hosts
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.hosts + to]
    }

    /// When a message sent now arrives: never, once or twice.
    pub fn arrivals(
        &mut self,
        random: &mut Random,
        (from, to): (usize, usize),
        now: Micros,
    ) -> [Option<Micros>; 2] {
        let mut arrivals = [None; 2];
        let copies = if random.per_mille(self.duplication) {
            2
        } else {
            1
        };
        for arrival in arrivals.iter_mut().take(copies) {
            let way = random.between(self.delay_us.0, self.delay_us.1);
            let lost = random.per_mille(self.loss);
            let reorders = self.reorders;
            let link = self.link(from, to);
            if link.cut || lost {
                continue;
            }
            let mut at = (now + way).max(link.clogged_until);
            if !reorders || link.clogged_until > now {
                at = at.max(link.last + 1);
                link.last = at;
            }
            *arrival = Some(at);
        }
        arrivals
    }

    /// Whether the rows of a host are lost.
    #[must_use]
    pub fn is_muted(&self, host: usize, now: Micros) -> bool {
        self.muted
            .is_some_and(|(muted, until)| muted == host && now < until)
    }

    /// Whether nothing passes from one host to another.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from * self.hosts + to].cut
    }

    /// Joins all hosts again. What is held in clogged links stays held.
    pub fn heal(&mut self) {
        self.links.iter_mut().for_each(|link| link.cut = false);
    }

    /// Takes every fault away.
    pub fn mend(&mut self) {
        self.heal();
        self.links.fill(Link::default());
        (self.loss, self.duplication, self.reorders) = (0, 0, false);
        (self.delay_us, self.muted) = (DELAY_US, None);
    }

    /// Nothing passes from one host to another.
    pub fn cut_one_way(&mut self, from: usize, to: usize) {
        self.link(from, to).cut = true;
    }

    /// Nothing passes between two hosts.
    pub fn cut_both(&mut self, left: usize, right: usize) {
        self.cut_one_way(left, right);
        self.cut_one_way(right, left);
    }

    /// Cuts a host off from all others, or joins it with all.
    pub fn isolate(&mut self, host: usize, isolated: bool) {
        for other in (0..self.hosts).filter(|other| *other != host) {
            self.link(host, other).cut = isolated;
            self.link(other, host).cut = isolated;
        }
    }

    /// Holds everything that is sent on a link until a moment.
    pub fn clog(&mut self, from: usize, to: usize, until: Micros) {
        let link = self.link(from, to);
        link.clogged_until = link.clogged_until.max(until);
    }

    /// Cuts every link but those for which `keep` holds.
    pub fn keep_only(&mut self, keep: impl Fn(usize, usize) -> bool) {
        for from in 0..self.hosts {
            for to in 0..self.hosts {
                self.link(from, to).cut = from != to && !keep(from, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;
    use crate::random::Random;

    #[test]
    fn a_link_keeps_its_order_and_a_clogged_one_holds_everything() {
        let (mut network, mut random) = (Network::new(2), Random::new(1));
        network.delay_us = (10, 5_000);
        let mut last = 0;
        for now in 0..100 {
            let [first, second] = network.arrivals(&mut random, (0, 1), now);
            assert!(first.is_some_and(|at| at > last) && second.is_none());
            last = first.unwrap_or(0);
        }
        network.clog(0, 1, 90_000);
        let [first, _] = network.arrivals(&mut random, (0, 1), 6_000);
        assert!(first.is_some_and(|at| at >= 90_000));
        let [back, _] = network.arrivals(&mut random, (1, 0), 6_000);
        assert!(
            back.is_some_and(|at| at <= 11_000),
            "the other direction is free"
        );
    }

    #[test]
    fn a_cut_link_delivers_nothing_in_its_direction() {
        let (mut network, mut random) = (Network::new(3), Random::new(1));
        network.cut_one_way(0, 1);
        assert_eq!(network.arrivals(&mut random, (0, 1), 0), [None, None]);
        assert!(network.arrivals(&mut random, (1, 0), 0)[0].is_some());
        network.isolate(2, true);
        assert!(network.is_cut(2, 0) && network.is_cut(1, 2) && !network.is_cut(1, 0));
        network.mend();
        assert!(network.arrivals(&mut random, (0, 1), 0)[0].is_some());
    }
}
