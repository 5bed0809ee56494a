//! The crash points of a recording.
//!
//! The disk is rebuilt event by event; after each, the images that a power loss may leave are
//! drawn, opened by the production code, and compared with what was asked and acknowledged by
//! then.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use fastrand::Rng;
use storage::{Disk, Event, Image, Loss, Medium};
use wal::{Base, Error};

use crate::counters::Counters;
use crate::model::History;
use crate::verdict::{self, Found};

/// The log.
pub(crate) const LOG: &str = "log.db";
/// Its WAL.
pub(crate) const WAL: &str = "log.db-wal";

/// An image that was opened, to go on from.
#[derive(Clone, Debug)]
pub(crate) struct Survivor {
    pub(crate) image: Image,
    /// What the state machine held.
    pub(crate) base: Base,
    /// What came back.
    pub(crate) found: Found,
    /// The state machine after applying what the log says is decided.
    pub(crate) caught_up: Base,
}

/// All crash points of a recording.
pub(crate) struct CrashPoints<'a> {
    pub(crate) before: &'a Medium,
    pub(crate) events: &'a [Event],
    pub(crate) history: &'a History,
    pub(crate) seed: u64,
    /// What the state machine holds, if it was seen: else anything that it may hold.
    pub(crate) base: Option<&'a Base>,
    /// Draws per crash point and loss.
    pub(crate) draws: u64,
    /// The first event that is one.
    pub(crate) first: usize,
    /// Every so many events one crash point.
    pub(crate) every: usize,
}

/// One crash.
struct Point<'a> {
    medium: &'a Medium,
    loss: Loss,
    asked: usize,
    /// `None` before the log was made.
    acked: Option<usize>,
    /// Whether the process is waiting in a sync, where it spends most of its time.
    syncing: bool,
}

/// What opening an image gave, by the image's hash: the same image need not be opened twice.
type Opened = HashMap<u64, Result<Found, String>>;

impl<'a> CrashPoints<'a> {
    /// Every event of a recording.
    pub(crate) fn every(
        disk: &'a Disk,
        events: &'a [Event],
        history: &'a History,
        seed: u64,
    ) -> Self {
        Self {
            before: disk.before(),
            events,
            history,
            seed,
            base: None,
            draws: 2,
            first: 0,
            every: 1,
        }
    }

    /// Goes through all of them. Returns a survivor, or the first violation.
    pub(crate) fn check(&self, counters: &mut Counters) -> Result<Option<Survivor>, String> {
        let mut medium = self.before.clone();
        let mut opened = Opened::new();
        let (mut asked, mut acked) = (0, None);
        let mut random = Rng::with_seed(self.seed);
        let mut survivor = None;
        for (number, event) in self.events.iter().enumerate() {
            medium.apply(event);
            if let Event::Marked { asked: a, acked: b } = event {
                (asked, acked) = (*a, Some(*b));
            } else if !(number + 1).is_multiple_of(self.every) {
                continue;
            }
            if number < self.first {
                continue;
            }
            counters.count("crash points");
            // What is left of a torn WAL is the interesting thing to go on with.
            let odds = if medium.is_pending(WAL) { 10 } else { 200 };
            for loss in self.losses(&medium) {
                let next = self.events.get(number + 1);
                let point = Point {
                    medium: &medium,
                    loss,
                    asked,
                    acked,
                    syncing: matches!(next, Some(Event::Synced { .. })),
                };
                let found = self
                    .crash(&point, &mut random, &mut opened, counters)
                    .map_err(|why| {
                        format!("seed {}, event {number}, {loss:?} lost: {why}", self.seed)
                    })?;
                if found.is_some() && random.u8(0..odds) == 0 {
                    survivor = found;
                }
            }
        }
        Ok(survivor)
    }

    /// What is drawn at a moment. The lock file is never synced, and nothing depends on it.
    fn losses(&self, medium: &Medium) -> Vec<Loss> {
        if medium.is_settled("log.lock") {
            return vec![Loss::Nothing];
        }
        let mut losses = vec![Loss::Nothing, Loss::Everything];
        for _ in 0..self.draws {
            losses.extend([Loss::Rest, Loss::Writes, Loss::Sectors]);
        }
        losses
    }

    fn crash(
        &self,
        point: &Point<'_>,
        random: &mut Rng,
        opened: &mut Opened,
        counters: &mut Counters,
    ) -> Result<Option<Survivor>, String> {
        let (image, traits) = point.medium.after(point.loss, random);
        let bases = match (self.base, point.acked) {
            (Some(base), _) => vec![base],
            (None, Some(acked)) => self.history.bases_after(acked, point.asked),
            (None, None) => vec![&Base::EMPTY],
        };
        let base = bases[random.usize(0..bases.len())];
        let mut hasher = DefaultHasher::new();
        (&image, base.slot).hash(&mut hasher);
        let hash = hasher.finish();
        let fresh = !opened.contains_key(&hash);
        if fresh {
            counters.count("images opened");
            counters.count_traits(&traits);
            let torn = point.medium.is_pending(WAL);
            let syncing = point.syncing && torn;
            if syncing {
                counters.count(&format!("in a sync of the WAL, {:?} lost", point.loss));
            }
            let found = match verdict::open_image(&image, base) {
                // A checkpoint was writing the first sector, which the WAL would repair.
                Err(Error::NotOurs { .. }) if traits.garbage && point.medium.is_pending(LOG) => {
                    counters.count("first sector of log.db not legible");
                    return Ok(None);
                }
                // The first transaction of a round is torn, and pages of the round before show in
                // its place: they may be what a checkpoint of this round had copied.
                Err(Error::WalDamaged { offset: 32, .. }) if torn => {
                    counters.count("first frame of a WAL refused without need");
                    return Ok(None);
                }
                // Likewise the header of a WAL that starts over.
                Err(Error::WalDamaged { offset: 0, .. }) if traits.garbage && torn => {
                    counters.count("header of the WAL not legible");
                    return Ok(None);
                }
                found => found.map_err(|error| format!("{error} ({traits:?})")),
            };
            opened.insert(hash, found);
        }
        let found = opened[&hash].as_ref().map_err(String::clone)?;
        let Some(acked) = point.acked else {
            return nobody_knows(found).map(|()| None);
        };
        let number = verdict::matching(self.history, acked, point.asked, base, found)?;
        if number > acked {
            counters.count("unacknowledged request survived");
        }
        if !fresh || !found.state.identity.confirmed {
            return Ok(None);
        }
        Ok(Some(Survivor {
            image,
            base: base.clone(),
            found: found.clone(),
            caught_up: self.history.base(found.state.decided).clone(),
        }))
    }
}

/// A log that was not yet made must be empty.
fn nobody_knows(found: &Found) -> Result<(), String> {
    let state = &found.state;
    if state.rows.is_empty() && state.identity.genesis.is_none() {
        return Ok(());
    }
    Err(format!("a log with a past before it was made: {state:?}"))
}
