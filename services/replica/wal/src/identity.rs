//! Who this disk is: disk id, genesis, promise, active configuration. One row, kept twice.
//!
//! Reads and writes: tables `meta_a` and `meta_b`. Must hold: a promise and an identity are
//! never guessed; when neither copy can be trusted the identity is dead (section 2.9).
//! Tested in: `tests/damage.rs`.

use std::path::Path;

use bytes::Bytes;
use paxos::config::Configuration;
use paxos::entry::Chain;
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::error::Error;

/// What the members of a cluster agree on before anybody votes, as this node knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// The cluster, drawn at random when it was formed.
    pub cluster_id: Uuid,
    /// Its name in the operator's configuration.
    pub cluster_name: String,
    /// This node.
    pub node_id: NodeId,
    /// The rest (voters with their disk ids and addresses); opaque to this crate.
    pub bytes: Bytes,
}

/// Who this disk is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Drawn once, when log.db was made. A node id is tied to it.
    pub disk_id: Uuid,
    /// The cluster and the node, once known. One for ever.
    pub genesis: Option<Genesis>,
    /// Whether all founders are known to hold the genesis, so that voting is allowed.
    pub confirmed: bool,
}

/// The doubled row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    /// +1 per change: tells the later copy when the disk lost a write.
    pub(crate) revision: u64,
    /// Who this disk is.
    pub(crate) identity: Identity,
    /// The promise (rule D1).
    pub(crate) promised: Ballot,
    /// The configuration of the active epoch (rule D7); `None`: none beyond the genesis' one.
    pub(crate) configuration: Option<Configuration>,
    /// The rows up to here are gone, or wait for their deletion.
    pub(crate) compacted_to: Slot,
    /// The snapshot that state.db is being swapped for.
    pub(crate) incoming: Option<(Slot, Chain)>,
}

/// The tables of the two copies.
const TABLES: [&str; 2] = ["meta_a", "meta_b"];

impl Meta {
    /// A disk without a past.
    pub(crate) fn new(disk_id: Uuid) -> Self {
        Self {
            revision: 1,
            identity: Identity {
                disk_id,
                genesis: None,
                confirmed: false,
            },
            promised: Ballot::ZERO,
            configuration: None,
            compacted_to: Slot::GENESIS,
            incoming: None,
        }
    }

    fn crc(&self) -> u32 {
        let configuration = self.configuration.as_ref().map(Configuration::encode);
        self.crc_with(|field| {
            field(configuration.as_deref().unwrap_or_default());
            field(&self.compacted_to.0.to_le_bytes());
            if let Some((slot, chain)) = &self.incoming {
                field(&slot.0.to_le_bytes());
                field(&chain.0);
            }
        })
    }

    /// The checksum over the columns that all formats have, and then `rest`.
    pub(crate) fn crc_with(&self, rest: impl FnOnce(&mut dyn FnMut(&[u8]))) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let mut field = |bytes: &[u8]| {
            // With its length, so that no two rows run together to the same bytes.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(&self.revision.to_le_bytes());
        field(self.identity.disk_id.as_bytes());
        if let Some(genesis) = &self.identity.genesis {
            field(genesis.cluster_id.as_bytes());
            field(genesis.cluster_name.as_bytes());
            field(&genesis.node_id.0.to_le_bytes());
            field(&genesis.bytes);
        }
        field(&[u8::from(self.identity.confirmed)]);
        field(&self.promised.epoch.0.to_le_bytes());
        field(&self.promised.round.0.to_le_bytes());
        field(&self.promised.node.0.to_le_bytes());
        rest(&mut field);
        hasher.finalize()
    }
}

