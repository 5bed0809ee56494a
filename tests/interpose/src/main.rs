//! Takes from the files of a killed process what a power loss would have taken:
//!
//! ```text
//! power-off UNDO DATA SEED
//! ```
//!
//! UNDO is what its `INTERPOSE_UNDO` was, DATA the directory with its files. Every change that no
//! sync covers is undone; then some of them are done again, because a disk may write them in any
//! order before its power fails: all, none, or any of them, as the seed says, and the last one
//! perhaps in a part of its sectors only.

#![allow(clippy::print_stdout, reason = "what it took is what it is for")]

#[allow(dead_code, reason = "records are only read here")]
mod format;

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail};

use crate::format::{HEAD, Head, What, name};

/// What a disk writes at once, whatever fails.
const SECTOR: usize = 512;

/// A change that may be lost.
#[derive(Debug)]
struct Change {
    head: Head,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What became of the changes of one node.
#[derive(Default)]
struct Taken {
    pending: usize,
    kept: usize,
    files: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [undo, data, seed] = args.as_slice() else {
        bail!("usage: power-off UNDO DATA SEED");
    };
    let seed = seed
        .parse()
        .with_context(|| format!("SEED `{seed}` is no number"))?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut taken = Taken::default();
    for path in regular_files(Path::new(data))? {
        let stat = fs::metadata(&path)?;
        let made = stat
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let record = name(stat.ino(), made.map_or(0, |made| made.as_nanos()));
        let record = Path::new(undo).join(record);
        if !record.exists() {
            continue;
        }
        let changes = pending(&fs::read(&record)?);
        if !changes.is_empty() {
            lose(&path, &changes, &mut random, &mut taken)
                .with_context(|| format!("take changes from {}", path.display()))?;
        }
        fs::remove_file(&record)?;
    }
    println!(
        "{} un-synced changes of {} files, {} lost",
        taken.pending,
        taken.files,
        taken.pending - taken.kept
    );
    Ok(())
}

fn regular_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(regular_files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The changes that no sync covers. A record that is cut off is of a change that did not happen.
fn pending(record: &[u8]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut left = record;
    while let Some((change, rest)) = next(left) {
        left = rest;
        if change.head.what == What::Synced {
            changes.retain(|earlier| earlier.head.number > change.head.offset);
        } else {
            changes.push(change);
        }
    }
    changes
}

fn next(record: &[u8]) -> Option<(Change, &[u8])> {
    let head = Head::decode(record)?;
    let rest = record.get(HEAD..)?;
    let (before, rest) = rest.split_at_checked(usize::try_from(head.before).ok()?)?;
    let (after, rest) = rest.split_at_checked(usize::try_from(head.after).ok()?)?;
    let (before, after) = (before.to_vec(), after.to_vec());
    Some((
        Change {
            head,
            before,
            after,
        },
        rest,
    ))
}

fn lose(
    path: &Path,
    changes: &[Change],
    random: &mut fastrand::Rng,
    taken: &mut Taken,
) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    for change in changes.iter().rev() {
        file.write_all_at(&change.before, change.head.offset)?;
        file.set_len(change.head.length)?;
    }
    taken.files += 1;
    taken.pending += changes.len();
    // None, a prefix that ends torn, or any.
    let way = random.u8(0..3);
    let prefix = random.usize(0..=changes.len());
    for (index, change) in changes.iter().enumerate() {
        let survives = match way {
            0 => false,
            1 => index < prefix,
            _ => random.bool(),
        };
        if survives {
            redo(&file, change, change.after.len())?;
            taken.kept += 1;
        } else if way == 1 && index == prefix && change.head.what == What::Written {
            let sectors = change.after.len() / SECTOR;
            redo(&file, change, random.usize(0..=sectors) * SECTOR)?;
        }
    }
    Ok(file.sync_all()?)
}

fn redo(file: &fs::File, change: &Change, bytes: usize) -> Result<()> {
    if change.head.what == What::Resized {
        return Ok(file.set_len(change.head.offset)?);
    }
    let part = change.after.get(..bytes).unwrap_or(&change.after);
    Ok(file.write_all_at(part, change.head.offset)?)
}
