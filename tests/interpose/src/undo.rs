//! What is not synced, per file of this process.
//!
//! In: changes and syncs from `calls.rs`, under one lock, so that they are written down in the
//! order in which they happen. Out: the records of `format.rs`, written before the change
//! itself. Must hold: a change is forgotten only when a sync that began after it has returned.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::calls::{self, File};
use crate::format::{Head, What, name};

static FILES: Mutex<BTreeMap<(u64, u128), Journal>> = Mutex::new(BTreeMap::new());

/// The record of one file.
struct Journal {
    fd: i32,
    /// Changes written down, also those that are forgotten.
    changes: u64,
}

fn files() -> MutexGuard<'static, BTreeMap<(u64, u128), Journal>> {
    // Every change of the map is whole before the guard is dropped.
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn journal<'a>(
    files: &'a mut BTreeMap<(u64, u128), Journal>,
    file: &File,
) -> Option<&'a mut Journal> {
    match files.entry((file.inode, file.made_ns)) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) => {
            let directory = calls::undo_directory()?;
            let record = name(file.inode, file.made_ns);
            let fd = calls::open_record(&format!("{directory}/{record}"))?;
            // A process before this one may have left something that is still not synced:
            // numbers of this process start above it.
            let changes = calls::length(fd);
            Some(entry.insert(Journal { fd, changes }))
        }
    }
}

/// Does a write, and writes down first what it changes.
pub(crate) fn write(file: &File, offset: u64, bytes: &[u8], real: impl FnOnce() -> isize) -> isize {
    let mut files = files();
    if let Some(journal) = journal(&mut files, file) {
        let before = calls::read_at(file.fd, offset, bytes.len());
        journal.note(What::Written, offset, file.length, &before, bytes);
    }
    real()
}

/// Sets a length, and writes down first what is cut off.
pub(crate) fn resize(file: &File, length: u64, real: impl FnOnce() -> i32) -> i32 {
    let mut files = files();
    if let Some(journal) = journal(&mut files, file) {
        let cut = usize::try_from(file.length.saturating_sub(length)).unwrap_or(0);
        let before = calls::read_at(file.fd, length, cut);
        journal.note(What::Resized, length, file.length, &before, &[]);
    }
    real()
}

/// Syncs, without the lock, and forgets what the sync covers.
pub(crate) fn sync(file: &File, real: impl FnOnce() -> i32) -> i32 {
    let covered = {
        let mut files = files();
        journal(&mut files, file).map(|journal| journal.changes)
    };
    let result = real();
    if result != 0 {
        return result;
    }
    let mut files = files();
    if let (Some(covered), Some(journal)) = (covered, journal(&mut files, file)) {
        if journal.changes == covered {
            calls::empty(journal.fd);
        } else {
            journal.note(What::Synced, covered, 0, &[], &[]);
        }
    }
    result
}

impl Journal {
    fn note(&mut self, what: What, offset: u64, length: u64, before: &[u8], after: &[u8]) {
        if what != What::Synced {
            self.changes += 1;
        }
        let head = Head {
            what,
            number: self.changes,
            offset,
            length,
            before: before.len() as u64,
            after: after.len() as u64,
        };
        calls::append(self.fd, &[&head.encode(), before, after]);
    }
}
