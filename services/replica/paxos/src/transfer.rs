//! Handing the lead over: when a person asks, when the disk is full, when it is slow.
//!
//! Reads: `TransferLead`, `Space`, `CampaignNow`. Emits: `CampaignNow`.
//! Invariants: the target has everything when it is told; a leader that nobody overtakes goes
//! on after a while. Tests: below, tests/simulator
//!
//! Ongaro's dissertation, section 3.10.

use crate::core::{Core, Role};
use crate::ids::{Millis, NodeId};
use crate::limits::{SLOW_DISK_FACTOR, SLOW_DISK_MS, TRANSFER_TIMEOUT_MS};
use crate::message::{CampaignNow, Message};
use crate::output::Event;

/// A hand-over under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transfer {
    to: NodeId,
    /// When the leader takes proposals again, if nobody has overtaken it.
    deadline: Millis,
    /// When the target was last told.
    told: Option<Millis>,
}

impl Core {
    /// The lead is to go to another voter.
    pub(crate) fn on_transfer(&mut self, to: NodeId) {
        let deadline = self
            .now
            .plus(TRANSFER_TIMEOUT_MS.max(self.election_timeout_ms()));
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if !leader.peers.contains_key(&to) || leader.transfer.is_some() || leader.sealed.is_some() {
            return;
        }
        leader.transfer = Some(Transfer {
            to,
            deadline,
            told: None,
        });
        self.advance_transfer();
    }

    /// Tells the target once it has everything; again once a round, since a message may be lost.
    pub(crate) fn advance_transfer(&mut self) {
        let now = self.now;
        let decided = self.log.decided();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(transfer) = leader.transfer else {
            return;
        };
        if now >= transfer.deadline {
            leader.transfer = None;
            return;
        }
        let upto = leader.peers.get(&transfer.to).map(|peer| peer.upto);
        let has_all = upto == Some(leader.last) && decided == leader.last;
        let again = transfer
            .told
            .is_none_or(|told| now.since(told) >= crate::limits::HEARTBEAT_MS);
        if has_all && again {
            let ballot = leader.ballot;
            let told = Some(now);
            leader.transfer = Some(Transfer { told, ..transfer });
            self.send(transfer.to, Message::CampaignNow(CampaignNow { ballot }));
            self.trace(Event::HandingOver { to: transfer.to });
        }
    }

    /// The leader asks this node to lead. Only the owner of the promised ballot can: what it
    /// says of an older one is out of date.
    pub(crate) fn on_campaign_now(&mut self, from: NodeId, request: CampaignNow) {
        let ballot = self.acceptor.promised;
        let from_leader = request.ballot == ballot && ballot.node == from;
        if from_leader && matches!(self.role, Role::Follower) && self.may_promise() {
            self.election.campaign_at = None;
            self.campaign();
        }
    }

    /// The disk is nearly full, or has room again.
    pub(crate) fn on_space(&mut self, low: bool) {
        self.acceptor.no_space = low;
        if low {
            self.hand_over_when_unfit();
        } else {
            self.ask_again_when_roomy();
        }
    }

    /// Whether so many disks are nearly full that nothing new can be chosen.
    pub(crate) fn quorum_lacks_space(&self) -> bool {
        let heard = self.election.heard.iter();
        let full = heard.filter(|(_, pong)| pong.no_space).count();
        let full = full.saturating_add(usize::from(self.acceptor.no_space));
        !self
            .quorum
            .elects(self.configuration.voters.len().saturating_sub(full))
    }

    /// Whether a voter that was heard has room on its disk.
    pub(crate) fn another_has_space(&self) -> bool {
        self.election.heard.values().any(|pong| !pong.no_space)
    }

    /// Once a round: a leader whose disk is full, or far slower than another's, hands over to
    /// the fittest voter that keeps up.
    pub(crate) fn hand_over_when_unfit(&mut self) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let own = self.durable.latency_ms(self.now);
        let slow = own >= SLOW_DISK_MS;
        if leader.transfer.is_some() || !(slow || self.acceptor.no_space) {
            return;
        }
        let fit = |(node, pong): (&NodeId, &crate::message::Pong)| {
            let fast = pong.commit_latency_ms.saturating_mul(SLOW_DISK_FACTOR) <= own;
            let keeps_up = leader
                .peers
                .get(node)
                .is_some_and(|peer| peer.upto >= self.log.decided());
            let fit = !pong.no_space && keeps_up && (fast || self.acceptor.no_space);
            fit.then_some((pong.commit_latency_ms, *node))
        };
        let target = self.election.heard.iter().filter_map(fit).min();
        if let Some((_, to)) = target {
            self.on_transfer(to);
        }
    }
}

#[cfg(test)]
mod tests;
