//! What clients do in a world: propose, hear the answer, try again.

use paxos::{EntryKind, Input, RejectReason, Timestamp};

use super::{CLIENT_TIMEOUT_US, Event, World};
use crate::clients::Waiting;
use crate::network::Micros;

impl World {
    /// A proposal's slot is applied: it took effect if the entry there is the proposed one.
    pub(super) fn answer(&mut self, node: usize, waiting: Waiting) {
        let (chain, _) = self.nodes[node].disk.image.prefix(waiting.slot);
        if chain != waiting.chain {
            self.retry(waiting.client, waiting.attempt, 1_000);
        } else if self.clients.acknowledge(waiting.client, waiting.attempt) {
            self.invariants.on_acknowledged(waiting.slot, chain);
            self.counters
                .note_wait(self.now - self.clients.all[waiting.client].since);
            self.clients.all[waiting.client].target = node;
            self.retry(waiting.client, waiting.attempt, self.think_us);
        }
    }

    fn retry(&mut self, client: usize, attempt: u64, within_us: Micros) {
        let at = self.now + self.random.between(1, within_us.max(1));
        self.schedule(at, Event::Client { client, attempt });
    }

    pub(super) fn on_rejected(&mut self, token: paxos::ProposalToken, reason: RejectReason) {
        let (client, attempt) = self.clients.named(token);
        self.counters.note_rejected(reason);
        let anyone = self.random.index(self.nodes.len());
        let (target, pause) = match reason {
            RejectReason::NotLeader {
                leader: Some(leader),
            } => ((leader.0 - 1) as usize, 2_000),
            RejectReason::NotLeader { leader: None }
            | RejectReason::NoQuorum
            | RejectReason::Unsettled
            | RejectReason::NoSpace => (anyone, 50_000),
            RejectReason::WindowFull => (self.clients.all[client].target, 20_000),
            RejectReason::EpochChanged { .. } | RejectReason::BadVoters => {
                panic!("no client changes the voters")
            }
            RejectReason::TooLarge => panic!("clients' commands fit a batch"),
        };
        if self.clients.all[client].attempt == attempt {
            self.clients.all[client].target = target;
            self.retry(client, attempt, pause);
        }
    }

    /// A client begins, tries again, or finds that its attempt took too long.
    pub(super) fn on_client(&mut self, client: usize, attempt: u64) {
        if self.clients.all[client].attempt != attempt {
            return;
        }
        let payload = self.clients.command(&mut self.random, client, self.now);
        let attempt = self.clients.all[client].attempt;
        self.schedule(
            self.now + CLIENT_TIMEOUT_US,
            Event::Client { client, attempt },
        );
        let Some(payload) = payload else { return };
        let mut target = self.clients.all[client].target;
        if self.nodes[target].core.is_none() || self.random.per_mille(100) {
            target = self.random.index(self.nodes.len());
        }
        if self.nodes[target].core.is_none() || self.nodes[target].paused_until > self.now {
            self.clients.all[client].target = self.random.index(self.nodes.len());
            self.retry(client, attempt, 100_000);
            return;
        }
        self.clients.all[client].target = target;
        self.invariants.on_asked(&payload);
        let token = self.clients.token(client);
        let wall_clock = Timestamp(1_700_000_000_000 + self.clock(target).0);
        let kind = EntryKind::Batch;
        self.step(
            target,
            Input::Propose {
                token,
                kind,
                payload,
                wall_clock,
            },
        );
    }
}
