//! The data directories of a new cluster that begins with a given state.
//!
//! In: a copy of a state, and who is to vote where. Out: one directory per voter. Each is what a
//! replica is that fetched this snapshot and has no other row, and that holds the genesis of a
//! cluster which is being formed: membership lets it vote once *all* named disks were seen to
//! hold it, as in every cluster. Must hold: the genesis is on no disk before the state is on all
//! of them, and `log.db` is moved into its place last; so whatever is interrupted, a cluster
//! without its state cannot form. Tests: tests/restore.rs, tests/scenarios.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use machine::snapshot;
use paxos::ids::NodeId;
use paxos::limits::VOTERS_MAX;
use prost::Message as _;
use proto::v1::{Genesis, GenesisVoter};
use serde_json::json;
use uuid::Uuid;
use wal::{Base, Wal};

use crate::durable::{self, io};
use crate::{Audit, Error};

/// Where a directory is built before its files get their names.
const DRAFT: &str = ".new";
const LOG: &str = "log.db";
const STATE: &str = "state.db";
/// Says where the state of a directory comes from.
const ORIGIN: &str = "origin.json";

/// A copy of a state and what it must be. It is only read.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub state: PathBuf,
    /// What it must be.
    pub manifest: snapshot::Manifest,
}

/// The place of one voter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Its data directory: not there yet, or empty.
    pub directory: PathBuf,
    /// Where the others will reach it, `host:port`.
    pub address: String,
}

/// The wishes for a new cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// As membership's setting CLUSTER says.
    pub cluster_name: String,
    /// The Paxos group.
    pub shard: u32,
    /// What clients are told in `hello`: see [`next_client_epoch`].
    pub client_epoch: u64,
    /// The first voters, 1 to 7, in the order of their node ids.
    pub seats: Vec<Seat>,
}

/// The new cluster.
#[derive(Clone, Debug)]
pub struct Made {
    /// Drawn at random.
    pub cluster_id: Uuid,
    /// The disks, in the order of the seats.
    pub disks: Vec<Uuid>,
}

/// The client epoch after `before`, at `now_ms` since 1970. By the clock, so that two clusters
/// made from one backup have different ones; and higher in any case.
#[must_use]
pub fn next_client_epoch(before: u64, now_ms: u64) -> u64 {
    before.saturating_add(1).max(now_ms / 1000)
}

