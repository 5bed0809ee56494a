//! Replicas' directories and backups, without processes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by test programs, none of which uses all; a panic is the report"
)]

use std::path::Path;

use archive::{Audit, Backup, Draft, Manifest, Plan, Seat};
use bytes::Bytes;
use machine::{Machine, snapshot};
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use prost::Message as _;
use proto::v1::{BackupHeader, Genesis, GenesisVoter, SnapshotChunk};
use serde_json::json;
use uuid::Uuid;
use wal::Wal;

/// The ballot of all rows.
pub(crate) const BALLOT: Ballot = Ballot {
    epoch: Epoch(1),
    round: Round(1),
    node: NodeId(1),
};

/// So many entries, each of which changes the state.
pub(crate) fn entries(count: u64) -> Vec<Entry> {
    let mut chain = Chain::GENESIS;
    (0..count)
        .map(|number| {
            let slot = Slot(Slot::FIRST.0 + number);
            let disk = Uuid::from_u128(u128::from(slot.0));
            let payload = machine::encode_register_node(disk, "host:1");
            let (kind, stamp) = (EntryKind::RegisterNode, Timestamp(slot.0));
            let entry = Entry::new(chain, slot, BALLOT, kind, stamp, payload);
            chain = entry.chain;
            entry
        })
        .collect()
}

/// A row that is whole but follows another one than it should.
pub(crate) fn stray(slot: Slot) -> Entry {
    let (kind, stamp) = (EntryKind::Noop, Timestamp(slot.0));
    Entry::new(Chain([7; 32]), slot, BALLOT, kind, stamp, Bytes::new())
}

/// A replica that was stopped: `applied` of the entries are in its state, `decided` are known to
/// be, all are in its log.
pub(crate) fn replica(directory: &Path, entries: &[Entry], applied: usize, decided: usize) {
    let mut wal = Wal::open(directory).unwrap();
    let (cluster_id, disk_id) = (Uuid::new_v4(), wal.identity().disk_id);
    let voters = [disk_id, Uuid::new_v4(), Uuid::new_v4()];
    let genesis = Genesis {
        cluster_id: cluster_id.to_string(),
        cluster_name: "lost".to_owned(),
        shard: 0,
        voters: (1..)
            .zip(voters)
            .map(|(node, disk)| GenesisVoter {
                node,
                disk_id: disk.to_string(),
                address: format!("127.0.0.1:{node}"),
            })
            .collect(),
        client_epoch: 0,
    };
    wal.install_genesis(&wal::Genesis {
        cluster_id,
        cluster_name: genesis.cluster_name.clone(),
        node_id: NodeId(1),
        bytes: genesis.encode_to_vec().into(),
    })
    .unwrap();
    wal.confirm_genesis().unwrap();
    let last = &entries[decided - 1];
    wal.commit(&[
        PersistOp::Accept(entries.to_vec()),
        PersistOp::Decided {
            slot: last.slot,
            chain: last.chain,
        },
    ])
    .unwrap();
    let mut machine = Machine::open(directory.join("state.db")).unwrap();
    machine.apply(&entries[..applied]).unwrap();
}

/// What a replica with the state in `directory` sends for a backup.
pub(crate) fn pieces(directory: &Path) -> (BackupHeader, Vec<SnapshotChunk>) {
    let made = snapshot::make(&directory.join("state.db"), &directory.join("snapshot")).unwrap();
    let header = BackupHeader {
        cluster_id: Uuid::from_u128(9).to_string(),
        cluster_name: "home".to_owned(),
        shard: 0,
        node: 2,
        client_epoch: 5,
        version: "0".to_owned(),
        snapshot: Some(made.manifest().to_wire()),
    };
    let mut chunks: Vec<SnapshotChunk> = Vec::new();
    let mut offset = 0;
    while let Some(chunk) = made.chunk(offset, 16 * 1024).unwrap() {
        offset += chunk.bytes.len() as u64;
        chunks.push(SnapshotChunk {
            offset: chunk.offset,
            data: chunk.bytes,
            crc: chunk.crc,
        });
    }
    (header, chunks)
}

/// A backup of so many entries.
pub(crate) fn backup(target: &Path, count: u64) -> Backup {
    let source = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(source.path().join("state.db")).unwrap();
    machine.apply(&entries(count)).unwrap();
    let (header, chunks) = pieces(source.path());
    let mut draft = Draft::begin(target, Manifest::from_wire(&header, 1).unwrap()).unwrap();
    for chunk in chunks {
        draft.append(chunk).unwrap();
    }
    draft.finish().unwrap()
}

/// A cluster of so many voters below a directory.
pub(crate) fn plan(root: &Path, voters: u16) -> Plan {
    let seat = |number: u16| Seat {
        directory: root.join(format!("r{number}")),
        address: format!("127.0.0.1:{}", 2000 + number),
    };
    Plan {
        cluster_name: "new".to_owned(),
        shard: 0,
        client_epoch: 6,
        seats: (1..=voters).map(seat).collect(),
    }
}

/// Who did it.
pub(crate) fn audit() -> Audit {
    Audit {
        action: "restore",
        made_ms: 1,
        program: "test".to_owned(),
        user: "somebody".to_owned(),
        host: "here".to_owned(),
        source: json!({}),
        accepted: None,
        new_cluster: json!(null),
    }
}
