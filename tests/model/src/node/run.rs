//! One step under way: what the core asks for is executed, in order.
//!
//! In: inputs. Out: [`Effects`]. What the core says is held against what its disk holds.
//! Tested by: tests/worlds.rs.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Effects, NOW, Node};
use crate::fault::{Fault, Rule};
use crate::said;
use crate::world::World;

use paxos::message::{HelloReply, Rows};
use paxos::{Core, DiskSeq, Entry, Event, Input, Message, NodeId, Output, ReadToken, Slot};

/// One step under way.
pub(super) struct Run<'a> {
    pub(super) node: Node,
    pub(super) id: NodeId,
    pub(super) world: &'a World,
    /// The commit index before.
    pub(super) before: Slot,
    /// Inputs that the outputs caused.
    pub(super) next: VecDeque<Input>,
    pub(super) sent: Vec<(NodeId, Message)>,
    pub(super) learned: Vec<Entry>,
    pub(super) read: Vec<(ReadToken, Slot)>,
    pub(super) proposed: Option<Slot>,
    pub(super) refused: bool,
    /// The read that arrives in this step.
    pub(super) reading: Option<ReadToken>,
    pub(super) faults: Vec<Fault>,
    pub(super) died: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(node: Node, id: NodeId, world: &'a World) -> Self {
        Self {
            before: node.core.commit_index().0,
            node,
            id,
            world,
            next: VecDeque::new(),
            sent: Vec::new(),
            learned: Vec::new(),
            read: Vec::new(),
            proposed: None,
            refused: false,
            reading: None,
            faults: Vec::new(),
            died: false,
        }
    }

    pub(super) fn disk_seq(&self) -> DiskSeq {
        if self.world.hello {
            self.node.disk.disk_seq
        } else {
            DiskSeq(0)
        }
    }

    /// Gives an input, and what follows from it at once.
    pub(super) fn input(&mut self, input: Input) {
        self.next.push_back(input);
        self.settle();
    }

    /// Gives what outputs caused.
    pub(super) fn settle(&mut self) {
        while let Some(input) = self.next.pop_front() {
            if self.died {
                return;
            }
            let _ = self.core(|core, out| core.step(NOW, input, out));
        }
    }

    /// Does something with the core and executes what it asks for.
    pub(super) fn core<T>(
        &mut self,
        act: impl FnOnce(&mut Core, &mut Vec<Output>) -> T,
    ) -> Option<T> {
        let mut out = Vec::new();
        let core = &mut self.node.core;
        let result = catch_unwind(AssertUnwindSafe(|| act(core, &mut out)));
        match result {
            Ok(value) => {
                self.note_decided();
                for output in out {
                    self.execute(output);
                }
                self.node
                    .core
                    .model_forget_timing(self.world.early, self.world.fetching);
                Some(value)
            }
            Err(panic) => {
                self.faults.push(assertion(&*panic));
                self.died = true;
                None
            }
        }
    }

    /// What the core decided in this step. Its rows are in memory at that moment.
    fn note_decided(&mut self) {
        let (decided, _) = self.node.core.commit_index();
        while self.before < decided {
            self.before = self.before.next();
            if let Some(row) = self.node.core.model_row(self.before) {
                self.learned.push(row.clone());
            }
        }
    }

    fn execute(&mut self, output: Output) {
        match output {
            Output::Persist { ops, .. } => self.node.under_way.push_back(ops),
            Output::Send { to, message } => self.send(to, message),
            Output::Apply { entries } => self.apply(&entries),
            Output::ServeRows {
                to,
                from,
                compacted_to,
                ..
            } => self.serve(to, from, compacted_to),
            Output::Proposed { slot, .. } => self.proposed = Some(slot),
            Output::Rejected { .. } => self.refused = true,
            Output::ReadRejected { token, .. } => self.refused |= self.reading == Some(token),
            Output::ReadReady { token, slot } => self.read.push((token, slot)),
            Output::NeedSnapshot { at_least, .. } => self.node.wants = Some(at_least),
            Output::EpochBegan { configuration } => {
                if configuration != self.node.disk.configuration {
                    let text = format!("{} begins and is not durable", configuration.epoch);
                    self.faults.push(Fault::new(Rule::Epochs, text));
                }
            }
            Output::Trace(Event::Differs { slot, peer }) => {
                let text = format!("{peer} has another history at {slot}");
                self.faults.push(Fault::new(Rule::Halt, text));
            }
            Output::Trace(_) => {}
            Output::Halt { reason } => {
                let text = format!("{reason:?}");
                self.faults.push(Fault::new(Rule::Halt, text));
            }
        }
    }

    fn send(&mut self, to: NodeId, message: Message) {
        said::check(&self.node, self.id, &message, &mut self.faults);
        if !self.world.hello
            && let Message::Hello(hello) = &message
        {
            // Answered at once: nobody knows of a later state of this disk.
            let reply = HelloReply {
                epoch: hello.epoch,
                disk_seq: hello.disk_seq,
                seen: DiskSeq(0),
            };
            let message = Message::HelloReply(reply);
            self.next.push_back(Input::Message { from: to, message });
        } else {
            self.sent.push((to, message));
        }
    }

    /// Applies at once, and tells the core.
    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            let durable = self.node.disk.holds(entry.slot, entry.chain);
            let decided = entry.slot <= self.node.core.commit_index().0;
            if !durable || !decided {
                let text = format!("{} is applied, durable: {durable}", entry.slot);
                self.faults.push(Fault::new(Rule::Applied, text));
            }
            self.node.applied.apply(entry, &mut self.faults);
        }
        let slot = self.node.applied.slot;
        self.next.push_back(Input::Applied { slot });
    }

    /// Reads decided rows out of the log.
    fn serve(&mut self, to: NodeId, from: Slot, compacted_to: Slot) {
        let decided = self.node.core.commit_index().0;
        let mut entries = Vec::new();
        let mut slot = from;
        while slot <= decided
            && let Some(row) = self.node.disk.rows.get(&slot)
        {
            entries.push(row.clone());
            slot = slot.next();
        }
        let epoch = self.node.core.configuration().epoch;
        let rows = Rows {
            epoch,
            entries,
            decided,
            compacted_to,
        };
        self.send(to, Message::Rows(rows));
    }

    pub(super) fn finish(mut self) -> Effects {
        if !self.world.hello {
            self.node.disk.disk_seq = DiskSeq(0);
        }
        Effects {
            node: self.node,
            sent: self.sent,
            learned: self.learned,
            read: self.read,
            proposed: self.proposed,
            refused: self.refused,
            faults: self.faults,
            died: self.died,
        }
    }
}

/// What a panic said.
pub(super) fn assertion(panic: &(dyn std::any::Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Fault::new(Rule::Assertion, text.unwrap_or_default())
}
