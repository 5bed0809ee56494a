//! A stopped log whose files are damaged, and a disk that lies.
//!
//! At rest: bits flip, sectors turn to zeros or noise, a page lies in another's place, a file is
//! cut off. While running: a sync that did nothing, a write that never arrived or arrived
//! elsewhere, with everything around it durable; only the next process can notice.
//!
//! What is checked of each: the log is refused; or everything is there; or what is not there is
//! known to be damaged, so that the replica promises nothing; or the log is as it was at an
//! earlier moment and the count of transactions with which it asks the others says so (section
//! 2.9, `Hello`). That last outcome is the limit of what one disk can know of itself: a log that
//! ends early, at the end of a transaction, looks like one that never went on.

use fastrand::Rng;
use storage::{Event, Image, Loss, Medium};
use wal::{Base, Error};

use crate::counters::Counters;
use crate::crash::WAL;
use crate::known;
use crate::model::{History, State};
use crate::recording::Recording;
use crate::verdict::{self, Found};

const LOG: &str = "log.db";
/// A page of log.db.
const PAGE_BYTES: usize = 4096;
/// A frame of the WAL, and what comes before the first.
const FRAME_BYTES: usize = 24 + PAGE_BYTES;
const WAL_HEADER_BYTES: usize = 32;
/// The unit in which a disk fails.
const SECTOR_BYTES: usize = 512;

/// A log that acknowledged everything, and what it must give back.
struct Stopped {
    history: History,
    events: Vec<Event>,
    before: Medium,
}

impl Stopped {
    /// Runs a log and stops it, properly or by killing it.
    fn run(seed: u64, properly: bool) -> Self {
        let mut run = Recording::new(seed);
        run.steps(14).unwrap();
        let killed = run.disk.events();
        let before = run.disk.before().clone();
        run.stop();
        Self {
            events: if properly { run.disk.events() } else { killed },
            history: run.history,
            before,
        }
    }

    /// The files as they are.
    fn image(&self) -> Image {
        let mut medium = self.before.clone();
        self.events.iter().for_each(|event| medium.apply(event));
        medium.after(Loss::Nothing, &mut Rng::with_seed(0)).0
    }

    /// Opens an image and judges what came back.
    fn judge(&self, image: &Image, random: &mut Rng) -> Result<Outcome, String> {
        let last = self.history.asked();
        let bases = self.history.bases_after(last, last);
        let base = bases[random.usize(0..bases.len())];
        judge(&self.history, base, verdict::open_image(image, base))
    }
}

/// What came of damage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    /// It is refused, with a reason.
    Refused,
    /// Everything is there.
    Unharmed,
    /// Some slots are known to be damaged; everything else is there.
    Known,
    /// It is as it was before, and its count of transactions says so.
    TurnedBack,
}

fn judge(history: &History, base: &Base, found: Result<Found, Error>) -> Result<Outcome, String> {
    let Ok(found) = found else {
        return Ok(Outcome::Refused);
    };
    if found.opened_at < history.last().disk_seq {
        return Ok(Outcome::TurnedBack);
    }
    let last = history.asked();
    let expected = verdict::expected(history, last, base);
    let firm = |state: &State| {
        (
            state.identity.clone(),
            state.promised,
            state.configuration.clone(),
            state.compacted_to,
        )
    };
    let rows = |state: &State| -> Vec<_> {
        let rows = state.rows.values();
        rows.filter(|row| !found.damaged.contains(&row.slot))
            .cloned()
            .collect()
    };
    // Hints may be older: the commit index (D4), the addresses, the counts of other disks.
    let same = firm(&expected) == firm(&found.state)
        && rows(&expected) == rows(&found.state)
        && found.state.decided <= expected.decided;
    if found.in_order && same {
        return Ok(if found.damaged.is_empty() {
            Outcome::Unharmed
        } else {
            Outcome::Known
        });
    }
    Err(format!(
        "{}; damaged {:?}; in order: {}",
        expected.difference(&found.state),
        found.damaged,
        found.in_order
    ))
}

/// Copies one unit of a file over another.
fn misplace(content: &mut [u8], head: usize, unit: usize, from: usize, to: usize) {
    let place = |number: usize| head + number * unit..head + (number + 1) * unit;
    let moved = content[place(from)].to_vec();
    content[place(to)].copy_from_slice(&moved);
}

/// Damages an image at rest, the WAL in half of the cases in which there is one. Says how.
fn damage(image: &mut Image, random: &mut Rng) -> String {
    let has_wal = image
        .files
        .get(WAL)
        .is_some_and(|wal| wal.len() > FRAME_BYTES);
    let name = if has_wal && random.bool() { WAL } else { LOG };
    let content = image.files.get_mut(name).unwrap();
    let length = content.len();
    let at = random.usize(0..length);
    let sector = at - at % SECTOR_BYTES..(at - at % SECTOR_BYTES + SECTOR_BYTES).min(length);
    let what = match random.u8(0..16) {
        0..8 => {
            content[at] ^= 1 << random.u8(0..8);
            "bit flipped"
        }
        8..10 => {
            content[sector].fill(0);
            "sector zeroed"
        }
        10..12 => {
            content[sector].fill_with(|| random.u8(..));
            "sector of noise"
        }
        12..15 => {
            let (head, unit) = if name == LOG {
                (0, PAGE_BYTES)
            } else {
                (WAL_HEADER_BYTES, FRAME_BYTES)
            };
            let count = (length - head) / unit;
            let (from, to) = (random.usize(0..count), random.usize(0..count));
            misplace(content, head, unit, from, to);
            "page in the place of another"
        }
        _ => {
            content.truncate(at);
            "file cut off"
        }
    };
    format!("{name}: {what}")
}

