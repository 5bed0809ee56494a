//! Everything about a run that is drawn from its seed before it begins.
//!
//! Swarm testing (Groce et al., ISSTA 2012): each seed leaves out a random part of the kinds of
//! fault and takes the others with random weights, so that some runs stress one thing that
//! would drown among all.

use crate::nemesis::{FAULTS, Fault};
use crate::network::Micros;
use crate::random::Random;

/// The knobs of a run.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// The first voters.
    pub voters: usize,
    /// Hosts beside theirs.
    pub spares: usize,
    /// How long faults last.
    pub faults_us: Micros,
    /// The mean time between two faults.
    pub pause_us: Micros,
    /// How often each kind of fault is taken.
    pub weights: Vec<u64>,
    /// Clients that write.
    pub clients: usize,
    /// Of a thousand clients, so many keep several commands under way in a session.
    pub sessions: u64,
    /// So many commands each of those keeps under way.
    pub pipeline: usize,
    /// The others do, too: they do not wait for answers.
    pub flood: bool,
    /// Clients that read.
    pub readers: usize,
    /// How long a client waits between commands, at most.
    pub think_us: Micros,
    /// The largest payload, in bytes.
    pub payload_max: u64,
    /// How long a state machine takes to apply, at most.
    pub apply_us: Micros,
    /// How often a driver makes its state durable and compacts its log.
    pub upkeep_us: Micros,
    /// How many applied slots a log keeps for slow followers.
    pub tail: u64,
    /// How many chunks a snapshot has.
    pub chunks: u32,
    /// How often the operator looks after the cluster.
    pub operator_us: Micros,
    /// Of a thousand looks, so many end in a change of voters.
    pub changes: u64,
    /// The most voters that the operator asks for.
    pub voters_max: usize,
    /// The ways of the network.
    pub delay_us: (Micros, Micros),
}

impl Knobs {
    /// Draws them. `voters` fixes the number of first voters.
    #[must_use]
    pub fn draw(random: &mut Random, voters: Option<usize>) -> Self {
        let drawn = random.pick(&[1, 3, 3, 3, 3, 5, 5, 5, 5, 5]);
        let voters = voters.unwrap_or(drawn);
        // Large commands of many clients make promises of several pages.
        let large = random.per_mille(10);
        let slow_links = random.per_mille(200);
        // A client that does not wait for answers fills the window of a leader.
        let flood = random.per_mille(4);
        let clients = match (large, flood) {
            (true, _) => random.between(3, 15) as usize,
            (false, true) => 1,
            (false, false) => random.between(1, 5) as usize,
        };
        let (think_us, payload_max) = if large {
            (50_000, 120 * 1024)
        } else {
            (random.pick(&[10_000, 30_000, 100_000]), 60)
        };
        Self {
            voters,
            spares: random.pick(&[0, 1, 1, 2, 2]),
            faults_us: random.between(2_000_000, 6_000_000),
            pause_us: random.pick(&[60_000, 120_000, 250_000, 500_000]),
            weights: Self::weights(random),
            clients,
            sessions: if flood {
                0
            } else {
                random.pick(&[0, 300, 1_000])
            },
            pipeline: if flood { 1_200 } else { 3 },
            flood,
            readers: random.pick(&[0, 1, 2]),
            think_us,
            payload_max,
            apply_us: random.pick(&[200, 500, 5_000]),
            upkeep_us: random.pick(&[20_000, 100_000, 400_000, 2_000_000]),
            tail: random.pick(&[0, 4, 16, 64, 4_096]),
            chunks: random.pick(&[1, 2, 4]),
            operator_us: random.pick(&[30_000, 100_000, 300_000]),
            changes: random.pick(&[0, 0, 60, 200, 500]),
            voters_max: random.pick(&[5, 5, 5, 7]),
            delay_us: if slow_links {
                // Slow links keep many slots undecided, so that ballots contend for them.
                (10_000, 70_000)
            } else {
                crate::network::DELAY_US
            },
        }
    }

    fn weights(random: &mut Random) -> Vec<u64> {
        let leave_out = random.pick(&[100, 400, 700]);
        let weigh = |fault: &Fault| {
            let weight = random.between(1, 4) * fault.weight();
            if random.per_mille(leave_out) {
                0
            } else {
                weight
            }
        };
        let mut weights: Vec<u64> = FAULTS.iter().map(weigh).collect();
        // Partitions that never heal leave nothing to see.
        weights[Fault::Heal as usize] = weights[Fault::Heal as usize].max(6);
        weights
    }

    /// A cluster without faults, with a steady load: for scenarios.
    #[must_use]
    pub fn calm(voters: usize) -> Self {
        Self {
            voters,
            spares: 0,
            faults_us: 0,
            pause_us: 1,
            weights: vec![0; FAULTS.len()],
            clients: 4,
            sessions: 0,
            pipeline: 1,
            flood: false,
            readers: 0,
            think_us: 20_000,
            payload_max: 100,
            apply_us: 500,
            upkeep_us: 100_000,
            tail: 4_096,
            chunks: 2,
            operator_us: 100_000,
            changes: 0,
            voters_max: 5,
            delay_us: crate::network::DELAY_US,
        }
    }

    /// Draws a kind of fault.
    #[must_use]
    pub fn fault(&self, random: &mut Random) -> Fault {
        let total: u64 = self.weights.iter().sum();
        let mut number = random.between(0, total.saturating_sub(1));
        for (fault, weight) in FAULTS.iter().zip(&self.weights) {
            if number < *weight {
                return *fault;
            }
            number -= weight;
        }
        Fault::Heal
    }
}
