//! Looks at the free space of the data directory, so that a leader refuses proposals before its
//! log can no longer be written, and makes room for another leader.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use paxos::status::Status;

use crate::limits::{FREE_BYTES_LOW, FREE_EVERY, RESIGNATION, RESIGNATION_EVERY};
use crate::signals::Signals;

/// How a leader that can commit nothing gives the lead away: it is silent for a moment, as if
/// its network were cut, which the protocol allows at any time. The others elect a leader.
#[derive(Debug, Default)]
pub(super) struct Resignation {
    began: Option<Instant>,
}

impl Resignation {
    /// Begins, if others can lead and the last one is long ago.
    pub(super) fn consider(&mut self, status: &Status, now: Instant) {
        let recent = self
            .began
            .is_some_and(|began| now - began < RESIGNATION_EVERY);
        let heard = status.peers.values().filter(|peer| peer.heard).count();
        let voters = status.peers.len() + 1;
        // A majority of all without this node.
        let possible = heard > voters / 2;
        if possible && !recent {
            tracing::warn!("leaves the lead to a replica that has space");
            self.began = Some(now);
        }
    }

    /// Whether nothing is to be sent.
    pub(super) fn is_silent(&self) -> bool {
        self.began
            .is_some_and(|began| began.elapsed() < RESIGNATION)
    }
}

/// Looks for ever; end the task to stop.
pub(crate) async fn watch_space(directory: PathBuf, signals: Arc<Signals>) {
    let mut before = false;
    loop {
        // A failure says nothing about the space; the log's writer will meet its cause.
        if let Ok(stat) = rustix::fs::statvfs(&directory) {
            let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
            let low = free_bytes < FREE_BYTES_LOW;
            if low && !before {
                tracing::error!(
                    directory = %directory.display(), free_mib = free_bytes >> 20,
                    "the disk is nearly out of space: no new proposals are taken; free some \
                     space (not log.db*), or enlarge the volume"
                );
            } else if before && !low {
                tracing::info!(free_mib = free_bytes >> 20, "there is space again");
            }
            before = low;
            signals.note_space_low(low);
        }
        tokio::time::sleep(FREE_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use paxos::config::Configuration;
    use paxos::ids::{Ballot, Epoch, Millis, NodeId, Slot, Timestamp};
    use paxos::restored::{Options, Restored};
    use paxos::status::{PeerStatus, Status};
    use paxos::{Chain, Core};

    use super::Resignation;

    fn status(heard: &[bool]) -> Status {
        let voters = (1..=heard.len() as u64 + 1).map(NodeId).collect();
        let configuration = Configuration {
            epoch: Epoch::FIRST,
            voters,
        };
        let restored = Restored {
            promised: Ballot::ZERO,
            decided: Slot::GENESIS,
            chain: Chain::GENESIS,
            timestamp: Timestamp(0),
            undecided: Vec::new(),
            compacted_to: Slot::GENESIS,
        };
        let options = Options {
            node: NodeId(1),
            configuration,
            seed: 1,
        };
        let mut status = Core::new(options, restored, Millis(0)).status();
        let peers: BTreeMap<NodeId, PeerStatus> = std::mem::take(&mut status.peers);
        status.peers = peers
            .into_iter()
            .zip(heard)
            .map(|((node, peer), &heard)| (node, PeerStatus { heard, ..peer }))
            .collect();
        status
    }

    /// Silence is of use only when the others are a majority without this node.
    #[test]
    fn the_lead_is_left_to_others_that_can_lead() {
        for (heard, leaves) in [
            (&[true, true][..], true),
            (&[true, false], false),
            (&[], false),
            (&[true, true, false, false], false),
            (&[true, true, true, false], true),
        ] {
            let mut resignation = Resignation::default();
            resignation.consider(&status(heard), Instant::now());
            assert_eq!(resignation.is_silent(), leaves, "{heard:?}");
        }
    }

    /// When all disks are full the lead does not wander.
    #[test]
    fn once_in_a_while_is_enough() {
        let mut resignation = Resignation::default();
        let now = Instant::now();
        resignation.began = now.checked_sub(Duration::from_secs(5));
        resignation.consider(&status(&[true, true]), now);
        assert!(!resignation.is_silent());
    }
}
