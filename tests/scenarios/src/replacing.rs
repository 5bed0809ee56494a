//! What tests of replacement ask of a cluster: other settings of membership, a warm standby, who
//! votes now.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use proto::v1::get_status_response::Phase;
use proto::v1::{GetStatusResponse, submit_response::Kind};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::Cluster;

/// Settings of membership with which a dead voter is replaced within seconds.
pub const QUICK: [(&str, &str); 2] = [("REPLACE_AFTER_MS", "2000"), ("CHANGE_PAUSE_MS", "1000")];

impl Cluster {
    /// Starts membership again with these settings, named without their prefix.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn set_membership(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        self.membership.kill();
        for (name, value) in settings {
            let name = format!("CHATTERBOX_MEMBERSHIP_{name}");
            self.membership.set_env(&name, value);
        }
        self.membership.restart()
    }

    /// Starts one more replica and waits until it is a node that learns.
    ///
    /// # Errors
    /// When it is none within the time.
    pub async fn warm_standby(&mut self, within: Duration) -> Result<(usize, u64)> {
        let index = self.add_standby()?;
        let joined = self.until_joined(index, within).await?;
        Ok((index, joined.node))
    }

    /// Waits until a replica is a node that joined later and learns.
    ///
    /// # Errors
    /// When it is none within the time.
    pub async fn until_joined(&self, index: usize, within: Duration) -> Result<GetStatusResponse> {
        self.until(index, within, |status| {
            status.phase() == Phase::Member
                && status.node > 1023
                && status.leader != 0
                && status.applied >= 1024
        })
        .await
    }

    /// Waits until the voters of the newest epoch are as wanted, and the epoch is ready; gives
    /// what its leader says.
    ///
    /// # Errors
    /// When they are not within the time.
    pub async fn until_voters(
        &self,
        within: Duration,
        wanted: impl Fn(u64, &[u64]) -> bool,
    ) -> Result<GetStatusResponse> {
        let deadline = Instant::now() + within;
        loop {
            let leader = self.leader(within).await?;
            let status = self.status(leader).await;
            if let Ok(found) = &status
                && found.epoch_ready
                && wanted(found.epoch, &found.voters)
            {
                return status;
            }
            ensure!(
                Instant::now() < deadline,
                "the voters are not as wanted: {status:?}; plan: {}\n{}",
                self.plan().await.unwrap_or_default(),
                self.tails()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Holds for the whole time that the epoch is this one, as everybody says who answers.
    ///
    /// # Errors
    /// When somebody says otherwise.
    pub async fn epoch_stays(&self, epoch: u64, for_long: Duration) -> Result<()> {
        let end = Instant::now() + for_long;
        while Instant::now() < end {
            for index in self.all() {
                if let Ok(status) = self.status(index).await {
                    ensure!(
                        status.epoch <= epoch,
                        "epoch {} began: {:?}\n{}",
                        status.epoch,
                        status.voters,
                        self.tails()
                    );
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// What membership says about its plan.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn plan(&self) -> Result<String> {
        Ok(self.servers().await?.plan)
    }

    /// Waits until membership's plan says these words.
    ///
    /// # Errors
    /// When it does not within the time.
    pub async fn until_planned(&self, within: Duration, words: &str) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let plan = self.plan().await.unwrap_or_default();
            if plan.contains(words) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{words:?} is not in {plan:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Commits one message through this replica as the leader, which it is made first.
    ///
    /// # Errors
    /// When it is not committed within the time.
    pub async fn commit_through(
        &self,
        index: usize,
        author: u64,
        room: u64,
        body: &str,
        within: Duration,
    ) -> Result<()> {
        let (cid, deadline) = (Uuid::now_v7(), Instant::now() + within);
        loop {
            if self.leader(within).await? != index {
                let name = format!("r{}", self.status(index).await?.node);
                // Refused while the lead changes hands: the next round asks again.
                self.ctl(&["node", "transfer-leader", &name]).await?;
            } else if let Ok(Kind::Outcome(outcome)) =
                self.submit(index, author, room, cid, body).await
            {
                let result = outcome.result.context("an outcome has a result")?;
                let denied = matches!(result, proto::v1::outcome::Result::Refusal(_));
                ensure!(!denied, "{body:?} was refused: {result:?}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{body:?} was not committed through replica {}\n{}",
                index + 1,
                self.tails()
            );
        }
    }
}
