//! Simulated clients: each sends its commands to the node that it believes to lead, and tries
//! again elsewhere, with the same cid, until each is acknowledged. Readers ask for
//! linearizable reads. What they do in a world stands in `world/traffic.rs`.

use std::collections::VecDeque;

use bytes::Bytes;
use paxos::{EntryKind, Slot};

use crate::command::{COMMAND_BYTES, Command};
use crate::knobs::Knobs;
use crate::network::Micros;
use crate::random::Random;

/// After so long without an answer a command is sent again.
pub const TIMEOUT_US: Micros = 700_000;

/// A command that is not acknowledged.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The command.
    pub command: Command,
    /// `Batch`, or `RegisterSession` for the first command of a client with sessions.
    pub kind: EntryKind,
    /// What is proposed.
    pub payload: Bytes,
    /// When it was first sent.
    pub since: Micros,
    /// It is sent again at this moment.
    pub again_at: Micros,
    /// How often it was sent.
    pub sent: u32,
}

/// One client that writes.
#[derive(Clone, Debug)]
pub struct Client {
    /// Commands that are not acknowledged, in order.
    pub pending: VecDeque<Pending>,
    next_cid: u32,
    /// It uses a session; once it is registered, its id and the number of the last command.
    session: Option<(Option<Slot>, u32)>,
    /// The replica that it asks, by its place in the world.
    pub target: usize,
    /// Commands acknowledged.
    pub done: u64,
    /// Alarms that were set before the last one are void.
    pub alarm: u64,
    /// No new command before this moment.
    pub rests_until: Micros,
}

/// One client that reads.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The replica that it asks.
    pub target: usize,
    /// The number of the present read.
    pub number: u64,
    /// The present read: since when it waits, and the slot that it must reach.
    pub waits: Option<(Micros, Slot)>,
    /// Reads answered.
    pub done: u64,
}

/// All clients of a run.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Those that write.
    pub writers: Vec<Client>,
    /// Those that read.
    pub readers: Vec<Reader>,
    /// The largest payload, in bytes.
    payload_max: u64,
    /// Commands that a client keeps under way, with a session and without.
    pipeline: (usize, usize),
    /// New commands and reads are made.
    pub active: bool,
}

impl Clients {
    /// So many writers and readers as these knobs say.
    #[must_use]
    pub fn new(random: &mut Random, knobs: &Knobs) -> Self {
        let mut fresh = || Client {
            pending: VecDeque::new(),
            next_cid: 0,
            session: random.per_mille(knobs.sessions).then_some((None, 0)),
            target: 0,
            done: 0,
            alarm: 0,
            rests_until: 0,
        };
        Self {
            writers: (0..knobs.clients).map(|_| fresh()).collect(),
            readers: vec![Reader::default(); knobs.readers],
            payload_max: knobs.payload_max.max(COMMAND_BYTES as u64),
            pipeline: (knobs.pipeline, if knobs.flood { knobs.pipeline } else { 1 }),
            active: true,
        }
    }

    /// Makes the commands that a client may have under way now. Answers whether there are any
    /// new ones.
    pub fn refill(&mut self, random: &mut Random, client: usize, now: Micros) -> bool {
        let length = random.between(COMMAND_BYTES as u64, self.payload_max) as usize;
        let state = &mut self.writers[client];
        let before = state.pending.len();
        if !self.active || now < state.rests_until {
            return false;
        }
        while state.has_room(self.pipeline) {
            let pending = state.make(client as u16, length, now);
            state.pending.push_back(pending);
        }
        state.pending.len() > before
    }

    /// A client hears that a command took effect. Answers since when it had waited, if it did.
    pub fn acknowledge(&mut self, command: &Command) -> Option<Micros> {
        let state = &mut self.writers[usize::from(command.client)];
        let place = state
            .pending
            .iter()
            .position(|p| p.command.cid == command.cid)?;
        let pending = state.pending.remove(place)?;
        state.done += 1;
        Some(pending.since)
    }

    /// A client hears that its session exists.
    pub fn note_session(&mut self, command: &Command, id: Slot) {
        let state = &mut self.writers[usize::from(command.client)];
        if let Some((known @ None, _)) = &mut state.session {
            *known = Some(id);
        }
    }

    /// When a client wants to make its next command, if it may.
    #[must_use]
    pub fn wants_at(&self, client: usize) -> Option<Micros> {
        let state = &self.writers[client];
        let may = self.active && state.has_room(self.pipeline);
        may.then_some(state.rests_until)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.writers.iter().all(|client| client.pending.is_empty())
            && self.readers.iter().all(|reader| reader.waits.is_none())
    }

    /// Commands acknowledged.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.writers.iter().map(|client| client.done).sum()
    }

    /// Reads answered.
    #[must_use]
    pub fn reads_done(&self) -> u64 {
        self.readers.iter().map(|reader| reader.done).sum()
    }
}

impl Client {
    /// Whether one more command may be under way.
    fn has_room(&self, (with_session, without): (usize, usize)) -> bool {
        let most = match self.session {
            Some((Some(_), _)) => with_session,
            Some((None, _)) => 1,
            None => without,
        };
        self.pending.len() < most
    }

    fn make(&mut self, client: u16, length: usize, now: Micros) -> Pending {
        let cid = self.next_cid;
        self.next_cid += 1;
        let (kind, session) = match &mut self.session {
            Some((None, _)) => (EntryKind::RegisterSession, None),
            Some((Some(id), number)) => {
                *number += 1;
                (EntryKind::Batch, Some((*id, *number)))
            }
            None => (EntryKind::Batch, None),
        };
        let command = Command {
            client,
            cid,
            session,
        };
        let payload = command.encode(length);
        Pending {
            command,
            kind,
            payload,
            since: now,
            again_at: now,
            sent: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Clients;
    use crate::knobs::Knobs;
    use crate::random::Random;
    use paxos::{EntryKind, Slot};

    #[test]
    fn a_client_registers_its_session_before_it_uses_it() {
        let mut random = Random::new(1);
        let knobs = Knobs {
            clients: 1,
            sessions: 1_000,
            pipeline: 3,
            ..Knobs::calm(3)
        };
        let mut clients = Clients::new(&mut random, &knobs);
        assert!(clients.refill(&mut random, 0, 0));
        let first = clients.writers[0].pending[0].clone();
        assert_eq!(
            (first.kind, first.command.session),
            (EntryKind::RegisterSession, None)
        );
        assert!(
            !clients.refill(&mut random, 0, 0),
            "one at a time before that"
        );
        clients.note_session(&first.command, Slot(1030));
        assert_eq!(clients.acknowledge(&first.command), Some(0));
        assert_eq!(clients.acknowledge(&first.command), None, "once");
        assert!(clients.refill(&mut random, 0, 0));
        let pending = &clients.writers[0].pending;
        let numbers = pending.iter().map(|pending| pending.command.session);
        let expected = (1..=3).map(|number| Some((Slot(1030), number)));
        assert!(numbers.eq(expected));
    }
}
