//! A killed process, a restart, and then the power fails: what the second process found must
//! be durable, for it votes by it.
//!
//! A process that is killed between a write and its sync leaves data that every reader sees and
//! no disk holds. After a sync that failed this is so although nothing is left to be synced: the
//! kernel takes the pages for clean.

use fastrand::Rng;
use storage::{Disk, Event, Medium};
use wal::Wal;

use crate::counters::Counters;
use crate::crash::{CrashPoints, WAL};
use crate::model::History;
use crate::recording::Recording;
use crate::{known, verdict};

/// Property (D1, D2): what a log shows after it was opened survives a power loss.
#[test]
fn what_an_opened_log_shows_is_durable() {
    let mut counters = Counters::default();
    let mut lost = Vec::new();
    for seed in crate::seeds(0..2) {
        let mut run = Recording::new(seed);
        run.steps(12).unwrap();
        run.stop();
        let events = run.disk.events();
        let mut random = Rng::with_seed(seed);
        let mut medium = run.disk.before().clone();
        let (mut asked, mut acked) = (0, None);
        for (number, event) in events.iter().enumerate() {
            medium.apply(event);
            if let Event::Marked { asked: a, acked: b } = event {
                (asked, acked) = (*a, Some(*b));
            }
            let Some(acked) = acked.filter(|_| medium.is_pending(WAL)) else {
                continue;
            };
            // Most of the time a process waits in the sync itself.
            let syncing = matches!(events.get(number + 1), Some(Event::Synced { .. }));
            if !syncing && random.u8(0..16) > 0 {
                continue;
            }
            let mut killed = medium.clone();
            if random.bool() {
                counters.count("killed after a failed sync");
                let node = killed.node(WAL).unwrap();
                killed.apply(&Event::SyncFailed { node });
            }
            let marks = (asked, acked);
            let reopened = reopened(&killed, &run.history, marks, seed, &mut counters);
            lost.extend(reopened.err());
        }
    }
    counters.report(
        "killed, restarted, without power",
        &[
            "restarts",
            "unacknowledged request found",
            "killed after a failed sync",
        ],
    );
    if !known::CACHE_IS_BELIEVED {
        assert_eq!(lost.first(), None);
    }
    let lost = lost.len() as u64;
    known::check("cache is believed", known::CACHE_IS_BELIEVED, lost);
}

/// Opens what the killed process left in the page cache, and lets the power fail.
fn reopened(
    killed: &Medium,
    history: &History,
    (asked, acked): (usize, usize),
    seed: u64,
    counters: &mut Counters,
) -> Result<(), String> {
    let disk = Disk::resume(killed.clone()).unwrap();
    disk.mark(asked, acked);
    let base = history.bases_after(acked, asked)[0];
    let mut wal = Wal::open(disk.path()).map_err(|error| error.to_string())?;
    let found = verdict::start(&mut wal, base).map_err(|error| error.to_string())?;
    let number = verdict::matching(history, acked, asked, base, &found)?;
    // From here on other replicas may be told what was found.
    disk.mark(number, number);
    counters.count("restarts");
    if number > acked {
        counters.count("unacknowledged request found");
    }
    let events = disk.events();
    let points = CrashPoints::every(&disk, &events, history, seed);
    points.check(counters).map(drop)
}
