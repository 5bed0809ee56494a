//! Brings disk and state to the same slot before a replica takes part.
//!
//! In: the open log, `state.db` as it is, a snapshot that arrived. Out: both at the commit index
//! (rule D4), or what is needed first. Must hold: `state.db` is replaced only by a verified
//! snapshot, and the log knows of it before and after (`wal::Wal::announce_snapshot`); whatever
//! step a crash interrupts, the next start completes it. Tests: tests/scenarios
//! (kill -9 at each failpoint), `machine` and `wal` for their own steps.

use std::path::{Path, PathBuf};

use machine::snapshot::{self, Receiver, Verified};
use machine::{Applied, Machine};
use paxos::ids::Slot;
use wal::{Base, Recovery, Wal};

use crate::errors::Error;
use crate::failpoints;
use crate::snapshots;

/// The name of the state's file in the data directory.
const STATE_FILE: &str = "state.db";

/// The file of the state.
pub(crate) fn state_file(data: &Path) -> PathBuf {
    data.join(STATE_FILE)
}

/// Disk and state at the same slot.
pub(crate) struct Recovered {
    pub(super) wal: Wal,
    pub(super) machine: Machine,
    pub(super) recovery: Recovery,
}

/// How far it came.
pub(crate) enum Outcome {
    /// The replica may take part.
    Ready(Box<Recovered>),
    /// Only with a snapshot of another replica.
    Behind {
        /// The log, as it was.
        wal: Box<Wal>,
        /// A snapshot at this slot or a later one is of use.
        at_least: Slot,
        /// In words.
        why: String,
    },
}

impl Recovered {
    /// Opens the state, installs a snapshot if there is one, replays the log. Blocks.
    pub(crate) fn from(
        mut wal: Wal,
        data: &Path,
        arrived: Option<Verified>,
    ) -> Result<Outcome, Error> {
        let mut machine = open(data)?;
        let arrived = match arrived {
            Some(arrived) => Some(arrived),
            None => earlier_arrival(data)?,
        };
        if let Some(arrived) = arrived
            && arrived.manifest().applied.slot > machine.applied().slot
        {
            machine = swap(&mut wal, machine, data, arrived)?;
        }
        let base = base(machine.applied());
        if wal.awaits_snapshot(&base) {
            wal.install_snapshot(&base)?;
        }
        let recovery = match wal.restore(&base) {
            Ok(recovery) => recovery,
            Err(error @ wal::Error::SnapshotNeeded { at_least, .. }) => {
                let why = error.to_string();
                let wal = Box::new(wal);
                return Ok(Outcome::Behind { wal, at_least, why });
            }
            Err(error) => return Err(error.into()),
        };
        replay(&wal, &base, &mut machine, &recovery)?;
        Ok(Outcome::Ready(Box::new(Self {
            wal,
            machine,
            recovery,
        })))
    }
}

/// What the state machine holds, as the log understands it.
fn base(applied: &Applied) -> Base {
    Base {
        slot: applied.slot,
        chain: applied.chain,
        timestamp: applied.timestamp,
        configuration: applied.configuration.clone(),
    }
}

/// Opens the state. What can be made anew is moved aside: the log, or a snapshot, replaces it.
fn open(data: &Path) -> Result<Machine, Error> {
    let path = state_file(data);
    match Machine::open(&path) {
        Err(error) if error.is_replaceable() => {
            let aside = snapshot::set_aside(&path)?;
            tracing::error!(
                error = ops::errors::chain(&error), aside = %aside.display(),
                "state.db cannot be used and was moved aside; it is made anew from the log or \
                 from another replica; check the disk"
            );
            Ok(Machine::open(&path)?)
        }
        other => Ok(other?),
    }
}

/// A snapshot that arrived whole before the process ended.
fn earlier_arrival(data: &Path) -> Result<Option<Verified>, Error> {
    let directory = snapshots::directory(data);
    let Some(receiver) = Receiver::resume(&directory)?.filter(Receiver::is_complete) else {
        return Ok(None);
    };
    match receiver.finish() {
        Ok(verified) => Ok(Some(verified)),
        // It is fetched again.
        Err(machine::Error::BadSnapshot { found, .. }) => {
            tracing::warn!(found, "a snapshot that had arrived is dropped");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts the snapshot in the place of the state, and of the rows up to its slot.
fn swap(wal: &mut Wal, machine: Machine, data: &Path, arrived: Verified) -> Result<Machine, Error> {
    // Nobody may have the state open.
    drop(machine);
    let base = base(&arrived.manifest().applied);
    wal.announce_snapshot(&base)?;
    failpoints::pass(failpoints::AFTER_SNAPSHOT_ANNOUNCED);
    let path = state_file(data);
    snapshot::install(arrived, &path)?;
    failpoints::pass(failpoints::AFTER_STATE_SWAPPED);
    wal.install_snapshot(&base)?;
    failpoints::pass(failpoints::AFTER_SNAPSHOT_INSTALLED);
    Ok(Machine::open(path)?)
}

/// Brings the state up to the log's commit index, so that the two agree (rule D4).
fn replay(wal: &Wal, base: &Base, machine: &mut Machine, recovery: &Recovery) -> Result<(), Error> {
    let (before, restored) = (base.slot, &recovery.restored);
    for page in wal.replay(base, restored.decided) {
        machine.apply(&page?)?;
    }
    let applied = machine.applied();
    assert!(
        applied.slot == restored.decided,
        "the replay ends at the commit index"
    );
    if applied.slot > before {
        tracing::info!(from = %before, to = %applied.slot, "state brought forward from the log");
    }
    // Both files say what the prefix is. If they differ, one of them is of another history.
    if applied.chain != restored.chain && applied.slot > Slot::GENESIS {
        return Err(machine::Error::Diverged {
            slot: applied.slot,
            found: restored.chain,
            applied: applied.chain,
        }
        .into());
    }
    Ok(())
}
