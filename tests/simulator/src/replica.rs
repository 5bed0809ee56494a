//! One replica: its disk and state, and while it runs, its process: the real core and what the
//! driver keeps beside it.
//!
//! The driver's part that decides nothing by itself (queues, waiting clients, the fetch of a
//! snapshot) is a model here; what it must do with each output stands in `world/execute.rs`.

use std::collections::VecDeque;
use std::rc::Rc;

use paxos::{Chain, Configuration, Core, DiskSeq, Entry, NodeId, Slot};

use crate::clock::Clock;
use crate::disk::{Disk, Image};
use crate::invariants::{Levels, Who};
use crate::network::Micros;
use crate::state::{DiskId, State};

/// Whether a replica can come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It can.
    Sound,
    /// Its disk is gone, refused or not to be trusted. It never votes again.
    Lost,
}

/// A client's request that got a slot here.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Which request.
    pub request: usize,
    /// Where it was put.
    pub slot: Slot,
    /// It took effect if the entry applied there has this chain.
    pub chain: Chain,
}

/// A snapshot that is being fetched.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Who sends it.
    pub from: NodeId,
    /// Its slot, once the first chunk has said so.
    pub slot: Option<Slot>,
    /// How many chunks have arrived.
    pub chunks: u32,
    /// When the last chunk was asked for.
    pub asked: Micros,
    /// When the sender was last heard, or chosen.
    pub heard: Micros,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    /// The protocol.
    pub core: Core,
    /// The last slot handed to the state machine.
    pub handed: Slot,
    /// Entries that it has not applied.
    pub queue: VecDeque<Entry>,
    /// It is at work on the entries up to here.
    pub applying: Option<Slot>,
    /// Proposals of this process whose slot is not applied yet.
    pub waiting: Vec<Waiting>,
    /// Confirmed reads that wait until a slot is applied.
    pub reads: Vec<(Slot, usize)>,
    /// The snapshot that others are fetching from here.
    pub offer: Option<Rc<State>>,
    /// What was last told of the space on the disk.
    pub told_low: bool,
    /// What was last asked to be compacted.
    pub compacted: Slot,
}

/// One disk that ever was, and what runs from it.
#[derive(Debug)]
pub struct Replica {
    /// The machine that it runs on.
    pub host: usize,
    /// Its log.
    pub disk: Disk,
    /// `state.db` as its process sees it.
    pub state: State,
    /// `state.db` as a power loss leaves it.
    pub stored: Rc<State>,
    /// Its process, if it runs.
    pub process: Option<Process>,
    /// Counts processes, so that what was meant for an earlier one is dropped.
    pub life: u32,
    /// Its clocks.
    pub clock: Clock,
    /// The process does nothing before this moment.
    pub paused_until: Micros,
    /// How long the state machine takes to apply, at most.
    pub apply_us: Micros,
    /// Whether it can come back.
    pub fate: Fate,
    /// The disk is full until this moment.
    pub full_until: Micros,
    /// An earlier image of the disk, as a backup holds it.
    pub backup: Option<Box<(Image, Rc<State>)>>,
    /// The disk shows an earlier image than it did.
    pub turned_back: bool,
    /// The snapshot on its way here; what has arrived survives a crash.
    pub fetch: Option<Fetch>,
    /// A snapshot is in the place of the state, and the log's part is still to come.
    pub installing: bool,
    /// It never starts again in this run.
    pub frozen: bool,
}

impl Replica {
    /// An empty disk on a host.
    #[must_use]
    pub fn new(host: usize, id: DiskId, first: &Configuration, apply_us: Micros) -> Self {
        let state = State::new(first.clone());
        Self {
            host,
            disk: Disk::new(id, first.clone()),
            stored: Rc::new(state.clone()),
            state,
            process: None,
            life: 0,
            clock: Clock::new(10_000 * (host as u64 + 1)),
            paused_until: 0,
            apply_us,
            fate: Fate::Sound,
            full_until: 0,
            backup: None,
            turned_back: false,
            fetch: None,
            installing: false,
            frozen: false,
        }
    }

    /// Its node id, if its disk is registered.
    #[must_use]
    pub const fn id(&self) -> Option<NodeId> {
        self.disk.image.node
    }

    /// Who it is to the invariants; only a replica with an id does anything.
    ///
    /// # Panics
    ///
    /// If its disk is not registered.
    #[must_use]
    pub fn who(&self, index: usize) -> Who {
        let id = self.id().expect("a replica that acts is registered");
        Who {
            index,
            id,
            disk: self.disk.id,
        }
    }

    /// Its marks.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let decided = self
            .process
            .as_ref()
            .map(|process| process.core.commit_index().0);
        Levels {
            compacted: self.disk.image.compacted_to,
            stored: self.stored.slot,
            applied: self.state.slot,
            decided: decided.unwrap_or(self.state.slot),
        }
    }

    /// Whether a slot survives a power loss here, as a row or as its effect.
    #[must_use]
    pub fn holds(&self, slot: Slot) -> bool {
        slot <= self.stored.slot || self.disk.image.holds(slot)
    }

    /// Whether it can vote, now or after a start: its disk is there, and no row above its commit
    /// index is damaged (until such a row is repaired it promises nothing).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.fate == Fate::Sound && self.disk.image.damaged.is_empty()
    }

    /// The transaction count of the disk.
    #[must_use]
    pub const fn disk_seq(&self) -> DiskSeq {
        self.disk.image.disk_seq
    }

    /// Whether it runs and is not paused.
    #[must_use]
    pub const fn is_up(&self, now: Micros) -> bool {
        self.process.is_some() && self.paused_until <= now
    }
}
