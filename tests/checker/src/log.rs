//! What a node holds: the rows of its log, and a hash of its state.
//!
//! Both are taken when everything is quiet, while the nodes still run: the log by
//! `Admin.ReadLog`, the state from `state.db`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use prost::Message as _;
use proto::v1::admin_client::AdminClient;
use proto::v1::{Batch, Entry, GetStatusRequest, ReadLogRequest};
use serde::{Deserialize, Serialize};
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::limits::{CONNECT_TIMEOUT, LOG_MESSAGE_BYTES_MAX};

/// The log of one node. Rows at or below `compacted_to` are gone: the node has them only as
/// part of its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLog {
    /// Whose.
    pub node: u64,
    /// The newest epoch that it takes part in.
    pub epoch: u64,
    /// Who votes in that.
    pub voters: Vec<u64>,
    /// The log begins after this slot.
    pub compacted_to: u64,
    /// The last slot that the node knows to be decided; the last row.
    pub decided: u64,
    /// The rows, from `compacted_to + 1` to `decided`.
    #[serde(skip)]
    pub rows: Vec<LogRow>,
}

/// One decided row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Its slot.
    pub slot: u64,
    /// The hash of the prefix up to here, in hexadecimal digits: equal chains, equal logs.
    pub chain: String,
    /// The ballot under which this node holds it; nodes may differ in it.
    pub ballot: String,
    /// Which commands it carries, in their order.
    pub commands: Vec<CommandId>,
}

/// A command in a log: it takes effect where it stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandId {
    /// Who wishes it; 0 for a sign-up.
    pub author: u64,
    /// The author's id for it.
    pub cid: Uuid,
}

/// The state of one node at one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Whose.
    pub node: u64,
    /// Everything up to here is applied.
    pub slot: u64,
    /// The hash of all tables, in hexadecimal digits.
    pub hash: String,
    /// What a check of the file found; nothing when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

impl NodeLog {
    /// Asks the running replica at `address` (host:port) for its whole log. The texts of the
    /// messages are left out; the chain covers them.
    ///
    /// # Errors
    /// When it does not answer, or its answer has a hole.
    pub async fn fetch(address: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .connect()
            .await
            .with_context(|| format!("connect to the replica at {address}"))?;
        let mut admin = AdminClient::new(channel).max_decoding_message_size(LOG_MESSAGE_BYTES_MAX);
        let status = admin.get_status(GetStatusRequest {}).await?.into_inner();
        let request = ReadLogRequest {
            from: status.compacted_to + 1,
            upto: status.decided,
        };
        let mut entries = admin.read_log(request).await?.into_inner();
        let mut rows = Vec::new();
        while let Some(found) = entries.message().await? {
            let entry = found.entry.context("the replica sent an empty entry")?;
            rows.push(LogRow::from_entry(&entry)?);
        }
        // It may have compacted or decided more meanwhile: the rows say what there is.
        let log = Self {
            node: status.node,
            epoch: status.epoch,
            voters: status.voters,
            compacted_to: rows
                .first()
                .map_or(status.decided, |row| row.slot.saturating_sub(1)),
            decided: rows.last().map_or(status.decided, |row| row.slot),
            rows,
        };
        log.validate()?;
        Ok(log)
    }

    /// Reads the file that [`NodeLog::write`] has written.
    ///
    /// # Errors
    /// When it cannot be read, or is no log; names the line.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
        let mut lines = BufReader::new(file).lines();
        let first = lines.next().context("the file is empty")??;
        let mut log: Self =
            serde_json::from_str(&first).with_context(|| format!("{} line 1", path.display()))?;
        for (index, line) in lines.enumerate() {
            let row = serde_json::from_str(&line?)
                .with_context(|| format!("{} line {}", path.display(), index + 2))?;
            log.rows.push(row);
        }
        log.validate()
            .with_context(|| format!("read {}", path.display()))?;
        Ok(log)
    }

    /// Writes it to `FOLDER/logs/rN.jsonl`: a line about the log, then one for each row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let logs = folder.join(crate::folder::LOGS);
        std::fs::create_dir_all(&logs)?;
        let path = logs.join(format!("r{}.jsonl", self.node));
        let file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        for row in &self.rows {
            serde_json::to_writer(&mut file, row)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
        Ok(())
    }

    /// The row of a slot, if it is still in the log.
    #[must_use]
    pub fn row(&self, slot: u64) -> Option<&LogRow> {
        let index = slot.checked_sub(self.compacted_to)?.checked_sub(1)?;
        self.rows.get(usize::try_from(index).ok()?)
    }

    fn validate(&self) -> Result<()> {
        for (row, slot) in self.rows.iter().zip(self.compacted_to + 1..) {
            if row.slot != slot {
                bail!(
                    "the log of r{} has slot {} where {slot} belongs",
                    self.node,
                    row.slot
                );
            }
        }
        let end = self.compacted_to + self.rows.len() as u64;
        if end != self.decided {
            bail!(
                "the log of r{} ends at {end} and says that it ends at {}",
                self.node,
                self.decided
            );
        }
        Ok(())
    }
}

impl LogRow {
    fn from_entry(entry: &Entry) -> Result<Self> {
        let commands = if entry.kind == KIND_BATCH {
            let batch = Batch::decode(entry.payload.clone())
                .with_context(|| format!("the batch in slot {} is not readable", entry.slot))?;
            let ids = batch.commands.iter().map(|command| {
                Ok(CommandId {
                    author: command.author,
                    cid: Uuid::from_slice(&command.cid)?,
                })
            });
            ids.collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        let ballot = entry.ballot.as_ref().map_or_else(String::new, |ballot| {
            format!("{}.{}@r{}", ballot.epoch, ballot.round, ballot.node)
        });
        let hex = |sum: String, byte: &u8| sum + &format!("{byte:02x}");
        Ok(Self {
            slot: entry.slot,
            chain: entry.chain.iter().fold(String::new(), hex),
            ballot,
            commands,
        })
    }
}

/// `paxos::EntryKind::Batch` on the wire.
const KIND_BATCH: u32 = 1;

/// Writes the log of a running replica and the hash of its state into the folder of a run.
///
/// # Errors
/// As [`NodeLog::fetch`], [`NodeState::read`] and what writes the files.
pub async fn keep_node(address: &str, state_db: PathBuf, folder: &Path) -> Result<()> {
    let log = NodeLog::fetch(address).await?;
    log.write(folder)?;
    let node = log.node;
    let state = tokio::task::spawn_blocking(move || NodeState::read(node, &state_db));
    state.await??.write(folder)
}

impl NodeState {
    /// Hashes the state in a `state.db` and checks the whole file. The replica may run or not.
    ///
    /// # Errors
    /// When there is no such file, or it is not readable as one; damage that the check finds is
    /// no error but stands in the answer.
    pub fn read(node: u64, state_db: &Path) -> Result<Self> {
        let mut reader = machine::Reader::open(state_db)
            .with_context(|| format!("open {}", state_db.display()))?;
        let view = reader
            .state_hash()
            .with_context(|| format!("hash {}", state_db.display()))?;
        let damage = reader.check().err().map(|error| error.to_string());
        Ok(Self {
            node,
            slot: view.applied.0,
            hash: view.value.to_string(),
            damage,
        })
    }

    /// Writes it to `FOLDER/states/rN.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let states = folder.join(crate::folder::STATES);
        std::fs::create_dir_all(&states)?;
        let path = states.join(format!("r{}.json", self.node));
        std::fs::write(&path, serde_json::to_vec(self)?)
            .with_context(|| format!("write {}", path.display()))
    }
}
