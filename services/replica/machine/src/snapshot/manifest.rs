//! What a snapshot says of itself, on the wire and on the disk.

use paxos::config::Configuration;
use paxos::entry::Chain;
use paxos::ids::{Slot, Timestamp};
use prost::Message as _;
use proto::v1::SnapshotManifest;

use crate::{Applied, Error, limits};

/// What a snapshot is of, and how to know that it is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The prefix of the log whose effects the file has: slot, chain, time, configuration.
    pub applied: Applied,
    /// The format of the file ([`limits::FORMAT_VERSION`] of the program that made it).
    pub state_format: u32,
    /// Its size in bytes, 1 to [`limits::SNAPSHOT_BYTES_MAX`].
    pub length: u64,
    /// Its SHA-256. Two snapshots are the same when this is.
    pub sha256: [u8; 32],
}

impl Manifest {
    /// For the wire.
    #[must_use]
    pub fn to_wire(&self) -> SnapshotManifest {
        let applied = &self.applied;
        SnapshotManifest {
            version: limits::MANIFEST_VERSION,
            state_format: self.state_format,
            slot: applied.slot.0,
            chain: applied.chain.0.to_vec(),
            timestamp_ms: applied.timestamp.0,
            configuration: applied
                .configuration
                .as_ref()
                .map(|active| active.encode().to_vec()),
            length: self.length,
            sha256: self.sha256.to_vec(),
        }
    }

    /// From the wire.
    ///
    /// # Errors
    ///
    /// [`Error::BadManifest`]: no correct replica of this version made it, or it is of a state
    /// file that this program cannot read.
    pub fn from_wire(wire: &SnapshotManifest) -> Result<Self, Error> {
        let needed = limits::MANIFEST_VERSION;
        require(wire.version == needed, || {
            format!("version {} instead of {needed}", wire.version)
        })?;
        let oldest = limits::FORMAT_VERSION_OLDEST.unsigned_abs();
        let newest = limits::FORMAT_VERSION.unsigned_abs();
        require((oldest..=newest).contains(&wire.state_format), || {
            let found = wire.state_format;
            format!(
                "the state file has format {found}, this program reads formats {oldest} to {newest}"
            )
        })?;
        require(
            (1..=limits::SNAPSHOT_BYTES_MAX).contains(&wire.length),
            || format!("a length of {} bytes", wire.length),
        )?;
        let slot = Slot(wire.slot);
        require(slot >= Slot::GENESIS, || format!("no slot {slot}"))?;
        let configuration = match &wire.configuration {
            None => None,
            Some(bytes) => {
                let read = Configuration::decode(bytes);
                let read = read.filter(|active| active.start <= slot);
                Some(read.ok_or_else(|| bad("no configuration of that prefix".to_owned()))?)
            }
        };
        Ok(Self {
            applied: Applied {
                slot,
                chain: Chain(hash(&wire.chain, "chain")?),
                timestamp: Timestamp(wire.timestamp_ms),
                configuration,
            },
            state_format: wire.state_format,
            length: wire.length,
            sha256: hash(&wire.sha256, "sha256")?,
        })
    }

    /// For the disk.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    /// What [`Manifest::encode`] made; `None` if another program did.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let wire = SnapshotManifest::decode(bytes).ok()?;
        Self::from_wire(&wire).ok()
    }
}

fn hash(bytes: &[u8], field: &str) -> Result<[u8; 32], Error> {
    bytes
        .try_into()
        .map_err(|_| bad(format!("{field}: {} bytes instead of 32", bytes.len())))
}

fn require(holds: bool, found: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(bad(found())) }
}

const fn bad(found: String) -> Error {
    Error::BadManifest { found }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use paxos::ids::{Epoch, NodeId};

    use super::*;

    fn manifest(configuration: Option<Configuration>) -> Manifest {
        Manifest {
            applied: Applied {
                slot: Slot(2000),
                chain: Chain([7; 32]),
                timestamp: Timestamp(1_700_000_000_000),
                configuration,
            },
            state_format: limits::FORMAT_VERSION.unsigned_abs(),
            length: 8192,
            sha256: [9; 32],
        }
    }

    /// Property: what goes over the wire or onto the disk comes back, and nothing that no replica
    /// could have made is taken.
    #[test]
    fn only_what_was_made_is_read() {
        let second = Configuration {
            epoch: Epoch(2),
            start: Slot(1500),
            voters: BTreeSet::from([NodeId(1), NodeId(1030)]),
        };
        for made in [manifest(None), manifest(Some(second.clone()))] {
            assert_eq!(Manifest::from_wire(&made.to_wire()).unwrap(), made);
            assert_eq!(Manifest::decode(&made.encode()), Some(made));
        }
        let good = manifest(Some(second)).to_wire();
        let spoil: [fn(&mut SnapshotManifest); 10] = [
            |wire| wire.version = 0,
            |wire| wire.version += 1,
            |wire| wire.state_format += 1,
            |wire| wire.state_format = limits::FORMAT_VERSION_OLDEST.unsigned_abs() - 1,
            |wire| wire.slot = 1499,
            |wire| wire.length = 0,
            |wire| wire.length = u64::MAX,
            |wire| wire.chain = vec![0; 31],
            |wire| wire.sha256 = Vec::new(),
            |wire| wire.configuration = Some(vec![1, 2, 3]),
        ];
        for (index, spoil) in spoil.into_iter().enumerate() {
            let mut wire = good.clone();
            spoil(&mut wire);
            let error = Manifest::from_wire(&wire).unwrap_err();
            assert!(
                matches!(error, Error::BadManifest { .. }),
                "{index}: {error}"
            );
        }
        assert_eq!(Manifest::decode(b"\xff\xff"), None);
    }
}
