//! What can be done to the files of a node of this machine.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::ground::Damage;
use crate::limits::{FULL_LEFT_BYTES, SMALL_DISK_BYTES};

/// The file that fills a small disk.
const FILLER: &str = "filler";

/// Whether a file system can be mounted here: it takes root, and a kernel that lets root do it.
pub(super) fn may_mount() -> bool {
    let mounted = || -> Result<()> {
        let directory = tempfile::tempdir()?;
        mount(directory.path(), 1024 * 1024)?;
        unmount(directory.path())
    };
    mounted().is_ok()
}

fn mount(at: &Path, bytes: u64) -> Result<()> {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
        .arg(at)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mount {}: {said}", at.display());
    Ok(())
}

/// Takes a small disk away.
pub(super) fn unmount(at: &Path) -> Result<()> {
    let status = Command::new("umount").arg("-l").arg(at).status()?;
    ensure!(status.success(), "umount {}: {status}", at.display());
    Ok(())
}

/// Makes a small disk at `at`, with a copy of the files in `data`.
pub(super) fn make_small(data: &Path, at: &Path) -> Result<()> {
    fs::create_dir_all(at)?;
    let mut bytes = SMALL_DISK_BYTES;
    for file in files(data)? {
        bytes += fs::metadata(file)?.len();
    }
    mount(at, bytes)?;
    copy_files(data, at)
}

/// Leaves hardly any space on a small disk.
pub(super) fn fill(at: &Path) -> Result<()> {
    let stat = rustix::fs::statvfs(at)?;
    let free = stat.f_bavail * stat.f_frsize;
    let filler = File::create(at.join(FILLER))?;
    let mut left = free.saturating_sub(FULL_LEFT_BYTES);
    let block = vec![0; 1024 * 1024];
    let mut offset = 0;
    while left > 0 {
        let count = left.min(block.len() as u64);
        let part = block.get(..usize::try_from(count)?).unwrap_or(&block);
        filler.write_all_at(part, offset)?;
        (offset, left) = (offset + count, left - count);
    }
    Ok(())
}

/// Gives the space back.
pub(super) fn free(at: &Path) -> Result<()> {
    Ok(fs::remove_file(at.join(FILLER))?)
}

/// Copies the files of one directory into another.
pub(super) fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let name = file.file_name().context("a file has a name")?;
        if name != FILLER {
            fs::copy(&file, to.join(name))?;
        }
    }
    Ok(())
}

/// Empties a directory.
pub(super) fn erase(data: &Path) -> Result<()> {
    if data.exists() {
        fs::remove_dir_all(data)?;
    }
    Ok(())
}

/// Removes everything in a directory, which stays: it belongs to somebody, as a volume does.
pub(super) fn empty(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Damages one file of those that hold something: log.db, state.db, or their write-ahead logs.
pub(super) fn damage(data: &Path, damage: Damage, seed: u64) -> Result<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut candidates = Vec::new();
    for path in files(data)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let holds = name.ends_with(".db") || name.ends_with("-wal");
        let length = fs::metadata(&path)?.len();
        if holds && length > 0 {
            candidates.push((path, name, length));
        }
    }
    let chosen = random.choice(&candidates);
    let (path, name, length) = chosen.context("there is no file to damage")?;
    let file = File::options().read(true).write(true).open(path)?;
    let said = match damage {
        Damage::BitFlip => {
            let bits = random.u8(1..=8);
            for _ in 0..bits {
                let at = random.u64(0..*length);
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                file.write_all_at(&[byte[0] ^ (1 << random.u8(0..8))], at)?;
            }
            format!("{bits} bits of {name} ({length} bytes)")
        }
        Damage::Truncate => {
            let left = random.u64(0..*length);
            file.set_len(left)?;
            format!("{name} has {left} of {length} bytes left")
        }
    };
    file.sync_all()?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same seed damages the same place, and damage is damage.
    #[test]
    fn damage_follows_the_seed() -> Result<()> {
        for kind in [Damage::BitFlip, Damage::Truncate] {
            let mut seen = Vec::new();
            for _ in 0..2 {
                let directory = tempfile::tempdir()?;
                fs::write(directory.path().join("log.db"), [7; 9000])?;
                fs::write(directory.path().join("notes"), [7; 9000])?;
                let said = damage(directory.path(), kind, 3)?;
                let left = fs::read(directory.path().join("log.db"))?;
                assert_ne!(left, [7; 9000]);
                assert_eq!(fs::read(directory.path().join("notes"))?, [7; 9000]);
                seen.push((said, left));
            }
            assert_eq!(seen[0], seen[1]);
        }
        assert!(damage(tempfile::tempdir()?.path(), Damage::Truncate, 1).is_err());
        Ok(())
    }
}
