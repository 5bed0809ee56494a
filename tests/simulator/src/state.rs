//! The learner's state, `state.db`, as a small deterministic machine: which commands took
//! effect and where, sessions, node ids, the configuration.
//!
//! It keeps the rules of the real one that invariants speak of: a `(client, cid)` takes effect
//! once for ever, a session's commands take effect in order, an id is the slot of a disk's
//! first registration. A snapshot is a clone of it.

use paxos::{Chain, Configuration, Entry, EntryKind, NodeId, Seal, Slot, Timestamp};

use crate::command::Command;

/// A random number that a disk gets when it is made: who has the disk has the identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DiskId(pub u64);

/// A client session, named by the slot of its registration.
#[derive(Clone, Debug)]
struct Session {
    id: Slot,
    client: u16,
    /// The number of the last command that took effect.
    last: u32,
}

/// What an entry did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nothing that anybody waits for.
    Nothing,
    /// A command took effect at this slot: now, or before if it is a repetition.
    Done {
        /// The command.
        command: Command,
        /// Where it took effect.
        slot: Slot,
        /// It had taken effect before.
        repeated: bool,
    },
    /// A session's command came before an earlier one: no effect.
    Gap {
        /// The command.
        command: Command,
    },
    /// A client has a session.
    Session {
        /// The registration.
        command: Command,
        /// Its id.
        id: Slot,
    },
    /// A disk has a node id.
    Node {
        /// The disk.
        disk: DiskId,
        /// Its id, from now on or since before.
        id: NodeId,
    },
}

/// The state after a prefix of the log.
#[derive(Clone, Debug)]
pub struct State {
    /// The last slot applied.
    pub slot: Slot,
    /// The chain at it.
    pub chain: Chain,
    /// The timestamp at it.
    pub timestamp: Timestamp,
    /// The configuration after it.
    pub configuration: Configuration,
    /// A hash over all outcomes: equal states have equal ones.
    pub digest: u64,
    /// By client and cid: where it took effect.
    effects: Vec<Vec<Option<Slot>>>,
    sessions: Vec<Session>,
    nodes: Vec<(DiskId, NodeId)>,
}

