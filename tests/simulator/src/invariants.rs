//! What must hold in every history: checked against everything that nodes send, write, decide,
//! apply and answer, for all nodes and all time. One property per file; the names are those of
//! docs/invariants.md.
//!
//! The world tells [`Invariants`] what happens; the first thing that does not hold ends the
//! run. Each check looks at what is new only, so that it costs less than the step it judges.

pub mod i01_agreement;
pub mod i02_validity;
pub mod i03_promises_rise;
pub mod i04_one_value;
pub mod i05_no_accepted_after_promise;
pub mod i06_persist_before_send;
pub mod i07_chosen_is_durable;
pub mod i08_acknowledged_stays;
pub mod i09_same_prefix;
pub mod i10_once;
pub mod i11_session_order;
pub mod i12_epochs;
pub mod i13_one_disk;
pub mod i14_in_order;
pub mod i15_fresh_reads;
pub mod i16_marks;
pub mod i17_bounds;
pub mod i18_same_trace;
pub mod i19_one_proposer;
pub mod i20_no_halt;

#[cfg(test)]
mod testing;

use paxos::quorum::Quorum;
use paxos::{
    Ballot, Chain, Configuration, Entry, Epoch, HaltReason, Message, NodeId, PersistOp, Slot,
};

use crate::command::Command;
use crate::disk::Image;
use crate::state::{DiskId, Outcome, State};
use crate::violation::{Broken, Verdict};
use i01_agreement::Agreement;
use i02_validity::Validity;
use i03_promises_rise::PromisesRise;
use i04_one_value::OneValue;
use i05_no_accepted_after_promise::NoAcceptedAfterPromise;
use i06_persist_before_send::PersistBeforeSend;
use i07_chosen_is_durable::ChosenIsDurable;
use i08_acknowledged_stays::AcknowledgedStays;
use i09_same_prefix::SamePrefix;
use i10_once::Once;
use i11_session_order::SessionOrder;
use i12_epochs::Epochs;
use i13_one_disk::OneDisk;
use i14_in_order::InOrder;
use i15_fresh_reads::FreshReads;
pub use i16_marks::Levels;
use i16_marks::Marks;
use i17_bounds::Bounds;
use i19_one_proposer::OneProposer;

/// The replica that does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who {
    /// Its place in the world: one for each disk that ever was.
    pub index: usize,
    /// Its node id.
    pub id: NodeId,
    /// Its disk.
    pub disk: DiskId,
}

/// One value for each replica.
#[derive(Clone, Debug)]
struct ByNode<T>(Vec<T>);

impl<T> Default for ByNode<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> ByNode<T> {
    fn of(&mut self, who: Who) -> &mut T {
        if self.0.len() <= who.index {
            self.0.resize_with(who.index + 1, T::default);
        }
        &mut self.0[who.index]
    }
}

/// What several invariants refer to: kept by the one that checks it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was chosen and decided.
    pub agreement: Agreement,
    /// What was proposed.
    pub values: OneValue,
    /// Where ballots begin.
    pub in_order: InOrder,
}

/// The history, as the one who does something may refer to it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    history: &'a History,
    /// The commit index of the node in question.
    commit: Slot,
}

impl Facts<'_> {
    fn base(&self, ballot: Ballot) -> Option<Slot> {
        self.history.in_order.base(ballot)
    }

    fn proposed(&self, ballot: Ballot, slot: Slot) -> Option<Chain> {
        self.history.values.proposed(ballot, slot)
    }

    fn settled(&self, slot: Slot) -> Option<Chain> {
        self.history.agreement.settled(slot)
    }
}

/// Everything that was seen.
#[derive(Clone, Debug)]
pub struct Invariants {
    /// What several of them refer to.
    pub history: History,
    /// What was asked for.
    pub validity: Validity,
    promises: PromisesRise,
    no_accepted: NoAcceptedAfterPromise,
    persist: PersistBeforeSend,
    durable: ChosenIsDurable,
    acknowledged: AcknowledgedStays,
    prefixes: SamePrefix,
    /// Where commands took effect.
    pub once: Once,
    sessions: SessionOrder,
    /// The configurations.
    pub epochs: Epochs,
    disks: OneDisk,
    /// What clients know.
    pub reads: FreshReads,
    marks: Marks,
    bounds: Bounds,
    proposers: OneProposer,
    /// The first that does not hold.
    pub broken: Option<Broken>,
}

