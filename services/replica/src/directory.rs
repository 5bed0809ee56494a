//! Who is of the cluster, by which disk, and where each was last known to be.
//!
//! In: the genesis, the registrations in the log, what nodes say of themselves when they connect,
//! membership's list. Out: who may speak for a node, and where to dial it. Must hold: a node is
//! one disk for ever (section 2.10); what the genesis or the log says of a disk is never
//! overruled by anybody. Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use paxos::ids::NodeId;
use paxos::limits::CONTACTS_MAX;
use proto::v1 as pb;
use uuid::Uuid;

use crate::genesis::Cluster;
use crate::limits::HINTS_MAX;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The only disk that may speak for it.
    pub(crate) disk_id: Uuid,
    /// host:port.
    pub(crate) address: String,
    /// Whether the genesis or the log says so; else it is membership's word, good enough to talk
    /// to a node of which this replica's log does not know yet.
    certain: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Directory {
    me: NodeId,
    nodes: RwLock<BTreeMap<NodeId, Known>>,
    /// The highest version of batches that each node's program understands, as it said when it
    /// last dialled this process.
    programs: RwLock<BTreeMap<NodeId, u32>>,
}

impl Directory {
    /// What the disk knows: the genesis, the registrations, and the addresses used last.
    pub(crate) fn new(cluster: &Cluster, registered: &[machine::Node], used: &wal::Peers) -> Self {
        let founders = cluster
            .founders
            .iter()
            .map(|(node, founder)| (*node, founder.disk_id, &founder.address));
        let joined = registered
            .iter()
            .map(|node| (node.node, node.disk_id, &node.address));
        let known = |(node, disk_id, address): (NodeId, Uuid, &String)| {
            let address = used.get(&node).unwrap_or(address).clone();
            let known = Known {
                disk_id,
                address,
                certain: true,
            };
            (node, known)
        };
        Self {
            me: cluster.node,
            nodes: RwLock::new(founders.chain(joined).map(known).collect()),
            programs: RwLock::default(),
        }
    }

    /// The disk that may speak for a node.
    pub(crate) fn disk_of(&self, node: NodeId) -> Option<Uuid> {
        self.read().get(&node).map(|known| known.disk_id)
    }

    /// Where a node is reached.
    pub(crate) fn address_of(&self, node: NodeId) -> Option<String> {
        let address = self.read().get(&node).map(|known| known.address.clone());
        address.filter(|address| !address.is_empty())
    }

    /// All that are known, this one included.
    pub(crate) fn all(&self) -> Vec<(NodeId, Known)> {
        let nodes = self.read();
        nodes
            .iter()
            .map(|(node, known)| (*node, known.clone()))
            .collect()
    }

    /// A registration was applied.
    pub(crate) fn note_registered(&self, node: NodeId, disk_id: Uuid, address: &str) {
        let known = Known {
            disk_id,
            address: address.to_owned(),
            certain: true,
        };
        self.write().insert(node, known);
    }

    /// A node, whose disk was checked, says where it is. True when that is news.
    pub(crate) fn note_address(&self, node: NodeId, address: &str) -> bool {
        if !is_address(address) {
            return false;
        }
        let mut nodes = self.write();
        let Some(known) = nodes.get_mut(&node) else {
            return false;
        };
        let news = known.address != address;
        if news {
            address.clone_into(&mut known.address);
        }
        news
    }

    /// A node, whose disk was checked, says which batches its program understands.
    pub(crate) fn note_program(&self, node: NodeId, batch_version: u32) {
        let mut programs = self
            .programs
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        programs.insert(node, batch_version);
    }

    /// Whether all of these nodes have said that they understand batches of this version. This
    /// one does.
    pub(crate) fn all_understand(&self, nodes: &BTreeSet<NodeId>, batch_version: u32) -> bool {
        let programs = self.programs.read().unwrap_or_else(PoisonError::into_inner);
        let understands = |node: &NodeId| {
            let said = programs.get(node).copied();
            *node == self.me || said.is_some_and(|version| version >= batch_version)
        };
        nodes.iter().all(understands)
    }

    /// Membership's list. True when a certain node moved.
    pub(crate) fn note_hints(&self, servers: &[pb::Server]) -> bool {
        let mut news = false;
        let mut nodes = self.write();
        for server in servers {
            let node = NodeId(server.node);
            let Ok(disk_id) = Uuid::try_parse(&server.disk_id) else {
                continue;
            };
            if node == NodeId(0) || node == self.me || !is_address(&server.address) {
                continue;
            }
            let has_room = nodes.len() < HINTS_MAX;
            match nodes.get_mut(&node) {
                // A node is one disk for ever: an address of another one is not its address.
                Some(known) if known.disk_id != disk_id && known.certain => {}
                Some(known) => {
                    news |= known.certain && known.address != server.address;
                    known.disk_id = disk_id;
                    known.address.clone_from(&server.address);
                }
                // First voters are in the genesis, which is complete.
                None if node <= NodeId::GENESIS_MAX || !has_room => {}
                None => {
                    let known = Known {
                        disk_id,
                        address: server.address.clone(),
                        certain: false,
                    };
                    nodes.insert(node, known);
                }
            }
        }
        news
    }

