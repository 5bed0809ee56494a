//! I12: nothing is decided above the seal of epoch e in e, nothing up to it in e + 1; an epoch
//! has one configuration everywhere, begins with its `Ready`, and only its voters vote in it.
//!
//! Lamport, Malkhi, Zhou, *Stoppable Paxos* (2008) and *Reconfiguring a State Machine* (2010):
//! no command is chosen after a stop command, and the next configuration is a function of the
//! prefix. R2 to R5 and D7 of docs/invariants.md.

use std::collections::BTreeMap;

use paxos::{Ballot, Configuration, Entry, EntryKind, Epoch, NodeId, Round, Seal, Slot};

use super::Who;
use crate::disk::Image;
use crate::violation::{Verdict, hold};

const NAME: &str = "I12";

/// The epochs of a run.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    /// Rising by one from the first epoch.
    configurations: Vec<Configuration>,
    /// Who may lead each epoch without phase 1, by the seal.
    starters: BTreeMap<Epoch, NodeId>,
    /// Who did.
    started: BTreeMap<Epoch, NodeId>,
    /// The highest epoch whose `Ready` was applied somewhere.
    ready: Epoch,
}

impl Epochs {
    /// The first configuration.
    #[must_use]
    pub fn new(first: Configuration) -> Self {
        Self {
            configurations: vec![first],
            ready: Epoch::FIRST,
            ..Self::default()
        }
    }

    /// A node begins an epoch, or knows it from a seal or a snapshot.
    pub fn on_configuration(&mut self, configuration: &Configuration) -> Verdict {
        let epoch = configuration.epoch;
        if let Some(known) = self.configuration(epoch) {
            hold!(
                NAME,
                known == configuration,
                "{configuration:?} beside {known:?}"
            );
            return Ok(());
        }
        let last = self.last();
        let follows = epoch == last.epoch.next() && configuration.start > last.start;
        hold!(NAME, follows, "{configuration:?} follows {last:?}");
        self.configurations.push(configuration.clone());
        Ok(())
    }

    /// The configuration of an epoch, if somebody has begun it.
    #[must_use]
    pub fn configuration(&self, epoch: Epoch) -> Option<&Configuration> {
        let index = epoch.0.checked_sub(Epoch::FIRST.0)?;
        self.configurations.get(index as usize)
    }

    /// The last epoch that somebody has begun.
    ///
    /// # Panics
    ///
    /// Never: there is a first one.
    #[must_use]
    pub fn last(&self) -> &Configuration {
        self.configurations.last().expect("there is a first epoch")
    }

    /// The highest epoch whose first entry somebody has applied: its voters hold the prefix.
    #[must_use]
    pub const fn ready(&self) -> Epoch {
        self.ready
    }

    /// A row is about to become durable: it lies above the seal that began its epoch.
    pub fn on_row(&self, who: Who, row: &Entry) -> Verdict {
        let (slot, epoch) = (row.slot, row.ballot.epoch);
        let start = self
            .configuration(epoch)
            .map(|configuration| configuration.start);
        hold!(
            NAME,
            start.is_some_and(|start| slot > start),
            "{} stores {slot} of {epoch}, which begins after {start:?}",
            who.id
        );
        Ok(())
    }

    /// A node applies an entry.
    pub fn on_applied(&mut self, entry: &Entry) -> Verdict {
        let (slot, epoch) = (entry.slot, entry.ballot.epoch);
        let (begins, ends) = (self.configuration(epoch), self.configuration(epoch.next()));
        let start = begins.map_or(Slot(u64::MAX), |configuration| configuration.start);
        let end = ends.map_or(Slot(u64::MAX), |configuration| configuration.start);
        hold!(
            NAME,
            start < slot && slot <= end,
            "{slot} is decided in {epoch}, which is ({start}, {end}]"
        );
        let is_first = epoch > Epoch::FIRST && slot == start.next();
        let is_ready = entry.kind == EntryKind::Ready;
        hold!(
            NAME,
            is_first == is_ready,
            "{slot}, the first of {epoch}: {:?}",
            entry.kind
        );
        if is_ready {
            self.ready = self.ready.max(epoch);
        }
        if entry.kind == EntryKind::Seal {
            let seal = Seal::decode(&entry.payload);
            let seal = seal.filter(|seal| seal.epoch == epoch.next());
            let Some(seal) = seal else {
                hold!(
                    NAME,
                    false,
                    "the seal at {slot} of {epoch} names no next epoch"
                );
                return Ok(());
            };
            self.on_configuration(&seal.configuration(slot))?;
            self.starters.insert(seal.epoch, seal.starter);
            return self.check_starter(seal.epoch);
        }
        Ok(())
    }

    /// A node leads. Round 0 belongs to the one that the seal names.
    pub fn on_leading(&mut self, ballot: Ballot) -> Verdict {
        if ballot.round != Round(0) {
            return Ok(());
        }
        hold!(
            NAME,
            ballot.epoch > Epoch::FIRST,
            "{ballot} leads the first epoch at once"
        );
        let other = self.started.insert(ballot.epoch, ballot.node);
        hold!(NAME, other.is_none(), "{ballot} leads after {other:?} did");
        self.check_starter(ballot.epoch)
    }

