//! One node: the real core, its disk, and the requests under way between them.
//!
//! In: one [`Step`]. Out: [`Effects`]. This is the driver of the model: it executes the core's
//! outputs in order, and holds what the core says against what its disk holds.
//! Invariants: no time passes; a crash keeps any prefix of the requests under way.
//! Tested by: tests/worlds.rs.

mod run;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use paxos::limits::{ADMISSION_WAIT_MS, STUCK_MS, TRANSFER_TIMEOUT_MS};
use paxos::{
    Core, DiskSeq, Entry, EntryKind, Input, Message, Millis, NodeId, Options, PersistOp,
    PersistSeq, ProposalToken, ReadToken, Slot, Timestamp,
};

use crate::disk::{Applied, Disk};
use crate::fault::Fault;
use crate::world::World;
use run::{Run, assertion};

/// The moment at which everything happens.
const NOW: Millis = Millis(1_000_000);
/// The moment to which a node waits that waits.
const LATER: Millis = Millis(NOW.0 + 3 * TRANSFER_TIMEOUT_MS / 2);

const _: () = assert!(
    LATER.0 - NOW.0 < STUCK_MS && LATER.0 - NOW.0 > ADMISSION_WAIT_MS,
    "a leader that waited still leads, and a disk that waited is admitted by a majority"
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
    mut disk: Disk,
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
