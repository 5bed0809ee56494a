//! Power losses: at every moment of a run, with every kind of loss, over several lives.

use storage::{Event, Loss};
use wal::Error;

use crate::counters::Counters;
use crate::crash::{CrashPoints, Survivor, WAL};
use crate::recording::Recording;
use crate::{known, verdict};

/// Lives of one log: each begins with what a power loss left of the one before.
const LIVES: u64 = 3;
/// Requests in a life.
const REQUESTS: usize = 14;

fn lives(seed: u64, counters: &mut Counters) -> Result<(), String> {
    let mut survivor: Option<Survivor> = None;
    for life in 0..LIVES {
        let seed = seed * 1000 + life;
        let mut run = match &survivor {
            None => Recording::new(seed),
            Some(survivor) => Recording::resume(survivor, seed),
        };
        let steps = run.steps(REQUESTS);
        steps.map_err(|why| format!("seed {seed}: {why}"))?;
        run.stop();
        let events = run.disk.events();
        survivor = CrashPoints::every(&run.disk, &events, &run.history, seed).check(counters)?;
        counters.count("lives");
        if survivor.is_none() {
            break;
        }
    }
    Ok(())
}

/// Property (D1, D2, D4, R4): wherever the power fails, what was acknowledged is there, what was
/// never asked for is not, and a transaction is there whole or not at all.
#[test]
fn a_power_loss_keeps_every_promise() {
    let mut counters = Counters::default();
    for seed in crate::seeds(0..3) {
        lives(seed, &mut counters).unwrap();
    }
    counters.report(
        "power losses",
        &[
            "lost",
            "torn",
            "reordered",
            "garbage",
            "length apart",
            "name lost",
            "unacknowledged request survived",
        ],
    );
    let alarms = counters.sum("false alarms");
    known::check("torn WAL alarms", known::TORN_WAL_ALARMS, alarms);
}

/// Runs a log and tears its last transaction: of the frame with the commit mark only the header
/// is there, and the file is as long as it would have been.
fn torn(seed: u64) -> Survivor {
    let mut run = Recording::new(seed);
    run.steps(12).unwrap();
    let events = run.disk.events();
    let wrote = |event: &Event| matches!(event, Event::Wrote { .. });
    let last = events.iter().rposition(wrote).unwrap();
    let mut medium = run.disk.before().clone();
    events[..last].iter().for_each(|event| medium.apply(event));
    let (mut image, _) = medium.after(Loss::Nothing, &mut fastrand::Rng::with_seed(seed));
    let wal = image.files.get_mut(WAL).unwrap();
    wal.resize(wal.len() + 4096, 0);
    let before = run.acked - 1;
    let base = run.history.bases_after(before, run.acked)[0].clone();
    let found = verdict::open_image(&image, &base).unwrap();
    let number = verdict::matching(&run.history, before, run.acked, &base, &found);
    assert_eq!(number, Ok(before), "the torn transaction is dropped");
    let caught_up = run.history.base(found.state.decided).clone();
    Survivor {
        image,
        base,
        found,
        caught_up,
    }
}

/// Property: what a torn transaction left in the WAL is not taken for damage later on, when the
/// log has gone on and everything is synced.
#[test]
fn a_torn_tail_is_forgotten() {
    let mut alarms = 0;
    for seed in crate::seeds(0..40) {
        let mut run = Recording::resume(&torn(seed), seed);
        run.step().unwrap();
        let mut medium = run.disk.before().clone();
        run.disk
            .events()
            .iter()
            .for_each(|event| medium.apply(event));
        assert!(medium.is_settled("log.lock"));
        let (image, _) = medium.after(Loss::Nothing, &mut fastrand::Rng::with_seed(seed));
        let base = run.history.bases_after(1, 1)[0];
        match verdict::open_image(&image, base) {
            Ok(found) => {
                let number = verdict::matching(&run.history, 1, 1, base, &found);
                assert_eq!(number, Ok(1), "seed {seed}");
            }
            Err(Error::WalDamaged { .. }) => alarms += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    known::check("stale tail alarms", known::STALE_TAIL_ALARMS, alarms);
}
