//! The replica: joins the protocol's core to disk and network.
//!
//! A process is one replica of one shard: proposer, acceptor and learner. Its life: open the
//! log, wait for a cluster if it has none, bring the state up to the log, fetch a snapshot if the
//! log is not enough, then run until told to stop. A command's way: `rpc::client` → `driver` → core → `peers` and log →
//! `driver` → `apply` → `waiters` → back.

// From outside in.
pub mod config;
mod role;
pub mod service;

// What comes in over the network.
mod access;
mod health;
mod leave;
mod quarantine;
mod retire;
mod rpc;
mod server;
mod status;

// A command's way through the process.
mod apply;
mod driver;
mod gather;
mod notices;
mod pins;
mod reads;
mod scrub;
mod search;
mod signals;
mod tail;
mod traces;
mod waiters;

// The others.
mod demo;
mod directory;
pub mod genesis;
mod membership;
mod metrics;
mod peers;
mod snapshots;
pub mod wire;

// For all of them.
pub mod errors;
mod failpoints;
mod fatal;
pub mod limits;
mod logs;

pub use config::Options;
pub use errors::Error;
pub use service::run;
