//! What ever happened, as far as the properties ask: which value each slot was decided with,
//! what was acknowledged, what was read.
//!
//! In: what nodes decide, apply and answer. Out: faults. Invariants: nothing is forgotten.
//! Tested by: the patches in `removed/`.

use std::collections::BTreeSet;

use paxos::{Chain, Entry, EntryKind, Epoch, NodeId, Seal, Slot};

use crate::fault::{Fault, Rule};

/// What a slot holds, whatever the ballot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    /// The slot.
    pub slot: Slot,
    /// What it is for.
    pub kind: EntryKind,
    /// The prefix with it: two values of a slot are equal if and only if these are.
    pub chain: Chain,
    /// The next voters, if it ends the epoch.
    pub voters: Option<BTreeSet<NodeId>>,
}

impl Value {
    /// The value of a row.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let seal = (entry.kind == EntryKind::Seal).then(|| Seal::decode(&entry.payload));
        Self {
            slot: entry.slot,
            kind: entry.kind,
            chain: entry.chain,
            voters: seal.flatten().map(|seal| seal.voters),
        }
    }
}

/// What ever happened in one run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct History {
    /// The value of each decided slot, from the first one on.
    pub decided: Vec<Value>,
    /// The last slot that was applied somewhere, and so may have been acknowledged.
    pub acknowledged: Slot,
    /// For each read what had been acknowledged when it arrived.
    pub reads: Vec<Slot>,
    /// A read was answered.
    pub answered: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            decided: Vec::new(),
            acknowledged: Slot::GENESIS,
            reads: Vec::new(),
            answered: false,
        }
    }
}

impl History {
    /// A node decided a value, whose row is of this epoch.
    pub fn decide(&mut self, value: &Value, epoch: Epoch, faults: &mut Vec<Fault>) {
        let index = value.slot.distance_above(Slot::FIRST);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(known) = self.decided.get(index) {
            if known.chain != value.chain {
                let text = format!("{} is decided with two values", value.slot);
                faults.push(Fault::new(Rule::Agreement, text));
            }
        } else if index == self.decided.len() {
            self.decided.push(value.clone());
        } else {
            let text = format!("{} is decided and what is below is not", value.slot);
            faults.push(Fault::new(Rule::Agreement, text));
        }
        let belongs = self.epoch_of(index);
        if epoch != belongs {
            let text = format!("{} is of {belongs} and was decided in {epoch}", value.slot);
            faults.push(Fault::new(Rule::Epochs, text));
        }
        let first = index > 0 && self.seals(index) > self.seals(index.saturating_sub(1));
        if first != (value.kind == EntryKind::Ready) {
            let text = format!("{} holds {:?}", value.slot, value.kind);
            faults.push(Fault::new(Rule::Epochs, text));
        }
    }

    /// How many of the first `count` values end an epoch.
    fn seals(&self, count: usize) -> u64 {
        let seals = self.decided.iter().take(count);
        let seals = seals.filter(|value| value.kind == EntryKind::Seal);
        u64::try_from(seals.count()).unwrap_or(u64::MAX)
    }

    /// The epoch of a decided slot, by its index.
    fn epoch_of(&self, index: usize) -> Epoch {
        Epoch(Epoch::FIRST.0.saturating_add(self.seals(index)))
    }

    /// Each decided value with the voters of its epoch.
    pub fn with_voters<'a>(
        &'a self,
        genesis: &'a BTreeSet<NodeId>,
    ) -> impl Iterator<Item = (&'a Value, &'a BTreeSet<NodeId>)> {
        let mut voters = genesis;
        self.decided.iter().map(move |value| {
            let of = voters;
            if let Some(next) = &value.voters {
                voters = next;
            }
            (value, of)
        })
    }

    /// A read arrives. Answers its number.
    pub fn begin_read(&mut self) -> u64 {
        self.reads.push(self.acknowledged);
        u64::try_from(self.reads.len()).unwrap_or(u64::MAX)
    }

    /// A read is answered at a slot (I15).
    pub fn answer(&mut self, number: u64, slot: Slot, faults: &mut Vec<Fault>) {
        self.answered = true;
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let floor = self.reads.get(index).copied().unwrap_or(Slot::GENESIS);
        if slot < floor {
            let text = format!("a read that began after {floor} is answered at {slot}");
            faults.push(Fault::new(Rule::Reads, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use paxos::{Ballot, Chain, Entry, EntryKind, Epoch, NodeId, Round, Slot, Timestamp};

    use super::{History, Value};
    use crate::fault::Rule;

    fn value(slot: u64, kind: EntryKind, name: u8) -> Value {
        let ballot = Ballot {
            epoch: Epoch(1),
            round: Round(1),
            node: NodeId(1),
        };
        let payload = Bytes::copy_from_slice(&[name]);
        let time = Timestamp(slot);
        let entry = Entry::new(Chain::GENESIS, Slot(slot), ballot, kind, time, payload);
        Value::of(&entry)
    }

    fn rules(act: impl FnOnce(&mut History, &mut Vec<crate::fault::Fault>)) -> Vec<Rule> {
        let (mut history, mut faults) = (History::default(), Vec::new());
        history.decide(&value(1024, EntryKind::Batch, 1), Epoch(1), &mut faults);
        assert!(faults.is_empty());
        act(&mut history, &mut faults);
        faults.iter().map(|fault| fault.rule).collect()
    }

    #[test]
    fn two_values_in_a_slot_are_found() {
        let found = rules(|history, faults| {
            history.decide(&value(1024, EntryKind::Batch, 2), Epoch(1), faults);
        });
        assert_eq!(found, [Rule::Agreement]);
    }

    #[test]
    fn a_slot_of_another_epoch_is_found() {
        let found = rules(|history, faults| {
            history.decide(&value(1025, EntryKind::Seal, 2), Epoch(1), faults);
            history.decide(&value(1026, EntryKind::Ready, 2), Epoch(1), faults);
        });
        assert_eq!(found, [Rule::Epochs]);
        let found = rules(|history, faults| {
            history.decide(&value(1025, EntryKind::Seal, 2), Epoch(1), faults);
            history.decide(&value(1026, EntryKind::Batch, 2), Epoch(2), faults);
        });
        assert_eq!(found, [Rule::Epochs], "an epoch begins with Ready");
    }

    #[test]
    fn a_stale_read_is_found() {
        let found = rules(|history, faults| {
            history.acknowledged = Slot(1024);
            let number = history.begin_read();
            history.answer(number, Slot(1023), faults);
        });
        assert_eq!(found, [Rule::Reads]);
    }
}
