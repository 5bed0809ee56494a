//! Damage of state.db: what is noticed, when, and that nothing of it is served.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use machine::{Asker, CheckFrom, Error, HistoryRange, Machine, Reader, RoomId, Seq};
use paxos::entry::{Entry, EntryKind};
use paxos::ids::Slot;
use proptest::prelude::*;
use proto::v1::{Effect, RoomEvent, effect};
use support::{Log, create_room, join, leave, post, register, seal, sign_up};

/// A log that touches every table.
fn log(slots: u64) -> Log {
    let mut log = Log::new();
    for n in 0..slots {
        let (cid, user) = (n * 10, n / 2 + 1);
        log.batch(vec![
            sign_up(cid, &format!("person {n}"), n),
            create_room(cid + 1, user, &format!("room-{n}")),
            join(cid + 2, user, n % 5 + 1),
            post(cid + 3, user, n % 5 + 1, &"text ".repeat(60)),
            leave(cid + 4, user, n % 3 + 2),
        ]);
        if n % 4 == 1 {
            log.push(EntryKind::RegisterNode, register(n, "host:1"));
            log.push(EntryKind::Seal, seal(n / 4 + 2, &[1, 2, 3]).encode());
        }
    }
    log
}

/// Opens the file and goes on with the log. A damaged row may make an answer or an effect another
/// one; what must not happen is that it goes on in another order, or panics.
fn go_on(path: &Path, rest: &[Entry]) -> Result<Machine, Error> {
    let mut machine = Machine::open(path)?;
    machine.apply(rest)?;
    Ok(machine)
}

/// Everything that was said in the first rooms, and the whole replay, without the names of the
/// authors, which are in a table without checksums.
fn everything(path: &Path) -> Result<(Vec<RoomEvent>, Vec<Effect>), Error> {
    let mut reader = Reader::open(path)?;
    let mut said = Vec::new();
    for room in 1..=5 {
        let (room, mut after) = (RoomId(room), Seq(0));
        loop {
            let range = HistoryRange::After(after);
            let page = reader.history(Asker::Gateway, room, range, 50)?.value;
            let Ok(page) = page else { break };
            let Some(last) = page.events.last() else {
                break;
            };
            after = Seq(last.seq);
            said.extend(page.events);
        }
    }
    let (last, mut after) = (reader.applied()?, Slot::GENESIS);
    let mut effects = Vec::new();
    while after < last {
        let page = reader.effects_between(after, last, 100)?.value;
        after = page.upto;
        effects.extend(page.slots.into_iter().flat_map(|(_, effects)| effects));
    }
    for event in &mut said {
        event.author_name.clear();
    }
    for effect in &mut effects {
        if let Some(effect::Kind::Room(event)) = &mut effect.kind {
            event.author_name.clear();
        }
    }
    Ok((said, effects))
}

struct Image {
    bytes: Vec<u8>,
    rest: Vec<Entry>,
    said: Vec<RoomEvent>,
    effects: Vec<Effect>,
}

/// Made once: every test spoils a copy.
static IMAGE: LazyLock<Image> = LazyLock::new(image);

/// A closed state file, what it says, and how the log goes on.
fn image() -> Image {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let log = log(24);
    let (before, rest) = log.entries.split_at(28);
    let mut machine = Machine::open(&path).unwrap();
    machine.apply(before).unwrap();
    drop(machine);
    Reader::open(&path).unwrap().check().unwrap();
    let (said, effects) = everything(&path).unwrap();
    assert!(said.len() > 20 && effects.len() > 60);
    Image {
        bytes: fs::read(&path).unwrap(),
        rest: rest.to_vec(),
        said,
        effects,
    }
}

/// Something is missing from what is served: a full check, or one of another replica's snapshot,
/// must notice.
fn hidden(path: &Path) -> Result<(), TestCaseError> {
    let checked = Reader::open(path).and_then(|mut reader| reader.check());
    let Err(error) = checked else {
        // The rows of other tables have no checksum; equal states have equal hashes, though.
        let hash = Reader::open(path).and_then(|mut reader| reader.state_hash());
        let original = tempfile::tempdir().unwrap();
        let whole = original.path().join("state.db");
        fs::write(&whole, &IMAGE.bytes).unwrap();
        let expected = Reader::open(&whole).and_then(|mut reader| reader.state_hash());
        prop_assert_ne!(hash.unwrap().value, expected.unwrap().value);
        return Ok(());
    };
    prop_assert!(is_honest(&error), "{error}");
    Ok(())
}

