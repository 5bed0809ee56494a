//! Does what the schedule says, as far as the cluster bears it, and undoes it again.
//!
//! In: steps drawn from the seed, and the newest view of the cluster. Out: operations on a
//! [`Ground`], a fault of the record for each step. Must hold: never more than a minority broken
//! at once, unless the kind says so; every fault ends; a step that cannot be borne within
//! [`PATIENCE`] is skipped and says why.

mod finish;
mod heal;
mod install;
mod partition;
mod tolerance;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Result;
use checker::Outage;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::Began;
use crate::ground::{Ground, Link, Name, Weather};
use crate::limits::{PATIENCE, TURN};
use crate::progress::Said;
use crate::record::{Fault, Outcome, Violation};
use crate::schedule::Step;
use crate::watch::{View, Watched};

/// What ends a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    /// Its targets are started.
    Start,
    /// As `Start`; then they have to be whole by themselves, or get a new disk.
    Mend,
    /// Within a time they are to be whole by themselves.
    Mended,
    /// They go on.
    Resume,
    /// Its links are whole again.
    Network,
    /// They have space again.
    FreeDisk,
    /// Their clocks are right again.
    Clock,
    /// Machines have pods again.
    Undrain,
    /// This node votes no more, or the time is over.
    Replaced(u64),
    /// It was over when it began.
    Nothing,
}

/// A fault that is there.
#[derive(Debug)]
struct Active {
    /// As it will be in the record.
    fault: Fault,
    /// Whom it breaks.
    targets: BTreeSet<Name>,
    until: Instant,
    end: End,
    cut: BTreeSet<Link>,
    weather: Weather,
}

/// A leader that was killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderKill {
    /// When it was asked for.
    pub at_ms: u64,
    /// When it was done: an engine of containers may take its time.
    pub dead_ms: u64,
}

/// What a run of the nemesis leaves.
#[derive(Debug, Default)]
pub struct Done {
    /// Every step, in the order in which they ended.
    pub faults: Vec<Fault>,
    /// What should not have happened to a process.
    pub violations: Vec<Violation>,
    /// When a majority was certainly dead.
    pub outages: Vec<Outage>,
    /// Leaders that were killed while all else was well enough.
    pub leader_kills: Vec<LeaderKill>,
    /// Disks that were lost for good and whose node was replaced by another.
    pub replaced: u32,
}

/// The nemesis.
#[derive(Debug)]
pub struct Nemesis<G> {
    ground: G,
    watched: Watched,
    began: Began,
    /// Voters that there should be.
    wished: usize,
    steps: VecDeque<Step>,
    /// Since when the first of them waits.
    waiting: Option<Instant>,
    active: Vec<Active>,
    /// Replicas whose fault has just ended: what the view says of them may be older.
    settling: Vec<(Instant, Name)>,
    /// How often a process ended by itself.
    falls: BTreeMap<Name, u32>,
    /// Replicas whose files were damaged or lost power: they may refuse them.
    excused: BTreeSet<Name>,
    /// Nodes that refused their disks in the end.
    refused: BTreeSet<u64>,
    current: watch::Sender<Vec<String>>,
    said: Said,
    done: Done,
}

impl<G: Ground> Nemesis<G> {
    /// With a cluster that is whole. What is there at each moment is told to `current`.
    pub fn new(
        ground: G,
        watched: Watched,
        began: Began,
        steps: Vec<Step>,
        current: watch::Sender<Vec<String>>,
        said: Said,
    ) -> Self {
        let wished = watched.view.borrow().voters.len();
        Self {
            ground,
            watched,
            began,
            wished,
            steps: steps.into(),
            waiting: None,
            active: Vec::new(),
            settling: Vec::new(),
            falls: BTreeMap::new(),
            excused: BTreeSet::new(),
            refused: BTreeSet::new(),
            current,
            said,
            done: Done::default(),
        }
    }

