//! The layer itself: nothing escapes it, calls fail as told, and what is drawn is possible.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use fastrand::Rng;
use storage::{CallKind, Disk, Event, Fault, FaultKind, Image, Loss, Medium};
use wal::Wal;

fn medium(disk: &Disk) -> Medium {
    let mut medium = disk.before().clone();
    disk.events().iter().for_each(|event| medium.apply(event));
    medium
}

/// Property: every way in which the standard library changes a file is seen.
#[test]
fn the_standard_library_is_seen() {
    let files = [("old".to_owned(), b"before".to_vec())].into();
    let disk = Disk::holding(&Image { files }).unwrap();
    let at = |name: &str| disk.path().join(name);
    fs::write(at("new"), b"one").unwrap();
    let mut old = File::options().write(true).open(at("old")).unwrap();
    old.write_all(b"and after").unwrap();
    old.write_all_at(b"A", 0).unwrap();
    let mut end = File::options().append(true).open(at("old")).unwrap();
    end.write_all(b" all").unwrap();
    old.sync_data().unwrap();
    old.set_len(3).unwrap();
    old.sync_all().unwrap();
    fs::write(at("old"), b"cut off by opening").unwrap();
    fs::rename(at("new"), at("newer")).unwrap();
    File::open(disk.path()).unwrap().sync_all().unwrap();
    File::create(at("empty")).unwrap();
    fs::remove_file(at("newer")).unwrap();
    disk.verify().unwrap();
    let seen = medium(&disk).seen();
    assert_eq!(seen["old"], b"cut off by opening");
    let kinds = |wanted: fn(&Event) -> bool| disk.events().iter().filter(|e| wanted(e)).count();
    assert_eq!(kinds(|event| matches!(event, Event::Wrote { .. })), 5);
    assert_eq!(kinds(|event| matches!(event, Event::Synced { .. })), 2);
    assert_eq!(kinds(|event| *event == Event::DirectorySynced), 1);
    assert_eq!(kinds(|event| matches!(event, Event::Renamed { .. })), 1);
    assert_eq!(kinds(|event| matches!(event, Event::Unlinked { .. })), 1);
}

/// Property: everything that SQLite does to the files of a log is seen, and a commit ends with
/// a sync.
#[test]
fn sqlite_is_seen() {
    let disk = Disk::empty().unwrap();
    let mut wal = Wal::open(disk.path()).unwrap();
    for _ in 0..3 {
        wal.remember_peers(&Default::default()).unwrap();
        disk.verify().unwrap();
        let last = disk.events().last().cloned();
        assert!(matches!(last, Some(Event::Synced { .. })), "{last:?}");
        assert!(medium(&disk).is_settled("log.lock"));
    }
    drop(wal);
    disk.verify().unwrap();
}

/// Property: what the log writes does not depend on the number of the process, so a seed means
/// the same run in every process.
#[test]
fn the_process_has_one_number() {
    let disk = Disk::empty().unwrap();
    drop(Wal::open(disk.path()).unwrap());
    assert_eq!(medium(&disk).seen()["log.lock"], b"4200000\n");
}

/// Property: a file that is not recorded is left alone.
#[test]
fn other_files_are_left_alone() {
    let disk = Disk::empty().unwrap();
    disk.fail(Fault {
        from: 0,
        kind: FaultKind::WriteError,
        lasting: true,
    });
    let other = storage::directory().unwrap();
    fs::write(other.path().join("file"), b"content").unwrap();
    assert_eq!(fs::read(other.path().join("file")).unwrap(), b"content");
    assert_eq!(disk.events(), []);
    assert_eq!(disk.fired(), None);
}