fn is_honest(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged { .. }
            | Error::NotOurs { .. }
            | Error::NewerFormat { .. }
            | Error::OlderFormat { .. }
            | Error::Sqlite { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Property: whatever bits of the file flip, no event is served that was not written so, in
    /// history and in replay; what is hidden is found by a full check, or by comparing hashes; the
    /// log cannot be applied in another order; nothing panics.
    #[test]
    fn flipped_bits_are_never_served(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        let image = &*IMAGE;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let mut bytes = image.bytes.clone();
        for (index, bit) in &flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        fs::write(&path, &bytes).unwrap();
        match everything(&path) {
            Err(error) => prop_assert!(is_honest(&error), "{error}"),
            Ok((said, effects)) => {
                prop_assert!(said.iter().all(|event| image.said.contains(event)));
                prop_assert!(effects.iter().all(|effect| image.effects.contains(effect)));
                // A room that vanished from its table, a lower head, or a wrong key in an inner
                // page of a B-tree may hide something: what a full check is for.
                let is_whole = said == image.said && effects == image.effects;
                if !is_whole {
                    hidden(&path)?;
                }
            }
        }
        match go_on(&path, &image.rest) {
            Err(error) => prop_assert!(is_honest(&error), "{error}"),
            Ok(machine) => {
                prop_assert_eq!(machine.applied().slot, image.rest.last().unwrap().slot);
            }
        }
    }
}

/// Property: a full check notices every flip in an event, and every one in the structure.
#[test]
fn a_full_check_notices_every_event() {
    let image = &*IMAGE;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let text = b"text text";
    let places: Vec<usize> = (0..image.bytes.len() - text.len())
        .filter(|&at| &image.bytes[at..at + text.len()] == text)
        .collect();
    let (mut noticed, mut tried) = (0, 0);
    for at in places.iter().step_by(37) {
        tried += 1;
        let mut bytes = image.bytes.clone();
        bytes[*at] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        let checked = Reader::open(&path).unwrap().check();
        let read = everything(&path);
        match (checked, read) {
            (Err(checked), Err(read)) => {
                assert!(checked.is_replaceable() && read.is_replaceable(), "{read}");
                let text = checked.to_string();
                assert!(text.contains("not as it was written"), "{text}");
                noticed += 1;
            }
            // A page keeps what it once held beside what it holds.
            (Ok(()), Ok(read)) => assert!(read == (image.said.clone(), image.effects.clone())),
            (checked, read) => panic!("byte {at}: {checked:?}, but {:?}", read.is_ok()),
        }
    }
    assert!(noticed > 20 && noticed * 3 > tried, "{noticed} of {tried}");
}

/// Goes once through the events, some rows at a time; how many times it asked.
fn check_in_pages(path: &Path) -> Result<u32, Error> {
    let mut reader = Reader::open(path)?;
    let (mut from, mut asked) = (CheckFrom::default(), 0);
    loop {
        from = reader.check_events(from, 7)?;
        asked += 1;
        if from == CheckFrom::default() {
            return Ok(asked);
        }
    }
}

/// Property: the check beside the work comes to every row of both tables and begins again; it
/// notices a changed row, and one that the answer to its command does not name.
#[test]
fn the_check_beside_the_work_comes_to_every_event() {
    let image = &*IMAGE;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let count = |table: &str| -> u32 {
        rusqlite::Connection::open(&path)
            .unwrap()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    fs::write(&path, &image.bytes).unwrap();
    let pages = |table| count(table) / 7 + 1;
    assert_eq!(
        check_in_pages(&path).unwrap(),
        pages("events") + pages("user_events")
    );
    let mut noticed = 0;
    for (table, change, finding) in [
        ("events", "author = author + 1", "not as it was written"),
        ("user_events", "room = room + 1", "not as it was written"),
        ("dedupe", "place = place + 1", "does not lead to the event"),
    ] {
        let only = if table == "dedupe" {
            "WHERE kind = 1"
        } else {
            ""
        };
        for row in 0..count(table) {
            fs::write(&path, &image.bytes).unwrap();
            let connection = rusqlite::Connection::open(&path).unwrap();
            let key = if table == "dedupe" { "cid" } else { "eid" };
            let changed = connection
                .execute(
                    &format!(
                        "UPDATE {table} SET {change} WHERE {key} =
                         (SELECT {key} FROM {table} {only} ORDER BY {key} LIMIT 1 OFFSET {row})"
                    ),
                    [],
                )
                .unwrap();
            drop(connection);
            if changed == 0 {
                break;
            }
            let error = check_in_pages(&path).unwrap_err();
            assert!(error.is_replaceable(), "{error}");
            assert!(error.to_string().contains(finding), "{table}: {error}");
            noticed += 1;
        }
    }
    assert!(noticed > 100, "{noticed}");
}

/// Property: each thing that the check at open looks at is noticed there, before anything is
/// served or applied.
#[test]
fn open_notices() {
    let image = &*IMAGE;
    let damages = [
        (
            "UPDATE applied SET slot = slot + 1",
            "not as it was written",
        ),
        (
            "UPDATE applied SET slot = slot - 1",
            "not as it was written",
        ),
        (
            "UPDATE applied SET chain = zeroblob(32)",
            "not as it was written",
        ),
        ("UPDATE applied SET timestamp = 5", "not as it was written"),
        ("DELETE FROM applied", "no row"),
        ("DROP INDEX events_by_room", "tables are not those"),
        ("CREATE TABLE more (x)", "tables are not those"),
        ("DROP TABLE dedupe", "tables are not those"),
        (
            "UPDATE events SET eid = (1 << 50) WHERE eid = (SELECT max(eid) FROM events)",
            "but only",
        ),
        (
            "UPDATE user_events SET eid = (1 << 50) WHERE eid = (SELECT max(eid) FROM user_events)",
            "but only",
        ),
    ];
    for (damage, expected) in damages {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        fs::write(&path, &image.bytes).unwrap();
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(damage)
            .unwrap();
        let error = Machine::open(&path).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{damage}: {error}");
        assert!(error.to_string().contains(expected), "{damage}: {error}");
    }
}

/// A killed process' files, where a checkpoint has moved the first part of the WAL: the directory,
/// the log that was applied, and how many bytes of the WAL the file has taken in.
fn half_checkpointed() -> (tempfile::TempDir, Log, u64) {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("state.db");
    let log = log(24);
    let mut machine = Machine::open(&path).unwrap();
    let (before, after) = log.entries.split_at(16);
    for entry in before {
        machine.apply(std::slice::from_ref(entry)).unwrap();
    }
    // A reader of this moment keeps the WAL from being started over after the checkpoint.
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let slot: i64 = reader
        .query_row("SELECT slot FROM applied", [], |row| row.get(0))
        .unwrap();
    assert_eq!(slot.cast_unsigned(), before.last().unwrap().slot.0);
    let moved = fs::metadata(path.with_extension("db-wal")).unwrap().len();
    let (frames, done): (i64, i64) = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(frames, done, "the checkpoint is complete");
    for entry in after {
        machine.apply(std::slice::from_ref(entry)).unwrap();
    }
    let image = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(source.path().join(name), image.path().join(name)).unwrap();
    }
    drop((machine, reader));
    (image, log, moved)
}

fn copy_of(image: &Path) -> (tempfile::TempDir, PathBuf) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(image.join(name), copy.path().join(name)).unwrap();
    }
    let path = copy.path().join("state.db");
    (copy, path)
}

