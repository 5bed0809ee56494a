//! Which moves a state allows: the bounds of the world, and what would change nothing.
//!
//! In: a state. Out: moves, always in the same order. Invariants: a move that is left out
//! cannot happen or changes nothing. Tested by: tests/worlds.rs.

use crate::summary::Summary;
use crate::system::{Act, Move, News, State, System};

impl System {
    /// Adds every move that `state` allows.
    pub(crate) fn moves(&self, state: &State, moves: &mut Vec<Move>) {
        if state.fault.is_some() {
            return;
        }
        for number in &state.network {
            let to = self.letters.derived(*number).to;
            if let Some(at) = self.place(to) {
                let act = Act::Deliver(*number);
                moves.push(Move { at, act });
            }
        }
        let mut acts = Vec::new();
        for (at, _) in (0_u8..).zip(&state.nodes) {
            let Some((_, summary)) = self.node_at(state, at) else {
                continue;
            };
            self.disk_acts(state, at, summary, &mut acts);
            self.leader_acts(state, summary, &mut acts);
            self.rare_acts(state, at, summary, &mut acts);
            moves.extend(acts.drain(..).map(|act| Move { at, act }));
        }
    }

    pub(crate) fn among(&self, at: u8, nodes: &[u64]) -> bool {
        let id = self.world.nodes.get(usize::from(at));
        id.is_some_and(|id| nodes.contains(id))
    }

    /// The disk answers, the process dies, the node loses patience.
    fn disk_acts(&self, state: &State, at: u8, summary: &Summary, acts: &mut Vec<Act>) {
        let (world, spent) = (&self.world, &state.spent);
        if summary.under_way > 0 {
            acts.push(Act::Persisted);
        }
        if spent.crashes < world.crashes && self.among(at, world.crashing) {
            let under_way = u8::try_from(summary.under_way).unwrap_or(u8::MAX);
            for kept in 0..=under_way {
                acts.push(Act::Crash(kept, false));
                if summary.may_forget {
                    acts.push(Act::Crash(kept, true));
                }
            }
        }
        if spent.damages < world.damages && self.among(at, world.crashing) {
            let last = u8::try_from(world.slots.max(world.seal_slots)).unwrap_or(u8::MAX);
            acts.extend((1..=last).map(Act::Damage));
        }
        let may = summary.may_campaign && self.among(at, world.proposers);
        if may && spent.campaigns < world.campaigns {
            acts.push(Act::Campaign);
        }
    }

    /// What clients and operators ask of a leader.
    fn leader_acts(&self, state: &State, summary: &Summary, acts: &mut Vec<Act>) {
        let (world, spent) = (&self.world, &state.spent);
        if (summary.leads || summary.waits) && spent.waits < world.waits {
            acts.push(Act::Wait);
        }
        if !summary.leads {
            return;
        }
        if spent.proposals < world.proposals {
            acts.push(Act::Propose);
        }
        if world.voters_after(summary.epoch).is_some() {
            acts.push(Act::Reconfigure);
        }
        if spent.reads < world.reads {
            acts.push(Act::Read(spent.reads.saturating_add(1)));
        }
        if spent.transfers < world.transfers {
            let places = summary.peers.iter().filter_map(|peer| self.place(*peer));
            acts.extend(places.map(Act::Transfer));
        }
    }

    /// Snapshots, lost disks, copies.
    fn rare_acts(&self, state: &State, at: u8, summary: &Summary, acts: &mut Vec<Act>) {
        let (world, spent) = (&self.world, &state.spent);
        if spent.compactions < world.compactions {
            acts.push(Act::Compact);
        }
        self.acts_of_others(state, at, summary, acts);
        let mortal = self.among(at, world.mortal);
        if spent.copies < world.copies && mortal && !summary.is_copied {
            acts.push(Act::Copy);
        }
        if spent.turned < world.copies && summary.is_copied {
            acts.push(Act::TurnBack);
        }
        if spent.wipes < world.wipes && mortal {
            acts.push(Act::Wipe);
        }
        if spent.losses < world.losses && mortal {
            acts.push(Act::Lose);
        }
    }

    /// What a node may get from others beside messages: snapshots, decided rows, news.
    fn acts_of_others(&self, state: &State, at: u8, summary: &Summary, acts: &mut Vec<Act>) {
        let (world, spent) = (&self.world, &state.spent);
        for (place, _) in (0_u8..).zip(&state.nodes) {
            let Some((number, other)) = self.node_at(state, place).filter(|_| place != at) else {
                continue;
            };
            let of_use = summary.wants.is_some_and(|wants| other.applied >= wants);
            if of_use && spent.installs < world.installs && other.applied > summary.decided.0 {
                let base = self.snapshot_of(number);
                let under_way = u8::try_from(summary.under_way).unwrap_or(u8::MAX);
                acts.extend((0..=under_way).map(|kept| Act::Install(base, kept)));
            }
            if !world.letters && other.epoch > summary.epoch {
                acts.push(Act::Learn(place, News::EpochEnded));
            }
            let ahead = other.durable.distance_above(summary.decided.0);
            for count in 1..=u8::try_from(ahead).unwrap_or(u8::MAX) {
                if !world.letters {
                    acts.push(Act::Learn(place, News::Rows(count)));
                }
            }
        }
    }
}
