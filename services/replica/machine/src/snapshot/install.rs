//! Puts a verified snapshot into the place of state.db, and moves a damaged state.db aside.
//!
//! **What must never happen** is that SQLite opens one file with the WAL or the journal of
//! another: it would write foreign pages into it. So before the new file takes the name, the old
//! one has taken in its WAL (it is whole by itself, and a crash leaves it so); and an old file
//! that cannot do so is removed *before* its WAL, because a WAL without a file is recognised and
//! dropped by [`remove_orphans`], while a file without its WAL may look whole and be torn.
//!
//! After a crash between any two steps, state.db is the old state, or the new one, or (only when
//! the old one was damaged) missing, with the verified snapshot still there to be installed.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::durable::{self, beside};
use super::verify::Verified;
use crate::{Error, schema};

/// What SQLite keeps beside a database.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What says of a database that it must not be opened again.
const CONDEMNED: &str = ".condemned";

/// Puts the snapshot into the place of `state`, durably. Both must be in the same file system.
/// Nobody may have the state open: neither the machine nor any reader.
///
/// # Errors
///
/// [`Error::NotOurs`] and [`Error::NewerFormat`] when what is there must not be replaced;
/// [`Error::Sqlite`] when somebody has it open; [`Error::Io`] when the disk fails. The old state
/// or the new one is there, whole, and the call can be repeated.
pub fn install(snapshot: Verified, state: &Path) -> Result<(), Error> {
    let plan = Plan {
        snapshot: snapshot.path(),
        state,
    };
    for step in STEPS {
        step(&plan)?;
    }
    tracing::info!(
        path = %state.display(), slot = %snapshot.manifest().applied.slot,
        "snapshot installed as the state"
    );
    Ok(())
}

/// Notes that the state is damaged, so that the next [`crate::Machine::open`] says so even if it
/// would not see it by itself. Otherwise damage that shows only when something is read or applied
/// would end the process again and again. [`crate::Machine::apply`] does it by itself; whoever
/// gets [`Error::Damaged`] from a reader, a check or [`super::make`] calls this. The state stays
/// open and as it is.
///
/// # Errors
///
/// When the note cannot be written.
pub fn condemn(state: &Path, why: &Error) -> Result<(), Error> {
    durable::write_checked(&beside(state, CONDEMNED), why.to_string().as_bytes())
}

/// The note of [`condemn`], if there is one.
///
/// # Errors
///
/// [`Error::Damaged`] when there is one; others when it cannot be read.
pub(crate) fn require_not_condemned(state: &Path) -> Result<(), Error> {
    let note = beside(state, CONDEMNED);
    if !durable::exists(&note)? {
        return Ok(());
    }
    let found = durable::read_checked(&note)?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| "a note beside it that cannot be read".to_owned());
    Err(Error::Damaged {
        path: state.to_path_buf(),
        found: format!("as was noted earlier: {found}"),
    })
}

/// Moves a damaged or outdated state (see [`Error::is_replaceable`]) aside for analysis, with its
/// WAL, and returns where it is. An earlier one there is dropped: at most one is kept. Nobody may
/// have it open.
///
/// # Errors
///
/// When a file cannot be renamed or removed.
pub fn set_aside(state: &Path) -> Result<PathBuf, Error> {
    let aside = beside(state, ".damaged");
    durable::remove(&aside)?;
    for suffix in SIDE_FILES {
        durable::remove(&beside(&aside, suffix))?;
    }
    // The file before its WAL, for the reason at the head of this module.
    durable::rename(state, &aside)?;
    durable::sync_directory(durable::directory(state))?;
    for suffix in SIDE_FILES {
        let from = beside(state, suffix);
        if durable::exists(&from)? {
            durable::rename(&from, &beside(&aside, suffix))?;
        }
    }
    durable::remove(&beside(state, CONDEMNED))?;
    durable::sync_directory(durable::directory(state))?;
    Ok(aside)
}

/// Removes a WAL or a journal whose database is gone, and a note about it.
///
/// # Errors
///
/// When a file cannot be removed.
pub(crate) fn remove_orphans(state: &Path) -> Result<(), Error> {
    let is_there = match std::fs::metadata(state) {
        Ok(found) => found.len() > 0,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(source) => return Err(Error::io("look for", state, source)),
    };
    if is_there {
        return Ok(());
    }
    for suffix in SIDE_FILES {
        durable::remove(&beside(state, suffix))?;
    }
    durable::remove(&beside(state, CONDEMNED))
}

struct Plan<'a> {
    snapshot: &'a Path,
    state: &'a Path,
}