/// Property: a bit that flips in a part of the WAL which the file has taken in already is damage,
/// because SQLite would mix old pages with new ones; one in the rest makes the state older, and
/// the log brings it forward to the same state.
#[test]
fn a_wal_older_than_its_file_is_damage() {
    let (image, log, moved) = half_checkpointed();
    let clean = {
        let directory = tempfile::tempdir().unwrap();
        let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
        machine.apply(&log.entries).unwrap();
        machine.state_hash().unwrap()
    };
    let wal = fs::read(image.path().join("state.db-wal")).unwrap();
    let moved = usize::try_from(moved).unwrap();
    assert!(wal.len() > moved + 50_000);
    let (mut damaged, mut older) = (0, 0);
    for at in (40..wal.len()).step_by(wal.len() / 60) {
        let (_copy, path) = copy_of(image.path());
        let mut bytes = wal.clone();
        bytes[at] ^= 0x10;
        fs::write(path.with_extension("db-wal"), &bytes).unwrap();
        match Machine::open(&path) {
            Err(error) => {
                assert!(at < moved, "byte {at} of {moved}: {error}");
                assert!(matches!(error, Error::Damaged { .. }), "{error}");
                assert!(error.to_string().contains("WAL ends at slot"), "{error}");
                damaged += 1;
            }
            // In the first frame as well: then the file is alone, and whole.
            Ok(mut machine) => {
                let index = machine.applied().slot.0 - Slot::GENESIS.0;
                let rest = &log.entries[usize::try_from(index).unwrap()..];
                machine.apply(rest).unwrap();
                assert_eq!(machine.state_hash().unwrap(), clean, "byte {at} of {moved}");
                older += 1;
            }
        }
    }
    assert!(damaged > 10 && older > 10, "{damaged} {older}");
    let (_copy, path) = copy_of(image.path());
    let machine = Machine::open(&path).unwrap();
    assert_eq!(machine.state_hash().unwrap(), clean);
}

/// Property: damage that shows only when something is applied is met once: the next start says so
/// and the state is replaced, instead of being met again and again.
#[test]
fn damage_met_in_passing_is_remembered() {
    let image = &*IMAGE;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    fs::write(&path, &image.bytes).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE rooms SET head = head - 1")
        .unwrap();
    let mut machine = Machine::open(&path).unwrap();
    let error = machine.apply(&image.rest).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    drop(machine);
    let error = Machine::open(&path).unwrap_err();
    assert!(error.is_replaceable(), "{error}");
    assert!(
        error.to_string().contains("as was noted earlier"),
        "{error}"
    );
    machine::snapshot::set_aside(&path).unwrap();
    let machine = Machine::open(&path).unwrap();
    assert_eq!(machine.applied().slot, Slot::GENESIS);
}

/// Property: a file whose first page is unreadable is ours by its mark, and so replaceable; one
/// without the mark may be anybody's and is left alone.
#[test]
fn a_lost_header_is_damage_when_the_mark_is_there() {
    let image = &*IMAGE;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut bytes = image.bytes.clone();
    bytes[..16].fill(0);
    fs::write(&path, &bytes).unwrap();
    let error = Machine::open(&path).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    bytes[..72].fill(0);
    fs::write(&path, &bytes).unwrap();
    let error = Machine::open(&path).unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
}
