//! Who is silent: suspicion by time alone. Pure; the clock is handed in.
//!
//! A suspicion alone changes nothing: `plan` says what else it takes to replace a voter.

use std::time::Duration;

/// Time since this process started.
pub type Uptime = Duration;

/// Suspects whoever was silent for a while.
#[derive(Debug, Clone, Copy)]
pub struct Detector {
    after: Duration,
}

impl Detector {
    /// Silence of `after` is suspicious.
    #[must_use]
    pub fn new(after: Duration) -> Self {
        Self { after }
    }

    /// Whether a server is suspected. One that this process has never heard is given the same
    /// time from the start: after a restart of this process nobody is suspected at once.
    #[must_use]
    pub fn suspects(&self, last_heard: Option<Uptime>, now: Uptime) -> bool {
        self.silence(last_heard, now).is_some()
    }

    /// For how long a suspected server has been silent; absent when it is not suspected.
    #[must_use]
    pub fn silence(&self, last_heard: Option<Uptime>, now: Uptime) -> Option<Duration> {
        let silence = now.saturating_sub(last_heard.unwrap_or_default());
        Some(silence).filter(|silence| *silence >= self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::{Detector, Duration};

    #[test]
    fn suspects_after_silence_and_forgives_when_heard() {
        let detector = Detector::new(Duration::from_millis(1500));
        let at = Duration::from_millis;
        for (last, now, suspected) in [
            (None, 0, false),
            (None, 1499, false),
            (None, 1500, true),
            (Some(1000), 2499, false),
            (Some(1000), 2500, true),
            (Some(3000), 2500, false),
        ] {
            assert_eq!(
                detector.suspects(last.map(at), at(now)),
                suspected,
                "{last:?} {now}"
            );
        }
    }
}
