//! What a run reached: counters which prove that the faults and the rare paths happened. A
//! fault that never happens proves nothing.

use std::fmt;

use crate::network::Micros;

macro_rules! marks {
    ($($mark:ident $name:literal within $seeds:literal),* $(,)?) => {
        /// A kind of fault, or a path of the protocol, that a run should reach.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mark {
            $(#[doc = $name] $mark,)*
        }

        /// All marks.
        pub const MARKS: &[Mark] = &[$(Mark::$mark,)*];

        impl Mark {
            /// For people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$mark => $name,)* }
            }

            /// A run of so many seeds reaches it at least once.
            #[must_use]
            pub const fn within_seeds(self) -> u64 {
                match self { $(Self::$mark => $seeds,)* }
            }
        }
    };
}

marks! {
    // Faults of the network.
    BadLinks "times that loss, delay and order changed" within 100,
    Lost "messages lost" within 100,
    Duplicated "messages that arrived twice" within 100,
    Partitions "partitions in two" within 100,
    Isolations "single nodes cut off" within 100,
    Hubs "partitions with one node in the middle" within 100,
    Chains "chained partitions" within 100,
    OneWayLinks "one-way links" within 100,
    Clogs "clogged links" within 100,
    Swizzles "swizzles" within 100,
    Mutes "streams of rows that were stuck" within 100,
    // Faults of processes and clocks.
    Crashes "crashes of processes" within 100,
    PowerLosses "power losses of some nodes at once" within 100,
    TotalPowerLosses "power losses of all nodes at once" within 100,
    StatesTurnedBack "states that a power loss turned back" within 100,
    Pauses "pauses of processes" within 100,
    Drifts "clocks that drift" within 100,
    ClockJumps "jumps of a wall clock" within 100,
    // Faults of disks.
    SlowDisks "slow disks" within 100,
    FullDisks "full disks" within 100,
    SyncErrors "commits that failed" within 100,
    DamagedRows "rows flipped on disk" within 100,
    DamagedBelow "starts with damaged rows that were applied" within 1000,
    DamagedAbove "starts with damaged rows that were not" within 1000,
    Repaired "acceptors repaired" within 1000,
    Quarantines "logs refused at a start" within 100,
    WipedDisks "disks replaced by empty ones" within 100,
    TurnedBack "disks turned back to an earlier image" within 1000,
    TurnedBackFound "disks that peers knew to be turned back" within 1000,
    // Elections and replication.
    Campaigns "campaigns" within 100,
    Elections "elections" within 100,
    StepDowns "leaders and candidates that gave up" within 100,
    Nacks "refused ballots" within 100,
    Gaps "gaps" within 100,
    CatchUps "requests for decided rows" within 100,
    RowsFromDisk "pages of rows read from a log" within 100,
    ReProposals "values proposed again at a higher ballot" within 100,
    SuffixesDropped "suffixes that a new leader left out" within 1000,
    ManyPages "promises of several pages" within 1000,
    Transfers "leaders asked to hand over" within 100,
    HandOvers "leaders that handed over" within 100,
    DiskFullHandOvers "leaders with a full disk that handed over" within 1000,
    Admitted "starts after which peers confirmed the disk" within 100,
    // Epochs.
    Reconfigurations "reconfigurations asked for" within 100,
    Stale "reconfigurations refused because the epoch had changed" within 100,
    Seals "seals proposed or selected" within 100,
    Epochs "epochs begun" within 100,
    Ready "epochs whose first entry was decided" within 100,
    FastStarts "epochs led without phase 1" within 100,
    EpochEnded "messages to nodes left in an earlier epoch" within 100,
    Grown "configurations with more voters" within 100,
    Shrunk "configurations with fewer voters" within 100,
    Replaced "configurations that replace voters" within 100,
    LostReplaced "lost disks replaced by new nodes as voters" within 100,
    Registered "nodes registered through the log" within 100,
    Learners "starts of nodes that do not vote" within 100,
    // Snapshots.
    Compactions "compactions of a log" within 100,
    SnapshotsAsked "snapshots asked for" within 100,
    SnapshotsInstalled "snapshots installed" within 100,
    SnapshotsResumed "fetches of a snapshot that went on after a loss" within 100,
    InstallsCut "processes that died while they installed a snapshot" within 1000,
    // Clients.
    Retries "commands sent again" within 100,
    Repeated "commands that reached the log twice" within 100,
    SessionGaps "session commands that came before an earlier one" within 1000,
    Reads "linearizable reads answered" within 100,
    ReadsRefused "linearizable reads refused" within 100,
    NoQuorum "proposals refused for want of a quorum" within 100,
    WindowFull "proposals refused because the window was full" within 3000,
    Unsettled "proposals refused while an epoch or the lead changed" within 100,
    NoSpace "proposals refused for want of space" within 1000,
}

