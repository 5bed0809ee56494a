//! Connections to replicas, by address, kept and opened again by themselves.
//!
//! Two per replica: a stream whose reader is slow must not hold up the answers to reads, and
//! HTTP/2 shares one flow-control window among all that goes over a connection.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::limits::CONNECT_TIMEOUT;

/// Silence after which a connection is probed, so that a machine that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
const WINDOW_BYTES: u32 = 1024 * 1024;

/// The connections to one replica.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// For calls with one answer.
    pub(crate) unary: Channel,
    /// For streams that stay.
    pub(crate) stream: Channel,
}

/// All connections of this gateway.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    tls: tls::Mutual,
    by_address: Mutex<BTreeMap<String, Pair>>,
}

impl Channels {
    /// None yet; this is how they will be opened.
    pub(crate) fn new(tls: tls::Mutual) -> Self {
        Self {
            tls,
            by_address: Mutex::default(),
        }
    }

    /// How anybody is dialled.
    pub(crate) const fn tls(&self) -> &tls::Mutual {
        &self.tls
    }

    /// The connections to `address` (host:port); nothing is dialled yet. `None`: no address.
    pub(crate) fn get(&self, address: &str) -> Option<Pair> {
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = by_address.get(address) {
            return Some(pair.clone());
        }
        let endpoint = endpoint(&format!("http://{address}"))?;
        let pair = Pair {
            unary: self.tls.connect_lazy(&endpoint, &[tls::Role::Replica]),
            stream: self.tls.connect_lazy(&endpoint, &[tls::Role::Replica]),
        };
        by_address.insert(address.to_owned(), pair.clone());
        Some(pair)
    }

    /// Forgets addresses that nobody has any more.
    pub(crate) fn keep_only(&self, addresses: impl Fn(&str) -> bool) {
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        by_address.retain(|address, _| addresses(address));
    }
}

/// How this gateway dials anybody.
pub(crate) fn endpoint(url: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
    Some(
        endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES),
    )
}
