//! One row of the log: what a slot holds, under which ballot, with its checks.
//!
//! `crc` protects one row on the wire and on disk. `chain` ties the row to the whole prefix
//! below it: the leader of a ballot knows that prefix when it proposes, every replica verifies
//! it when the slot is decided, and a difference is a divergence: the replica halts.

use bytes::Bytes;
use core::fmt;
use sha2::{Digest, Sha256};

use crate::ids::{Ballot, Slot, Timestamp};

/// What an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum EntryKind {
    /// Nothing; fills a slot.
    Noop = 0,
    /// Commands of clients, one vote for all of them.
    Batch = 1,
    /// The end of an epoch; the payload is the next configuration.
    Seal = 2,
    /// The first entry of an epoch: a quorum of its voters holds the prefix.
    Ready = 3,
    /// A node gets an id: this slot.
    RegisterNode = 4,
    /// A client session gets an id: this slot.
    RegisterSession = 5,
}

impl EntryKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Noop,
            1 => Self::Batch,
            2 => Self::Seal,
            3 => Self::Ready,
            4 => Self::RegisterNode,
            5 => Self::RegisterSession,
            _ => return None,
        })
    }
}

/// SHA-256 over the decided prefix up to and including a slot (docs/adr/0001).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain of the empty prefix.
    pub const GENESIS: Self = Self([0; 32]);

    /// The chain after an entry with these values. The ballot is not part of it: replicas may
    /// hold the same chosen value under different ballots.
    #[must_use]
    pub fn extend(self, slot: Slot, kind: EntryKind, timestamp: Timestamp, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(slot.0.to_le_bytes());
        hash.update([kind as u8]);
        hash.update(timestamp.0.to_le_bytes());
        hash.update((payload.len() as u64).to_le_bytes());
        hash.update(payload);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Chain {
    /// The first 8 bytes in hexadecimal: enough to compare by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One row of the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// Its position.
    pub slot: Slot,
    /// The ballot under which it was accepted.
    pub ballot: Ballot,
    /// What it is for.
    pub kind: EntryKind,
    /// The proposing leader's clock.
    pub timestamp: Timestamp,
    /// Opaque to the protocol.
    pub payload: Bytes,
    /// The prefix up to and including this entry.
    pub chain: Chain,
    /// CRC-32 over all fields above, made by the proposing leader.
    pub crc: u32,
}

impl Entry {
    /// Makes an entry that follows the prefix `previous`.
    #[must_use]
    pub fn new(
        previous: Chain,
        slot: Slot,
        ballot: Ballot,
        kind: EntryKind,
        timestamp: Timestamp,
        payload: Bytes,
    ) -> Self {
        let chain = previous.extend(slot, kind, timestamp, &payload);
        let mut entry = Self {
            slot,
            ballot,
            kind,
            timestamp,
            payload,
            chain,
            crc: 0,
        };
        entry.crc = entry.computed_crc();
        entry
    }

    /// The same value under another ballot and after `previous`: what a new leader re-proposes.
    /// Slot, kind, timestamp and payload stay; chain and CRC are computed anew.
    #[must_use]
    pub fn reproposed(&self, previous: Chain, ballot: Ballot) -> Self {
        Self::new(
            previous,
            self.slot,
            ballot,
            self.kind,
            self.timestamp,
            self.payload.clone(),
        )
    }

    /// Whether the row is as its leader made it: checked by who reads it from a disk or a stream.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.crc == self.computed_crc()
    }

    /// Whether this entry follows the prefix `previous`, which it does under every ballot or none.
    #[must_use]
    pub fn follows(&self, previous: Chain) -> bool {
        self.chain == previous.extend(self.slot, self.kind, self.timestamp, &self.payload)
    }

    /// The space that this row takes in a window or a message, in bytes, with a bound for its
    /// fixed fields.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.payload
            .len()
            .saturating_add(crate::limits::ENTRY_OVERHEAD_BYTES)
    }

    /// Whether size and time are such as a leader makes.
    #[must_use]
    pub fn fits_limits(&self) -> bool {
        self.payload.len() <= crate::limits::BATCH_BYTES_MAX
            && self.timestamp <= crate::limits::TIMESTAMP_MAX
    }

    fn computed_crc(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.slot.0.to_le_bytes());
        hasher.update(&self.ballot.epoch.0.to_le_bytes());
        hasher.update(&self.ballot.round.0.to_le_bytes());
        hasher.update(&self.ballot.node.0.to_le_bytes());
        hasher.update(&[self.kind as u8]);
        hasher.update(&self.timestamp.0.to_le_bytes());
        hasher.update(&self.chain.0);
        hasher.update(&self.payload);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Chain, Entry, EntryKind};
    use crate::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
    use crate::limits::{BATCH_BYTES_MAX, TIMESTAMP_MAX};

    fn entry() -> Entry {
        let ballot = Ballot {
            epoch: Epoch(2),
            round: Round(3),
            node: NodeId(4),
        };
        Entry::new(
            Chain([7; 32]),
            Slot(1030),
            ballot,
            EntryKind::Batch,
            Timestamp(99),
            Bytes::from_static(b"hello"),
        )
    }

    /// Its discriminant is what disks and messages carry.
    #[test]
    fn a_kind_is_read_as_it_was_written() {
        use EntryKind::{Batch, Noop, Ready, RegisterNode, RegisterSession, Seal};
        let kinds = [Noop, Batch, Seal, Ready, RegisterNode, RegisterSession];
        for (number, kind) in (0..).zip(kinds) {
            assert_eq!(kind as u8, number);
            assert_eq!(EntryKind::from_u8(number), Some(kind));
        }
        assert_eq!(EntryKind::from_u8(6), None);
    }

    /// A change of any field shows: rows are believed by their CRC alone until they are decided.
    #[test]
    fn no_field_can_change_unseen() {
        let row = entry();
        assert!(row.is_intact());
        let changes: [fn(&mut Entry); 9] = [
            |row| row.slot.0 += 1,
            |row| row.ballot.epoch.0 += 1,
            |row| row.ballot.round.0 += 1,
            |row| row.ballot.node.0 += 1,
            |row| row.kind = EntryKind::Noop,
            |row| row.timestamp.0 += 1,
            |row| row.payload = Bytes::from_static(b"hellO"),
            |row| row.chain.0[31] ^= 1,
            |row| row.crc ^= 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = row.clone();
            change(&mut changed);
            assert!(!changed.is_intact(), "change {number}");
        }
    }

    #[test]
    fn the_chain_ties_a_row_to_its_prefix_under_any_ballot() {
        let row = entry();
        assert!(row.follows(Chain([7; 32])));
        assert!(!row.follows(Chain([8; 32])));
        let again = row.reproposed(Chain([7; 32]), Ballot::ZERO);
        assert_eq!(again.chain, row.chain);
        assert!(again.is_intact() && again.ballot == Ballot::ZERO);
    }

    #[test]
    fn a_leader_makes_neither_larger_nor_later_rows() {
        let with = |payload: usize, timestamp| {
            let payload = Bytes::from(alloc::vec![0; payload]);
            Entry {
                payload,
                timestamp,
                ..entry()
            }
            .fits_limits()
        };
        assert!(with(BATCH_BYTES_MAX, TIMESTAMP_MAX));
        assert!(!with(BATCH_BYTES_MAX + 1, TIMESTAMP_MAX));
        assert!(!with(BATCH_BYTES_MAX, Timestamp(TIMESTAMP_MAX.0 + 1)));
    }
}