const MARKS_COUNT: usize = MARKS.len();

/// Sums over one run or many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    marks: [u64; MARKS_COUNT],
    /// Runs.
    pub seeds: u64,
    /// Calls of `Core::step`.
    pub steps: u64,
    /// Events handled.
    pub events: u64,
    /// Simulated time.
    pub simulated_us: Micros,
    /// Slots decided.
    pub decided: u64,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// The longest that a client waited.
    pub wait_us_max: Micros,
    /// The longest time from healing to a leader that all follow.
    pub leader_us_max: Micros,
    /// The longest time from there to quiet.
    pub quiet_us_max: Micros,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            marks: [0; MARKS_COUNT],
            seeds: 0,
            steps: 0,
            events: 0,
            simulated_us: 0,
            decided: 0,
            acknowledged: 0,
            wait_us_max: 0,
            leader_us_max: 0,
            quiet_us_max: 0,
        }
    }
}

/// Seconds of a year, for cluster-years.
const YEAR_S: f64 = 31.5e6;

impl Counters {
    /// Something happened.
    pub const fn hit(&mut self, mark: Mark) {
        self.marks[mark as usize] += 1;
    }

    /// How often it happened.
    #[must_use]
    pub const fn of(&self, mark: Mark) -> u64 {
        self.marks[mark as usize]
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.marks.iter_mut().zip(&other.marks) {
            *sum += count;
        }
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.events += other.events;
        self.simulated_us += other.simulated_us;
        self.decided += other.decided;
        self.acknowledged += other.acknowledged;
        self.wait_us_max = self.wait_us_max.max(other.wait_us_max);
        self.leader_us_max = self.leader_us_max.max(other.leader_us_max);
        self.quiet_us_max = self.quiet_us_max.max(other.quiet_us_max);
    }

    /// The marks that so many seeds should have reached and did not.
    #[must_use]
    pub fn missed(&self) -> Vec<Mark> {
        let due = |mark: &Mark| self.seeds >= mark.within_seeds() && self.of(*mark) == 0;
        MARKS.iter().copied().filter(due).collect()
    }

    /// Simulated time in years of one cluster.
    #[must_use]
    pub fn cluster_years(&self) -> f64 {
        self.simulated_us as f64 / 1e6 / YEAR_S
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mark in MARKS {
            writeln!(f, "{:>12}  {}", self.of(*mark), mark.name())?;
        }
        writeln!(f, "{:>12}  slots decided", self.decided)?;
        writeln!(f, "{:>12}  commands acknowledged", self.acknowledged)?;
        let ms = |us: Micros| us / 1_000;
        writeln!(
            f,
            "{:>12}  ms: the longest wait of a client",
            ms(self.wait_us_max)
        )?;
        writeln!(
            f,
            "{:>12}  ms: the longest way to a leader",
            ms(self.leader_us_max)
        )?;
        write!(
            f,
            "{:>12}  ms: the longest way from there to quiet",
            ms(self.quiet_us_max)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, MARKS, Mark};

    #[test]
    fn a_mark_is_missed_when_enough_seeds_did_not_reach_it() {
        let mut counters = Counters {
            seeds: 99,
            ..Counters::default()
        };
        assert!(counters.missed().is_empty(), "too few to say");
        counters.seeds = 100;
        counters.hit(Mark::Elections);
        let missed = counters.missed();
        assert!(missed.contains(&Mark::Crashes) && !missed.contains(&Mark::Elections));
        let mut both = counters.clone();
        both.add(&counters);
        assert_eq!((both.of(Mark::Elections), both.seeds), (2, 200));
        assert!(
            MARKS
                .iter()
                .all(|mark| counters.to_string().contains(mark.name()))
        );
    }
}
