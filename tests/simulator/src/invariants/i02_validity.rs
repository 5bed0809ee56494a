//! I2 Validity: what is decided was asked for.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.1: only a value that has been proposed may
//! be chosen. Clients ask for commands and sessions, hosts for ids, operators for voters.

use std::collections::BTreeSet;

use paxos::{Entry, EntryKind, NodeId, Seal};

use crate::command::Command;
use crate::state::DiskId;
use crate::violation::{Verdict, hold};

const NAME: &str = "I2";

/// Everything that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Validity {
    /// By client: the commands with lower cids.
    commands: Vec<u32>,
    disks: BTreeSet<DiskId>,
    voters: BTreeSet<BTreeSet<NodeId>>,
}

impl Validity {
    /// A client asks for something.
    pub fn on_command(&mut self, command: &Command) {
        let client = usize::from(command.client);
        if self.commands.len() <= client {
            self.commands.resize(client + 1, 0);
        }
        self.commands[client] = self.commands[client].max(command.cid + 1);
    }

    /// A host asks for an id for its disk.
    pub fn on_registration(&mut self, disk: DiskId) {
        self.disks.insert(disk);
    }

    /// An operator asks for other voters.
    pub fn on_reconfiguration(&mut self, voters: &BTreeSet<NodeId>) {
        self.voters.insert(voters.clone());
    }

    /// A node applies an entry.
    pub fn on_applied(&self, entry: &Entry) -> Verdict {
        let payload = &entry.payload;
        let asked = match entry.kind {
            EntryKind::Batch | EntryKind::RegisterSession => {
                Command::decode(payload).is_some_and(|command| self.knows(&command))
            }
            EntryKind::RegisterNode => payload
                .first_chunk::<8>()
                .is_some_and(|bytes| self.disks.contains(&DiskId(u64::from_le_bytes(*bytes)))),
            EntryKind::Seal => {
                Seal::decode(payload).is_some_and(|seal| self.voters.contains(&seal.voters))
            }
            EntryKind::Ready | EntryKind::Noop => payload.is_empty(),
        };
        let (slot, kind) = (entry.slot, entry.kind);
        hold!(NAME, asked, "nobody asked for the {kind:?} at {slot}");
        Ok(())
    }

    fn knows(&self, command: &Command) -> bool {
        let below = self.commands.get(usize::from(command.client));
        below.is_some_and(|below| command.cid < *below)
    }
}

#[cfg(test)]
mod tests {
    use super::Validity;
    use crate::invariants::testing::{ballot, broken, command, entry};
    use paxos::Chain;

    #[test]
    fn a_command_that_nobody_sent_breaks_it() {
        let mut validity = Validity::default();
        validity.on_command(&command(0));
        let applied = |cid| entry(Chain::GENESIS, 1, ballot(1, 1), command(cid).encode(0));
        assert_eq!(validity.on_applied(&applied(0)), Ok(()));
        assert_eq!(broken(validity.on_applied(&applied(1))), Some("I2"));
    }

    #[test]
    fn voters_that_nobody_named_break_it() {
        let mut validity = Validity::default();
        let voters = [paxos::NodeId(1), paxos::NodeId(2)].into();
        let seal = paxos::Seal {
            epoch: paxos::Epoch(2),
            starter: paxos::NodeId(1),
            voters,
        };
        let mut sealed = entry(Chain::GENESIS, 1, ballot(1, 1), seal.encode());
        sealed.kind = paxos::EntryKind::Seal;
        assert_eq!(broken(validity.on_applied(&sealed)), Some("I2"));
        validity.on_reconfiguration(&seal.voters);
        assert_eq!(validity.on_applied(&sealed), Ok(()));
    }
}
