//! The first configuration of a cluster. A disk accepts one, for ever.

use std::cmp::Ordering;

use proto::v1;
use serde::{Deserialize, Serialize};

use crate::limits::REPLICAS_MAX;

/// The random id of a replica's disk.
pub type DiskId = String;

/// The first configuration: equal on every disk that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Random, made once.
    pub cluster_id: String,
    /// The operator's name.
    pub cluster_name: String,
    /// Which shard.
    pub shard: u32,
    /// In the order of their node ids, 1 to N.
    pub voters: Vec<Voter>,
    /// What clients are told in `hello`, for a cluster that was made from a backup; 0: the
    /// first.
    #[serde(default)]
    pub client_epoch: u64,
}

/// A first voter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// 1 to 1023: ids that no slot of the log equals.
    pub node: u64,
    /// The disk that may vote under this id, and no other.
    pub disk_id: DiskId,
    /// Where it was when the cluster was formed.
    pub address: String,
}

impl Genesis {
    /// Names the disks 1 to N in the order of their addresses, so that people find r1 where
    /// they expect it: `replica-2` before `replica-10`, port 9 before port 10.
    #[must_use]
    pub fn new(cluster_id: String, cluster_name: String, disks: Vec<(DiskId, String)>) -> Self {
        assert!(
            (1..=REPLICAS_MAX).contains(&disks.len()),
            "{} voters",
            disks.len()
        );
        let mut disks = disks;
        disks.sort_by(|a, b| by_number(&a.1, &b.1).then_with(|| a.0.cmp(&b.0)));
        let voters = (1..)
            .zip(disks)
            .map(|(node, (disk_id, address))| Voter {
                node,
                disk_id,
                address,
            })
            .collect();
        Self {
            cluster_id,
            cluster_name,
            shard: 0,
            voters,
            client_epoch: 0,
        }
    }

    /// The voter with this disk.
    #[must_use]
    pub fn voter(&self, disk_id: &str) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.disk_id == disk_id)
    }

    /// What is wrong with it, if anything: it came over the network or from a file.
    pub fn check(&self) -> Result<(), String> {
        let count = self.voters.len();
        if self.cluster_id.is_empty() || !(1..=REPLICAS_MAX).contains(&count) {
            return Err(format!(
                "a genesis of cluster `{}`, {count} voters",
                self.cluster_id
            ));
        }
        for (index, voter) in self.voters.iter().enumerate() {
            let earlier = &self.voters[..index];
            if voter.node == 0 || voter.node > 1023 || voter.disk_id.is_empty() {
                return Err(format!(
                    "voter {} with disk `{}`",
                    voter.node, voter.disk_id
                ));
            }
            if earlier
                .iter()
                .any(|e| e.node == voter.node || e.disk_id == voter.disk_id)
            {
                return Err(format!("voter {} is named twice", voter.node));
            }
        }
        Ok(())
    }
}

impl From<v1::Genesis> for Genesis {
    fn from(wire: v1::Genesis) -> Self {
        let voters = wire.voters.into_iter().map(|voter| Voter {
            node: voter.node,
            disk_id: voter.disk_id,
            address: voter.address,
        });
        Self {
            cluster_id: wire.cluster_id,
            cluster_name: wire.cluster_name,
            shard: wire.shard,
            voters: voters.collect(),
            client_epoch: wire.client_epoch,
        }
    }
}

impl From<Genesis> for v1::Genesis {
    fn from(genesis: Genesis) -> Self {
        let voters = genesis.voters.into_iter().map(|voter| v1::GenesisVoter {
            node: voter.node,
            disk_id: voter.disk_id,
            address: voter.address,
        });
        Self {
            cluster_id: genesis.cluster_id,
            cluster_name: genesis.cluster_name,
            shard: genesis.shard,
            voters: voters.collect(),
            client_epoch: genesis.client_epoch,
        }
    }
}

/// Compares texts in which runs of digits are numbers.
pub(crate) fn by_number(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (a, rest_a) = piece(left);
        let (b, rest_b) = piece(right);
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order != Ordering::Equal || (a.is_empty() && b.is_empty()) {
            return order;
        }
        (left, right) = (rest_a, rest_b);
    }
}

/// The first run of digits or of non-digits, and the rest.
fn piece(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{Genesis, by_number};

    fn genesis(disks: &[(&str, &str)]) -> Genesis {
        let disks = disks
            .iter()
            .map(|(d, a)| ((*d).to_owned(), (*a).to_owned()))
            .collect();
        Genesis::new("c".to_owned(), "name".to_owned(), disks)
    }

    #[test]
    fn voters_are_numbered_in_the_order_that_people_expect() {
        let made = genesis(&[
            ("a", "h:10001"),
            ("b", "h:9999"),
            ("c", "g-10:1"),
            ("d", "g-2:1"),
        ]);
        let order: Vec<_> = made
            .voters
            .iter()
            .map(|v| (v.node, v.disk_id.as_str()))
            .collect();
        assert_eq!(order, [(1, "d"), (2, "c"), (3, "b"), (4, "a")]);
    }

    #[test]
    fn compares_numbers_by_value() {
        for (a, b) in [("a2", "a10"), ("a", "a1"), ("1:2", "1:10"), ("", "a")] {
            assert!(by_number(a, b).is_lt(), "{a} {b}");
            assert!(by_number(b, a).is_gt(), "{b} {a}");
            assert!(by_number(a, a).is_eq(), "{a}");
        }
    }

    /// Disks compare a genesis byte by byte: what passes through here must come out as it was.
    #[test]
    fn passes_the_wire_unchanged() {
        let mut made = genesis(&[("a", "x:1"), ("b", "x:2")]);
        for client_epoch in [0, 1_764_000_000] {
            made.client_epoch = client_epoch;
            let wire = proto::v1::Genesis::from(made.clone());
            assert_eq!(Genesis::from(wire), made);
        }
    }

    #[test]
    fn a_genesis_that_names_a_disk_twice_is_refused() {
        assert!(genesis(&[("a", "x:1"), ("b", "x:2")]).check().is_ok());
        assert!(genesis(&[("a", "x:1"), ("a", "x:2")]).check().is_err());
    }
}
