//! The membership service: who is there, the first configuration, formed exactly once, and who
//! votes in the place of the dead.
//!
//! It never votes and never decides an order. Its truth is the genesis that the disks of the
//! replicas hold, and the configuration in the log; its own file is a cache. Killing it stops no
//! chat.
//!
//! In reading order:

pub mod change;
pub mod config;
pub mod detector;
pub mod errors;
pub mod execute;
pub mod forming;
pub mod genesis;
pub mod limits;
pub mod metrics;
pub mod plan;
pub mod registry;
pub mod rpc;
pub mod service;
pub mod store;
