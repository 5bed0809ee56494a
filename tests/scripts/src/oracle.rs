//! What no trace may show, whatever a script does: two values in one decided slot, or a message
//! that promises what is not on the disk.
//!
//! In: what cores decide, send and hand out. Out: an error that names the rule; the script
//! fails at its line, with `UPDATE=1` too. Invariants: D1, D2, D5, I1. Tests: below

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use paxos::{Chain, Entry, Message, NodeId, Slot};

use crate::disk::Disk;

/// What was decided so far.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    decided: BTreeMap<Slot, (Chain, NodeId)>,
    /// A row was rewritten behind the protocol's back: histories differ because the script
    /// says so.
    pub(crate) tampered: bool,
}

impl Oracle {
    /// A node's commit index is at `slot`.
    pub(crate) fn note_decided(&mut self, node: NodeId, slot: Slot, chain: Chain) -> Result<()> {
        let (first, other) = *self.decided.entry(slot).or_insert((chain, node));
        ensure!(
            self.tampered || first == chain,
            "{node} and {other} have decided different prefixes at {slot} (I1)"
        );
        Ok(())
    }

    /// A node sends a message.
    pub(crate) fn note_sent(&self, disk: &Disk, message: &Message) -> Result<()> {
        match message {
            Message::Prepare(prepare) => {
                ensure!(
                    disk.promised >= prepare.ballot,
                    "Prepare left before its own promise was durable (D1)"
                );
            }
            Message::Promise(promise) => {
                ensure!(
                    disk.promised >= promise.ballot,
                    "Promise left before it was durable (D1)"
                );
            }
            Message::Accepted(accepted) => {
                let there =
                    disk.rows.contains_key(&accepted.upto) || disk.state.applied >= accepted.upto;
                ensure!(
                    there && disk.promised >= accepted.ballot,
                    "Accepted left before its row and promise were durable (D2)"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// A node hands rows to its state machine.
    pub(crate) fn note_handed(&self, disk: &Disk, rows: &[Entry]) -> Result<()> {
        for row in rows {
            let stored = disk.rows.get(&row.slot);
            ensure!(
                stored.is_some_and(|stored| stored.chain == row.chain),
                "{} was applied before it was durable here (D5)",
                row.slot
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Oracle;
    use crate::disk::Disk;
    use paxos::message::{Accepted, Message, Prepare};
    use paxos::{Ballot, Chain, DiskSeq, Entry, EntryKind, Epoch, NodeId, Round, Slot, Timestamp};

    const BALLOT: Ballot = Ballot {
        epoch: Epoch(1),
        round: Round(1),
        node: NodeId(1),
    };

    #[test]
    fn two_values_in_one_slot_are_seen() {
        let mut oracle = Oracle::default();
        let (one, other) = (Chain([1; 32]), Chain([2; 32]));
        oracle
            .note_decided(NodeId(1), Slot(1024), one)
            .expect("the first");
        oracle
            .note_decided(NodeId(3), Slot(1024), one)
            .expect("the same");
        oracle
            .note_decided(NodeId(2), Slot(1024), other)
            .expect_err("another");
    }

    #[test]
    fn what_is_not_on_the_disk_is_seen() {
        let (disk, oracle) = (Disk::new(&[NodeId(1)].into()), Oracle::default());
        let accepted = Message::Accepted(Accepted {
            ballot: Ballot::ZERO,
            upto: Slot(1024),
            disk_seq: DiskSeq(0),
        });
        oracle.note_sent(&disk, &accepted).expect_err("D2");
        let prepare = Message::Prepare(Prepare {
            ballot: BALLOT,
            from: Slot(1024),
        });
        oracle.note_sent(&disk, &prepare).expect_err("D1");
        let (kind, payload) = (EntryKind::Noop, bytes::Bytes::new());
        let (slot, time) = (Slot(1024), Timestamp(1));
        let row = Entry::new(Chain::GENESIS, slot, BALLOT, kind, time, payload);
        oracle.note_handed(&disk, &[row]).expect_err("D5");
    }
}
