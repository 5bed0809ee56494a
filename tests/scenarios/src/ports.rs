//! Ports for clusters that run side by side.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes the ports of outgoing connections, so that a port
/// found free here is not taken by somebody's connection before its owner binds it.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of loopback on which nothing listens, never given twice by this process. Whoever tries it
/// again by binding it may find it taken: a process that is just being started holds a copy of the
/// listener below until it runs.
///
/// # Panics
/// When none of the range is free.
pub fn free() -> u16 {
    let start = u16::try_from(std::process::id() % 97).unwrap_or(0) * 190;
    for _ in FIRST..LAST {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step) % (LAST - FIRST);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}