impl Invariants {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(first: Configuration) -> Self {
        Self {
            history: History::default(),
            validity: Validity::default(),
            promises: PromisesRise::default(),
            no_accepted: NoAcceptedAfterPromise::default(),
            persist: PersistBeforeSend::default(),
            durable: ChosenIsDurable::default(),
            acknowledged: AcknowledgedStays::default(),
            prefixes: SamePrefix::default(),
            once: Once::default(),
            sessions: SessionOrder::default(),
            epochs: Epochs::new(first),
            disks: OneDisk::default(),
            reads: FreshReads::default(),
            marks: Marks::default(),
            bounds: Bounds,
            proposers: OneProposer::default(),
            broken: None,
        }
    }

    /// Notes the first verdict that is not good.
    pub fn judge(&mut self, verdict: Verdict) {
        if let Err(broken) = verdict {
            self.broken.get_or_insert(broken);
        }
    }

    /// A process starts; its state is `state`.
    pub fn on_start(&mut self, who: Who, levels: Levels, state: &State) -> Verdict {
        self.disks.on_start(who)?;
        self.persist.on_start(who);
        self.marks.on_start(who, levels)?;
        self.on_state(who, state)
    }

    /// A disk is about to make a change durable; its state survives a power loss up to `stored`.
    pub fn on_op(&mut self, who: Who, image: &Image, op: &PersistOp, stored: Slot) -> Verdict {
        self.promises.on_op(who, image, op)?;
        self.persist.on_op(who, image, op)?;
        self.marks
            .on_op(who, image, op, stored, &self.history.agreement)?;
        match op {
            PersistOp::Activate { configuration, .. } => {
                self.epochs.on_configuration(configuration)
            }
            PersistOp::Accept(rows) => self.on_rows(who, image, rows),
            _ => Ok(()),
        }
    }

    fn on_rows(&mut self, who: Who, image: &Image, rows: &[Entry]) -> Verdict {
        let mut below: Option<&Entry> = None;
        for row in rows {
            self.epochs.on_row(who, row)?;
            let follows =
                below.is_some_and(|b| b.ballot == row.ballot && b.slot.next() == row.slot);
            if !follows {
                self.history
                    .in_order
                    .on_row(who, image, row, &self.history.agreement)?;
            }
            below = Some(row);
            self.on_vote(who, row)?;
        }
        Ok(())
    }

    fn on_vote(&mut self, who: Who, row: &Entry) -> Verdict {
        let epoch = self.epochs.configuration(row.ballot.epoch);
        let Some(configuration) = epoch.filter(|epoch| epoch.voters.contains(&who.id)) else {
            return Ok(());
        };
        let quorum = Quorum::new(configuration.voters.len()).majority();
        if self.durable.on_vote(who, row, quorum) {
            self.history.agreement.on_chosen(row.slot, row.chain)?;
        }
        Ok(())
    }

    /// Process `life` of a node sends a message; `image` is what its disk holds, `commit` its
    /// commit index. Answers whether the message proposes a value again at a higher ballot.
    pub fn on_send(
        &mut self,
        who: Who,
        life: u32,
        message: &Message,
        image: &Image,
        commit: Slot,
    ) -> Result<bool, Broken> {
        let mut again = false;
        match message {
            Message::Ping(_) | Message::Pong(_) => return Ok(false),
            Message::Prepare(prepare) => {
                self.epochs.on_vote(who, prepare.ballot.epoch, image)?;
            }
            Message::Accept(accept) => {
                self.epochs.on_vote(who, accept.ballot.epoch, image)?;
                self.history.in_order.on_accept(accept)?;
                again = self.history.values.on_accept(who, accept)?;
            }
            Message::Promise(promise) => {
                self.on_voter(who, promise.ballot.epoch, image)?;
                self.promises.on_promise(who, promise.ballot)?;
                self.no_accepted.on_promise(who, promise.ballot);
            }
            Message::Accepted(accepted) => {
                self.on_voter(who, accepted.ballot.epoch, image)?;
                self.no_accepted.on_accepted(who, accepted.ballot)?;
            }
            Message::Confirmed(confirmed) => {
                self.on_voter(who, confirmed.ballot.epoch, image)?;
            }
            Message::EpochEnded(ended) => self.epochs.on_ended(who, ended.epoch)?,
            Message::Rows(rows) => {
                for entry in &rows.entries {
                    self.on_decided(who, entry.slot, entry.chain)?;
                }
            }
            _ => {}
        }
        self.proposers.on_send(who, life, message)?;
        self.bounds.on_send(who, message, commit)?;
        let facts = Facts {
            history: &self.history,
            commit,
        };
        self.persist.on_send(who, message, image, &facts)?;
        Ok(again)
    }

