//! The directory of a stopped replica whose cluster has lost its quorum for good.
//!
//! In: log.db and state.db as they are. Out: what they hold, and a copy of the state with every
//! row of the log that can be taken. Must hold: the files stay as they would be after a start of
//! the replica, and nobody else has them meanwhile; nothing damaged is taken for whole.
//!
//! Rows above the commit index are taken too, as far as they follow each other. One of them may
//! have been decided and acknowledged by voters that are gone, and if one was not, its sender was
//! never told that it was: taking it does not break a promise, dropping it may.
//! Tests: tests/rescue.rs, tests/scenarios.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use machine::{Machine, snapshot};
use paxos::config::Configuration;
use paxos::entry::Entry;
use paxos::ids::{NodeId, Slot};
use paxos::restored::Restored;
use prost::Message as _;
use proto::v1::Genesis;
use serde::Serialize;
use uuid::Uuid;
use wal::{Base, Wal};

use crate::durable::io;
use crate::{Error, Source};

/// What to do when one cannot be used.
const OTHER: &str = "take another survivor, or restore a backup";

/// A voter of the lost cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Voter {
    /// Its node id.
    pub node: u64,
    /// Where it was last; empty when that is not known.
    pub address: String,
}

/// What a survivor holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Its directory.
    pub directory: PathBuf,
    /// The lost cluster.
    pub cluster_id: Uuid,
    /// Its name.
    pub cluster_name: String,
    /// Its Paxos group.
    pub shard: u32,
    /// What it told clients.
    pub client_epoch: u64,
    /// This replica.
    pub node: u64,
    /// This disk.
    pub disk_id: Uuid,
    /// The epoch that is active here.
    pub epoch: u64,
    /// Who votes in it, this one included if it does.
    pub voters: Vec<Voter>,
    /// Up to this slot it knows that rows were decided.
    pub decided: u64,
    /// Up to this slot its rows are taken.
    pub taken_upto: u64,
    /// Rows above `decided` that are taken although nobody alive knows whether they were decided.
    pub undecided_taken: u64,
    /// Rows that are left out, because they do not follow those before them.
    pub left_out: u64,
    /// The leader's clock in the last row that is taken, milliseconds since 1970.
    pub last_row_ms: u64,
    /// The highest ballot that this replica promised.
    pub promised: String,
}

/// A stopped replica, held so that it cannot be started meanwhile.
#[derive(Debug)]
pub struct Survivor {
    wal: Wal,
    state: PathBuf,
    base: Base,
    decided: Slot,
    undecided: Vec<Entry>,
    report: Report,
}

impl Survivor {
    /// Opens it.
    ///
    /// # Errors
    /// [`Error::NotRescuable`] when it is no replica's, when it runs, and when something in it is
    /// damaged.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::NotRescuable {
            directory: directory.to_path_buf(),
            why,
        };
        for name in ["log.db", "state.db"] {
            if !directory.join(name).is_file() {
                return Err(refuse(format!("there is no {name} in it; {OTHER}")));
            }
        }
        let mut wal = Wal::open(directory).map_err(|error| match error {
            wal::Error::InUse { .. } => refuse(format!("stop the replica first: {error}")),
            error => refuse(format!("{error}; {OTHER}")),
        })?;
        let genesis = genesis_of(&wal).map_err(&refuse)?;
        let state = directory.join("state.db");
        let (base, nodes) =
            read_state(&state).map_err(|error| refuse(format!("{error}; {OTHER}")))?;
        if wal.awaits_snapshot(&base) {
            // It was killed while it took over a snapshot; any start completes that.
            wal.install_snapshot(&base)?;
        }
        let recovery = wal.restore(&base);
        let mut restored = recovery
            .map_err(|error| refuse(format!("{error}; {OTHER}")))?
            .restored;
        if let Some(slot) = restored.damaged.first() {
            let count = restored.damaged.len();
            return Err(refuse(format!(
                "{count} rows of its log are damaged, the first at slot {slot}; {OTHER}"
            )));
        }
        let left_out = keep_what_follows(&mut restored);
        let mut report = Report {
            directory: directory.to_path_buf(),
            left_out,
            ..report(&wal, &genesis, &restored)
        };
        for voter in &mut report.voters {
            // The log knows where those are that joined later.
            if let Some(known) = nodes.iter().find(|known| known.node.0 == voter.node)
                && voter.address.is_empty()
            {
                voter.address.clone_from(&known.address);
            }
        }
        Ok(Self {
            wal,
            state,
            base,
            decided: restored.decided,
            undecided: restored.undecided,
            report,
        })
    }

    /// What it holds.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// A copy of its state with all rows that are taken, in a new directory. This replica's files
    /// are read only.
    ///
    /// # Errors
    /// When a row cannot be applied; when a disk fails.
    pub fn carry_over(&self, scratch: &Path) -> Result<Source, Error> {
        fs::create_dir_all(scratch).map_err(io("make", scratch))?;
        let copy = snapshot::make(&self.state, scratch)?;
        let forward = scratch.join("state.db");
        fs::rename(copy.path(), &forward).map_err(io("rename", copy.path()))?;
        drop(copy);
        let mut machine = Machine::open(&forward)?;
        for page in self.wal.replay(&self.base, self.decided) {
            machine.apply(&page?)?;
        }
        machine.apply(&self.undecided)?;
        machine.checkpoint_durable()?;
        let made = snapshot::make(&forward, scratch)?;
        tracing::info!(slot = %made.manifest().applied.slot, "state of the survivor copied");
        Ok(Source {
            state: made.path().to_path_buf(),
            manifest: made.manifest().clone(),
        })
    }
}

