//! In-order Multi-Paxos with sealed epochs: the only place where order is decided.
//!
//! The crate is pure: no I/O, no clock, no threads, no randomness but a seeded generator. One
//! call, [`Core::step`], takes one [`Input`] and appends [`Output`]s.

#![no_std]

extern crate alloc;

pub mod config;
pub mod entry;
pub mod ids;
pub mod input;
pub mod limits;
pub mod message;
pub mod output;
pub mod restored;
