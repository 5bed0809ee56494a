//! The library in a process of its own: what was synced survives every power loss, what was not
//! does not survive all of them, and the wall clock is off by what it is told.
//!
//! The child is this test program itself, started again with `CHILD` set.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

const SYNCED: &[u8] = &[b's'; 3000];
const LATER: &[u8] = &[b'l'; 2000];
const SEEDS: u64 = 30;

fn library() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("libinterpose.so"))
}

/// Runs one test of this program as a child with the library.
fn child(test: &str, directory: &Path) -> Result<Output> {
    fs::create_dir_all(directory.join("undo"))?;
    let ran = Command::new(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture", "--ignored"])
        .env("LD_PRELOAD", library()?)
        .env("INTERPOSE_UNDO", directory.join("undo"))
        .env("INTERPOSE_CLOCK", directory.join("clock"))
        .env("CHILD", directory.join("data"))
        .output()?;
    Ok(ran)
}

fn data() -> Result<PathBuf> {
    let data = std::env::var_os("CHILD").context("only a parent starts this")?;
    Ok(PathBuf::from(data))
}

#[test]
#[ignore = "the child of the test below"]
fn writes_and_dies() {
    fs::create_dir_all(data().unwrap()).unwrap();
    let file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(data().unwrap().join("file"))
        .unwrap();
    file.write_all_at(SYNCED, 0).unwrap();
    file.sync_data().unwrap();
    // One over what is synced, one behind it, and the end is cut off.
    file.write_all_at(LATER, 100).unwrap();
    file.write_all_at(LATER, 3000).unwrap();
    file.set_len(50).unwrap();
    std::process::abort();
}

/// The file is as the sync left it, or shows some of what came later; over the seeds it shows
/// each.
#[test]
fn what_is_not_synced_may_be_lost() {
    let (mut as_synced, mut as_written) = (0, 0);
    for seed in 0..SEEDS {
        let directory = TempDir::new().unwrap();
        child("writes_and_dies", directory.path()).unwrap();
        let path = directory.path().join("data/file");
        assert_eq!(
            fs::read(&path).unwrap(),
            &SYNCED[..50],
            "a kill takes nothing"
        );
        let power_off = Command::new(env!("CARGO_BIN_EXE_power-off"))
            .args([directory.path().join("undo"), directory.path().join("data")])
            .arg(seed.to_string())
            .output()
            .unwrap();
        assert!(power_off.status.success(), "{power_off:?}");
        let left = fs::read(&path).unwrap();
        as_synced += u32::from(left == SYNCED);
        as_written += u32::from(left == SYNCED[..50]);
        assert!(
            left.starts_with(&SYNCED[..50]),
            "what nothing touched is there"
        );
    }
    assert!(as_synced > 0, "some power losses take everything");
    assert!(as_written > 0, "some take nothing");
}

#[test]
#[ignore = "the child of the test below"]
fn syncs_and_dies() {
    fs::create_dir_all(data().unwrap()).unwrap();
    let mut file = File::create(data().unwrap().join("file")).unwrap();
    for _ in 0..10 {
        file.write_all(SYNCED).unwrap();
    }
    file.sync_all().unwrap();
    std::process::abort();
}

/// What a sync covers survives, whatever the seed.
#[test]
fn what_is_synced_stays() {
    for seed in 0..SEEDS {
        let directory = TempDir::new().unwrap();
        child("syncs_and_dies", directory.path()).unwrap();
        let power_off = Command::new(env!("CARGO_BIN_EXE_power-off"))
            .args([directory.path().join("undo"), directory.path().join("data")])
            .arg(seed.to_string())
            .status()
            .unwrap();
        assert!(power_off.success());
        let left = fs::read(directory.path().join("data/file")).unwrap();
        assert!(left == SYNCED.repeat(10), "seed {seed}");
    }
}

#[test]
#[ignore = "the child of the test below"]
fn tells_the_time() {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    println!("now={}", since.as_secs());
}

/// The wall clock is off by what the file says, forwards and backwards.
#[test]
fn the_wall_clock_is_off() {
    for hours in [-5_i64, 0, 7] {
        let directory = TempDir::new().unwrap();
        fs::write(
            directory.path().join("clock"),
            (hours * 3_600_000).to_le_bytes(),
        )
        .unwrap();
        let said = child("tells_the_time", directory.path()).unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let now: i64 = said
            .split("now=")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap()
            .parse()
            .unwrap();
        let here = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let off = now - i64::try_from(here.as_secs()).unwrap();
        let wanted = hours * 3600;
        assert!((off - wanted).abs() <= 60, "{off} for {wanted}");
        assert!(here > Duration::ZERO);
    }
}
