//! The first configuration of a cluster: checked before a disk takes it, and read back.

use std::collections::{BTreeMap, BTreeSet};

use paxos::config::Configuration;
use paxos::ids::{Epoch, NodeId};
use paxos::limits::VOTERS_MAX;
use prost::Message as _;
use proto::v1 as pb;
use uuid::Uuid;

/// Why a genesis is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The cluster's id is no UUID.
    #[error("its cluster id `{0}` is no UUID")]
    ClusterId(String),
    /// None, or too many.
    #[error("it names {0} voters, 1 to {VOTERS_MAX} are possible")]
    Voters(usize),
    /// A node id out of the range that is reserved for first voters.
    #[error("node id {0} is not in 1 to {max}", max = NodeId::GENESIS_MAX.0)]
    Node(u64),
    /// A disk id is no UUID.
    #[error("disk id `{0}` is no UUID")]
    Disk(String),
    /// Two voters have the same node or disk.
    #[error("it names a node or a disk twice")]
    Twice,
    /// It is for others.
    #[error("it does not name this disk, {0}")]
    NotNamed(Uuid),
    /// The bytes on disk cannot be decoded.
    #[error("it cannot be decoded: {0}")]
    Bytes(#[from] prost::DecodeError),
}

/// One voter of the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The only disk that may speak for the node.
    pub disk_id: Uuid,
    /// Where it was when the cluster was formed.
    pub address: String,
}

/// This node and the others, as the genesis names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The cluster.
    pub cluster_id: Uuid,
    /// Its name.
    pub cluster_name: String,
    /// The Paxos group.
    pub shard: u32,
    /// This node.
    pub node: NodeId,
    /// This disk.
    pub disk_id: Uuid,
    /// Everybody, this node included.
    pub voters: BTreeMap<NodeId, Voter>,
    /// As it came over the wire.
    pub genesis: pb::Genesis,
}

impl Cluster {
    /// Checks a genesis, as the owner of `disk_id`.
    pub fn of(genesis: pb::Genesis, disk_id: Uuid) -> Result<Self, Invalid> {
        let cluster_id = Uuid::try_parse(&genesis.cluster_id)
            .map_err(|_| Invalid::ClusterId(genesis.cluster_id.clone()))?;
        let count = genesis.voters.len();
        if count == 0 || count > VOTERS_MAX {
            return Err(Invalid::Voters(count));
        }
        let mut voters = BTreeMap::new();
        let mut disks = BTreeSet::new();
        for voter in &genesis.voters {
            let node = NodeId(voter.node);
            if node == NodeId(0) || node > NodeId::GENESIS_MAX {
                return Err(Invalid::Node(voter.node));
            }
            let disk_id = Uuid::try_parse(&voter.disk_id)
                .map_err(|_| Invalid::Disk(voter.disk_id.clone()))?;
            let address = voter.address.clone();
            if !disks.insert(disk_id) || voters.insert(node, Voter { disk_id, address }).is_some() {
                return Err(Invalid::Twice);
            }
        }
        let own = voters.iter().find(|(_, voter)| voter.disk_id == disk_id);
        let node = *own.ok_or(Invalid::NotNamed(disk_id))?.0;
        let cluster_name = genesis.cluster_name.clone();
        let shard = genesis.shard;
        Ok(Self {
            cluster_id,
            cluster_name,
            shard,
            node,
            disk_id,
            voters,
            genesis,
        })
    }

    /// Reads back what the disk holds.
    pub fn from_disk(genesis: &wal::Genesis, disk_id: Uuid) -> Result<Self, Invalid> {
        Self::of(pb::Genesis::decode(genesis.bytes.as_ref())?, disk_id)
    }

    /// What the disk is to hold.
    #[must_use]
    pub fn to_disk(&self) -> wal::Genesis {
        wal::Genesis {
            cluster_id: self.cluster_id,
            cluster_name: self.cluster_name.clone(),
            node_id: self.node,
            bytes: self.genesis.encode_to_vec().into(),
        }
    }

    /// The first epoch.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        Configuration {
            epoch: Epoch::FIRST,
            voters: self.voters.keys().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cluster, Invalid};
    use proto::v1 as pb;
    use uuid::Uuid;

    fn genesis(disks: &[Uuid]) -> pb::Genesis {
        let voters = disks.iter().zip(1..).map(|(disk, node)| pb::GenesisVoter {
            node,
            disk_id: disk.to_string(),
            address: format!("127.0.0.1:{node}"),
        });
        pb::Genesis {
            cluster_id: Uuid::new_v4().to_string(),
            cluster_name: "test".to_owned(),
            shard: 0,
            voters: voters.collect(),
        }
    }

    #[test]
    fn a_disk_reads_back_what_it_took() {
        let disks = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        let member = Cluster::of(genesis(&disks), disks[1]).expect("valid");
        assert_eq!(member.node.0, 2);
        let again = Cluster::from_disk(&member.to_disk(), disks[1]).expect("as stored");
        assert_eq!(again, member);
    }

    #[test]
    fn a_genesis_for_others_is_refused() {
        let stranger = Uuid::new_v4();
        let refused = Cluster::of(genesis(&[Uuid::new_v4()]), stranger);
        assert_eq!(refused, Err(Invalid::NotNamed(stranger)));
    }

    #[test]
    fn a_contradictory_genesis_is_refused() {
        let disk = Uuid::new_v4();
        assert_eq!(
            Cluster::of(genesis(&[disk, disk]), disk),
            Err(Invalid::Twice)
        );
        let mut high = genesis(&[disk]);
        high.voters[0].node = 1024;
        assert_eq!(Cluster::of(high, disk), Err(Invalid::Node(1024)));
        assert_eq!(Cluster::of(genesis(&[]), disk), Err(Invalid::Voters(0)));
    }
}
