//! How much of this gateway one address may have, and all of them together: connections, and requests
//! of the HTTP interface.
//!
//! In: an address. Out: a place, or the refusal. Must hold: every count is bounded and falls again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::address::prefix;
use crate::config::Options;
use crate::errors::Error;
use crate::limits::ATTEMPTS_KEYS_MAX;
use crate::socket::admission::{Bucket, Rate};

/// Who is here at the moment.
#[derive(Debug)]
pub(crate) struct Visitors {
    connections: u32,
    /// `None` behind a proxy, whose address all of them have.
    per_address: Option<u32>,
    open: Mutex<Open>,
    rate: Rate,
    requests: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Default)]
struct Open {
    all: u32,
    of: HashMap<IpAddr, u32>,
}

/// Why a connection is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The gateway has as many as it may.
    All,
    /// This address has.
    Address,
}

/// An open connection's place; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    visitors: Arc<Visitors>,
    from: IpAddr,
}

impl Visitors {
    pub(crate) fn new(options: &Options) -> Self {
        let per_second = options.requests_per_second_address;
        Self {
            connections: options.connections,
            per_address: (!options.behind_proxy).then_some(options.connections_per_address),
            open: Mutex::default(),
            rate: Rate {
                burst: per_second.saturating_mul(2),
                per_second: f64::from(per_second),
            },
            requests: Mutex::default(),
        }
    }

    /// A place for a connection.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let from = prefix(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.connections {
            return Err(Full::All);
        }
        let count = open.of.entry(from).or_default();
        // An entry that was made just now has none: nothing is left behind by a refusal.
        if self.per_address.is_some_and(|most| *count >= most) {
            return Err(Full::Address);
        }
        *count += 1;
        open.all += 1;
        drop(open);
        Ok(Place {
            visitors: Arc::clone(self),
            from,
        })
    }

    /// Connections that are open.
    pub(crate) fn count(&self) -> u32 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all
    }

    /// One more request from there; where an address is not known, none is counted.
    pub(crate) fn request(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let Some(from) = address.map(prefix) else {
            return Ok(());
        };
        let (now, rate) = (Instant::now(), self.rate);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= ATTEMPTS_KEYS_MAX {
            requests.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        if requests.len() >= ATTEMPTS_KEYS_MAX && !requests.contains_key(&from) {
            return Err(Error::overloaded("too many people ask at once", 1000));
        }
        requests
            .entry(from)
            .or_insert_with(|| Bucket::new(rate, now))
            .take(rate, now)
            .map_err(|ms| Error::rate_limited("too many requests from this address", ms))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .visitors
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.of.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.of.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::ErrorCode;

    fn visitors(options: Options) -> Arc<Visitors> {
        Arc::new(Visitors::new(&options))
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Property: an address has its share, all have theirs, and both come back.
    #[test]
    fn connections_are_counted_and_given_back() {
        let visitors = visitors(Options {
            connections: 3,
            connections_per_address: 2,
            ..Options::default()
        });
        let first = visitors.enter(at("192.0.2.1")).unwrap();
        let second = visitors.enter(at("::ffff:192.0.2.1")).unwrap();
        assert_eq!(visitors.enter(at("192.0.2.1")).unwrap_err(), Full::Address);
        let third = visitors.enter(at("2001:db8::1")).unwrap();
        assert_eq!(visitors.enter(at("192.0.2.9")).unwrap_err(), Full::All);
        drop(first);
        assert_eq!(visitors.count(), 2);
        let again = visitors.enter(at("192.0.2.1")).unwrap();
        drop((second, third, again));
        assert_eq!(visitors.count(), 0);
        assert!(visitors.open.lock().unwrap().of.is_empty());
    }

    /// Property: behind a proxy all have one address, and only the sum counts.
    #[test]
    fn a_proxy_is_not_an_address_like_others() {
        let visitors = visitors(Options {
            connections: 3,
            connections_per_address: 1,
            behind_proxy: true,
            ..Options::default()
        });
        let places: Vec<_> = (0..3).map(|_| visitors.enter(at("192.0.2.1"))).collect();
        assert!(places.iter().all(Result::is_ok));
        assert_eq!(visitors.enter(at("192.0.2.1")).unwrap_err(), Full::All);
    }

    /// Property: who asks too often hears when to come again; others are served.
    #[test]
    fn requests_are_counted_per_address() {
        let visitors = visitors(Options {
            requests_per_second_address: 5,
            ..Options::default()
        });
        for _ in 0..10 {
            visitors.request(Some(at("192.0.2.1"))).unwrap();
        }
        let error = visitors.request(Some(at("192.0.2.1"))).unwrap_err();
        assert_eq!(error.code, ErrorCode::RateLimited);
        assert!(error.retry_ms.is_some_and(|ms| ms <= 200), "{error:?}");
        visitors.request(Some(at("192.0.2.2"))).unwrap();
        visitors.request(None).unwrap();
    }
}
