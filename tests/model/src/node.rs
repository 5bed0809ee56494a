//! One node: the real core, its disk, and the requests under way between them.
//!
//! In: one [`Step`]. Out: [`Effects`]. This is the driver of the model: it executes the core's
//! outputs in order, and holds what the core says against what its disk holds.
//! Invariants: no time passes; a crash keeps any prefix of the requests under way.
//! Tested by: tests/worlds.rs.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use paxos::limits::{STUCK_MS, TRANSFER_TIMEOUT_MS};
use paxos::message::{HelloReply, Rows};
use paxos::{
    Core, DiskSeq, Entry, EntryKind, Input, Message, Millis, NodeId, Options, Output, PersistOp,
    PersistSeq, ProposalToken, ReadToken, Slot, Timestamp,
};

use crate::disk::{Applied, Disk};
use crate::fault::{Fault, Rule};
use crate::said;
use crate::world::World;

/// The moment at which everything happens.
const NOW: Millis = Millis(1_000_000);
/// The moment to which a node waits that waits.
const LATER: Millis = Millis(NOW.0 + 3 * TRANSFER_TIMEOUT_MS / 2);

const _: () = assert!(
    LATER.0 - NOW.0 < STUCK_MS,
    "a leader that waited still leads"
);

/// The state of one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// The real core.
    pub core: Core,
    /// What is durable.
    pub disk: Disk,
    /// Requests of the core that are not durable yet, in order.
    pub under_way: VecDeque<Vec<PersistOp>>,
    /// What the state machine holds in memory.
    pub applied: Applied,
    /// How often the process was started again: makes what it proposes different.
    pub incarnation: u8,
    /// The core asked for a snapshot at this slot or a higher one.
    pub wants: Option<Slot>,
    /// A copy of the disk that somebody made.
    pub copy: Option<Box<Disk>>,
}

/// What may happen to one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// A message arrives.
    Deliver(NodeId, Message),
    /// The oldest request under way is durable, and the core is told.
    Persisted,
    /// The process dies and starts again. So many requests under way had become durable; the
    /// flag says whether `state.db` kept what it had not synced.
    Crash(usize, bool),
    /// The process dies and starts again, and the row of this slot cannot be read any more.
    Damage(Slot),
    /// It campaigns.
    Campaign,
    /// A client's batch arrives.
    Propose,
    /// The voters are to become the world's next ones.
    Reconfigure,
    /// A linearizable read arrives.
    Read(ReadToken),
    /// The lead is to be handed over.
    Transfer(NodeId),
    /// `state.db` is synced, and the log is compacted up to what it holds.
    Compact,
    /// A snapshot is installed, of which so many requests under way had become durable before.
    Install(Applied, usize),
    /// Time passes for this node alone: longer than any hand-over waits, shorter than any
    /// election takes.
    Wait,
    /// Somebody copies the disk.
    Copy,
    /// Somebody puts the copy back.
    TurnBack,
    /// The disk is lost, and the node starts with an empty one **under its old id**: what the
    /// identity rule forbids.
    Wipe,
}

/// What a step did.
#[derive(Debug)]
pub struct Effects {
    /// The node after it.
    pub node: Node,
    /// What it sent.
    pub sent: Vec<(NodeId, Message)>,
    /// What it decided, in slot order.
    pub learned: Vec<Entry>,
    /// Reads that may be answered at a slot.
    pub read: Vec<(ReadToken, Slot)>,
    /// Where a proposal was put.
    pub proposed: Option<Slot>,
    /// The step was not possible: the core refused it.
    pub refused: bool,
    /// What was found wrong.
    pub faults: Vec<Fault>,
    /// An assertion stopped the process.
    pub died: bool,
}

impl Node {
    /// A node that starts for the first time, and what it does at once.
    #[must_use]
    pub fn first(id: NodeId, world: &World) -> Effects {
        start(id, Disk::empty(world.genesis()), 0, None, Vec::new(), world)
    }

