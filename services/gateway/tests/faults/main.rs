//! The gateway against replicas that misbehave on command: an in-process double of Chat, Admin
//! and Membership that speaks the real gRPC contract. Real clusters are tested in
//! tests/scenarios; here are the moments that a real one shows once in a thousand runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says by a panic what is wrong"
)]

mod changes;
mod client;
mod double;
mod entries;
mod machine;
mod notices;

mod accounts;
mod ephemera;
mod fanout;
mod http;
mod resume;
mod send;
mod sockets;
mod tail;