    /// Nodes to ask when the voters are silent: the latest ones know most. Where a later node is,
    /// an earlier one was: its disk is gone, and whoever asks for it there is refused.
    pub(crate) fn contacts(&self, voters: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let nodes = self.read();
        let mut places = BTreeSet::new();
        let others = nodes
            .iter()
            .rev()
            .filter(|(_, known)| places.insert(known.address.as_str()))
            .map(|(node, _)| *node);
        others
            .filter(|node| *node != self.me && !voters.contains(node))
            .take(CONTACTS_MAX)
            .collect()
    }

    /// The addresses, for the next start.
    pub(crate) fn addresses(&self) -> wal::Peers {
        let nodes = self.read();
        let others = nodes.iter().rev().filter(|(node, _)| **node != self.me);
        others
            .map(|(node, known)| (*node, known.address.clone()))
            .take(wal::limits::PEERS_MAX)
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<NodeId, Known>> {
        // Every change is whole before the guard is dropped.
        self.nodes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<NodeId, Known>> {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it may be one, and can be stored.
const fn is_address(address: &str) -> bool {
    !address.is_empty() && address.len() <= machine::limits::NODE_ADDRESS_BYTES_MAX
}

const _: () = assert!(
    machine::limits::NODE_ADDRESS_BYTES_MAX <= wal::limits::ADDRESS_BYTES_MAX,
    "every address can be remembered"
);

#[cfg(test)]
mod tests {
    use super::{Directory, NodeId, Uuid, pb};
    use crate::genesis::{Cluster, tests::genesis};

    fn server(node: u64, disk: Uuid, address: &str) -> pb::Server {
        pb::Server {
            node,
            disk_id: disk.to_string(),
            address: address.to_owned(),
            ..pb::Server::default()
        }
    }

    #[test]
    fn an_address_changes_and_a_disk_does_not() {
        let disks = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let cluster = Cluster::of(genesis(&disks), disks[0]).expect("valid");
        let directory = Directory::new(&cluster, &[], &wal::Peers::new());
        let two = NodeId(2);
        assert!(directory.note_hints(&[server(2, disks[1], "moved:1")]));
        assert_eq!(directory.address_of(two).as_deref(), Some("moved:1"));
        assert!(!directory.note_hints(&[server(2, Uuid::from_u128(9), "thief:1")]));
        assert_eq!(directory.address_of(two).as_deref(), Some("moved:1"));
        assert_eq!(directory.disk_of(two), Some(disks[1]));
        // A first voter that the genesis does not name cannot be.
        directory.note_hints(&[server(3, Uuid::from_u128(3), "h:3")]);
        assert_eq!(directory.disk_of(NodeId(3)), None);
    }

    /// Property: a program that has not said what it understands, or that was put back to an
    /// earlier one, is sent nothing that it may not know.
    #[test]
    fn a_program_is_what_it_said_last() {
        let disks = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let cluster = Cluster::of(genesis(&disks), disks[0]).expect("valid");
        let directory = Directory::new(&cluster, &[], &wal::Peers::new());
        let (one, two) = (NodeId(1), NodeId(2));
        assert!(directory.all_understand(&[one].into(), 3));
        assert!(!directory.all_understand(&[one, two].into(), 3));
        directory.note_program(two, 3);
        assert!(directory.all_understand(&[one, two].into(), 3));
        directory.note_program(two, 0);
        assert!(!directory.all_understand(&[one, two].into(), 3));
    }

    #[test]
    fn a_rumoured_node_is_overruled_by_the_log() {
        let disks = [Uuid::from_u128(1)];
        let cluster = Cluster::of(genesis(&disks), disks[0]).expect("valid");
        let directory = Directory::new(&cluster, &[], &wal::Peers::new());
        let joined = NodeId(1030);
        directory.note_hints(&[server(1030, Uuid::from_u128(7), "h:7")]);
        assert_eq!(directory.disk_of(joined), Some(Uuid::from_u128(7)));
        directory.note_registered(joined, Uuid::from_u128(8), "h:8");
        directory.note_hints(&[server(1030, Uuid::from_u128(7), "h:7")]);
        assert_eq!(directory.disk_of(joined), Some(Uuid::from_u128(8)));
        assert_eq!(directory.contacts(&[NodeId(1)].into()), [joined].into());
        assert!(directory.note_address(joined, "h:9"));
        assert_eq!(directory.addresses()[&joined], "h:9");
        // A new disk in its place: nobody asks there for the old one.
        let (later, voters) = (NodeId(1040), [NodeId(1)].into());
        directory.note_registered(later, Uuid::from_u128(9), "h:9");
        assert_eq!(directory.contacts(&voters), [later].into());
        assert!(directory.note_address(later, "h:10"));
        assert_eq!(directory.contacts(&voters), [joined, later].into());
    }
}