    /// Takes one step.
    #[must_use]
    pub fn take(&self, id: NodeId, step: &Step, world: &World) -> Effects {
        match step {
            Step::Crash(kept, state_kept) => self.crash(id, *kept, *state_kept, world),
            Step::Damage(slot) => {
                let mut disk = self.disk.clone();
                let damaged = disk.damage(*slot);
                let again = self.incarnation + 1;
                let mut effects = start(id, disk, again, self.copy.clone(), Vec::new(), world);
                effects.refused = !damaged;
                effects
            }
            Step::Install(base, kept) => self.install(id, base, *kept, world),
            Step::TurnBack => {
                let disk = self.copy.as_deref().cloned();
                let disk = disk.unwrap_or_else(|| self.disk.clone());
                start(id, disk, self.incarnation + 1, None, Vec::new(), world)
            }
            Step::Wipe => {
                let disk = Disk::empty(world.genesis());
                start(id, disk, self.incarnation + 1, None, Vec::new(), world)
            }
            Step::Deliver(from, message) => {
                let (from, message) = (*from, message.clone());
                self.give(id, Input::Message { from, message }, world)
            }
            Step::Read(token) => {
                let mut run = Run::new(self.clone(), id, world);
                run.reading = Some(*token);
                run.input(Input::Read { token: *token });
                run.finish()
            }
            Step::Transfer(to) => self.give(id, Input::TransferLead { to: *to }, world),
            Step::Propose => self.give(id, self.proposal(id, world), world),
            Step::Reconfigure => self.reconfigure(id, world),
            Step::Persisted => self.persisted(id, world),
            Step::Campaign => {
                let mut run = Run::new(self.clone(), id, world);
                run.refused = !run.core(Core::model_campaign).unwrap_or(true);
                run.settle();
                run.finish()
            }
            Step::Compact => {
                let mut run = Run::new(self.clone(), id, world);
                run.node.disk.state = run.node.applied.clone();
                let upto = run.node.applied.slot;
                run.input(Input::Compact { upto });
                run.finish()
            }
            Step::Wait => {
                let mut run = Run::new(self.clone(), id, world);
                let _ = run.core(|core, out| core.step(LATER, Input::Tick, out));
                run.settle();
                run.finish()
            }
            Step::Copy => {
                let mut run = Run::new(self.clone(), id, world);
                run.node.copy = Some(Box::new(self.disk.clone()));
                run.finish()
            }
        }
    }

    fn give(&self, id: NodeId, input: Input, world: &World) -> Effects {
        let mut run = Run::new(self.clone(), id, world);
        run.input(input);
        run.finish()
    }

    fn persisted(&self, id: NodeId, world: &World) -> Effects {
        let mut run = Run::new(self.clone(), id, world);
        let Some(ops) = run.node.under_way.pop_front() else {
            run.refused = true;
            return run.finish();
        };
        run.node.disk.commit(&ops, &mut run.faults);
        let disk_seq = run.disk_seq();
        // Requests are counted from the last one that is done.
        let seq = PersistSeq(1);
        run.input(Input::Persisted { seq, disk_seq });
        run.finish()
    }

    /// A batch that no other ballot, slot or process would have made.
    fn proposal(&self, id: NodeId, world: &World) -> Input {
        let ballot = self.core.status().promised;
        let mut payload = vec![0_u8; world.payload_bytes.max(4)];
        for (at, number) in payload.iter_mut().zip([
            id.0,
            ballot.epoch.0,
            ballot.round.0,
            u64::from(self.incarnation),
        ]) {
            *at = u8::try_from(number % 256).unwrap_or_default();
        }
        Input::Propose {
            token: ProposalToken(0),
            kind: EntryKind::Batch,
            payload: Bytes::from(payload),
            wall_clock: Timestamp(0),
        }
    }

    fn reconfigure(&self, id: NodeId, world: &World) -> Effects {
        let mut run = Run::new(self.clone(), id, world);
        let expected_epoch = self.core.configuration().epoch;
        let Some(voters) = world.voters_after(expected_epoch) else {
            run.refused = true;
            return run.finish();
        };
        run.input(Input::Reconfigure {
            token: ProposalToken(0),
            expected_epoch,
            voters,
            wall_clock: Timestamp(0),
        });
        run.finish()
    }

    /// Makes the first requests under way durable, whose completion nobody hears of.
    fn survive(&self, kept: usize, faults: &mut Vec<Fault>) -> Disk {
        let mut disk = self.disk.clone();
        for ops in self.under_way.iter().take(kept) {
            disk.commit(ops, faults);
        }
        disk
    }

