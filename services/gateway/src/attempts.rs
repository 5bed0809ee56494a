//! How often somebody may try a password, per account and per address, and ask at all, per address.
//!
//! In: an account that is tried, and where from. Out: go on, or when to come again.
//! Must hold: an account that does not exist is counted like one that does; memory is bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

use crate::app::App;
use crate::config::Options;
use crate::errors::Error;
use crate::ids::UserId;
use crate::limits::ATTEMPTS_KEYS_MAX;
use crate::metrics::{METRICS, Refused};
use crate::socket::admission::{Bucket, Rate};

/// Whose tries are counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Account(UserId),
    /// No account: the name in lower case.
    Name(String),
    /// An IPv4 address, or the /64 that one IPv6 customer has.
    Address(IpAddr),
    /// The same, for requests of any kind.
    Asking(IpAddr),
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Attempts {
    per_account: Rate,
    per_address: Rate,
    asking: Rate,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

/// The account that is tried.
#[derive(Clone, Debug)]
pub(crate) enum Tried<'a> {
    /// This one.
    Account(UserId),
    /// One that does not exist.
    Name(&'a str),
}

impl Attempts {
    pub(crate) fn new(options: &Options) -> Self {
        let per_minute = |count: u32| Rate {
            burst: count,
            per_second: f64::from(count) / 60.0,
        };
        Self {
            per_account: per_minute(options.sign_ins_per_minute),
            per_address: per_minute(options.sign_ins_per_minute_address),
            asking: Rate {
                burst: options.requests_per_second_address.saturating_mul(2),
                per_second: f64::from(options.requests_per_second_address),
            },
            buckets: Mutex::default(),
        }
    }

    /// One more try from there.
    pub(crate) fn at_address(&self, address: Option<IpAddr>) -> Result<(), Error> {
        match address {
            Some(address) => self
                .take(Key::Address(prefix(address)))
                .inspect_err(|_| METRICS.rate_limited()),
            None => Ok(()),
        }
    }

    /// One more request from there, of any kind.
    pub(crate) fn asked(&self, address: Option<IpAddr>) -> Result<(), Error> {
        match address {
            Some(address) => self
                .take(Key::Asking(prefix(address)))
                .inspect_err(|_| METRICS.refused(Refused::Requests)),
            None => Ok(()),
        }
    }

    /// One more try of that account.
    pub(crate) fn of(&self, tried: Tried<'_>) -> Result<(), Error> {
        let key = match tried {
            Tried::Account(user) => Key::Account(user),
            Tried::Name(name) => Key::Name(name.trim().to_lowercase()),
        };
        self.take(key).inspect_err(|_| METRICS.rate_limited())
    }

    fn rate(&self, key: &Key) -> Rate {
        match key {
            Key::Account(_) | Key::Name(_) => self.per_account,
            Key::Address(_) => self.per_address,
            Key::Asking(_) => self.asking,
        }
    }

    fn take(&self, key: Key) -> Result<(), Error> {
        let (now, rate) = (Instant::now(), self.rate(&key));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ATTEMPTS_KEYS_MAX {
            buckets.retain(|key, bucket| !bucket.is_full(self.rate(key), now));
        }
        let full = buckets.len() >= ATTEMPTS_KEYS_MAX;
        let bucket = match buckets.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            // Whoever fills the memory must not find a way around the counts.
            Entry::Vacant(_) if full => {
                return Err(Error::rate_limited("too many people ask at once", 1000));
            }
            Entry::Vacant(entry) => entry.insert(Bucket::new(rate, now)),
        };
        bucket
            .take(rate, now)
            .map_err(|ms| Error::rate_limited("too many tries: wait a little", ms))
    }
}

/// What counts as one address.
pub(crate) fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        },
        v4 => v4,
    }
}

/// Where a request comes from; `None` when that cannot be known.
pub(crate) struct Address(pub(crate) Option<IpAddr>);

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(
            peer.and_then(|peer| app.proxies.client(peer, &parts.headers)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(per_account: u32, per_address: u32) -> Attempts {
        Attempts::new(&Options {
            sign_ins_per_minute: per_account,
            sign_ins_per_minute_address: per_address,
            ..Options::default()
        })
    }

    /// Property: each account and each name without one has its own count, in whatever case.
    #[test]
    fn accounts_are_counted_one_by_one() {
        let attempts = attempts(2, 100);
        for tried in [Tried::Account(UserId(1)), Tried::Name("nobody")] {
            attempts.of(tried.clone()).unwrap();
            attempts.of(tried.clone()).unwrap();
            let error = attempts.of(tried).unwrap_err();
            assert!(error.retry_ms.is_some_and(|ms| ms > 10_000), "{error:?}");
        }
        attempts.of(Tried::Name(" NOBODY ")).unwrap_err();
        attempts.of(Tried::Account(UserId(2))).unwrap();
    }

    /// Property: who asks without end hears when to come again, and can still sign in elsewhere.
    #[test]
    fn requests_are_counted_apart() {
        let attempts = Attempts::new(&Options {
            requests_per_second_address: 5,
            ..Options::default()
        });
        let from = |text: &str| Some(text.parse().unwrap());
        for _ in 0..10 {
            attempts.asked(from("192.0.2.1")).unwrap();
        }
        let error = attempts.asked(from("192.0.2.1")).unwrap_err();
        assert!(error.retry_ms.is_some_and(|ms| ms <= 200), "{error:?}");
        attempts.at_address(from("192.0.2.1")).unwrap();
        attempts.asked(from("192.0.2.2")).unwrap();
        attempts.asked(None).unwrap();
    }

    /// Property: one customer is one address, in the larger address space too.
    #[test]
    fn addresses_are_counted() {
        let attempts = attempts(100, 1);
        let from = |text: &str| attempts.at_address(Some(text.parse().unwrap()));
        from("192.0.2.1").unwrap();
        from("::ffff:192.0.2.1").unwrap_err();
        from("192.0.2.2").unwrap();
        from("2001:db8::1").unwrap();
        from("2001:db8::2").unwrap_err();
        from("2001:db8:0:1::1").unwrap();
        attempts.at_address(None).unwrap();
    }
}
