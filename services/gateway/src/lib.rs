//! The gateway: WebSocket and HTTP to people, gRPC to replicas.

pub mod frames;
pub mod ids;