    fn crash(&self, id: NodeId, kept: usize, state_kept: bool, world: &World) -> Effects {
        let mut faults = Vec::new();
        let mut disk = self.survive(kept, &mut faults);
        if state_kept {
            disk.state = self.applied.clone();
        }
        let copy = self.copy.clone();
        start(id, disk, self.incarnation + 1, copy, faults, world)
    }

    fn install(&self, id: NodeId, base: &Applied, kept: usize, world: &World) -> Effects {
        let mut faults = Vec::new();
        let mut disk = self.survive(kept, &mut faults);
        if base.slot <= disk.decided.max(disk.state.slot) {
            // Caught up meanwhile: the driver throws the snapshot away.
            let mut run = Run::new(self.clone(), id, world);
            run.refused = true;
            return run.finish();
        }
        disk.install(base);
        start(id, disk, self.incarnation, self.copy.clone(), faults, world)
    }
}

/// A process starts on a disk.
fn start(
    id: NodeId,
    disk: Disk,
    incarnation: u8,
    copy: Option<Box<Disk>>,
    mut faults: Vec<Fault>,
    world: &World,
) -> Effects {
    let (mut restored, applied) = disk.restore(&mut faults);
    if !world.hello {
        restored.disk_seq = DiskSeq(0);
    }
    let options = Options {
        node: id,
        configuration: disk.configuration.clone(),
        seed: id.0,
    };
    let core = catch_unwind(AssertUnwindSafe(|| Core::new(options, restored, NOW)));
    let (core, died) = match core {
        Ok(core) => (core, false),
        Err(panic) => {
            faults.push(assertion(&*panic));
            (Node::blank(id, world), true)
        }
    };
    let node = Node {
        core,
        disk,
        under_way: VecDeque::new(),
        applied,
        incarnation,
        wants: None,
        copy,
    };
    let mut run = Run::new(node, id, world);
    run.faults = faults;
    run.died = died;
    // The first tick says hello.
    run.input(Input::Tick);
    run.finish()
}

impl Node {
    /// Stands for a core that could not be made.
    fn blank(id: NodeId, world: &World) -> Core {
        let options = Options {
            node: id,
            configuration: world.genesis(),
            seed: id.0,
        };
        Core::new(options, paxos::Restored::empty(), NOW)
    }
}

/// One step under way.
struct Run<'a> {
    node: Node,
    id: NodeId,
    world: &'a World,
    /// The commit index before.
    before: Slot,
    /// Inputs that the outputs caused.
    next: VecDeque<Input>,
    sent: Vec<(NodeId, Message)>,
    learned: Vec<Entry>,
    read: Vec<(ReadToken, Slot)>,
    proposed: Option<Slot>,
    refused: bool,
    /// The read that arrives in this step.
    reading: Option<ReadToken>,
    faults: Vec<Fault>,
    died: bool,
}

impl<'a> Run<'a> {
    fn new(node: Node, id: NodeId, world: &'a World) -> Self {
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

    fn disk_seq(&self) -> DiskSeq {
        if self.world.hello {
            self.node.disk.disk_seq
        } else {
            DiskSeq(0)
        }
    }

    /// Gives an input, and what follows from it at once.
    fn input(&mut self, input: Input) {
        self.next.push_back(input);
        self.settle();
    }

    /// Gives what outputs caused.
    fn settle(&mut self) {
        while let Some(input) = self.next.pop_front() {
            if self.died {
                return;
            }
            let _ = self.core(|core, out| core.step(NOW, input, out));
        }
    }

    /// Does something with the core and executes what it asks for.
    fn core<T>(&mut self, act: impl FnOnce(&mut Core, &mut Vec<Output>) -> T) -> Option<T> {
        let mut out = Vec::new();
        let core = &mut self.node.core;
        let result = catch_unwind(AssertUnwindSafe(|| act(core, &mut out)));
        match result {
            Ok(value) => {
                self.note_decided();
                for output in out {
                    self.execute(output);
                }
                self.node.core.model_forget_timing(self.world.early, self.world.fetching);
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

    fn finish(mut self) -> Effects {
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
fn assertion(panic: &(dyn std::any::Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Fault::new(Rule::Assertion, text.unwrap_or_default())
}
