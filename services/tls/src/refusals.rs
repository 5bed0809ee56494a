//! Connections that were refused, in the log: a stranger must not fill it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits::REFUSED_SAID_EVERY;

/// Says what was refused, but not more often than a person reads: once a second, with how many
/// others there were.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    /// One more, and why.
    pub fn say(&self, address: SocketAddr, why: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < REFUSED_SAID_EVERY) {
            *unsaid += 1;
            return;
        }
        *last = Some(Instant::now());
        let others = std::mem::take(unsaid);
        tracing::warn!(%address, why, others, "a connection was refused");
    }
}