type Step = fn(&Plan<'_>) -> Result<(), Error>;

/// The steps of an installation, in their order. A test stops after each of them.
const STEPS: [Step; 5] = [
    // The new file's content. Whoever verified it read it, which says nothing about the disk.
    |plan| durable::sync_file(plan.snapshot),
    |plan| retire(plan.state),
    |plan| remove_orphans(plan.state),
    |plan| {
        durable::rename(plan.snapshot, plan.state)?;
        durable::sync_directory(durable::directory(plan.state))?;
        durable::sync_directory(durable::directory(plan.snapshot))
    },
    // Says of a file that is gone how much of it had arrived.
    |plan| durable::remove(&beside(plan.snapshot, ".manifest")),
];

/// Leaves the old state without a WAL: as a file that is whole by itself, or not at all.
fn retire(state: &Path) -> Result<(), Error> {
    if !durable::exists(state)? {
        return Ok(());
    }
    match fold(state) {
        Ok(()) => Ok(()),
        Err(error) if error.is_replaceable() => {
            durable::remove(state)?;
            durable::sync_directory(durable::directory(state))
        }
        Err(error) => Err(error),
    }
}

/// Moves the WAL into its file and ends WAL mode, which removes the WAL.
fn fold(state: &Path) -> Result<(), Error> {
    require_not_condemned(state)?;
    let failed = |source| Error::sqlite("close", state, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(state, flags).map_err(failed)?;
    // A crash while the file was being made leaves nothing in it.
    if !schema::is_blank(&connection, state)? {
        schema::require_format(&connection, state)?;
    }
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(failed)?;
    connection.close().map_err(|(_, source)| failed(source))?;
    for suffix in SIDE_FILES {
        let file = beside(state, suffix);
        if durable::exists(&file)? {
            let source = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
            return Err(Error::io(
                "replace, while it is open elsewhere,",
                state,
                source,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use paxos::entry::{Chain, Entry, EntryKind};
    use paxos::ids::{Ballot, Slot, Timestamp};

    use super::*;
    use crate::snapshot::{make, verify};
    use crate::{Applied, Machine, StateHash, encode_register_node};

    type Stand = (Applied, StateHash);

    fn stand(machine: &Machine) -> Stand {
        (machine.applied().clone(), machine.state_hash().unwrap())
    }

    /// Applies so many entries, each of which changes the state.
    fn advance(machine: &mut Machine, count: u64) {
        for _ in 0..count {
            let Applied { slot, chain, .. } = *machine.applied();
            let disk = uuid::Uuid::from_u128(u128::from(slot.0));
            let payload = encode_register_node(disk, "host:1");
            let (slot, kind) = (slot.next(), EntryKind::RegisterNode);
            let entry = Entry::new(chain, slot, Ballot::ZERO, kind, Timestamp(slot.0), payload);
            machine.apply(&[entry]).unwrap();
        }
    }

    /// What a killed process leaves: files and WAL, copied while they are in use.
    fn crash_image(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        let _ = fs::remove_file(to.join("state.db-shm"));
    }

    /// A directory with an old state, whose last entries are in its WAL only, and a newer
    /// snapshot; and where both stand.
    fn prepared() -> (tempfile::TempDir, Stand, Stand) {
        let source = tempfile::tempdir().unwrap();
        let mut machine = Machine::open(source.path().join("state.db")).unwrap();
        advance(&mut machine, 3);
        drop(machine);
        let mut machine = Machine::open(source.path().join("state.db")).unwrap();
        advance(&mut machine, 3);
        let directory = tempfile::tempdir().unwrap();
        crash_image(source.path(), directory.path());
        let wal = fs::metadata(directory.path().join("state.db-wal")).unwrap();
        assert!(wal.len() > 0, "the old state is not whole without its WAL");
        let old = stand(&machine);
        advance(&mut machine, 5);
        let new = stand(&machine);
        make(&source.path().join("state.db"), source.path()).unwrap();
        fs::copy(
            source.path().join("snapshot.db"),
            directory.path().join("state.db.part"),
        )
        .unwrap();
        fs::write(directory.path().join("state.db.part.manifest"), "x").unwrap();
        (directory, old, new)
    }

    fn run(directory: &Path, steps: usize) {
        let plan = Plan {
            snapshot: &directory.join("state.db.part"),
            state: &directory.join("state.db"),
        };
        for step in &STEPS[..steps] {
            step(&plan).unwrap();
        }
    }

    /// Property: a crash after any step leaves the old state or the new one, whole; and the
    /// installation can be done over from there.
    #[test]
    fn a_crash_after_any_step_leaves_a_whole_state() {
        let mut stands = Vec::new();
        for steps in 0..=STEPS.len() {
            let (directory, old, new) = prepared();
            let state = directory.path().join("state.db");
            run(directory.path(), steps);
            let crashed = tempfile::tempdir().unwrap();
            crash_image(directory.path(), crashed.path());
            let found = stand(&Machine::open(crashed.path().join("state.db")).unwrap());
            assert!(
                found == old || found == new,
                "after step {steps}: {found:?}"
            );
            stands.push(found == new);
            if directory.path().join("state.db.part").exists() {
                run(directory.path(), STEPS.len());
            }
            let machine = Machine::open(&state).unwrap();
            assert_eq!(stand(&machine), new);
        }
        assert_eq!(stands, [false, false, false, false, true, true]);
    }

    /// Property: when the old state is damaged, a crash after any step leaves the damaged file, or
    /// none, or the new state; never a file with another one's WAL.
    #[test]
    fn a_damaged_state_is_replaced_at_any_step() {
        for steps in 0..=STEPS.len() {
            let (directory, _, new) = prepared();
            let state = directory.path().join("state.db");
            let mut bytes = fs::read(&state).unwrap();
            bytes[..200].fill(0x5a);
            fs::write(&state, bytes).unwrap();
            // Only the mark tells that it was ours.
            let mut bytes = fs::read(&state).unwrap();
            bytes[68..72].copy_from_slice(&crate::limits::APPLICATION_ID.to_be_bytes());
            fs::write(&state, bytes).unwrap();
            run(directory.path(), steps);
            match Machine::open(&state) {
                Err(error) => assert!(error.is_replaceable(), "after step {steps}: {error}"),
                Ok(machine) => {
                    let slot = machine.applied().slot;
                    assert!(slot == Slot::GENESIS || stand(&machine) == new, "{slot}");
                    assert!(!state.with_extension("db-journal").exists());
                }
            }
            if directory.path().join("state.db.part").exists() {
                run(directory.path(), STEPS.len());
            }
            assert_eq!(stand(&Machine::open(&state).unwrap()), new);
        }
    }

    /// Property: a condemned state is not opened again, whatever it looks like; set aside or
    /// replaced, at any step, nothing is left of the note.
    #[test]
    fn a_condemned_state_is_replaced() {
        for steps in 0..=STEPS.len() {
            let (directory, _, new) = prepared();
            let state = directory.path().join("state.db");
            let found = "a row contradicts another".to_owned();
            let path = state.clone();
            condemn(&state, &Error::Damaged { path, found }).unwrap();
            let error = Machine::open(&state).unwrap_err();
            assert!(error.is_replaceable(), "{error}");
            assert!(error.to_string().contains("a row contradicts"), "{error}");
            run(directory.path(), steps);
            match Machine::open(&state) {
                Err(error) => assert!(error.is_replaceable(), "after step {steps}: {error}"),
                Ok(machine) => {
                    let slot = machine.applied().slot;
                    assert!(slot == Slot::GENESIS || stand(&machine) == new, "{slot}");
                }
            }
            if directory.path().join("state.db.part").exists() {
                run(directory.path(), STEPS.len());
            }
            assert_eq!(stand(&Machine::open(&state).unwrap()), new);
            let why = Error::BadManifest {
                found: "x".to_owned(),
            };
            condemn(&state, &why).unwrap();
            fs::write(beside(&state, CONDEMNED), "not as it was written").unwrap();
            let error = Machine::open(&state).unwrap_err();
            assert!(error.to_string().contains("cannot be read"), "{error}");
            set_aside(&state).unwrap();
            let machine = Machine::open(&state).unwrap();
            assert_eq!(machine.applied().slot, Slot::GENESIS);
        }
    }

    /// Property: a WAL or journal without its file is dropped at open, so nothing of it enters a
    /// new state.
    #[test]
    fn orphans_are_dropped() {
        let (directory, _, _) = prepared();
        let state = directory.path().join("state.db");
        fs::remove_file(&state).unwrap();
        fs::copy(
            directory.path().join("state.db-wal"),
            directory.path().join("state.db-journal"),
        )
        .unwrap();
        let machine = Machine::open(&state).unwrap();
        assert_eq!(machine.applied().slot, Slot::GENESIS);
        assert_eq!(machine.applied().chain, Chain::GENESIS);
    }

    /// Property: a state that somebody has open is not replaced.
    #[test]
    fn an_open_state_is_not_replaced() {
        let (directory, old, new) = prepared();
        let state = directory.path().join("state.db");
        let machine = Machine::open(&state).unwrap();
        let made = Machine::open(directory.path().join("state.db.part")).unwrap();
        assert_eq!(stand(&made), new);
        drop(made);
        let manifest = make(&state, directory.path()).unwrap().manifest().clone();
        let snapshot = directory.path().join("snapshot.db");
        let error = install(verify(&snapshot, &manifest).unwrap(), &state).unwrap_err();
        assert!(error.to_string().contains("locked"), "{error}");
        assert_eq!(stand(&machine), old);
        drop(machine);
        install(verify(&snapshot, &manifest).unwrap(), &state).unwrap();
        assert_eq!(stand(&Machine::open(&state).unwrap()), old);
    }

    /// Property: a state that is moved aside takes its WAL along and leaves the name free; one is
    /// kept, the latest.
    #[test]
    fn one_damaged_state_is_kept() {
        let (directory, old, _) = prepared();
        let state = directory.path().join("state.db");
        let aside = set_aside(&state).unwrap();
        assert_eq!(aside, directory.path().join("state.db.damaged"));
        assert!(!state.exists() && !state.with_extension("db-wal").exists());
        assert_eq!(stand(&Machine::open(&aside).unwrap()), old, "with its WAL");
        let mut machine = Machine::open(&state).unwrap();
        advance(&mut machine, 1);
        let second = stand(&machine);
        drop(machine);
        assert_eq!(set_aside(&state).unwrap(), aside);
        assert_eq!(stand(&Machine::open(&aside).unwrap()), second);
    }
}
