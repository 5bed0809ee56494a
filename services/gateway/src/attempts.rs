//! How often somebody may try a password: per account and per address.
//!
//! In: an account that is tried, and where from. Out: go on, or when to come again.
//! Must hold: an account that does not exist is counted like one that does; memory is bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::address::prefix;
use crate::config::Options;
use crate::errors::Error;
use crate::ids::UserId;
use crate::limits::ATTEMPTS_KEYS_MAX;
use crate::metrics::METRICS;
use crate::socket::admission::{Bucket, Rate};

/// Whose tries are counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Account(UserId),
    /// No account: the name in lower case.
    Name(String),
    /// An IPv4 address, or the /64 that one IPv6 customer has.
    Address(IpAddr),
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Attempts {
    per_account: Rate,
    per_address: Rate,
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
            buckets: Mutex::default(),
        }
    }

    /// One more try from there.
    pub(crate) fn at_address(&self, address: Option<IpAddr>) -> Result<(), Error> {
        match address {
            Some(address) => self.take(Key::Address(prefix(address)), self.per_address),
            None => Ok(()),
        }
    }

    /// One more try of that account.
    pub(crate) fn of(&self, tried: Tried<'_>) -> Result<(), Error> {
        let key = match tried {
            Tried::Account(user) => Key::Account(user),
            Tried::Name(name) => Key::Name(name.trim().to_lowercase()),
        };
        self.take(key, self.per_account)
    }

    fn take(&self, key: Key, rate: Rate) -> Result<(), Error> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ATTEMPTS_KEYS_MAX {
            let (per_account, per_address) = (self.per_account, self.per_address);
            buckets.retain(|key, bucket| {
                let is_address = matches!(key, Key::Address(_));
                !bucket.is_full(if is_address { per_address } else { per_account }, now)
            });
        }
        let full = buckets.len() >= ATTEMPTS_KEYS_MAX;
        let bucket = match buckets.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            // Whoever fills the memory must not find a way around the counts.
            Entry::Vacant(_) if full => {
                return Err(Error::rate_limited("too many people sign in at once", 1000));
            }
            Entry::Vacant(entry) => entry.insert(Bucket::new(rate, now)),
        };
        bucket.take(rate, now).map_err(|ms| {
            METRICS.rate_limited();
            Error::rate_limited("too many tries: wait a little", ms)
        })
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