/// Writes both copies, inside the caller's transaction.
pub(crate) fn store(connection: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    let genesis = meta.identity.genesis.as_ref();
    let configuration = meta.configuration.as_ref().map(Configuration::encode);
    for table in TABLES {
        let sql = format!(
            "INSERT OR REPLACE INTO {table} (id, revision, disk_id, cluster_id, cluster_name, \
             node_id, genesis, confirmed, promised_epoch, promised_round, promised_node, \
             configuration, compacted_to, incoming_slot, incoming_chain, crc) \
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        );
        connection.prepare_cached(&sql)?.execute(params![
            meta.revision.cast_signed(),
            meta.identity.disk_id.to_string(),
            genesis.map(|g| g.cluster_id.to_string()),
            genesis.map(|g| g.cluster_name.as_str()),
            genesis.map(|g| g.node_id.0.cast_signed()),
            genesis.map(|g| g.bytes.as_ref()),
            meta.identity.confirmed,
            meta.promised.epoch.0.cast_signed(),
            meta.promised.round.0.cast_signed(),
            meta.promised.node.0.cast_signed(),
            configuration.as_deref(),
            meta.compacted_to.0.cast_signed(),
            meta.incoming.map(|(slot, _)| slot.0.cast_signed()),
            meta.incoming.map(|(_, chain)| chain.0),
            meta.crc(),
        ])?;
    }
    Ok(())
}

/// Reads the copies. The flag says that one of them must be written again.
pub(crate) fn load(connection: &Connection, path: &Path) -> Result<(Meta, bool), Error> {
    choose(TABLES.map(|table| read_copy(connection, table)), path)
}

/// Takes the copy that counts.
pub(crate) fn choose(
    [a, b]: [Result<Meta, String>; 2],
    path: &Path,
) -> Result<(Meta, bool), Error> {
    let dead = |why: String| Error::IdentityDead {
        path: path.to_path_buf(),
        why,
    };
    match (a, b) {
        (Ok(a), Ok(b)) if a == b => Ok((a, false)),
        // Both are whole but one is older: the disk lost a write. The later one was committed,
        // or it would not be here.
        (Ok(a), Ok(b)) if a.revision != b.revision && a.identity.disk_id == b.identity.disk_id => {
            let later = if a.revision > b.revision { a } else { b };
            tracing::warn!(
                path = %path.display(), revision = later.revision,
                "one copy of the identity is older than the other: the disk lost a write; \
                 the later copy is used and the other one rewritten; check the disk"
            );
            Ok((later, true))
        }
        (Ok(_), Ok(_)) => Err(dead(
            "its two copies are whole but contradict each other".into(),
        )),
        (Ok(meta), Err(why)) | (Err(why), Ok(meta)) => {
            tracing::warn!(
                path = %path.display(), %why,
                "one copy of the identity is damaged: repaired from the other; check the disk"
            );
            Ok((meta, true))
        }
        (Err(a), Err(b)) => Err(dead(format!("first copy: {a}; second copy: {b}"))),
    }
}

/// Reads one copy; the text says why it cannot be trusted.
fn read_copy(connection: &Connection, table: &str) -> Result<Meta, String> {
    let sql = format!(
        "SELECT revision, disk_id, cluster_id, cluster_name, node_id, genesis, confirmed, \
         promised_epoch, promised_round, promised_node, compacted_to, configuration, \
         incoming_slot, incoming_chain, crc FROM {table} WHERE id = 1"
    );
    let read = connection.query_row(&sql, [], |row| Ok((decode(row)?, row.get::<_, u32>(14)?)));
    checked(read, Meta::crc)
}

/// Compares the stored checksum with the computed one.
pub(crate) fn checked(
    read: rusqlite::Result<(Option<Meta>, u32)>,
    computed: impl FnOnce(&Meta) -> u32,
) -> Result<Meta, String> {
    match read {
        Ok((Some(meta), crc)) if computed(&meta) == crc => Ok(meta),
        Ok((Some(_), _)) => Err("its checksum is wrong".to_owned()),
        Ok((None, _)) => Err("its columns make no sense together".to_owned()),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err("it is missing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts the columns together; `None` when no `store` could have written them.
fn decode(row: &Row<'_>) -> rusqlite::Result<Option<Meta>> {
    let Some(mut meta) = decode_common(row)? else {
        return Ok(None);
    };
    if let Some(bytes) = row.get::<_, Option<Vec<u8>>>(11)? {
        let Some(configuration) = Configuration::decode(&bytes) else {
            return Ok(None);
        };
        meta.configuration = Some(configuration);
    }
    meta.incoming = match (
        row.get::<_, Option<i64>>(12)?,
        row.get::<_, Option<[u8; 32]>>(13)?,
    ) {
        (Some(slot), Some(chain)) => Some((Slot(slot.cast_unsigned()), Chain(chain))),
        (None, None) => None,
        _ => return Ok(None),
    };
    Ok(Some(meta))
}

/// The columns that all formats have, in the order in which they are selected.
pub(crate) fn decode_common(row: &Row<'_>) -> rusqlite::Result<Option<Meta>> {
    let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let Ok(disk_id) = Uuid::try_parse(row.get_ref(1)?.as_str()?) else {
        return Ok(None);
    };
    let genesis = match (
        row.get::<_, Option<String>>(2)?
            .map(|id| Uuid::try_parse(&id)),
        row.get::<_, Option<String>>(3)?,
        row.get::<_, Option<i64>>(4)?,
        row.get::<_, Option<Vec<u8>>>(5)?,
    ) {
        (Some(Ok(cluster_id)), Some(cluster_name), Some(node), Some(bytes)) => Some(Genesis {
            cluster_id,
            cluster_name,
            node_id: NodeId(node.cast_unsigned()),
            bytes: bytes.into(),
        }),
        (None, None, None, None) => None,
        _ => return Ok(None),
    };
    let confirmed = match row.get::<_, i64>(6)? {
        0 => false,
        1 => true,
        _ => return Ok(None),
    };
    let mut meta = Meta::new(disk_id);
    meta.revision = number(0)?;
    meta.identity.genesis = genesis;
    meta.identity.confirmed = confirmed;
    meta.promised = Ballot {
        epoch: Epoch(number(7)?),
        round: Round(number(8)?),
        node: NodeId(number(9)?),
    };
    meta.compacted_to = Slot(number(10)?);
    Ok(Some(meta))
}
