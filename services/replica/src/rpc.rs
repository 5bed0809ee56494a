//! The gRPC services, one file each.

mod admin;
mod client;
#[cfg(feature = "failpoints")]
mod failpoints;
mod peer;
mod relay;

pub(crate) use admin::Admin;
pub(crate) use client::Chat;
#[cfg(feature = "failpoints")]
pub(crate) use failpoints::Failpoints;
pub(crate) use peer::Peer;
pub(crate) use relay::Relay;
