//! Carries out what `plan` decides: asks the leader for one change at a time.
//!
//! In: [`Order`]s. Out: calls of `Admin.Reconfigure` and `Admin.TransferLead`. Must hold: a
//! change names the epoch that it ends, so that one that was decided from old news, or by another
//! instance of this service too, is refused (compare-and-swap). Tests: tests/changing.rs,
//! tests/scenarios.

use ops::shutdown::Token;
use proto::v1::{ReconfigureRequest, TransferLeadRequest};

use crate::execute::{Failure, admin, failure};
use crate::limits::{CHANGE_TIMEOUT, SWEEP_PAUSE};
use crate::plan::Step;
use crate::service::{Order, Service};

/// Makes the changes that a service decides on.
#[derive(Debug)]
pub struct Changer {
    service: Service,
    tls: tls::Mutual,
}

impl Changer {
    /// Of this service; replicas are dialled that way.
    #[must_use]
    pub fn new(service: Service, tls: tls::Mutual) -> Self {
        Self { service, tls }
    }

    /// Looks again and again whether a change is due, and makes it, until `shutdown`.
    pub async fn run(self, shutdown: Token) {
        let mut pause = tokio::time::interval(SWEEP_PAUSE);
        pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(pause.tick()).await.is_some() {
            // A call that is dropped half-way may have been heard; the epoch then says so.
            let _ = shutdown.run_until_cancelled(self.look()).await;
        }
    }

    /// Makes the change that is due, if one is.
    pub async fn look(&self) {
        let Some(order) = self.service.next_change() else {
            return;
        };
        let outcome = carry_out(&self.tls, &order)
            .await
            .map_err(|failed| match failed {
                Failure::Unreachable(words) | Failure::Refused(words) => words,
            });
        self.service.changed(&order, outcome);
    }
}

async fn carry_out(tls: &tls::Mutual, order: &Order) -> Result<u64, Failure> {
    let mut leader = admin(tls, &order.leader, CHANGE_TIMEOUT).await?;
    if let Step::Transfer { to, .. } = order.step {
        let transferred = leader.transfer_lead(TransferLeadRequest { to }).await;
        return transferred.map_err(failure).map(|_| order.epoch);
    }
    let request = ReconfigureRequest {
        expected_epoch: order.epoch,
        voters: order.voters.clone(),
        force: false,
    };
    let changed = leader.reconfigure(request).await.map_err(failure)?;
    Ok(changed.into_inner().epoch)
}