/// Property (section 2.9, trap 14): damage of a stopped log is found, or harmless, or shows in
/// the count of transactions.
#[test]
fn damage_at_rest_is_seen() {
    let mut counters = Counters::default();
    for seed in crate::seeds(0..4) {
        let stopped = Stopped::run(seed, seed % 2 == 0);
        let sound = stopped.image();
        let mut random = Rng::with_seed(seed);
        for number in 0..300 {
            let mut image = sound.clone();
            let what = damage(&mut image, &mut random);
            match stopped.judge(&image, &mut random) {
                Ok(outcome) => counters.count(&format!("{what}: {outcome:?}")),
                // The same as in the test of every page below, by chance.
                Err(_) if known::FOREIGN_CELLS_COUNT && what.starts_with(LOG) => {
                    counters.count(&format!("{what}: MISSED"));
                }
                Err(why) => panic!("seed {seed}, number {number}, {what}: {why}"),
            }
        }
    }
    counters.report(
        "damage at rest",
        &[
            "log.db: bit flipped: Known",
            "log.db: bit flipped: Refused",
            "log.db: bit flipped: Unharmed",
            "log.db-wal: bit flipped: Refused",
            "log.db-wal: bit flipped: TurnedBack",
            "log.db-wal: file cut off: TurnedBack",
        ],
    );
}

/// Property: no page of log.db passes for another one, whatever the two are.
#[test]
fn no_page_passes_for_another() {
    let mut counters = Counters::default();
    let mut missed = Vec::new();
    for seed in crate::seeds(24..27) {
        let stopped = Stopped::run(seed, true);
        let sound = stopped.image();
        let mut random = Rng::with_seed(seed);
        let pages = sound.files[LOG].len() / PAGE_BYTES;
        for (from, to) in (0..pages).flat_map(|from| (0..pages).map(move |to| (from, to))) {
            let mut image = sound.clone();
            misplace(image.files.get_mut(LOG).unwrap(), 0, PAGE_BYTES, from, to);
            match stopped.judge(&image, &mut random) {
                Ok(outcome) => counters.count(&format!("{outcome:?}")),
                Err(why) => missed.push(format!("seed {seed}, page {from} over {to}: {why}")),
            }
        }
    }
    counters.report("pages in the place of others", &["Refused", "Known"]);
    if !known::FOREIGN_CELLS_COUNT {
        assert_eq!(missed.first(), None);
    }
    let times = missed.len() as u64;
    known::check("foreign cells count", known::FOREIGN_CELLS_COUNT, times);
}

/// What a disk claims to have done.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// This sync, and the later ones of the file, did nothing.
    Sync,
    /// This write never arrived.
    Lost,
    /// This write arrived elsewhere in the file.
    Elsewhere,
}

/// The events as they really were.
fn truth(events: &[Event], lie: Lie, at: usize, random: &mut Rng) -> Vec<Event> {
    let mut real = events.to_vec();
    match (lie, &events[at]) {
        (Lie::Sync, Event::Synced { node }) => {
            let mut number = 0;
            real.retain(|event| {
                number += 1;
                number <= at || !matches!(event, Event::Synced { node: other } if other == node)
            });
        }
        (Lie::Lost, Event::Wrote { .. }) => {
            real.remove(at);
        }
        (
            Lie::Elsewhere,
            Event::Wrote {
                node,
                offset,
                bytes,
            },
        ) => {
            let in_pages = offset.is_multiple_of(PAGE_BYTES as u64);
            let unit = if in_pages { PAGE_BYTES } else { FRAME_BYTES } as u64;
            let forwards = offset + unit * random.u64(1..4);
            real[at] = Event::Wrote {
                node: *node,
                offset: forwards.saturating_sub(unit * random.u64(0..3)),
                bytes: bytes.clone(),
            };
        }
        _ => {}
    }
    real
}

/// Property: a write or a sync that the disk only claimed to have done is found, or harmless, or
/// shows in the count of transactions.
#[test]
fn a_lying_disk_is_seen() {
    let mut counters = Counters::default();
    for seed in crate::seeds(0..4) {
        let stopped = Stopped::run(seed, seed % 2 == 0);
        let mut random = Rng::with_seed(seed);
        for at in 0..stopped.events.len() {
            let lies: &[Lie] = match stopped.events[at] {
                Event::Synced { .. } => &[Lie::Sync],
                Event::Wrote { .. } => &[Lie::Lost, Lie::Elsewhere],
                _ => &[],
            };
            for lie in lies {
                let mut medium = stopped.before.clone();
                let real = truth(&stopped.events, *lie, at, &mut random);
                real.iter().for_each(|event| medium.apply(event));
                let (image, _) = medium.after(Loss::Everything, &mut random);
                match stopped.judge(&image, &mut random) {
                    Ok(outcome) => counters.count(&format!("{lie:?}: {outcome:?}")),
                    Err(_) if known::FOREIGN_CELLS_COUNT => {
                        counters.count(&format!("{lie:?}: MISSED"));
                    }
                    Err(why) => panic!("seed {seed}, event {at}, {lie:?}: {why}"),
                }
            }
        }
    }
    counters.report(
        "a lying disk",
        &[
            "Sync: Refused",
            "Sync: TurnedBack",
            "Lost: Refused",
            "Lost: TurnedBack",
            "Elsewhere: Refused",
        ],
    );
}
