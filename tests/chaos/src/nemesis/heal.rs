//! The end: everything is undone, and the cluster has to become whole by itself.

use std::collections::BTreeSet;

use anyhow::Result;
use checker::NodeState;
use proto::v1::get_status_response::Phase;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{End, Nemesis};
use crate::ground::{Ground, Name};
use crate::limits::{HEALED, TURN};
use crate::record::Violation;
use crate::watch::View;

impl<G: Ground> Nemesis<G> {
    /// Ends every fault and waits until the cluster is whole: all voters that there should be,
    /// all of them caught up, a leader. If it is not in time, or cannot be any more, that is a
    /// violation. Answers whether it is.
    ///
    /// # Errors
    /// When a fault cannot be ended on the ground.
    pub async fn heal(&mut self) -> Result<bool> {
        let deadline = Instant::now() + HEALED;
        self.said.line("healing   every fault ends now");
        for active in std::mem::take(&mut self.active) {
            if matches!(active.end, End::Replaced(_) | End::Mended) {
                // Nothing that this program does ends these: the cluster does.
                self.active.push(active);
            } else {
                self.finish(active, false).await?;
            }
        }
        self.set_network().await?;
        self.falls.clear();
        // What the view says may be older than the last end.
        sleep(std::time::Duration::from_secs(1)).await;
        let mut verified = BTreeSet::new();
        loop {
            self.finish_due().await?;
            self.pick_up_fallen().await?;
            self.renew_refused().await?;
            let missing = self.missing();
            if missing.is_empty() && self.active.is_empty() {
                if self.renew_damaged(&mut verified).await? {
                    continue;
                }
                self.said.line("healed    all voters are whole");
                return Ok(true);
            }
            if let Some(why) = self.hopeless() {
                self.give_up(why).await?;
                return Ok(false);
            }
            if Instant::now() > deadline {
                let words = format!("after {HEALED:?}: {}", missing.join("; "));
                self.give_up(words).await?;
                return Ok(false);
            }
            sleep(TURN).await;
        }
    }

    /// What an operator does after a disk has lied: verifies the states of those whose files were
    /// damaged, and gives a new disk to one that is not whole. A flipped bit of an old event is
    /// noticed when it is read, and nobody may have read it (docs/known-limits.md). Answers
    /// whether somebody got a new disk.
    async fn renew_damaged(&mut self, verified: &mut BTreeSet<Name>) -> Result<bool> {
        let replicas = self.ground.replicas().into_iter().map(|place| place.name);
        let doubted = |name: &Name| self.excused.contains(name) && !verified.contains(name);
        let doubted: Vec<Name> = replicas.filter(doubted).collect();
        let mut renewed = false;
        for name in doubted {
            let path = self.ground.data(&name).await?.join("state.db");
            let state = spawn_blocking(move || NodeState::read(0, &path)).await?;
            let damage = match state {
                Ok(state) => state.damage,
                Err(error) => Some(format!("{error:#}")),
            };
            verified.insert(name.clone());
            if let Some(damage) = damage {
                self.said
                    .line(&format!("verified  {name} gets a new disk: {damage}"));
                self.renew(&name).await?;
                renewed = true;
            }
        }
        if renewed {
            // Until the view has seen it start.
            sleep(std::time::Duration::from_secs(1)).await;
        }
        Ok(renewed)
    }

    /// Why the voters cannot become whole, however long one waits: most of their disks are gone,
    /// each of which the replica itself refused.
    fn hopeless(&self) -> Option<String> {
        let voters = self.view().voters;
        let gone = voters.iter().filter(|node| self.refused.contains(node));
        let gone = gone.count();
        (2 * gone >= voters.len() && gone > 0)
            .then(|| format!("{gone} of {} voters refused their disks", voters.len()))
    }

    async fn give_up(&mut self, words: String) -> Result<()> {
        self.said.line(&format!("not healed: {words}"));
        self.done.violations.push(Violation {
            kind: "not healed".to_owned(),
            words,
        });
        for active in std::mem::take(&mut self.active) {
            self.finish(active, false).await?;
        }
        Ok(())
    }

    /// What the cluster lacks to be whole, in words.
    fn missing(&mut self) -> Vec<String> {
        let view = self.view();
        let mut missing = Vec::new();
        if view.leader.is_none() {
            missing.push("nobody leads".to_owned());
        }
        if view.voters.len() != self.wished {
            missing.push(format!("{} voters of {}", view.voters.len(), self.wished));
        }
        if view.epoch > 1 && !view.epoch_ready {
            missing.push(format!("epoch {} is not ready", view.epoch));
        }
        for voter in &view.voters {
            if !view.name_of(*voter).is_some_and(|name| view.is_whole(name)) {
                missing.push(format!(
                    "voter r{voter} is {}",
                    state(&view, view.name_of(*voter))
                ));
            }
        }
        for place in self.ground.replicas() {
            if !view.is_whole(&place.name) {
                missing.push(format!(
                    "{} is {}",
                    place.name,
                    state(&view, Some(&place.name))
                ));
            }
        }
        missing
    }

    /// One that refuses its disk for ever needs a new one; that it does is a violation unless
    /// its disk was damaged or lost its power.
    async fn renew_refused(&mut self) -> Result<()> {
        let view = self.view();
        let refuses = |name: &Name| {
            let status = view.statuses.get(name);
            status.is_some_and(|status| status.phase() == Phase::Quarantined)
        };
        let replicas = self.ground.replicas().into_iter().map(|place| place.name);
        let refused: Vec<Name> = replicas.filter(refuses).collect();
        for name in refused {
            let why = view.statuses.get(&name).map_or("", |status| &status.why);
            self.said
                .line(&format!("refused   {name} refuses its disk: {why}"));
            if !self.excused.contains(&name) {
                self.done.violations.push(Violation {
                    kind: "refused".to_owned(),
                    words: format!("{name} refuses a disk that nothing damaged: {why}"),
                });
            }
            if let Some(node) = view.ids.get(&name) {
                self.refused.insert(*node);
            }
            self.renew(&name).await?;
            // Until the view has seen it start.
            sleep(std::time::Duration::from_secs(1)).await;
        }
        Ok(())
    }
}

fn state(view: &View, name: Option<&Name>) -> String {
    let Some(name) = name else {
        return "no replica that is here".to_owned();
    };
    let Some(status) = view.statuses.get(name) else {
        return "silent".to_owned();
    };
    format!(
        "{} in epoch {}, slot {} of {}{}",
        status
            .phase()
            .as_str_name()
            .trim_start_matches("PHASE_")
            .to_lowercase(),
        status.epoch,
        status.decided,
        view.decided,
        if status.why.is_empty() {
            String::new()
        } else {
            format!(": {}", status.why)
        }
    )
}
