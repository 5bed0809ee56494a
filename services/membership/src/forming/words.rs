//! What forming says to people: what it waits for, and why it has stopped.

use super::{Forming, Stage};
use crate::genesis::Genesis;

impl Forming {
    /// Words for people who wait; empty when there is nothing to wait for.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        let mut words = match &self.stage {
            Stage::Collecting if self.addresses.len() < self.expected => {
                let missing = self.expected - self.addresses.len();
                format!("{missing} more of {} replicas to register", self.expected)
            }
            Stage::Collecting => "the registered replicas to say who they are".to_owned(),
            Stage::Chosen { .. } => "the genesis to be written down by membership".to_owned(),
            Stage::Installing { genesis, holding } => {
                let missing: Vec<String> = genesis
                    .voters
                    .iter()
                    .filter(|voter| !holding.contains(&voter.disk_id))
                    .map(|voter| format!("r{} at {}", voter.node, self.address(&voter.disk_id)))
                    .collect();
                format!("the genesis to be held by {}", missing.join(", "))
            }
            Stage::Held { .. } => String::new(),
            Stage::Stopped { reason } => reason.clone(),
        };
        if !self.is_formed() {
            for obstacle in self.obstacles.values() {
                words.push_str("; ");
                words.push_str(obstacle);
            }
        }
        words
    }
}

/// Two geneses, and the way out.
pub(super) fn conflict(ours: &Genesis, theirs: &Genesis, disk: &str) -> String {
    format!(
        "two first configurations exist: cluster {} and, on disk {disk}, cluster {}. Forming has \
         stopped, nothing was changed. Find out which replicas belong here, start the others \
         with empty data directories, then restart membership",
        ours.cluster_id, theirs.cluster_id
    )
}