    fn on_voter(&self, who: Who, epoch: Epoch, image: &Image) -> Verdict {
        self.epochs.on_vote(who, epoch, image)?;
        self.disks.on_vote(who)
    }

    /// A node's commit index is at a slot.
    pub fn on_decided(&mut self, who: Who, slot: Slot, chain: Chain) -> Verdict {
        self.history.agreement.on_decided(slot, chain)?;
        self.durable
            .on_decided(who, slot, chain, &self.history.agreement)
    }

    /// A node has applied an entry, with this outcome; its state is `state` now.
    pub fn on_applied(
        &mut self,
        who: Who,
        entry: &Entry,
        outcome: &Outcome,
        state: &State,
    ) -> Verdict {
        self.on_decided(who, entry.slot, entry.chain)?;
        self.validity.on_applied(entry)?;
        self.history.in_order.on_applied(entry)?;
        self.epochs.on_applied(entry)?;
        self.once.on_applied(entry.slot, outcome)?;
        self.sessions.on_applied(entry.slot, outcome)?;
        self.on_state(who, state)
    }

    /// A node's state was applied, restored, or installed.
    pub fn on_state(&mut self, who: Who, state: &State) -> Verdict {
        let prefix = (state.slot, state.chain);
        self.epochs.on_configuration(&state.configuration)?;
        self.prefixes
            .on_state(who, prefix, state.digest, &self.history.agreement)
    }

    /// A node has made a step.
    pub fn on_step(&mut self, who: Who, levels: Levels, requests: usize) -> Verdict {
        self.marks.on_step(who, levels)?;
        let unapplied = levels.decided.distance_above(levels.applied);
        self.bounds.on_queues(who, requests, unapplied)
    }

    /// Process `life` of a node leads.
    pub fn on_leading(&mut self, who: Who, life: u32, ballot: Ballot) -> Verdict {
        self.proposers.on_leading(who, life, ballot)?;
        self.epochs.on_leading(ballot)
    }

    /// A new leader has left rows out.
    pub fn on_suffix_dropped(&self, who: Who, from: Slot, hole: bool) -> Verdict {
        self.history.in_order.on_suffix_dropped(who, from, hole)
    }

    /// A node finds that another's history differs from its own.
    pub fn on_differs(&self, who: Who, slot: Slot, peer: NodeId) -> Verdict {
        self.history.agreement.on_differs(who, slot, peer)
    }

    /// A node stops for good.
    pub fn on_halt(&self, who: Who, reason: &HaltReason, turned_back: bool) -> Verdict {
        i20_no_halt::on_halt(who, reason, turned_back)
    }

    /// A client is told where its command took effect.
    pub fn on_acknowledged(&mut self, command: Command, slot: Slot) {
        self.acknowledged.on_acknowledged(command, slot);
        self.reads.on_acknowledged(slot);
    }

    /// The end of a run. Every healed node has applied everything up to `decided`.
    pub fn at_end(&self, decided: Slot) -> Verdict {
        self.acknowledged.at_end(&self.once, decided)
    }

    /// The end of a run: so many disks of voters have a decided slot.
    pub fn at_end_slot(&self, slot: Slot, holders: usize, lost: usize, quorum: usize) -> Verdict {
        self.durable.at_end(slot, holders, lost, quorum)
    }

    /// The end of a run: a log holds so many rows.
    pub fn at_end_log(&self, who: Who, rows: usize, most: u64) -> Verdict {
        self.bounds.at_end(who, rows, most)
    }
}
