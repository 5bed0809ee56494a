//! How fast this disk commits: `cargo run --release -p wal --example commit_rate -- [DIR]`.
//!
//! Every request is one row of 128 bytes plus the commit index, as a replica sends them. A
//! number of requests is kept outstanding; the writer groups what is queued. Then the same with
//! compaction: all but the last [`TAIL`] rows go, [`STEP`] at a time.

#![allow(clippy::print_stdout, reason = "its purpose")]
#![allow(
    clippy::unwrap_used,
    reason = "a measurement has nobody to report an error to"
)]

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, PersistSeq, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use wal::{Completion, Genesis, Wal};

const SECONDS: u64 = 5;
/// Rows that a replica keeps for slow followers.
const TAIL: u64 = 5_000;
/// Rows that are compacted at a time.
const STEP: u64 = 20_000;

fn main() {
    let parent = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "compaction  outstanding  rows/s  commits/s  rows/commit  p50_us  p99_us  p99.9_us  \
         max_us  log_mib"
    );
    for outstanding in [1_u64, 16, 64, 256, 1000] {
        for compaction in [false, true] {
            let dir = parent.join(format!("commit_rate.{}.{outstanding}", std::process::id()));
            measure(&dir, outstanding, compaction);
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}

fn measure(dir: &std::path::Path, outstanding: u64, compaction: bool) {
    let mut wal = Wal::open(dir).unwrap();
    wal.install_genesis(&Genesis {
        cluster_id: wal.identity().disk_id,
        cluster_name: "bench".to_owned(),
        node_id: NodeId(1),
        bytes: Bytes::new(),
    })
    .unwrap();
    wal.confirm_genesis().unwrap();
    let (sender, completions) = channel();
    let report = move |completion| sender.send((Instant::now(), completion)).unwrap();
    let writer = wal.spawn(Box::new(report)).unwrap();
    let handle = writer.handle();

    let ballot = Ballot {
        epoch: Epoch(1),
        round: Round(1),
        node: NodeId(1),
    };
    let payload = Bytes::from(vec![7_u8; 128]);
    let (mut chain, mut sent, mut done, mut commits) = (Chain::GENESIS, 0_u64, 0_u64, 0_u64);
    let mut sent_at = Vec::new();
    let mut waited_us: Vec<u128> = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(SECONDS) {
        while sent - done < outstanding {
            let slot = Slot(Slot::FIRST.0 + sent);
            let (kind, at) = (EntryKind::Batch, Timestamp(sent));
            let entry = Entry::new(chain, slot, ballot, kind, at, payload.clone());
            let hint = PersistOp::Decided {
                slot: slot.prev(),
                chain,
            };
            chain = entry.chain;
            sent += 1;
            sent_at.push(Instant::now());
            let mut ops = vec![PersistOp::Accept(vec![entry]), hint];
            if compaction && sent % STEP == 0 && sent > TAIL {
                let upto = Slot(Slot::GENESIS.0 + sent - TAIL);
                ops.push(PersistOp::Compact { upto });
            }
            handle.persist(PersistSeq(sent), ops).unwrap();
        }
        let (at, seq) = match completions.recv().unwrap() {
            (at, Completion::Persisted { seq, .. }) => (at, seq),
            (_, Completion::Fatal(error)) => panic!("{error}"),
        };
        commits += 1;
        for number in done..seq.0 {
            waited_us.push(
                at.duration_since(sent_at[usize::try_from(number).unwrap()])
                    .as_micros(),
            );
        }
        done = seq.0;
    }
    waited_us.sort_unstable();
    let quantile = |q: f64| waited_us[((waited_us.len() - 1) as f64 * q) as usize];
    let log_bytes = std::fs::metadata(dir.join("log.db")).unwrap().len();
    println!(
        "{compaction:10}  {outstanding:11}  {:6}  {:9}  {:11.1}  {:6}  {:6}  {:8}  {:6}  {:7}",
        done / SECONDS,
        commits / SECONDS,
        done as f64 / commits as f64,
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
        log_bytes >> 20,
    );
}