/// How far the state is, and the nodes that it knows. Looks at all of it.
fn read_state(state: &Path) -> Result<(Base, Vec<machine::Node>), machine::Error> {
    let machine = Machine::open(state)?;
    let mut reader = machine.reader()?;
    reader.check()?;
    let nodes = reader.nodes()?.value;
    let applied = machine.applied();
    let base = Base {
        slot: applied.slot,
        chain: applied.chain,
        timestamp: applied.timestamp,
        configuration: applied.configuration.clone(),
    };
    Ok((base, nodes))
}

/// Drops undecided rows behind the first one that does not follow the row before it. How many.
fn keep_what_follows(restored: &mut Restored) -> u64 {
    let (mut chain, mut next) = (restored.chain, restored.decided.next());
    let accepted = restored.undecided.len();
    let follow = restored.undecided.iter().take_while(|entry| {
        let follows = entry.slot == next && entry.follows(chain);
        (chain, next) = (entry.chain, entry.slot.next());
        follows
    });
    let taken = follow.count();
    restored.undecided.truncate(taken);
    (accepted - taken) as u64
}

/// What the log says.
fn report(wal: &Wal, genesis: &Genesis, restored: &Restored) -> Report {
    let founders = genesis
        .voters
        .iter()
        .map(|voter| (NodeId(voter.node), voter.address.clone()));
    let mut addresses: BTreeMap<NodeId, String> = founders.collect();
    // Where they were last. Without it the genesis is good enough: they are only asked.
    addresses.extend(wal.peers().unwrap_or_default());
    let configuration = wal.configuration().cloned().unwrap_or_else(|| {
        let founders = genesis.voters.iter().map(|voter| NodeId(voter.node));
        Configuration::first(founders.collect())
    });
    let voters = configuration.voters.iter().map(|node| Voter {
        node: node.0,
        address: addresses.get(node).cloned().unwrap_or_default(),
    });
    let last = restored.undecided.last();
    let identity = wal.identity();
    let held = identity.genesis.as_ref();
    Report {
        directory: PathBuf::new(),
        cluster_id: held.map(|held| held.cluster_id).unwrap_or_default(),
        cluster_name: genesis.cluster_name.clone(),
        shard: genesis.shard,
        client_epoch: genesis.client_epoch.max(1),
        node: held.map_or(0, |held| held.node_id.0),
        disk_id: identity.disk_id,
        epoch: configuration.epoch.0,
        voters: voters.collect(),
        decided: restored.decided.0,
        taken_upto: last.map_or(restored.decided, |entry| entry.slot).0,
        undecided_taken: restored.undecided.len() as u64,
        left_out: 0,
        last_row_ms: last.map_or(restored.timestamp, |entry| entry.timestamp).0,
        promised: restored.promised.to_string(),
    }
}

/// The genesis that it holds; the text says why there is none to go by.
fn genesis_of(wal: &Wal) -> Result<Genesis, String> {
    let identity = wal.identity();
    let held = identity.genesis.as_ref().filter(|_| identity.confirmed);
    let held = held.ok_or("it belongs to no cluster, so there is nothing to lose")?;
    Genesis::decode(held.bytes.as_ref()).map_err(|error| format!("its genesis: {error}"))
}