/// Property: the call that is told to fail fails, with its error, and changes nothing.
#[test]
fn calls_fail_as_told() {
    let files = [("file".to_owned(), b"before".to_vec())].into();
    let disk = Disk::holding(&Image { files }).unwrap();
    let file = File::options()
        .write(true)
        .open(disk.path().join("file"))
        .unwrap();
    let fail = |from, kind| {
        disk.fail(Fault {
            from,
            kind,
            lasting: false,
        });
    };
    fail(1, FaultKind::WriteError);
    file.write_all_at(b"1", 0).unwrap();
    assert!(file.write_all_at(b"2", 0).is_err());
    let call = disk.fired().unwrap();
    assert_eq!(
        (call.number, call.kind, call.name.as_str()),
        (1, CallKind::Write, "file")
    );
    file.write_all_at(b"3", 1).unwrap();
    fail(0, FaultKind::SyncError);
    assert!(file.sync_all().is_err());
    fail(0, FaultKind::SyncDirectoryError);
    assert!(File::open(disk.path()).unwrap().sync_all().is_err());
    disk.fail(Fault {
        from: 0,
        kind: FaultKind::NoSpace { left_bytes: 2 },
        lasting: true,
    });
    let full = file.write_all_at(b"abcd", 2).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::read(disk.path().join("file")).unwrap(), b"13abre");
    fail(0, FaultKind::NameError);
    assert!(fs::remove_file(disk.path().join("file")).is_err());
    disk.verify().unwrap();
}

/// Property: what was synced is in every image, bytes that nobody wrote are nowhere, and each
/// kind of loss happens.
#[test]
fn images_are_possible() {
    let files = [("file".to_owned(), vec![b'.'; 3000])].into();
    let disk = Disk::holding(&Image { files }).unwrap();
    let file = File::options()
        .write(true)
        .open(disk.path().join("file"))
        .unwrap();
    file.write_all_at(&[b's'; 1000], 0).unwrap();
    file.sync_all().unwrap();
    file.write_all_at(&[b'a'; 1024], 700).unwrap();
    file.write_all_at(&[b'b'; 1024], 2600).unwrap();
    fs::write(disk.path().join("second"), b"data").unwrap();
    let medium = medium(&disk);
    let mut random = Rng::with_seed(7);
    let (mut torn, mut reordered, mut name_lost, mut kept) = (0, 0, 0, 0);
    for loss in Loss::ALL {
        for _ in 0..200 {
            let (image, traits) = medium.after(loss, &mut random);
            let content = &image.files["file"];
            assert!(content.len() >= 2600, "{loss:?}");
            assert!(content[..700].iter().all(|byte| *byte == b's'), "{loss:?}");
            let between = &content[1724..2600];
            assert!(between.iter().all(|byte| *byte == b'.'), "{loss:?}");
            if !traits.garbage {
                let alphabet = content.iter().all(|byte| b"s.ab\0".contains(byte));
                assert!(alphabet, "{loss:?}");
            }
            torn += usize::from(traits.torn);
            reordered += usize::from(traits.reordered);
            name_lost += usize::from(!image.files.contains_key("second"));
            kept += usize::from(image.files == medium.seen());
        }
    }
    assert!(torn > 50 && reordered > 50 && name_lost > 200 && kept >= 200);
}

/// Property: after a sync that failed, no later one makes the data durable.
#[test]
fn a_failed_sync_stays_failed() {
    let files = [("file".to_owned(), vec![b'.'; 8])].into();
    let disk = Disk::holding(&Image { files }).unwrap();
    let file = File::options()
        .write(true)
        .open(disk.path().join("file"))
        .unwrap();
    disk.fail(Fault {
        from: 0,
        kind: FaultKind::SyncError,
        lasting: false,
    });
    file.write_all_at(b"lost", 0).unwrap();
    assert!(file.sync_all().is_err());
    file.write_all_at(b"kept", 4).unwrap();
    file.sync_all().unwrap();
    let (image, traits) = medium(&disk).after(Loss::Everything, &mut Rng::with_seed(1));
    assert_eq!(image.files["file"], b"....kept");
    assert!(traits.lost && traits.reordered);
}
