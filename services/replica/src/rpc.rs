//! The gRPC services, one file each.

mod admin;
mod client;
mod demo;
#[cfg(feature = "failpoints")]
mod failpoints;
mod peer;
mod relay;

pub(crate) use admin::Admin;
pub(crate) use client::Chat;
pub(crate) use demo::Demo;
#[cfg(feature = "failpoints")]
pub(crate) use failpoints::Failpoints;
pub(crate) use peer::Peer;
pub(crate) use relay::Relay;
