//! The first configuration of a cluster: checked before a disk takes it, and read back.

use std::collections::{BTreeMap, BTreeSet};

use paxos::config::Configuration;
use paxos::ids::NodeId;
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
    /// The id of a node that joined later is one of a first voter.
    #[error("node id {0} is one of the first voters', not of a node that joined later")]
    Joined(u64),
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
pub struct Founder {
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
    /// The voters of the first epoch. This node is one of them, or joined later.
    pub founders: BTreeMap<NodeId, Founder>,
    /// As it came over the wire.
    pub genesis: pb::Genesis,
}

impl Cluster {
    /// Checks a genesis, as the owner of `disk_id`, which it must name.
    pub fn of(genesis: pb::Genesis, disk_id: Uuid) -> Result<Self, Invalid> {
        Self::checked(genesis, disk_id, None)
    }

    /// Checks the genesis of a cluster that `disk_id` joined later, as `node`.
    pub fn joined(genesis: pb::Genesis, disk_id: Uuid, node: NodeId) -> Result<Self, Invalid> {
        if node <= NodeId::GENESIS_MAX {
            return Err(Invalid::Joined(node.0));
        }
        Self::checked(genesis, disk_id, Some(node))
    }

    fn checked(
        genesis: pb::Genesis,
        disk_id: Uuid,
        joined: Option<NodeId>,
    ) -> Result<Self, Invalid> {
        let cluster_id = Uuid::try_parse(&genesis.cluster_id)
            .map_err(|_| Invalid::ClusterId(genesis.cluster_id.clone()))?;
        let count = genesis.voters.len();
        if count == 0 || count > VOTERS_MAX {
            return Err(Invalid::Voters(count));
        }
        let mut founders = BTreeMap::new();
        let mut disks = BTreeSet::new();
        for voter in &genesis.voters {
            let node = NodeId(voter.node);
            if node == NodeId(0) || node > NodeId::GENESIS_MAX {
                return Err(Invalid::Node(voter.node));
            }
            let disk_id = Uuid::try_parse(&voter.disk_id)
                .map_err(|_| Invalid::Disk(voter.disk_id.clone()))?;
            let address = voter.address.clone();
            let founder = Founder { disk_id, address };
            if !disks.insert(disk_id) || founders.insert(node, founder).is_some() {
                return Err(Invalid::Twice);
            }
        }
        let own = founders
            .iter()
            .find(|(_, founder)| founder.disk_id == disk_id);
        let node = match (own, joined) {
            (Some((node, _)), None) => *node,
            (None, Some(node)) => node,
            (None, None) => return Err(Invalid::NotNamed(disk_id)),
            (Some(_), Some(_)) => return Err(Invalid::Twice),
        };
        let cluster_name = genesis.cluster_name.clone();
        let shard = genesis.shard;
        Ok(Self {
            cluster_id,
            cluster_name,
            shard,
            node,
            disk_id,
            founders,
            genesis,
        })
    }

    /// Reads back what the disk holds.
    pub fn from_disk(genesis: &wal::Genesis, disk_id: Uuid) -> Result<Self, Invalid> {
        let decoded = pb::Genesis::decode(genesis.bytes.as_ref())?;
        if genesis.node_id > NodeId::GENESIS_MAX {
            Self::joined(decoded, disk_id, genesis.node_id)
        } else {
            Self::of(decoded, disk_id)
        }
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

    /// What clients are told in `hello`, at least 1: higher in a cluster that was made from a
    /// backup than in the one before it.
    #[must_use]
    pub fn client_epoch(&self) -> u64 {
        self.genesis.client_epoch.max(1)
    }

    /// The first epoch.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        Configuration::first(self.founders.keys().copied().collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Cluster, Invalid};
    use paxos::ids::NodeId;
    use proto::v1 as pb;
    use uuid::Uuid;

    pub(crate) fn genesis(disks: &[Uuid]) -> pb::Genesis {
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
            client_epoch: 0,
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
    fn a_disk_that_joined_keeps_its_own_id_beside_the_genesis() {
        let (founder, mine) = (Uuid::new_v4(), Uuid::new_v4());
        let joined = Cluster::joined(genesis(&[founder]), mine, NodeId(1030)).expect("valid");
        assert!(!joined.configuration().voters.contains(&NodeId(1030)));
        let again = Cluster::from_disk(&joined.to_disk(), mine).expect("as stored");
        assert_eq!(again, joined);
        let low = Cluster::joined(genesis(&[founder]), mine, NodeId(2));
        assert_eq!(low, Err(Invalid::Joined(2)));
        // A founder is never somebody else, too.
        let twice = Cluster::joined(genesis(&[founder]), founder, NodeId(1030));
        assert_eq!(twice, Err(Invalid::Twice));
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
