//! The nodes of the cluster: each disk that ever registered, with the id that it got.
//!
//! In: the payload of a `RegisterNode` entry. Out: [`Registration`], for the replica that
//! proposed it. Must hold: an id is the slot of the disk's first registration, so it is given
//! once and equals no other node's (section 2.10 of the design); a repetition answers the same
//! id. The ids of the first voters, up to [`NodeId::GENESIS_MAX`], are not here: the genesis
//! names them, and no slot equals one. Tests: tests/nodes.rs.

use std::collections::BTreeSet;

use bytes::Bytes;
use paxos::entry::Entry;
use paxos::ids::{NodeId, Slot};
use prost::Message as _;
use proto::v1::RegisterNode;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::error::Fault;
use crate::ids::{from_sql, to_sql};
use crate::{Error, limits};

/// A registered node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// The slot of its first registration. Never reused.
    pub node: NodeId,
    /// Its disk, for ever.
    pub disk_id: Uuid,
    /// Where the others reach it, `host:port`, as of its latest registration.
    pub address: String,
    /// The slot of its latest registration.
    pub updated: Slot,
}

/// What a `RegisterNode` entry did: the same on every replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The disk, as the entry names it: 16 bytes, unless that is why it was refused.
    pub disk_id: Bytes,
    /// The node's id, or why it got none.
    pub result: Result<Registered, NodeRefused>,
}

/// The id of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The slot of the first registration of this disk.
    pub node: NodeId,
    /// Whether this entry was that registration.
    pub is_new: bool,
}

/// Why a node is not registered. Nothing changed, and a repetition is refused as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NodeRefused {
    /// The disk id is no UUID.
    #[error("disk_id: {} bytes are needed", limits::DISK_ID_BYTES)]
    DiskId,
    /// The address is empty or longer than a host name and a port.
    #[error("address: 1 to {} bytes are needed", limits::NODE_ADDRESS_BYTES_MAX)]
    Address,
    /// As many disks as this program can remember have registered, ever.
    #[error("{} nodes have registered, which is the limit", limits::NODES_MAX)]
    TooMany,
}

/// The payload of an entry of kind `RegisterNode`. What is out of bounds is refused when it is
/// applied, so nothing needs to be checked before.
#[must_use]
pub fn encode_register_node(disk_id: Uuid, address: &str) -> Bytes {
    let payload = RegisterNode {
        version: limits::REGISTER_NODE_VERSION,
        disk_id: disk_id.as_bytes().to_vec(),
        address: address.to_owned(),
    };
    Bytes::from(payload.encode_to_vec())
}

/// Registers the node of the entry, or notes its new address.
pub(crate) fn register(connection: &Connection, entry: &Entry) -> Result<Registration, Fault> {
    let RegisterNode {
        disk_id, address, ..
    } = decode(entry)?;
    let result = match Uuid::from_slice(&disk_id) {
        Err(_) => Err(NodeRefused::DiskId),
        Ok(_) if !(1..=limits::NODE_ADDRESS_BYTES_MAX).contains(&address.len()) => {
            Err(NodeRefused::Address)
        }
        Ok(disk) => upsert(connection, entry, disk, &address)?,
    };
    let disk_id = Bytes::from(disk_id);
    Ok(Registration { disk_id, result })
}

fn decode(entry: &Entry) -> Result<RegisterNode, Error> {
    let slot = entry.slot;
    let payload = RegisterNode::decode(entry.payload.clone())
        .map_err(|source| Error::Unreadable { slot, source })?;
    let known = limits::REGISTER_NODE_VERSION;
    // 0 is what a payload without a version decodes to: nobody makes one.
    if !(1..=known).contains(&payload.version) {
        return Err(Error::UnknownVersion {
            slot,
            found: payload.version,
            known,
        });
    }
    Ok(payload)
}

fn upsert(
    connection: &Connection,
    entry: &Entry,
    disk: Uuid,
    address: &str,
) -> Result<Result<Registered, NodeRefused>, Fault> {
    if let Some(known) = by_disk(connection, disk)? {
        connection
            .prepare_cached("UPDATE nodes SET address = ?2, updated_slot = ?3 WHERE node = ?1")?
            .execute(params![to_sql(known.node.0), address, to_sql(entry.slot.0)])?;
        return Ok(Ok(Registered {
            node: known.node,
            is_new: false,
        }));
    }
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM nodes")?
        .query_row([], |row| row.get(0))?;
    if from_sql(count) >= limits::NODES_MAX as u64 {
        return Ok(Err(NodeRefused::TooMany));
    }
    let node = NodeId(entry.slot.0);
    assert!(
        node > NodeId::GENESIS_MAX,
        "slots lie above the ids of the first voters"
    );
    connection
        .prepare_cached(
            "INSERT INTO nodes (node, disk_id, address, updated_slot, created_ms)
             VALUES (?1, ?2, ?3, ?1, ?4)",
        )?
        .execute(params![
            to_sql(node.0),
            disk.as_bytes(),
            address,
            to_sql(entry.timestamp.0)
        ])?;
    Ok(Ok(Registered { node, is_new: true }))
}

const COLUMNS: &str = "SELECT node, disk_id, address, updated_slot FROM nodes";

fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    Ok(Node {
        node: NodeId(from_sql(row.get(0)?)),
        disk_id: Uuid::from_bytes(row.get(1)?),
        address: row.get(2)?,
        updated: Slot(from_sql(row.get(3)?)),
    })
}

/// The node of this disk.
pub(crate) fn by_disk(connection: &Connection, disk: Uuid) -> rusqlite::Result<Option<Node>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE disk_id = ?1"))?
        .query_row([disk.as_bytes()], node)
        .optional()
}

/// All nodes, by id; at most [`limits::NODES_MAX`].
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Node>> {
    connection
        .prepare_cached(&format!("{COLUMNS} ORDER BY node"))?
        .query_map([], node)?
        .collect()
}

/// Those of `nodes` that are neither first voters nor registered.
pub(crate) fn unknown(
    connection: &Connection,
    nodes: &BTreeSet<NodeId>,
) -> rusqlite::Result<BTreeSet<NodeId>> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM nodes WHERE node = ?1")?;
    let mut unknown = BTreeSet::new();
    for &node in nodes {
        if node > NodeId::GENESIS_MAX && !statement.exists([to_sql(node.0)])? {
            unknown.insert(node);
        }
    }
    Ok(unknown)
}