impl State {
    /// The state before the first entry.
    #[must_use]
    pub const fn new(configuration: Configuration) -> Self {
        Self {
            slot: Slot::GENESIS,
            chain: Chain::GENESIS,
            timestamp: Timestamp(0),
            configuration,
            digest: 0,
            effects: Vec::new(),
            sessions: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Applies the next entry.
    ///
    /// # Panics
    ///
    /// If it is not the next one: replicas hand entries over in order.
    pub fn apply(&mut self, entry: &Entry) -> Outcome {
        assert!(
            entry.slot == self.slot.next(),
            "applied in order, once, without a gap"
        );
        self.slot = entry.slot;
        self.chain = entry.chain;
        self.timestamp = entry.timestamp;
        let outcome = match entry.kind {
            EntryKind::Noop | EntryKind::Ready => Outcome::Nothing,
            EntryKind::Batch => {
                Command::decode(&entry.payload).map_or(Outcome::Nothing, |c| self.run(c))
            }
            EntryKind::Seal => {
                if let Some(seal) = Seal::decode(&entry.payload) {
                    self.configuration = seal.configuration(entry.slot);
                }
                Outcome::Nothing
            }
            EntryKind::RegisterNode => self.register_node(entry),
            EntryKind::RegisterSession => self.register_session(entry),
        };
        self.note(&outcome);
        outcome
    }

    /// Where a command took effect, if it did.
    #[must_use]
    pub fn effect(&self, client: u16, cid: u32) -> Option<Slot> {
        let of_client = self.effects.get(usize::from(client))?;
        of_client.get(cid as usize).copied().flatten()
    }

    /// The id of a disk, if it is registered.
    #[must_use]
    pub fn node_of(&self, disk: DiskId) -> Option<NodeId> {
        let known = self.nodes.iter().find(|(other, _)| *other == disk);
        known.map(|(_, id)| *id)
    }

    fn run(&mut self, command: Command) -> Outcome {
        if let Some(slot) = self.effect(command.client, command.cid) {
            return Outcome::Done {
                command,
                slot,
                repeated: true,
            };
        }
        if let Some((id, number)) = command.session {
            let session = self.sessions.iter_mut().find(|session| session.id == id);
            match session {
                Some(session) if session.client == command.client && session.last + 1 == number => {
                    session.last = number;
                }
                _ => return Outcome::Gap { command },
            }
        }
        self.set_effect(command);
        Outcome::Done {
            command,
            slot: self.slot,
            repeated: false,
        }
    }

    fn set_effect(&mut self, command: Command) {
        let (client, cid) = (usize::from(command.client), command.cid as usize);
        if self.effects.len() <= client {
            self.effects.resize(client + 1, Vec::new());
        }
        let of_client = &mut self.effects[client];
        if of_client.len() <= cid {
            of_client.resize(cid + 1, None);
        }
        of_client[cid] = Some(self.slot);
    }

    fn register_node(&mut self, entry: &Entry) -> Outcome {
        let Some(bytes) = entry.payload.first_chunk::<8>() else {
            return Outcome::Nothing;
        };
        let disk = DiskId(u64::from_le_bytes(*bytes));
        let id = self.node_of(disk).unwrap_or_else(|| {
            let id = NodeId(entry.slot.0);
            self.nodes.push((disk, id));
            id
        });
        Outcome::Node { disk, id }
    }

    fn register_session(&mut self, entry: &Entry) -> Outcome {
        let Some(command) = Command::decode(&entry.payload) else {
            return Outcome::Nothing;
        };
        let id = entry.slot;
        self.sessions.push(Session {
            id,
            client: command.client,
            last: 0,
        });
        Outcome::Session { command, id }
    }

    fn note(&mut self, outcome: &Outcome) {
        let number = match outcome {
            Outcome::Nothing => 1,
            Outcome::Done { command, slot, .. } => {
                slot.0 ^ u64::from(command.cid) << 24 ^ u64::from(command.client) << 48
            }
            Outcome::Gap { command } => 2 ^ u64::from(command.cid) << 24,
            Outcome::Session { id, .. } => 3 ^ id.0 << 8,
            Outcome::Node { disk, id } => disk.0 ^ id.0,
        };
        self.digest = (self.digest ^ number ^ self.slot.0)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(23);
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskId, Outcome, State};
    use crate::command::Command;
    use bytes::Bytes;
    use paxos::{Ballot, Configuration, Entry, EntryKind, NodeId, Slot, Timestamp};

    fn state() -> State {
        State::new(Configuration::first([NodeId(1)].into()))
    }

    fn apply(state: &mut State, kind: EntryKind, payload: Bytes) -> Outcome {
        let (slot, time) = (state.slot.next(), Timestamp(state.timestamp.0 + 1));
        let entry = Entry::new(state.chain, slot, Ballot::ZERO, kind, time, payload);
        state.apply(&entry)
    }

    fn batch(state: &mut State, cid: u32, session: Option<(Slot, u32)>) -> Outcome {
        let command = Command {
            client: 1,
            cid,
            session,
        };
        apply(state, EntryKind::Batch, command.encode(0))
    }

    #[test]
    fn a_repetition_gets_the_slot_of_the_first() {
        let mut state = state();
        batch(&mut state, 0, None);
        let digest = state.digest;
        let again = batch(&mut state, 0, None);
        assert!(matches!(
            again,
            Outcome::Done {
                slot: Slot::FIRST,
                repeated: true,
                ..
            }
        ));
        assert_ne!(state.digest, digest, "the slot is part of the digest");
    }

    #[test]
    fn a_session_takes_its_commands_in_order() {
        let mut state = state();
        let registration = Command {
            client: 1,
            cid: 0,
            session: None,
        };
        let id = match apply(
            &mut state,
            EntryKind::RegisterSession,
            registration.encode(0),
        ) {
            Outcome::Session { id, .. } => id,
            other => panic!("{other:?}"),
        };
        let early = batch(&mut state, 2, Some((id, 2)));
        assert!(matches!(early, Outcome::Gap { .. }), "its first is missing");
        for (cid, number) in [(1, 1), (2, 2)] {
            let done = batch(&mut state, cid, Some((id, number)));
            assert!(
                matches!(
                    done,
                    Outcome::Done {
                        repeated: false,
                        ..
                    }
                ),
                "{number}"
            );
        }
    }

    #[test]
    fn a_disk_keeps_its_first_id() {
        let mut state = state();
        let payload = Bytes::copy_from_slice(&77_u64.to_le_bytes());
        let first = apply(&mut state, EntryKind::RegisterNode, payload.clone());
        assert_eq!(
            first,
            Outcome::Node {
                disk: DiskId(77),
                id: NodeId(Slot::FIRST.0)
            }
        );
        assert_eq!(apply(&mut state, EntryKind::RegisterNode, payload), first);
    }
}
