//! Asks one replica again and again what it is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proto::v1::admin_client::AdminClient;
use proto::v1::{GetStatusRequest, GetStatusResponse};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use crate::limits::{POLL_FAST_FOR, POLL_INTERVAL, POLL_INTERVAL_FAST, POLL_TIMEOUT};

use super::collect::Report;

/// Whether pollers should look often, shared by all of them.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    /// Until when a suspicion holds.
    until: Mutex<Option<Instant>>,
    leaderless: std::sync::atomic::AtomicBool,
    wake: Notify,
}

impl Hurry {
    /// Look at once, and often for a while.
    pub(super) fn up(&self) {
        let now = Instant::now();
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let hurried = until.is_some_and(|until| until > now);
        *until = Some(now + POLL_FAST_FOR);
        drop(until);
        if !hurried {
            self.wake.notify_waiters();
        }
    }

    /// Whether a leader with a majority is known.
    pub(super) fn set_leaderless(&self, leaderless: bool) {
        let before = self
            .leaderless
            .swap(leaderless, std::sync::atomic::Ordering::Relaxed);
        if leaderless && !before {
            self.wake.notify_waiters();
        }
    }

    fn interval(&self) -> Duration {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let leaderless = self.leaderless.load(std::sync::atomic::Ordering::Relaxed);
        if leaderless || until.is_some_and(|until| until > Instant::now()) {
            POLL_INTERVAL_FAST
        } else {
            POLL_INTERVAL
        }
    }
}

/// How one look ended.
#[derive(Debug)]
pub(super) enum Look {
    /// It said this.
    Answer(Box<GetStatusResponse>),
    /// It refused the connection or the call: nobody is there.
    Refused,
    /// It said nothing: busy, stopped, or cut off.
    Silent,
}

/// Polls `address` until the collector is gone or this task is aborted.
pub(super) async fn poll(
    address: String,
    channel: Channel,
    hurry: std::sync::Arc<Hurry>,
    reports: mpsc::Sender<Report>,
) {
    let mut admin = AdminClient::new(channel);
    loop {
        let look = match timeout(POLL_TIMEOUT, admin.get_status(GetStatusRequest {})).await {
            Ok(Ok(status)) => Look::Answer(Box::new(status.into_inner())),
            Ok(Err(_)) => Look::Refused,
            Err(_) => Look::Silent,
        };
        if reports
            .send(Report::Look {
                address: address.clone(),
                look,
            })
            .await
            .is_err()
        {
            return;
        }
        tokio::select! {
            () = sleep(hurry.interval()) => {}
            () = hurry.wake.notified() => {}
        }
    }
}