    fn check_starter(&self, epoch: Epoch) -> Verdict {
        if let (Some(named), Some(did)) = (self.starters.get(&epoch), self.started.get(&epoch)) {
            hold!(
                NAME,
                named == did,
                "{epoch} was to be begun by {named}, {did} did"
            );
        }
        Ok(())
    }

    /// A node says that every epoch before this one is over.
    pub fn on_ended(&self, who: Who, epoch: Epoch) -> Verdict {
        let last = self.last().epoch;
        hold!(
            NAME,
            epoch <= last,
            "{} speaks for {epoch}, begun is {last}",
            who.id
        );
        Ok(())
    }

    /// A node votes or proposes in an epoch.
    pub fn on_vote(&self, who: Who, epoch: Epoch, image: &Image) -> Verdict {
        let active = &image.configuration;
        let may = active.epoch == epoch && active.voters.contains(&who.id);
        hold!(
            NAME,
            may,
            "{} votes in {epoch}; durable is {active:?}",
            who.id
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Epochs;
    use crate::invariants::testing::{at, ballot, broken, entry, image, three, who};
    use bytes::Bytes;
    use paxos::{Ballot, Chain, Configuration, Entry, EntryKind, Epoch, NodeId, Round, Seal};

    fn row(number: u64, epoch: u64, kind: EntryKind, payload: Bytes) -> Entry {
        let ballot = Ballot {
            epoch: Epoch(epoch),
            ..ballot(1, 1)
        };
        let mut row = entry(Chain::GENESIS, number, ballot, payload);
        row.kind = kind;
        row
    }

    fn seal(number: u64, epoch: u64) -> Entry {
        let voters = (1..=2).map(NodeId).collect();
        let seal = Seal {
            epoch: Epoch(epoch + 1),
            starter: NodeId(2),
            voters,
        };
        row(number, epoch, EntryKind::Seal, seal.encode())
    }

    fn sealed() -> Epochs {
        let mut epochs = Epochs::new(three());
        epochs.on_applied(&seal(5, 1)).expect("a seal");
        epochs
    }

    #[test]
    fn nothing_lies_above_a_seal_and_nothing_below_the_next_epoch() {
        let mut epochs = sealed();
        let batch = |number, epoch| row(number, epoch, EntryKind::Batch, Bytes::new());
        assert_eq!(epochs.on_applied(&batch(4, 1)), Ok(()));
        assert_eq!(
            broken(epochs.on_applied(&batch(6, 1))),
            Some("I12"),
            "above the seal"
        );
        assert_eq!(
            broken(epochs.on_applied(&batch(5, 2))),
            Some("I12"),
            "up to it"
        );
        assert_eq!(
            broken(epochs.on_applied(&batch(6, 2))),
            Some("I12"),
            "no Ready"
        );
        let ready = row(6, 2, EntryKind::Ready, Bytes::new());
        assert_eq!(epochs.on_applied(&ready), Ok(()));
        assert_eq!(epochs.ready(), Epoch(2));
        assert_eq!(epochs.on_applied(&batch(7, 2)), Ok(()));
    }

    #[test]
    fn an_epoch_has_one_configuration() {
        let mut epochs = sealed();
        let other = Configuration {
            start: at(4),
            ..epochs.last().clone()
        };
        assert_eq!(broken(epochs.on_configuration(&other)), Some("I12"));
        let same = epochs.last().clone();
        assert_eq!(epochs.on_configuration(&same), Ok(()));
        let skipped = Configuration {
            epoch: Epoch(4),
            start: at(9),
            ..same
        };
        assert_eq!(broken(epochs.on_configuration(&skipped)), Some("I12"));
    }

    #[test]
    fn only_the_starter_may_skip_phase_1_and_only_once() {
        let first = |node| Ballot {
            epoch: Epoch(2),
            round: Round(0),
            node: NodeId(node),
        };
        assert_eq!(broken(sealed().on_leading(first(1))), Some("I12"));
        let mut epochs = sealed();
        assert_eq!(epochs.on_leading(first(2)), Ok(()));
        assert_eq!(broken(epochs.on_leading(first(2))), Some("I12"));
    }

    #[test]
    fn a_node_votes_in_its_active_epoch_only_and_only_as_a_voter() {
        let (epochs, held) = (sealed(), image(ballot(1, 1), &[]));
        assert_eq!(epochs.on_vote(who(3), Epoch(1), &held), Ok(()));
        assert_eq!(broken(epochs.on_vote(who(3), Epoch(2), &held)), Some("I12"));
        assert_eq!(broken(epochs.on_vote(who(4), Epoch(1), &held)), Some("I12"));
        assert_eq!(epochs.on_ended(who(1), Epoch(2)), Ok(()));
        assert_eq!(broken(epochs.on_ended(who(1), Epoch(3))), Some("I12"));
    }
}
