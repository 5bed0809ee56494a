//! The gateway: WebSocket and HTTP to people, gRPC to replicas.
//!
//! It has no state of its own that cannot be thrown away, and decides no order: it
//! authenticates, limits, frames, submits to the leader, follows the applied log and hands
//! each event to whoever may see it. docs/protocol.md is what clients see of it.

// What travels to clients.
pub mod frames;
pub mod ids;

// The settings, and every bound.
pub mod config;
mod limits;
mod metrics;
mod validate;

// From a request to its answer, outermost first.
mod http;
mod page;
mod port;
mod socket;
mod stack;

// Who asks, and what they hear when it fails.
mod attempts;
mod auth;
mod convert;
mod errors;
mod passwords;

// The way to the replicas.
mod channels;
mod cluster;
mod reads;
mod route;
mod search;
mod seen;
mod tail;
mod traces;

// What may be lost.
mod ephemeral;

// What runs.
mod announce;
mod app;
mod service;

pub use service::{Error, run};
