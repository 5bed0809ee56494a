//! Measures our cluster beside what people would pick instead, in one run, with one generator and
//! the data of all on one disk.
//!
//! In: which series, how much of them. Out: a JSON of every measurement, tables with ratios,
//! charts. docs/benchmarks.md holds the last published run and says how it is read.
//!
//! Must hold: a message counts when the system has acknowledged it at its safest documented
//! setting; the latencies of the open loop begin when a message was due; the CPU of the generator
//! is never counted as a server's; a system that is missing or breaks is named, not passed over.

// What is compared, and with what.
pub mod client;
pub mod subscriber;
pub mod system;

// How it is measured.
pub mod board;
pub mod closed;
pub mod failover;
pub mod fanout;
pub mod growth;
pub mod open;
pub mod proc;

// What is run, and what is said of it.
pub mod chart;
pub mod limits;
pub mod machine;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
