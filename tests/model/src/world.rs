//! A small world: who is there, and how often each thing may happen.
//!
//! In: a choice of bounds. Out: what the system may do. Invariants: the bounds are on causes
//! (campaigns, proposals, crashes), never on messages or on the order of things.

use std::collections::BTreeSet;

use paxos::{Configuration, Epoch, Message, NodeId, Slot};

use crate::fault::Rule;

/// Something that a world must reach, or its silence means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// So many slots are decided.
    Decided(u64),
    /// Every node has decided so many slots.
    Everywhere(u64),
    /// Every node has decided so many slots, and no process will die any more.
    AfterCrashes(u64),
    /// Every node has decided so many slots, and no row will be damaged any more.
    AfterDamage(u64),
    /// The first entry of this epoch is decided.
    Ready(u64),
    /// A read was answered.
    Read,
    /// A snapshot was installed.
    Installed,
    /// This node has this epoch active.
    Returned(u64, u64),
    /// A disk was lost, and so many slots are decided.
    Lost(u64),
    /// A disk was turned back, and so many slots are decided.
    TurnedBack(u64),
}

/// Something that happens before the exploration begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opening {
    /// This node campaigns.
    Campaign(u64),
    /// A batch arrives at this node.
    Propose(u64),
    /// The world's next voters are proposed at this node.
    Reconfigure(u64),
    /// Everything that is sent to one of these nodes arrives, and their disks do their work,
    /// until nothing changes.
    Settle(&'static [u64]),
    /// Everything under way is lost.
    Lose,
    /// The disk of this node does its oldest request.
    Persist(u64),
    /// The log of this node is compacted.
    Compact(u64),
    /// The process dies with its requests under way and what `state.db` had not synced.
    Crash(u64),
}

/// The bounds of one world.
#[derive(Clone, Debug)]
pub struct World {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// The first voters.
    pub voters: &'static [u64],
    /// Every node that there is.
    pub nodes: &'static [u64],
    /// Who may lose patience.
    pub proposers: &'static [u64],
    /// How often somebody does.
    pub campaigns: u8,
    /// How many batches are proposed, in all.
    pub proposals: u8,
    /// Batches are proposed from this slot on, counted from 1.
    pub first_slot: u64,
    /// And up to this one; 0 for none.
    pub slots: u64,
    /// The voters of the second epoch, the third, and so on.
    pub seals: &'static [&'static [u64]],
    /// A `Seal` is proposed up to this slot, counted from 1.
    pub seal_slots: u64,
    /// How often a process dies.
    pub crashes: u8,
    /// Which ones.
    pub crashing: &'static [u64],
    /// How often a process dies and finds a row damaged.
    pub damages: u8,
    /// Nodes whose disk may be lost, copied or emptied. One that is lost never comes back.
    pub mortal: &'static [u64],
    /// How many are lost.
    pub losses: u8,
    /// How many reads arrive.
    pub reads: u8,
    /// How often the lead is handed over.
    pub transfers: u8,
    /// How often a leader waits, longer than a hand-over takes, or a voter that was not admitted.
    pub waits: u8,
    /// How often a log is compacted.
    pub compactions: u8,
    /// How often a snapshot is installed.
    pub installs: u8,
    /// How often somebody copies a disk and puts the copy back.
    pub copies: u8,
    /// How often a node starts with an empty disk under its old id.
    pub wipes: u8,
    /// `Hello` is a message like others. Without it everybody is admitted at once, and votes
    /// carry no transaction counts.
    pub hello: bool,
    /// Refusals are carried; without them they are lost.
    pub nacks: bool,
    /// Requests for earlier rows are carried; without them they are lost.
    pub gaps: bool,
    /// Messages of an epoch that is about to begin are kept by the core.
    pub early: bool,
    /// Decided rows, and the news that an epoch is over, travel as messages like others. Without
    /// it any node may get them from any other at any moment, whether it asked or not: that is
    /// more than messages can do, and far fewer states.
    pub letters: bool,
    /// A request for decided rows is remembered until it is answered, as snapshots need it.
    /// Without it each answer and each new hint is acted upon afresh, as after a time-out.
    pub fetching: bool,
    /// Every disk is slow. Without it only those are whose process may still die.
    pub slow_disks: bool,
    /// A message that its receiver can only ignore for ever is taken away.
    pub forget: bool,
    /// The size of a batch.
    pub payload_bytes: usize,
    /// What happened before.
    pub opening: &'static [Opening],
    /// What must be reached.
    pub goals: &'static [Goal],
    /// What is watched. An assertion always ends its process; whether it is reported is said
    /// here.
    pub watched: Vec<Rule>,
    /// What must be found: the world breaks a rule itself.
    pub broken: Option<Rule>,
}

impl World {
    /// Three voters, nothing happens.
    #[must_use]
    pub fn still(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            voters: &[1, 2, 3],
            nodes: &[1, 2, 3],
            proposers: &[1, 2],
            campaigns: 2,
            proposals: u8::MAX,
            first_slot: 1,
            slots: 2,
            seals: &[],
            seal_slots: 2,
            crashes: 0,
            crashing: &[1, 2, 3],
            damages: 0,
            mortal: &[],
            losses: 0,
            reads: 0,
            transfers: 0,
            waits: 0,
            compactions: 0,
            installs: 0,
            copies: 0,
            wipes: 0,
            hello: false,
            nacks: false,
            gaps: false,
            early: false,
            letters: false,
            fetching: false,
            slow_disks: false,
            forget: true,
            payload_bytes: 4,
            opening: &[],
            goals: &[],
            watched: Rule::ALL.to_vec(),
            broken: None,
        }
    }

    /// The configuration of the first epoch.
    #[must_use]
    pub fn genesis(&self) -> Configuration {
        Configuration::first(set(self.voters))
    }

    /// The voters that are proposed in this epoch.
    #[must_use]
    pub fn voters_after(&self, epoch: Epoch) -> Option<BTreeSet<NodeId>> {
        let index = usize::try_from(epoch.0.checked_sub(Epoch::FIRST.0)?).ok()?;
        self.seals.get(index).map(|voters| set(voters))
    }

    /// Whether the network carries such a message. What it never carries is as good as lost.
    #[must_use]
    pub const fn carries(&self, message: &Message) -> bool {
        match message {
            // No time passes: nobody waits for a heartbeat.
            Message::Ping(_) | Message::Pong(_) => false,
            Message::Nack(_) => self.nacks,
            Message::Gap(_) => self.gaps,
            Message::CatchUp(_) | Message::Rows(_) | Message::EpochEnded(_) => self.letters,
            _ => true,
        }
    }

    /// The slot with this number, counted from 1.
    #[must_use]
    pub const fn slot(number: u64) -> Slot {
        Slot(Slot::GENESIS.0.saturating_add(number))
    }
}

fn set(nodes: &[u64]) -> BTreeSet<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}
