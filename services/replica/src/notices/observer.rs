//! What a leader has to tell: a function of its status, of time, and of what was told.
//!
//! Must hold: nothing is told twice that the room knows; what comes and goes within the thresholds
//! of limits.rs is not told at all; and no more than [`NOTICES_BURST`] lines at once and one per
//! [`NOTICES_REFILL`] afterwards leave a replica, however the cluster flaps. A line that finds no
//! room waits, and is told if it is still true then.

use std::collections::BTreeMap;

use paxos::ids::{Ballot, Millis, NodeId, Round, Slot};
use paxos::status::{RoleName, Status};
use proto::v1::notice::Kind;
use proto::v1::{LeaderElected, NodeHeard, NodeSilent};

use super::Told;
use crate::limits::{HEARD_AFTER, NOTICES_BURST, NOTICES_REFILL, SILENT_AFTER};

/// A ballot of this replica.
#[derive(Debug)]
struct Reign {
    ballot: Ballot,
    /// Since when it takes commands.
    since: Millis,
    /// From the last sign of life of the leader before until then; 0 without one.
    gap_ms: u64,
    /// Who that was.
    previous: Option<NodeId>,
    /// The room knows it.
    told: bool,
}

/// What this replica remembers between two looks.
#[derive(Debug, Default)]
pub(super) struct Observer {
    /// Who led, and when that one was last heard.
    leader: Option<(NodeId, Millis)>,
    reign: Option<Reign>,
    /// Since when each voter is heard without a break, while this one leads.
    heard: BTreeMap<NodeId, Millis>,
    /// When each silent voter was last heard before, as far as this replica saw it.
    lost: BTreeMap<NodeId, Millis>,
    /// Notices that were posted and count: their number, and as of when.
    spent: u32,
    refilled: Millis,
}

impl Observer {
    /// Takes in how it is now. Also between notices, and while others lead.
    pub(super) fn note(&mut self, now: Millis, status: &Status) {
        self.refill(now);
        if status.role != RoleName::Leader {
            self.reign = None;
            self.heard.clear();
            self.lost.clear();
            self.note_leader(now, status);
            return;
        }
        if !status.accepts_proposals {
            return;
        }
        let ballot = status.promised;
        if self
            .reign
            .as_ref()
            .is_none_or(|reign| reign.ballot != ballot)
        {
            let seen = self.leader;
            self.reign = Some(Reign {
                ballot,
                since: now,
                gap_ms: seen.map_or(0, |(_, at)| now.0.saturating_sub(at.0)),
                previous: seen.map(|(node, _)| node),
                told: false,
            });
        }
        self.leader = Some((status.node, now));
        for (node, peer) in &status.peers {
            if peer.heard {
                self.heard.entry(*node).or_insert(now);
            } else {
                self.heard.remove(node);
            }
        }
    }

    fn note_leader(&mut self, now: Millis, status: &Status) {
        let Some(leader) = status.leader.filter(|_| status.happy) else {
            return;
        };
        let heard = status.peers.get(&leader).and_then(|peer| peer.last_heard);
        self.leader = Some((leader, heard.unwrap_or(now)));
    }

    /// The next thing to tell, if there is one and room for it.
    pub(super) fn next(&mut self, now: Millis, status: &Status, told: &Told) -> Option<Kind> {
        if !status.accepts_proposals || self.spent >= NOTICES_BURST {
            return None;
        }
        let reign = self.reign.as_ref()?;
        // Whoever sealed an epoch leads the next one without an election.
        let goes_on = reign.ballot.round == Round(0) && reign.previous == Some(status.node);
        let kind = if reign.told || goes_on && !told.is_empty() {
            let next = |(node, silent): &(NodeId, Option<Slot>)| match silent {
                None => self.silence(now, reign, status, *node),
                Some(slot) => self.voice(now, status, *node).map(|after_ms| {
                    Kind::Heard(NodeHeard {
                        node: node.0,
                        silent_slot: slot.0,
                        after_ms,
                    })
                }),
            };
            told.iter().find_map(next)
        } else {
            Some(Kind::Elected(elected(reign, status)))
        }?;
        if let Kind::Silent(silent) = &kind {
            let last = Millis(now.0.saturating_sub(silent.for_ms));
            self.lost.insert(NodeId(silent.node), last);
        }
        self.spent += 1;
        Some(kind)
    }

    /// The room has this line.
    pub(super) fn told(&mut self, kind: &Kind) {
        if let (Kind::Elected(elected), Some(reign)) = (kind, &mut self.reign) {
            let ballot = reign.ballot;
            reign.told |= (elected.epoch, elected.round) == (ballot.epoch.0, ballot.round.0);
        }
    }

    fn silence(&self, now: Millis, reign: &Reign, status: &Status, node: NodeId) -> Option<Kind> {
        let peer = status.peers.get(&node)?;
        let last = peer.last_heard.unwrap_or(reign.since);
        let for_ms = now.0.saturating_sub(last.0);
        let is_silent = !peer.heard && u128::from(for_ms) >= SILENT_AFTER.as_millis();
        is_silent.then_some(Kind::Silent(NodeSilent {
            node: node.0,
            for_ms,
        }))
    }

    /// How long the voter was silent, if it is no more; 0 when that is not known.
    fn voice(&self, now: Millis, status: &Status, node: NodeId) -> Option<u64> {
        let lost = self.lost.get(&node);
        if node == status.node {
            return Some(0);
        }
        let heard = *self.heard.get(&node)?;
        let lasts = u128::from(now.0.saturating_sub(heard.0)) >= HEARD_AFTER.as_millis();
        lasts.then(|| lost.map_or(0, |lost| heard.0.saturating_sub(lost.0)))
    }

    fn refill(&mut self, now: Millis) {
        let every = u64::try_from(NOTICES_REFILL.as_millis()).unwrap_or(u64::MAX);
        let times = now.0.saturating_sub(self.refilled.0) / every;
        self.refilled = Millis(self.refilled.0.saturating_add(times.saturating_mul(every)));
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.spent = self.spent.saturating_sub(times);
    }
}

fn elected(reign: &Reign, status: &Status) -> LeaderElected {
    let Ballot { epoch, round, node } = reign.ballot;
    LeaderElected {
        epoch: epoch.0,
        round: round.0,
        node: node.0,
        previous: reign.previous.map_or(0, |node| node.0),
        gap_ms: reign.gap_ms,
        voters: status
            .configuration
            .voters
            .iter()
            .map(|node| node.0)
            .collect(),
    }
}

#[cfg(test)]
mod tests;
