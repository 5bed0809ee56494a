//! Limits per person: sockets and requests, over all sockets of this gateway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::config::Options;
use crate::errors::Error;
use crate::ids::UserId;
use crate::limits::BUCKETS_MAX;

/// So many at once, refilled so fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) burst: u32,
    pub(crate) per_second: f64,
}

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: f64::from(rate.burst),
            filled: now,
        }
    }

    /// Takes one, or says after how many milliseconds there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), u32> {
        self.refill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait_ms = (1.0 - self.tokens) / rate.per_second * 1000.0;
        // Minutes at most, by the bounds of the settings, so the conversion cannot lose anything.
        Err((wait_ms.ceil() as u32).max(1))
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let seconds = now.duration_since(self.filled).as_secs_f64();
        let tokens = self.tokens + seconds * rate.per_second;
        self.tokens = tokens.min(f64::from(rate.burst));
        self.filled = now;
    }

    pub(crate) fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= f64::from(rate.burst)
    }
}

#[derive(Debug)]
struct Account {
    sockets: u32,
    bucket: Bucket,
}

/// Everybody who is here, or was just now.
#[derive(Debug)]
pub(crate) struct Admission {
    rate: Rate,
    sockets_per_user: u32,
    sockets_max: u32,
    sockets: Arc<AtomicU32>,
    accounts: Mutex<HashMap<UserId, Account>>,
    sign_up_rate: Rate,
    sign_ups: Mutex<Bucket>,
}

/// An open socket's place; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    user: UserId,
}

impl Admission {
    pub(crate) fn new(options: &Options, sockets: Arc<AtomicU32>) -> Self {
        let per_second = options.sign_ups_per_second;
        let sign_up_rate = Rate {
            burst: per_second.saturating_mul(4),
            per_second: f64::from(per_second),
        };
        Self {
            rate: Rate {
                burst: options.sends_burst,
                per_second: f64::from(options.sends_per_second),
            },
            sockets_per_user: options.sockets_per_user,
            sockets_max: options.sockets,
            sockets,
            accounts: Mutex::default(),
            sign_up_rate,
            sign_ups: Mutex::new(Bucket::new(sign_up_rate, Instant::now())),
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<UserId, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a socket, if there is one.
    pub(crate) fn open(self: &Arc<Self>, user: UserId) -> Option<Place> {
        let now = Instant::now();
        let mut accounts = self.accounts();
        if accounts.len() >= BUCKETS_MAX {
            let rate = self.rate;
            accounts.retain(|_, account| account.sockets > 0 || !account.bucket.is_full(rate, now));
        }
        let account = accounts.entry(user).or_insert_with(|| Account {
            sockets: 0,
            bucket: Bucket::new(self.rate, now),
        });
        if account.sockets >= self.sockets_per_user
            || self.sockets.load(Ordering::Relaxed) >= self.sockets_max
        {
            return None;
        }
        account.sockets += 1;
        self.sockets.fetch_add(1, Ordering::Relaxed);
        drop(accounts);
        Some(Place {
            admission: Arc::clone(self),
            user,
        })
    }

    /// A place for a sign-up.
    pub(crate) fn sign_up(&self) -> Result<(), Error> {
        let mut bucket = self.sign_ups.lock().unwrap_or_else(PoisonError::into_inner);
        bucket
            .take(self.sign_up_rate, Instant::now())
            .map_err(|ms| Error::rate_limited("too many new accounts at once on this gateway", ms))
    }
}

impl Place {
    /// One more request of this person.
    pub(crate) fn request(&self) -> Result<(), Error> {
        let admission = &self.admission;
        let mut accounts = admission.accounts();
        let Some(account) = accounts.get_mut(&self.user) else {
            return Ok(());
        };
        account
            .bucket
            .take(admission.rate, Instant::now())
            .map_err(|ms| {
                let rate = admission.rate;
                let message = format!(
                    "{} at once, then {} per second",
                    rate.burst, rate.per_second
                );
                Error::rate_limited(message, ms)
            })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.sockets.fetch_sub(1, Ordering::Relaxed);
        if let Some(account) = self.admission.accounts().get_mut(&self.user) {
            account.sockets = account.sockets.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frames::ErrorCode;

    fn admission(options: &Options) -> Arc<Admission> {
        Arc::new(Admission::new(options, Arc::default()))
    }

    #[test]
    fn twenty_at_once_then_ten_per_second() {
        let rate = Rate {
            burst: 20,
            per_second: 10.0,
        };
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        for _ in 0..20 {
            bucket.take(rate, start).unwrap();
        }
        assert_eq!(bucket.take(rate, start), Err(100));
        let later = start + Duration::from_millis(100);
        bucket.take(rate, later).unwrap();
        bucket.take(rate, later).unwrap_err();
        let much_later = later + Duration::from_secs(60);
        for _ in 0..20 {
            bucket.take(rate, much_later).unwrap();
        }
        bucket.take(rate, much_later).unwrap_err();
    }

    #[test]
    fn the_rate_is_of_the_person_and_outlives_a_socket() {
        let options = Options {
            sends_per_second: 1,
            ..Options::default()
        };
        let admission = admission(&options);
        let place = admission.open(UserId(1)).unwrap();
        for _ in 0..20 {
            place.request().unwrap();
        }
        drop(place);
        let place = admission.open(UserId(1)).unwrap();
        let error = place.request().unwrap_err();
        assert_eq!(
            error.code,
            ErrorCode::RateLimited,
            "a new socket is no new rate"
        );
        assert!(error.retry_ms.is_some_and(|ms| ms > 0));
        admission.open(UserId(2)).unwrap().request().unwrap();
    }

    #[test]
    fn sockets_are_counted_and_given_back() {
        let options = Options {
            sockets_per_user: 2,
            sockets: 3,
            ..Options::default()
        };
        let admission = admission(&options);
        let places = [
            admission.open(UserId(1)).unwrap(),
            admission.open(UserId(1)).unwrap(),
        ];
        assert!(admission.open(UserId(1)).is_none(), "of this person");
        let other = admission.open(UserId(2)).unwrap();
        assert!(admission.open(UserId(3)).is_none(), "of this gateway");
        drop((places, other));
        assert!(admission.open(UserId(3)).is_some());
    }
}
