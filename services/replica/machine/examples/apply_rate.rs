//! How fast messages are applied: `cargo run --release -p machine --example apply_rate`.
//!
//! 128-byte messages of 100 people into 20 rooms, in batches (slots) of 1, 64 and 1 000, one call
//! per batch and one per 8 batches. Prints medians over rounds, microseconds of this thread's
//! time per message, and bytes of the file per message. One machine's absolute figures mean
//! little; what counts is the ratio to another run on the same machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people"
)]

#[path = "load/mod.rs"]
mod load;

use std::time::Instant;

use load::{Log, prepare};
use machine::Machine;
use paxos::entry::Entry;

const MESSAGES: u64 = 200_000;
const ROUNDS: usize = 5;

fn measure(batch: u64, batches_per_call: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut machine = Machine::open(&path).unwrap();
    let mut log: Log = prepare(&mut machine);
    let mut rates = Vec::new();
    // A transaction per message is slow: fewer of them say as much.
    let batches = (MESSAGES / batch).min(5_000);
    for _ in 0..ROUNDS {
        let entries: Vec<Entry> = (0..batches).map(|_| log.messages(batch)).collect();
        let messages = entries.len() as f64 * batch as f64;
        let start = Instant::now();
        let mut slowest = 0.0_f64;
        for call in entries.chunks(batches_per_call) {
            let start = Instant::now();
            machine.apply(call).unwrap();
            slowest = slowest.max(start.elapsed().as_secs_f64());
        }
        rates.push((messages / start.elapsed().as_secs_f64(), slowest * 1e3));
    }
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (rate, slowest_ms) = rates[ROUNDS / 2];
    drop(machine);
    let bytes = std::fs::metadata(&path).unwrap().len() as f64;
    println!(
        "batch {batch:>4}, {batches_per_call} per call: {rate:>7.0} messages/s, {:>5.2} µs each, \
         slowest call {slowest_ms:>5.1} ms, {:>4.0} bytes on disk each",
        1e6 / rate,
        bytes / (batches * batch * ROUNDS as u64) as f64,
    );
}

fn main() {
    for batches_per_call in [1, 8] {
        for batch in [1, 64, 1000] {
            measure(batch, batches_per_call);
        }
    }
}