impl Plan {
    /// Whether such a cluster can be made, and nothing is in its way.
    ///
    /// # Errors
    /// [`Error::BadPlan`], [`Error::Exists`]; when a directory cannot be looked into.
    pub fn check(&self) -> Result<(), Error> {
        let count = self.seats.len();
        let bad = |why: String| Err(Error::BadPlan(why));
        if !(1..=VOTERS_MAX).contains(&count) {
            return bad(format!("{count} voters; 1 to {VOTERS_MAX} are possible"));
        }
        let name = self.cluster_name.len();
        if !(1..=wal::limits::CLUSTER_NAME_BYTES_MAX).contains(&name) {
            return bad(format!("a cluster name of {name} bytes"));
        }
        let (mut directories, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for Seat { directory, address } in &self.seats {
            if !directories.insert(directory) || !addresses.insert(address) {
                let directory = directory.display();
                return bad(format!("{directory} or {address} is named twice"));
            }
            if address.len() > wal::limits::ADDRESS_BYTES_MAX || !is_host_and_port(address) {
                return bad(format!("address `{address}` must be host:port"));
            }
            if !durable::is_empty(directory)? {
                return Err(Error::Exists {
                    path: directory.clone(),
                    remedy: "a new cluster needs empty directories: name other ones, or move \
                             what is there aside",
                });
            }
        }
        Ok(())
    }

    fn genesis(&self, cluster_id: Uuid, disks: &[Uuid]) -> Genesis {
        let voters = (1..).zip(self.seats.iter().zip(disks));
        Genesis {
            cluster_id: cluster_id.to_string(),
            cluster_name: self.cluster_name.clone(),
            shard: self.shard,
            voters: voters
                .map(|(node, (seat, disk))| GenesisVoter {
                    node,
                    disk_id: disk.to_string(),
                    address: seat.address.clone(),
                })
                .collect(),
            client_epoch: self.client_epoch,
        }
    }
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Makes the directories. What fails leaves drafts, `DIRECTORY/.new`, which no replica reads.
///
/// # Errors
/// See [`Plan::check`]; [`Error::State`] when the copy is not what it must be; when a disk fails.
pub fn found(source: &Source, plan: &Plan, audit: &Audit) -> Result<Made, Error> {
    plan.check()?;
    let (mut logs, mut made) = (Vec::new(), Vec::new());
    for seat in &plan.seats {
        // A mounted volume is there; whose name it has is not for us to sync.
        made.push(!seat.directory.exists());
        logs.push(begin(source, &seat.directory.join(DRAFT))?);
    }
    let cluster_id = Uuid::new_v4();
    let disks: Vec<Uuid> = logs.iter().map(|log| log.identity().disk_id).collect();
    let genesis = plan.genesis(cluster_id, &disks);
    let bytes = genesis.encode_to_vec();
    for (node, log) in (1..).zip(&mut logs) {
        log.install_genesis(&wal::Genesis {
            cluster_id,
            cluster_name: plan.cluster_name.clone(),
            node_id: NodeId(node),
            bytes: bytes.clone().into(),
        })?;
    }
    // Closed: nobody may have a file open that gets another name.
    drop(logs);
    let audit = Audit {
        new_cluster: json!({
            "cluster_id": cluster_id,
            "cluster_name": plan.cluster_name,
            "client_epoch": plan.client_epoch,
            "first_slot": source.manifest.applied.slot.0 + 1,
            "voters": plan.seats.iter().zip(&disks).map(|(seat, disk)| json!({
                "directory": seat.directory, "address": seat.address, "disk_id": disk,
            })).collect::<Vec<_>>(),
        }),
        ..audit.clone()
    };
    for seat in &plan.seats {
        audit.write(&seat.directory.join(DRAFT).join(ORIGIN))?;
    }
    for (seat, is_new) in plan.seats.iter().zip(made) {
        settle(&seat.directory)?;
        if is_new {
            durable::sync_directory(durable::parent(&seat.directory))?;
        }
    }
    Ok(Made { cluster_id, disks })
}

/// A directory with the state, and a log that begins behind it. It belongs to no cluster yet.
fn begin(source: &Source, draft: &Path) -> Result<Wal, Error> {
    fs::create_dir_all(draft).map_err(io("make", draft))?;
    let copy = draft.join("state.db.part");
    durable::copy_new(&source.state, &copy)?;
    let state = snapshot::begin_anew(&copy, &source.manifest)?;
    let applied = &state.manifest().applied;
    let base = Base {
        slot: applied.slot,
        chain: applied.chain,
        timestamp: applied.timestamp,
        configuration: applied.configuration.clone(),
    };
    let mut log = Wal::open(draft)?;
    log.announce_snapshot(&base)?;
    snapshot::install(state, &draft.join(STATE))?;
    log.install_snapshot(&base)?;
    Ok(log)
}

/// Moves the files of a draft to their places: the log, which makes a replica of the directory,
/// last.
fn settle(directory: &Path) -> Result<(), Error> {
    let draft = directory.join(DRAFT);
    durable::sync_directory(&draft)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&draft).map_err(io("look into", &draft))? {
        names.push(entry.map_err(io("look into", &draft))?.file_name());
    }
    names.sort_by_key(|name| name == LOG);
    for name in names {
        let from = draft.join(&name);
        if name == LOG {
            durable::sync_directory(directory)?;
        }
        fs::rename(&from, directory.join(&name)).map_err(io("rename", &from))?;
    }
    fs::remove_dir(&draft).map_err(io("remove", &draft))?;
    durable::sync_directory(directory)
}
