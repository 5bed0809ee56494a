//! Says when no majority is heard, unless it passes by itself.

use std::time::Instant;

use crate::limits::LASTING_FAILURE;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct QuorumNews {
    /// Since when no majority is heard.
    lost: Option<Instant>,
    /// And that this was said.
    said: bool,
    /// A majority was heard at some time.
    ever: bool,
}

/// Something to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A majority is heard: for the first time, or again.
    Heard,
    /// None has been heard for a while.
    Lost,
}

impl QuorumNews {
    /// Notes how it is now.
    pub(super) fn note(&mut self, connected: bool, now: Instant) -> Option<News> {
        if connected {
            let news = self.said || !self.ever;
            *self = Self {
                lost: None,
                said: false,
                ever: true,
            };
            return news.then_some(News::Heard);
        }
        let lost = *self.lost.get_or_insert(now);
        let news = !self.said && now.duration_since(lost) >= LASTING_FAILURE;
        self.said |= news;
        news.then_some(News::Lost)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{News, QuorumNews};
    use crate::limits::LASTING_FAILURE;

    #[test]
    fn a_blip_is_not_said_and_a_loss_is_said_once() {
        let mut news = QuorumNews::default();
        let start = Instant::now();
        assert_eq!(news.note(true, start), Some(News::Heard));
        assert_eq!(news.note(false, start), None);
        assert_eq!(news.note(true, start), None);
        assert_eq!(news.note(false, start), None);
        assert_eq!(news.note(false, start + LASTING_FAILURE), Some(News::Lost));
        assert_eq!(news.note(false, start + 2 * LASTING_FAILURE), None);
        assert_eq!(
            news.note(true, start + 2 * LASTING_FAILURE),
            Some(News::Heard)
        );
    }
}