    /// Torments the cluster until `end_ms`.
    ///
    /// # Errors
    /// When what is needed to go on cannot be done on the ground.
    pub async fn torment(&mut self, end_ms: u64) -> Result<()> {
        while self.began.ms() < end_ms {
            self.finish_due().await?;
            self.pick_up_fallen().await?;
            self.next_step().await?;
            sleep(TURN).await;
        }
        for step in std::mem::take(&mut self.steps) {
            self.skip(&step, "the time was over".to_owned());
        }
        Ok(())
    }

    /// The ground and what was done, after everything.
    pub fn into_parts(mut self) -> (G, Done) {
        self.done.faults.sort_by_key(|fault| fault.from_ms);
        (self.ground, self.done)
    }

    fn view(&self) -> View {
        self.watched.view.borrow().clone()
    }

    /// The first step of those that wait, if its time has come and the cluster bears it.
    async fn next_step(&mut self) -> Result<()> {
        let Some(step) = self.steps.front().copied() else {
            return Ok(());
        };
        let now = Instant::now();
        let due = self.began.at(step.at_ms);
        if now < due {
            return Ok(());
        }
        // Steps wait for each other; each has its own patience.
        let since = *self.waiting.get_or_insert(now);
        let why = match self.obstacle(&step) {
            Some((why, for_ever)) => (why, for_ever),
            None => match self.install(&step).await? {
                None => {
                    self.steps.pop_front();
                    self.waiting = None;
                    return Ok(());
                }
                Some(why) => (why, false),
            },
        };
        if why.1 || now > since + PATIENCE {
            self.steps.pop_front();
            self.waiting = None;
            self.skip(&step, why.0);
        }
        Ok(())
    }

    /// Why a step cannot begin now, and whether that lasts.
    fn obstacle(&self, step: &Step) -> Option<(String, bool)> {
        if let Some(why) = self.ground.obstacle(step.kind) {
            return Some((why, true));
        }
        let asks = tolerance::asks(step.kind);
        let faults = self.active.len();
        let waits = tolerance::must_wait(asks, &self.view(), &self.under_fault(), faults);
        waits.map(|why| (why, false))
    }

    fn skip(&mut self, step: &Step, why: String) {
        let now = self.began.ms();
        self.said
            .line(&format!("skipped   {:<18} {why}", step.kind.name()));
        self.done.faults.push(Fault {
            kind: step.kind.name().to_owned(),
            target: String::new(),
            from_ms: now,
            to_ms: now,
            outcome: Outcome::Skipped,
            words: why,
        });
    }

    /// Replicas that are under a fault, or were a moment ago.
    fn under_fault(&self) -> BTreeSet<Name> {
        let now = Instant::now();
        let active = self.active.iter().flat_map(|active| active.targets.clone());
        let settling = self.settling.iter().filter(|(until, _)| *until > now);
        active
            .chain(settling.map(|(_, name)| name.clone()))
            .collect()
    }

    /// Tells the progress line what is there, and what is beginning: some faults take a while.
    fn tell_current(&self, beginning: Option<String>) {
        let words = |active: &Active| format!("{} {}", active.fault.kind, active.fault.target);
        let all = self.active.iter().map(words).chain(beginning);
        let all = all.map(|words| words.trim_end().to_owned()).collect();
        self.current.send_replace(all);
    }

    /// Sets the network to what the faults that are there want of it.
    async fn set_network(&mut self) -> Result<()> {
        let mut cut = BTreeSet::new();
        let mut weather = Weather::default();
        for active in &self.active {
            cut.extend(active.cut.iter().cloned());
            let worse = active.weather;
            weather.delay_ms = weather.delay_ms.max(worse.delay_ms);
            weather.jitter_ms = weather.jitter_ms.max(worse.jitter_ms);
            weather.lost_per_mille = weather.lost_per_mille.max(worse.lost_per_mille);
            weather.broken_per_100k = weather.broken_per_100k.max(worse.broken_per_100k);
        }
        self.ground.network(&cut, weather).await
    }

    /// Tells the watcher whom to look at.
    fn set_places(&self) {
        self.watched.places.send_replace(self.ground.replicas());
    }
}
