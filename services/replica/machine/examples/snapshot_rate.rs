//! What a snapshot costs: `cargo run --release -p machine --example snapshot_rate [MESSAGES]`.
//!
//! Builds a state of so many 128-byte messages (default 1,000,000), makes a snapshot of it while
//! a writer applies batches of 100 messages, takes it over chunk by chunk into another directory,
//! verifies and installs it there, and opens it. Prints the time of each step, the bytes, and the
//! longest call of the writer with and without a copy beside it. One machine's absolute figures
//! mean little; docs/testing.md has those of a known one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people"
)]

#[path = "load/mod.rs"]
mod load;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use load::{Log, prepare};
use machine::limits::CHUNK_BYTES_MAX;
use machine::snapshot::{self, Receiver, Snapshot};
use machine::{Machine, Reader};

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what:<40} {:>8.3} s", start.elapsed().as_secs_f64());
    result
}

/// Applies batches until told to stop, and prints what the calls took.
fn write_until(machine: &mut Machine, log: &mut Log, wal: &Path, stop: &AtomicBool) {
    let (mut calls, mut wal_bytes) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) || calls.len() < 300 {
        let entry = log.messages(100);
        let start = Instant::now();
        machine.apply(&[entry]).unwrap();
        calls.push(start.elapsed().as_secs_f64() * 1e3);
        wal_bytes = wal_bytes.max(std::fs::metadata(wal).unwrap().len());
        std::thread::sleep(Duration::from_millis(2));
    }
    calls.sort_by(f64::total_cmp);
    let at = |permille: usize| calls[(calls.len() - 1) * permille / 1000];
    println!(
        "  writer: {} calls, p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms, WAL at most {} MB",
        calls.len(),
        at(500),
        at(990),
        at(1000),
        wal_bytes >> 20
    );
}

/// Runs `work` beside a writer.
fn beside_a_writer<T: Send>(
    machine: &mut Machine,
    log: &mut Log,
    wal: &Path,
    work: impl FnOnce() -> T + Send,
) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            stop.store(true, Ordering::Relaxed);
            result
        });
        write_until(machine, log, wal, &stop);
        worker.join().unwrap()
    })
}

fn receive(made: &Snapshot, directory: &Path) -> Receiver {
    let mut receiver = Receiver::begin(directory, made.manifest()).unwrap();
    while !receiver.is_complete() {
        let chunk = made.chunk(receiver.offset(), CHUNK_BYTES_MAX).unwrap();
        receiver.append(&chunk.unwrap()).unwrap();
    }
    receiver
}

fn main() {
    let argument = std::env::args().nth(1);
    let messages: u64 = argument.map_or(1_000_000, |number| number.parse().unwrap());
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = source.path().join("state.db");
    let wal = source.path().join("state.db-wal");
    let mut machine = Machine::open(&path).unwrap();
    let mut log = prepare(&mut machine);
    timed(&format!("apply {messages} messages"), || {
        for _ in 0..messages / 1000 {
            let entry = log.messages(1000);
            machine.apply(&[entry]).unwrap();
        }
    });
    beside_a_writer(&mut machine, &mut log, &wal, || {
        timed("nothing, for comparison", || {
            std::thread::sleep(Duration::from_secs(1));
        });
    });
    let made = beside_a_writer(&mut machine, &mut log, &wal, || {
        timed("make the snapshot", || {
            snapshot::make(&path, source.path()).unwrap()
        })
    });
    let length = made.manifest().length;
    println!("{length} bytes, {} per message", length / messages);
    let receiver = timed("receive it in chunks", || receive(&made, target.path()));
    let verified = timed("verify it", || receiver.finish().unwrap());
    let state = target.path().join("state.db");
    timed("install it", || {
        snapshot::install(verified, &state).unwrap();
    });
    let installed = timed("open the state", || Machine::open(&state).unwrap());
    assert_eq!(installed.applied(), &made.manifest().applied);
    timed("find the snapshot again after a restart", || {
        Snapshot::open(source.path()).unwrap().unwrap()
    });
    let mut reader = installed.reader().unwrap();
    timed("check everything", || reader.check().unwrap());
    let hash = timed("hash the state (for comparison)", || {
        installed.state_hash().unwrap()
    });
    let copy = Reader::open(made.path()).unwrap().state_hash().unwrap();
    assert_eq!(hash, copy.value, "the state is the snapshot's");
}
