//! The time of a run: milliseconds since the load began, and the calendar for people.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// When the load began.
#[derive(Clone, Copy, Debug)]
pub struct Began(pub Instant);

impl Began {
    /// Milliseconds since then.
    #[must_use]
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Microseconds since then: the clock of the histories.
    #[must_use]
    pub fn us(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The moment so many milliseconds after it.
    #[must_use]
    pub fn at(self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}

/// This moment in RFC 3339, UTC.
#[must_use]
pub fn now_rfc3339() -> String {
    rfc3339(SystemTime::now())
}

/// A moment to the second.
fn rfc3339(moment: SystemTime) -> String {
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Against `date -u -d @N`.
    #[test]
    fn moments_have_dates() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_795_681_302), "2026-11-26T08:21:42Z");
        assert_eq!(at(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
