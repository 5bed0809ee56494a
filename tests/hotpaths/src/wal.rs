//! `log.db`: a row per step, durable.

use anyhow::Result;
use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::output::PersistOp;
use uuid::Uuid;
use wal::{Genesis, Wal};

use crate::{BATCH, BYTES};

pub(crate) fn steps() -> Result<Box<dyn FnMut() -> Result<()>>> {
    let directory = tempfile::tempdir()?;
    let mut wal = Wal::open(directory.path())?;
    wal.install_genesis(&Genesis {
        cluster_id: Uuid::from_u128(1),
        cluster_name: "hotpaths".to_owned(),
        node_id: NodeId(1),
        bytes: Bytes::from_static(b"voters"),
    })?;
    wal.confirm_genesis()?;
    let ballot = Ballot {
        epoch: Epoch::FIRST,
        round: Round(1),
        node: NodeId(1),
    };
    let payload = Bytes::from(vec![b'x'; BYTES * usize::try_from(BATCH)?]);
    let (mut chain, mut slot) = (Chain::GENESIS, Slot::FIRST);
    Ok(Box::new(move || {
        // Lives as long as its log.
        let _open = &directory;
        let timestamp = Timestamp(slot.0);
        let row = Entry::new(
            chain,
            slot,
            ballot,
            EntryKind::Batch,
            timestamp,
            payload.clone(),
        );
        chain = row.chain;
        wal.commit(&[
            PersistOp::Accept(vec![row]),
            PersistOp::Decided { slot, chain },
        ])?;
        slot = slot.next();
        Ok(())
    }))
}
