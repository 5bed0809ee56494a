//! Simulated clients: each has one command at a time, sends it to the node that it believes to
//! lead, and tries again elsewhere until it is acknowledged.

use bytes::Bytes;
use paxos::{Chain, ProposalToken, Slot};

use crate::network::Micros;
use crate::random::Random;

/// One client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Commands acknowledged.
    pub(crate) done: u64,
    /// The command that is not acknowledged yet.
    pub(crate) pending: Option<Bytes>,
    /// The node that it will ask.
    pub(crate) target: usize,
    /// Answers to earlier attempts do not count.
    pub(crate) attempt: u64,
    /// When the first attempt at the pending command began.
    pub(crate) since: Micros,
}

/// All clients of a run.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) all: Vec<Client>,
    /// The largest payload, in bytes.
    payload_max: u64,
    /// New commands are made.
    pub(crate) active: bool,
}

/// What a proposal waits for at a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) client: usize,
    pub(crate) attempt: u64,
    pub(crate) slot: Slot,
    pub(crate) chain: Chain,
}

impl Clients {
    pub(crate) fn new(count: usize, payload_max: u64) -> Self {
        let fresh = Client {
            done: 0,
            pending: None,
            target: 0,
            attempt: 0,
            since: 0,
        };
        Self {
            all: vec![fresh; count],
            payload_max,
            active: true,
        }
    }

    /// The command that a client sends next; a new one if the last was acknowledged.
    pub(crate) fn command(
        &mut self,
        random: &mut Random,
        client: usize,
        now: Micros,
    ) -> Option<Bytes> {
        let state = &mut self.all[client];
        if state.pending.is_none() && self.active {
            let length = random.between(16, self.payload_max) as usize;
            let mut payload = vec![0_u8; length];
            payload[..8].copy_from_slice(&(client as u64).to_le_bytes());
            payload[8..16].copy_from_slice(&state.done.to_le_bytes());
            state.pending = Some(Bytes::from(payload));
            state.since = now;
        }
        state.attempt += 1;
        state.pending.clone()
    }

    /// A client's attempt succeeded. Answers whether it still waited for it.
    pub(crate) fn acknowledge(&mut self, client: usize, attempt: u64) -> bool {
        let state = &mut self.all[client];
        if state.attempt != attempt || state.pending.is_none() {
            return false;
        }
        state.pending = None;
        state.done += 1;
        true
    }

    /// Names an attempt in `Propose`.
    pub(crate) fn token(&self, client: usize) -> ProposalToken {
        ProposalToken(self.all[client].attempt * self.all.len() as u64 + client as u64)
    }

    /// The client and the attempt that a token names.
    pub(crate) fn named(&self, token: ProposalToken) -> (usize, u64) {
        let count = self.all.len() as u64;
        ((token.0 % count) as usize, token.0 / count)
    }

    pub(crate) fn idle(&self) -> bool {
        self.all.iter().all(|client| client.pending.is_none())
    }

    pub(crate) fn done(&self) -> u64 {
        self.all.iter().map(|client| client.done).sum()
    }
}
