//! A library for `LD_PRELOAD`: a replica that runs with it can lose its power.
//!
//! `kill -9` takes nothing from a disk: what a process has written is in the kernel's cache, and
//! the next process reads it. A power loss takes what was not synced. So each change of a file is
//! written down here with what was there before, until an `fsync` of the file has returned; then
//! it is forgotten. After the kill, the program `power-off` (`main.rs`) undoes what is left, all
//! of it or some of it, as the seed says.
//!
//! | Variable | |
//! |---|---|
//! | `INTERPOSE_UNDO` | A directory, one per node, for what is not synced. Without it nothing is written down. |
//! | `INTERPOSE_CLOCK` | A file of 8 bytes: by how many milliseconds the wall clock is off, a little-endian `i64`. May change while the process runs. |
//!
//! What is modelled: data and length of files that are changed by `write`, `pwrite`, `ftruncate`
//! and synced by `fsync`, `fdatasync`, as `SQLite` and the standard library do. What is not: names
//! (a file that was made, renamed or removed is so at once, without a sync of its directory) and
//! sectors that are torn in themselves. `tests/storage` covers both, for the log alone.
//!
//! Linux only: elsewhere these functions have other names and this crate is empty.

#![cfg(target_os = "linux")]

mod calls;
#[allow(dead_code, reason = "records are only written here")]
mod format;
mod undo;
