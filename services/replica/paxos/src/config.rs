//! Who votes: the configuration of one epoch, and the `Seal` that names the next one.
//!
//! Lamport, Malkhi, Zhou, *Reconfiguring a State Machine*, and *Stoppable Paxos*: a
//! configuration is ended by a chosen stop command, and the next one is a function of the
//! prefix up to it, the same for all. Both forms here are stored and sent, so their encoding is
//! fixed and carries a version.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{Epoch, NodeId, Slot};
use crate::limits::VOTERS_MAX;

/// The format of both encodings. A reader refuses another one.
const VERSION: u8 = 1;

/// The voters of one epoch. Fixed for as long as the epoch lasts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Configuration {
    /// The epoch that this configuration is for.
    pub epoch: Epoch,
    /// The slot of the `Seal` that began the epoch; [`Slot::GENESIS`] for the first one. The
    /// epoch's own slots lie above it, its `Ready` at the next one.
    pub start: Slot,
    /// Its voters, 1 to [`crate::limits::VOTERS_MAX`].
    pub voters: BTreeSet<NodeId>,
}

impl Configuration {
    /// The first configuration of a cluster.
    #[must_use]
    pub const fn first(voters: BTreeSet<NodeId>) -> Self {
        Self {
            epoch: Epoch::FIRST,
            start: Slot::GENESIS,
            voters,
        }
    }

    /// The slot of the epoch's `Ready` entry: once it is decided, a quorum of these voters has
    /// the whole prefix on disk, and voters that left may be switched off. The first epoch needs
    /// none: its prefix is empty.
    #[must_use]
    pub const fn ready(&self) -> Slot {
        if self.epoch.0 <= Epoch::FIRST.0 {
            Slot::GENESIS
        } else {
            self.start.next()
        }
    }

    /// The bytes that are stored; [`Configuration::decode`] reads them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = header(self.epoch, self.start.0);
        put_voters(&mut bytes, &self.voters);
        Bytes::from(bytes)
    }

    /// Reads what [`Configuration::encode`] wrote; `None` if nothing could have written it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (epoch, start, voters) = parse(bytes)?;
        Some(Self {
            epoch,
            start: Slot(start),
            voters,
        })
    }
}

/// The payload of a `Seal`: the end of one epoch names the next one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Seal {
    /// The epoch that begins when this is chosen.
    pub epoch: Epoch,
    /// The only node that may lead it without phase 1, at round 0: usually the one that sealed.
    pub starter: NodeId,
    /// The voters of that epoch.
    pub voters: BTreeSet<NodeId>,
}

impl Seal {
    /// The configuration that begins when this is chosen at `slot`.
    #[must_use]
    pub fn configuration(&self, slot: Slot) -> Configuration {
        Configuration {
            epoch: self.epoch,
            start: slot,
            voters: self.voters.clone(),
        }
    }

    /// The payload of the entry.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = header(self.epoch, self.starter.0);
        put_voters(&mut bytes, &self.voters);
        Bytes::from(bytes)
    }

    /// Reads the payload of a `Seal` entry; `None` if no node could have proposed it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (epoch, starter, voters) = parse(bytes)?;
        Some(Self {
            epoch,
            starter: NodeId(starter),
            voters,
        })
    }
}

fn header(epoch: Epoch, number: u64) -> Vec<u8> {
    let mut bytes = Vec::from([VERSION]);
    bytes.extend_from_slice(&epoch.0.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes
}

fn put_voters(bytes: &mut Vec<u8>, voters: &BTreeSet<NodeId>) {
    for voter in voters {
        bytes.extend_from_slice(&voter.0.to_le_bytes());
    }
}

/// Version, epoch, a number, and the voters in rising order up to the end.
fn parse(bytes: &[u8]) -> Option<(Epoch, u64, BTreeSet<NodeId>)> {
    let (version, rest) = bytes.split_first()?;
    let (numbers, odd) = rest.as_chunks::<8>();
    if *version != VERSION || !odd.is_empty() {
        return None;
    }
    let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let (epoch, number) = (numbers.next()?, numbers.next()?);
    let nodes: Vec<NodeId> = numbers.map(NodeId).collect();
    let rising = nodes.iter().zip(nodes.iter().skip(1)).all(|(a, b)| a < b);
    let fits = (1..=VOTERS_MAX).contains(&nodes.len());
    (rising && fits).then(|| (Epoch(epoch), number, nodes.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::{Configuration, Seal};
    use crate::ids::{Epoch, NodeId, Slot};

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let voters = [NodeId(1), NodeId(3), NodeId(1030)].into();
        let seal = Seal {
            epoch: Epoch(2),
            starter: NodeId(3),
            voters,
        };
        assert_eq!(Seal::decode(&seal.encode()), Some(seal.clone()));
        let next = seal.configuration(Slot(2000));
        assert_eq!(Configuration::decode(&next.encode()), Some(next.clone()));
        assert_eq!(next.ready(), Slot(2001));
        let bytes = seal.encode();
        for cut in 0..bytes.len() {
            let whole_voters = cut >= 25 && (cut - 1).is_multiple_of(8);
            assert_eq!(Seal::decode(&bytes[..cut]).is_some(), whole_voters, "{cut}");
        }
        let mut other = bytes.to_vec();
        other[0] = 9;
        assert_eq!(Seal::decode(&other), None, "another version");
    }

    /// Two encodings of one set of voters would be two values with different chains.
    #[test]
    fn voters_are_written_in_rising_order_and_once() {
        let voter = |id: u64| id.to_le_bytes();
        let mut bytes = Seal {
            epoch: Epoch(2),
            starter: NodeId(1),
            voters: [NodeId(1)].into(),
        }
        .encode()
        .to_vec();
        bytes.extend_from_slice(&voter(1));
        assert_eq!(Seal::decode(&bytes), None, "one twice");
        bytes.truncate(bytes.len() - 8);
        bytes.extend_from_slice(&voter(0));
        assert_eq!(Seal::decode(&bytes), None, "falling");
        bytes.truncate(bytes.len() - 8);
        bytes.extend_from_slice(&voter(2));
        assert!(Seal::decode(&bytes).is_some(), "rising");
    }

    #[test]
    fn the_first_epoch_is_ready_from_the_beginning() {
        let first = Configuration::first([NodeId(1)].into());
        assert_eq!(first.ready(), Slot::GENESIS);
    }
}
