//! What a node may say, given what its disk holds.
//!
//! In: a node and a message that it sends. Out: faults. Invariants: D1, D2, I5, I6, I19.
//! Tested by: the patches in `removed/`.

use paxos::message::{Accept, Accepted, Prepare, Promise};
use paxos::{Ballot, Message, NodeId, Slot};

use crate::fault::{Fault, Rule};
use crate::node::Node;

/// Adds to `faults` what `message` says and the disk does not.
pub fn check(node: &Node, id: NodeId, message: &Message, faults: &mut Vec<Fault>) {
    match message {
        Message::Prepare(Prepare { ballot, .. }) | Message::Accept(Accept { ballot, .. }) => {
            owns(node, id, *ballot, faults);
        }
        Message::Promise(promise) => promised(node, promise, faults),
        Message::Accepted(accepted) => accepted_rows(node, accepted, faults),
        _ => {}
    }
}

/// A ballot is used by its owner, which has promised it durably (D1).
fn owns(node: &Node, id: NodeId, ballot: Ballot, faults: &mut Vec<Fault>) {
    if ballot.node != id {
        let text = format!("{id} uses {ballot}");
        faults.push(Fault::new(Rule::OneValue, text));
    }
    if node.disk.promised < ballot {
        let text = format!("{ballot} is used and not durable");
        faults.push(Fault::new(Rule::SaidIsDurable, text));
    }
}

fn promised(node: &Node, promise: &Promise, faults: &mut Vec<Fault>) {
    if node.disk.promised < promise.ballot {
        let text = format!("{} is promised and not durable", promise.ballot);
        faults.push(Fault::new(Rule::SaidIsDurable, text));
    }
    for entry in &promise.entries {
        if node.disk.rows.get(&entry.slot) != Some(entry) {
            let text = format!("the row at {} is reported and not durable", entry.slot);
            faults.push(Fault::new(Rule::SaidIsDurable, text));
        }
    }
}

/// The promise on the disk is exactly this ballot: lower, and the vote is not covered (D2);
/// higher, and the promise to another is broken (I5).
fn accepted_rows(node: &Node, accepted: &Accepted, faults: &mut Vec<Fault>) {
    let Accepted { ballot, upto, .. } = *accepted;
    if node.disk.promised != ballot {
        let text = format!("accepted at {ballot}, promised {}", node.disk.promised);
        faults.push(Fault::new(Rule::SaidIsDurable, text));
    }
    let base = node.core.model_base().unwrap_or(Slot::FIRST);
    let decided = node.core.commit_index().0;
    let first = base.max(node.disk.compacted_to.next());
    for slot in (first.0..=upto.0).map(Slot) {
        let row = node.disk.rows.get(&slot);
        let covered = row.is_some_and(|row| row.ballot == ballot || slot <= decided);
        if !covered {
            let text = format!("{slot} is accepted at {ballot} and not durable");
            faults.push(Fault::new(Rule::SaidIsDurable, text));
        }
    }
}
