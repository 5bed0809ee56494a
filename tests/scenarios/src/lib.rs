//! Real clusters for tests: the binaries as child processes on loopback, each with a data
//! directory of its own, and clients that speak to them as people's programs do.
//!
//! The binaries are those beside the test in the target directory; `make test` builds them with
//! the feature `failpoints`.

pub mod client;
pub mod cluster;
pub mod flow;
pub mod log;
pub mod ports;
pub mod pour;
pub mod process;
pub mod replacing;
pub mod upgrade;

pub use client::{Client, Reply};
pub use cluster::Cluster;
