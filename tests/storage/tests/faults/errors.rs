//! Calls that fail: a device error or a full disk at any write, sync or change of a name.
//!
//! The program goes on differently after an error, so each is a run of its own. After it the log
//! says so and takes nothing more, not one byte is written any more, and whatever of the failed
//! call reached the disk, what was acknowledged is there. An error may be swallowed, if nothing
//! is lost by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use storage::{Disk, Fault, FaultKind};
use wal::{Base, Error};

use crate::counters::Counters;
use crate::crash::CrashPoints;
use crate::model::History;
use crate::recording::Recording;
use crate::{known, verdict};

/// Requests of a run.
const REQUESTS: usize = 8;

const KINDS: [FaultKind; 6] = [
    FaultKind::WriteError,
    FaultKind::NoSpace { left_bytes: 0 },
    FaultKind::NoSpace { left_bytes: 700 },
    FaultKind::SyncError,
    FaultKind::SyncDirectoryError,
    FaultKind::NameError,
];

/// What a run did until it failed, or its end.
struct Run {
    disk: Arc<Disk>,
    /// `None` if the log was not even made.
    history: Option<History>,
    error: Option<Error>,
}

fn run(seed: u64, fault: Fault) -> Run {
    let disk = Arc::new(Disk::empty().unwrap());
    disk.fail(fault);
    let mut recording = match Recording::on(Arc::clone(&disk), seed) {
        Ok(recording) => recording,
        Err(error) => {
            return Run {
                disk,
                history: None,
                error: Some(error),
            };
        }
    };
    let error = recording.steps(REQUESTS).err();
    recording.stop();
    Run {
        disk,
        history: Some(recording.history),
        error,
    }
}

/// Whether the error says what happened.
fn is_named(error: &Error, fault: FaultKind) -> bool {
    match fault {
        FaultKind::NoSpace { .. } => matches!(error, Error::NoSpace { .. } | Error::Io { .. }),
        _ => matches!(error, Error::Sqlite { .. } | Error::Io { .. }),
    }
}

/// One fault in one run. Returns the number of the call that failed, or `None` if no later call
/// is of its kind; beside it what was violated.
fn fail(seed: u64, fault: Fault, counters: &mut Counters) -> (Option<u64>, Result<(), String>) {
    let run = run(seed, fault);
    let Some(call) = run.disk.fired() else {
        return (None, Ok(()));
    };
    let what = format!("{:?} of {}", call.kind, call.name);
    match &run.error {
        Some(error) if !is_named(error, fault.kind) => {
            let why = format!("{what} failed, and the log says: {error}");
            return (Some(call.number), Err(why));
        }
        Some(_) => counters.count("reported"),
        None => counters.count(&format!("swallowed: {what}")),
    }
    let unborn = History::new(
        verdict::open_image(&storage::Image::default(), &Base::EMPTY)
            .unwrap()
            .state,
        &Base::EMPTY,
    );
    let events = run.disk.events();
    let history = run.history.as_ref().unwrap_or(&unborn);
    let points = CrashPoints {
        first: call.event.saturating_sub(1),
        every: 7,
        ..CrashPoints::every(&run.disk, &events, history, seed)
    };
    let checked = points.check(counters);
    let checked = checked.map_err(|why| format!("{what} failed, error {:?}: {why}", run.error));
    (Some(call.number), checked.map(drop))
}

/// A log that stops after an error keeps its files open until the process ends.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Property (D1, D2, and section 2.9, "fsync or commit error"): an error of the disk is reported
/// by its name, nothing is written after it, and nothing acknowledged is lost.
#[test]
fn no_error_of_the_disk_loses_a_promise() {
    allow_many_files();
    let mut counters = Counters::default();
    let mut violations = BTreeMap::new();
    for seed in crate::seeds(0..1) {
        for kind in KINDS {
            let mut fault = Fault {
                from: 0,
                kind,
                lasting: matches!(kind, FaultKind::NoSpace { .. }),
            };
            loop {
                let (failed, checked) = fail(seed, fault, &mut counters);
                let Some(number) = failed else { break };
                if let Err(why) = checked {
                    violations.insert(format!("{fault:?}"), why);
                }
                fault.from = number + 1;
            }
        }
    }
    counters.report("errors of the disk", &["reported"]);
    assert!(
        counters.get("reported") > 200,
        "every call of a run fails once"
    );
    if !known::ERRORS_ARE_SWALLOWED {
        assert_eq!(violations.pop_first(), None);
    }
    for (fault, why) in &violations {
        println!("  {fault}: {why:.300}");
    }
    let times = violations.len() as u64;
    known::check("errors are swallowed", known::ERRORS_ARE_SWALLOWED, times);
}
