//! How a replica of a demo is broken on purpose, for a while: see `demo.proto`.
//!
//! Nothing here is ever on unless the setting `demo` is; the rest of the replica asks two
//! questions, whether it stands still and whether it is cut off, and the answer is no.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest fault.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// The answer to a request to die leaves before the process does.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What is broken at the moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demo(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    pause: watch::Sender<Option<Instant>>,
    cut: watch::Sender<Option<Instant>>,
}

impl Demo {
    /// Ends the process as a crash does: nothing is handed over, nothing is closed.
    pub(crate) fn kill() {
        std::thread::spawn(|| {
            std::thread::sleep(LAST_WORD);
            std::process::abort();
        });
    }

    /// Stands still for so long.
    pub(crate) fn pause(&self, how_long: Duration) {
        self.0.pause.send_replace(Some(Instant::now() + how_long));
    }

    /// Has no streams to and from other replicas for so long.
    pub(crate) fn cut_off(&self, how_long: Duration) {
        self.0.cut.send_replace(Some(Instant::now() + how_long));
    }

    /// Comes back when it need not stand still (any more).
    pub(crate) async fn stand_still(&self) {
        over(&self.0.pause).await;
    }

    /// Whether it is cut off.
    pub(crate) fn is_cut_off(&self) -> bool {
        is_on(*self.0.cut.borrow())
    }

    /// Comes back when it is cut off; as a rule, never.
    pub(crate) async fn until_cut_off(&self) {
        let mut cut = self.0.cut.subscribe();
        // The sender lives as long as this does.
        let _ = cut.wait_for(|until| is_on(*until)).await;
    }

    /// Comes back when it is not cut off (any more).
    pub(crate) async fn until_whole(&self) {
        over(&self.0.cut).await;
    }
}

fn is_on(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until > Instant::now())
}

/// Waits for the end of a fault, which may be put off meanwhile.
async fn over(fault: &watch::Sender<Option<Instant>>) {
    loop {
        let until = *fault.borrow();
        match until {
            Some(until) if until > Instant::now() => sleep_until(until).await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fault begins when it is asked for, ends by itself, and can be made longer meanwhile.
    #[tokio::test(start_paused = true)]
    async fn a_fault_ends_by_itself() {
        let demo = Demo::default();
        demo.stand_still().await;
        demo.until_whole().await;
        assert!(!demo.is_cut_off());
        let began = Instant::now();
        demo.cut_off(Duration::from_secs(2));
        demo.until_cut_off().await;
        let other = demo.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.cut_off(Duration::from_secs(3));
        });
        demo.until_whole().await;
        assert_eq!(began.elapsed().as_secs(), 4);
        assert!(!demo.is_cut_off());
        demo.pause(Duration::from_secs(5));
        demo.stand_still().await;
        assert_eq!(began.elapsed().as_secs(), 9);
    }
}
