//! What a backup says of itself, in a file that people can read: `backup.json`.

use machine::snapshot;
use proto::v1::{BackupHeader, SnapshotManifest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::durable::{hex, unhex};
use crate::limits::MANIFEST_FORMAT;

/// Where a backup is from, and what it is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The cluster that it is of.
    pub cluster_id: Uuid,
    /// Its name.
    pub cluster_name: String,
    /// Its Paxos group.
    pub shard: u32,
    /// The replica that made it.
    pub node: u64,
    /// What the cluster told clients in `hello`; at least 1.
    pub client_epoch: u64,
    /// The version of that replica.
    pub version: String,
    /// When it was made: milliseconds since 1970, by the clock of who asked for it.
    pub made_ms: u64,
    /// The copy of the state: slot, chain, length, checksum.
    pub snapshot: snapshot::Manifest,
}

/// As in the file. The names are a format: to change one is a new [`MANIFEST_FORMAT`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    version: String,
    made_ms: u64,
    cluster_id: Uuid,
    cluster_name: String,
    shard: u32,
    node: u64,
    client_epoch: u64,
    slot: u64,
    chain: String,
    timestamp_ms: u64,
    configuration: Option<String>,
    state_format: u32,
    manifest_version: u32,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Of what a replica sends first.
    ///
    /// # Errors
    /// [`Error::BadPieces`], [`Error::State`]: no replica of this version sends that.
    pub fn from_wire(header: &BackupHeader, made_ms: u64) -> Result<Self, Error> {
        let bad = |what: &str| Error::BadPieces(what.to_owned());
        let snapshot = header.snapshot.as_ref().ok_or_else(|| bad("no manifest"))?;
        Ok(Self {
            cluster_id: Uuid::try_parse(&header.cluster_id)
                .map_err(|_| bad("the cluster's id is no UUID"))?,
            cluster_name: header.cluster_name.clone(),
            shard: header.shard,
            node: header.node,
            client_epoch: header.client_epoch.max(1),
            version: header.version.clone(),
            made_ms,
            snapshot: snapshot::Manifest::from_wire(snapshot)?,
        })
    }

    /// For the file.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let wire = self.snapshot.to_wire();
        let mut bytes = serde_json::to_vec_pretty(&Stored {
            format: MANIFEST_FORMAT,
            version: self.version.clone(),
            made_ms: self.made_ms,
            cluster_id: self.cluster_id,
            cluster_name: self.cluster_name.clone(),
            shard: self.shard,
            node: self.node,
            client_epoch: self.client_epoch,
            slot: wire.slot,
            chain: hex(&wire.chain),
            timestamp_ms: wire.timestamp_ms,
            configuration: wire.configuration.as_deref().map(hex),
            state_format: wire.state_format,
            manifest_version: wire.version,
            bytes: wire.length,
            sha256: hex(&wire.sha256),
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// From the file; the text says what is wrong.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let json: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let format = json.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(MANIFEST_FORMAT)) {
            let found = format.map_or_else(|| "none".to_owned(), |format| format.to_string());
            return Err(format!(
                "its format is {found}, this program knows {MANIFEST_FORMAT}: use the program \
                 that made it"
            ));
        }
        let stored: Stored = serde_json::from_value(json).map_err(|error| error.to_string())?;
        let bytes =
            |text: &str, field: &str| unhex(text).ok_or_else(|| format!("{field} is no number"));
        let configuration = stored.configuration.as_deref();
        let wire = SnapshotManifest {
            version: stored.manifest_version,
            state_format: stored.state_format,
            slot: stored.slot,
            chain: bytes(&stored.chain, "chain")?,
            timestamp_ms: stored.timestamp_ms,
            configuration: configuration
                .map(|text| bytes(text, "configuration"))
                .transpose()?,
            length: stored.bytes,
            sha256: bytes(&stored.sha256, "sha256")?,
        };
        Ok(Self {
            cluster_id: stored.cluster_id,
            cluster_name: stored.cluster_name,
            shard: stored.shard,
            node: stored.node,
            client_epoch: stored.client_epoch.max(1),
            version: stored.version,
            made_ms: stored.made_ms,
            snapshot: snapshot::Manifest::from_wire(&wire).map_err(|error| error.to_string())?,
        })
    }
}
