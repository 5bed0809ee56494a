//! The system as stateright sees it: nodes, a network, what has happened.
//!
//! In: a [`World`]. Out: states and moves. The network is the set of all messages ever sent:
//! they arrive in any order, any number of times, or never.
//! Invariants: a state is a handful of numbers into the tables of its system.
//! Tested by: tests/worlds.rs.

use std::collections::BTreeSet;

use paxos::{EntryKind, Epoch, NodeId, ReadToken, Slot};

use crate::disk::Applied;
use crate::fault::Fault;
use crate::history::{History, Value};
use crate::node::Node;
use crate::summary::{Envelope, Letter, Summary};
use crate::tables::{Memory, Numbered};
use crate::world::{Goal, World};

/// In place of a node's number: its disk is lost and it never comes back.
pub(crate) const LOST: u32 = u32::MAX;

/// How often what is bounded has happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Spent {
    pub(crate) campaigns: u8,
    pub(crate) proposals: u8,
    pub(crate) crashes: u8,
    pub(crate) losses: u8,
    pub(crate) reads: u8,
    pub(crate) transfers: u8,
    pub(crate) compactions: u8,
    pub(crate) installs: u8,
    pub(crate) copies: u8,
    pub(crate) turned: u8,
    pub(crate) wipes: u8,
    pub(crate) waits: u8,
    pub(crate) damages: u8,
}

/// A global state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The number of each node's state, in the order of the world's nodes.
    pub(crate) nodes: Vec<u32>,
    /// The numbers of the messages, rising.
    pub(crate) network: Vec<u32>,
    /// The number of what has happened.
    pub(crate) history: u32,
    /// What has been used up.
    pub(crate) spent: Spent,
    /// The number of what was found wrong. Nothing follows.
    pub(crate) fault: Option<u32>,
}

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Move {
    /// The node, by its place in the world.
    pub(crate) at: u8,
    /// What happens to it.
    pub(crate) act: Act,
}

/// What may happen to a node, by numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// This message arrives.
    Deliver(u32),
    /// See [`crate::node::Step`].
    Persisted,
    /// See [`crate::node::Step`].
    Crash(u8, bool),
    /// The process dies, and the row of the slot with this number, counted from 1, is damaged.
    Damage(u8),
    /// See [`crate::node::Step`].
    Campaign,
    /// See [`crate::node::Step`].
    Propose,
    /// See [`crate::node::Step`].
    Reconfigure,
    /// A read with this number.
    Read(u8),
    /// The lead is to go to the node at this place.
    Transfer(u8),
    /// See [`crate::node::Step`].
    Compact,
    /// This snapshot is installed.
    Install(u32, u8),
    /// The node hears something from the one at this place.
    Learn(u8, News),
    /// See [`crate::node::Step`].
    Copy,
    /// See [`crate::node::Step`].
    TurnBack,
    /// See [`crate::node::Step`].
    Wipe,
    /// See [`crate::node::Step`].
    Wait,
    /// Its disk is lost.
    Lose,
}

/// What a node may hear from another at any moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum News {
    /// Its epoch is over.
    EpochEnded,
    /// So many of the decided rows that it lacks.
    Rows(u8),
}

/// What a step of a node does, by numbers.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) node: u32,
    pub(crate) sent: Vec<u32>,
    pub(crate) learned: Vec<(Value, Epoch)>,
    pub(crate) read: Vec<(ReadToken, Slot)>,
    pub(crate) proposed: Option<Slot>,
    pub(crate) refused: bool,
    pub(crate) fault: Option<u32>,
    pub(crate) died: bool,
    pub(crate) applied: Slot,
}

/// A world and everything that was seen in it.
#[derive(Debug)]
pub struct System {
    /// The bounds.
    pub world: World,
    pub(crate) genesis: BTreeSet<NodeId>,
    pub(crate) nodes: Numbered<Node, Summary>,
    pub(crate) letters: Numbered<Envelope, Letter>,
    pub(crate) histories: Numbered<History, ()>,
    pub(crate) faults: Numbered<Fault, ()>,
    pub(crate) snapshots: Numbered<Applied, ()>,
    pub(crate) known: Memory<(u32, Act), Known>,
}

impl System {
    /// A world in which nothing was seen yet.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            genesis: world.genesis().voters,
            world,
            nodes: Numbered::new(Summary::of),
            letters: Numbered::new(Letter::of),
            histories: Numbered::new(|_| ()),
            faults: Numbered::new(|_| ()),
            snapshots: Numbered::new(|_| ()),
            known: Memory::default(),
        }
    }

    /// How many distinct nodes, messages and steps of nodes were seen.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.letters.len(), self.known.len())
    }

    /// What was found wrong, if something was.
    #[must_use]
    pub fn fault(&self, state: &State) -> Option<&Fault> {
        state.fault.map(|number| self.faults.get(number))
    }

    /// The id of the node at a place of the world.
    pub(crate) fn id(&self, place: u8) -> NodeId {
        let id = self.world.nodes.get(usize::from(place));
        NodeId(id.copied().unwrap_or_default())
    }

    /// The place of a node in the world.
    pub(crate) fn place(&self, id: NodeId) -> Option<u8> {
        let mut places = (0_u8..).zip(self.world.nodes);
        places.find(|(_, node)| **node == id.0).map(|(at, _)| at)
    }

    /// The node at a place, if its disk is not lost.
    pub(crate) fn node_at(&self, state: &State, place: u8) -> Option<(u32, &Summary)> {
        let number = *state.nodes.get(usize::from(place))?;
        (number != LOST).then(|| (number, self.nodes.derived(number)))
    }

    /// The number of the snapshot that a node could give away.
    pub(crate) fn snapshot_of(&self, node: u32) -> u32 {
        self.snapshots.number(self.nodes.get(node).applied.clone())
    }

    /// Whether a state has what a goal asks for.
    #[must_use]
    pub fn reaches(&self, state: &State, goal: Goal) -> bool {
        let history = self.histories.get(state.history);
        let count = u64::try_from(history.decided.len()).unwrap_or(u64::MAX);
        let has = |place: u8, slots: u64| {
            let node = self.node_at(state, place);
            node.is_none_or(|(_, node)| node.decided.0 >= World::slot(slots))
        };
        let mut places = (0_u8..).zip(self.world.nodes).map(|(at, _)| at);
        match goal {
            Goal::Decided(slots) => count >= slots,
            Goal::Everywhere(slots) => places.all(|place| has(place, slots)),
            Goal::Ready(epoch) => {
                let readies = history.decided.iter();
                let readies = readies.filter(|value| value.kind == EntryKind::Ready);
                u64::try_from(readies.count()).unwrap_or(u64::MAX) >= epoch.saturating_sub(1)
            }
            Goal::AfterCrashes(slots) => {
                state.spent.crashes == self.world.crashes && places.all(|place| has(place, slots))
            }
            Goal::AfterDamage(slots) => {
                let bounded = state.spent.damages == self.world.damages;
                bounded && places.all(|place| has(place, slots))
            }
            Goal::Read => history.answered,
            Goal::Installed => state.spent.installs > 0,
            Goal::Returned(node, epoch) => {
                let place = self.place(NodeId(node));
                let node = place.and_then(|place| self.node_at(state, place));
                node.is_some_and(|(_, node)| node.epoch >= Epoch(epoch))
            }
            Goal::Lost(slots) => state.spent.losses > 0 && count >= slots,
            Goal::TurnedBack(slots) => state.spent.turned > 0 && count >= slots,
        }
    }
}
