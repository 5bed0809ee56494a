//! The membership service: who is there, and the first configuration, formed exactly once.
//!
//! It never votes and never decides an order. Its truth is the genesis that the disks of the
//! replicas hold; its own file is a cache. Killing it stops no chat.
//!
//! In reading order:

pub mod config;
pub mod detector;
pub mod errors;
pub mod execute;
pub mod forming;
pub mod genesis;
pub mod limits;
pub mod registry;
pub mod rpc;
pub mod service;
pub mod store;
