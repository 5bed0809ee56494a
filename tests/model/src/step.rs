//! What a move makes of a state, and what the properties say of it.
//!
//! In: a state and a move. Out: the next state, or none if nothing changes.
//! Invariants: the real core takes each distinct step once. Tested by: tests/worlds.rs.

use paxos::message::{CatchUp, EpochEnded};
use paxos::{Ballot, Message, ReadToken, Slot};

use crate::fault::{Fault, Rule};
use crate::history::{History, Value};
use crate::node::{Effects, Step};
use crate::summary::{Envelope, Fate};
use crate::system::{Act, Known, LOST, Move, News, State, System};
use crate::world::World;

impl System {
    /// The state after a move; `None` if the move is not possible or changes nothing.
    pub(crate) fn after(&self, state: &State, next: Move) -> Option<State> {
        let at = usize::from(next.at);
        let number = *state.nodes.get(at)?;
        let mut after = state.clone();
        if next.act == Act::Lose {
            after.spent.losses += 1;
            *after.nodes.get_mut(at)? = LOST;
            self.forget(&mut after);
            return Some(after);
        }
        if let Act::Learn(place, what) = next.act {
            let letter = self.news(state, next.at, place, what)?;
            let act = Act::Deliver(letter);
            return self.after(state, Move { act, ..next });
        }
        let act = next.act;
        let known = self.known(next.at, number, act);
        if known.refused || !self.is_within(act, known) || (known.died && known.fault.is_none()) {
            return None;
        }
        self.spend(&mut after, next.act);
        if matches!(act, Act::Deliver(_)) && self.is_still(state, number, known) {
            return None;
        }
        self.absorb(&mut after, next, known);
        self.finish_disks(&mut after)?;
        self.forget(&mut after);
        Some(after)
    }

    /// A disk whose process does not end any more answers at once: for all others a slow disk
    /// is a slow network, and what is durable is not lost. `None` if a process dies of it.
    fn finish_disks(&self, state: &mut State) -> Option<()> {
        for (at, _) in (0_u8..).zip(self.world.nodes) {
            while let Some((number, node)) = self.node_at(state, at)
                && node.under_way > 0
                && state.fault.is_none()
                && !self.world.slow_disks
                && !self.may_end(state, at)
            {
                let act = Act::Persisted;
                let known = self.known(at, number, act);
                if known.died && known.fault.is_none() {
                    return None;
                }
                self.absorb(state, Move { at, act }, known);
            }
        }
        Some(())
    }

    /// What a step does to a node, taken once.
    fn known(&self, at: u8, number: u32, act: Act) -> &Known {
        self.known.recall(number, (number, act), || {
            let id = self.id(at);
            let node = self.nodes.get(number);
            let step = self.step_of(act);
            let effects = step.map(|step| node.take(id, &step, &self.world));
            effects.map_or_else(|| Known::refused(number), |effects| self.note(at, effects))
        })
    }

    fn step_of(&self, act: Act) -> Option<Step> {
        Some(match act {
            Act::Deliver(number) => {
                let envelope = self.letters.get(number);
                Step::Deliver(envelope.from, envelope.message.clone())
            }
            Act::Persisted => Step::Persisted,
            Act::Crash(kept, state) => Step::Crash(usize::from(kept), state),
            Act::Damage(slot) => Step::Damage(World::slot(u64::from(slot))),
            Act::Campaign => Step::Campaign,
            Act::Propose => Step::Propose,
            Act::Reconfigure => Step::Reconfigure,
            Act::Read(number) => Step::Read(ReadToken(u64::from(number))),
            Act::Transfer(place) => Step::Transfer(self.id(place)),
            Act::Compact => Step::Compact,
            Act::Install(base, kept) => {
                let base = self.snapshots.get(base);
                Step::Install(base.clone(), usize::from(kept))
            }
            Act::Copy => Step::Copy,
            Act::TurnBack => Step::TurnBack,
            Act::Wipe => Step::Wipe,
            Act::Wait => Step::Wait,
            Act::Learn(..) | Act::Lose => return None,
        })
    }

    /// Gives numbers to what a step did.
    pub(crate) fn note(&self, at: u8, effects: Effects) -> Known {
        let from = self.id(at);
        let watched = |fault: &&Fault| self.world.watched.contains(&fault.rule);
        let fault = effects.faults.iter().find(watched).cloned();
        let sent = effects
            .sent
            .into_iter()
            .map(|(to, message)| self.letters.number(Envelope { from, to, message }));
        let learned = effects.learned.iter();
        Known {
            sent: sent.collect(),
            learned: learned
                .map(|entry| (Value::of(entry), entry.ballot.epoch))
                .collect(),
            read: effects.read,
            proposed: effects.proposed,
            refused: effects.refused,
            fault: fault.map(|fault| self.faults.number(fault)),
            died: effects.died,
            applied: effects.node.applied.slot,
            node: self.nodes.number(effects.node),
        }
    }

    /// Whether a proposal is within the bounds of the world.
    fn is_within(&self, act: Act, known: &Known) -> bool {
        let world = &self.world;
        let (first, last) = match act {
            Act::Reconfigure => (1, world.seal_slots),
            _ => (world.first_slot, world.slots),
        };
        let within = World::slot(first)..=World::slot(last);
        known.proposed.is_none_or(|slot| within.contains(&slot))
    }

    /// Whether a message changed nothing: the node is the same, and what it answered is under
    /// way already or can only be ignored.
    fn is_still(&self, state: &State, before: u32, known: &Known) -> bool {
        known.node == before
            && known.fault.is_none()
            && known.learned.is_empty()
            && known.read.is_empty()
            && known.sent.iter().all(|sent| {
                let under_way = state.network.binary_search(sent).is_ok();
                under_way || !self.is_carried(*sent) || self.is_ignored(state, *sent)
            })
    }

    /// Whether the receiver can only ignore a message for ever.
    fn is_ignored(&self, state: &State, letter: u32) -> bool {
        if !self.is_futile(state, letter) {
            return false;
        }
        let place = self.place(self.letters.derived(letter).to);
        let node = place.and_then(|place| Some((place, self.node_at(state, place)?.0)));
        let Some((place, number)) = node else {
            return true;
        };
        // The rule says so; the core itself must do so as well, or a broken rule would hide.
        let known = self.known(place, number, Act::Deliver(letter));
        let silent = |sent: &u32| {
            let under_way = state.network.binary_search(sent).is_ok();
            under_way || !self.is_carried(*sent) || self.is_futile(state, *sent)
        };
        let same = known.node == number && known.fault.is_none() && known.learned.is_empty();
        same && known.sent.iter().all(silent)
    }

    /// Whether the rules say that the receiver can only ignore a message for ever.
    fn is_futile(&self, state: &State, letter: u32) -> bool {
        let letter = self.letters.derived(letter);
        let place = self.place(letter.to);
        let receiver = place.and_then(|place| Some((place, self.node_at(state, place)?.1)));
        let Some((place, receiver)) = receiver else {
            return true;
        };
        let (elected, over) = letter.ballot.map_or((false, false), |ballot| {
            let owner = self.place(ballot.node);
            let owner = owner.and_then(|owner| self.node_at(state, owner));
            owner.map_or((true, true), |(_, owner)| owner.is_done_with(ballot))
        });
        let epoch = letter.ballot.map(|ballot| ballot.epoch);
        let letters = self.world.letters;
        let last = epoch.is_none_or(|epoch| self.world.voters_after(epoch).is_none());
        let mortal = self.may_end(state, place);
        let fate = Fate {
            mortal,
            elected,
            over,
            last: last || !letters,
            letters,
        };
        self.world.forget && receiver.is_futile(letter, fate)
    }

    fn is_carried(&self, letter: u32) -> bool {
        self.world.carries(&self.letters.get(letter).message)
    }

    /// Whether the process of a node may still end.
    fn may_end(&self, state: &State, place: u8) -> bool {
        let (world, spent) = (&self.world, &state.spent);
        let crashes = spent.crashes < world.crashes && self.among(place, world.crashing);
        let mortal = self.among(place, world.mortal);
        let wiped = mortal && (spent.wipes < world.wipes || spent.turned < world.copies);
        let damaged = spent.damages < world.damages && self.among(place, world.crashing);
        crashes || damaged || wiped || spent.installs < world.installs
    }

    /// Takes away what can only be ignored from here on.
    fn forget(&self, state: &mut State) {
        let futile = |letter: &u32| self.is_ignored(state, *letter);
        if state.network.iter().any(futile) {
            let kept = state.network.iter().filter(|letter| !futile(letter));
            state.network = kept.copied().collect();
        }
    }

    /// Adds what a step did to the nodes, the network and the history.
    fn absorb(&self, after: &mut State, next: Move, known: &Known) {
        if known.fault.is_some() {
            after.fault = known.fault;
            return;
        }
        if let Some(node) = after.nodes.get_mut(usize::from(next.at)) {
            *node = known.node;
        }
        let mut faults = Vec::new();
        for letter in &known.sent {
            self.check_one_value(after, *letter, &mut faults);
            if self.is_carried(*letter)
                && !self.is_ignored(after, *letter)
                && let Err(place) = after.network.binary_search(letter)
            {
                after.network.insert(place, *letter);
            }
        }
        let before = self.histories.get(after.history);
        let mut history = before.clone();
        if let Act::Read(_) = next.act {
            history.begin_read();
        }
        for (value, epoch) in &known.learned {
            history.decide(value, *epoch, &mut faults);
        }
        for (token, slot) in &known.read {
            history.answer(token.0, *slot, &mut faults);
        }
        history.acknowledged = history.acknowledged.max(known.applied);
        self.check_chosen(after, &history, &mut faults);
        if history != *before {
            after.history = self.histories.number(history);
        }
        let watched = |fault: &Fault| self.world.watched.contains(&fault.rule);
        if let Some(fault) = faults.into_iter().find(watched) {
            after.fault = Some(self.faults.number(fault));
        }
    }

    /// I4: the owner of a ballot proposes one value for a slot.
    fn check_one_value(&self, state: &State, letter: u32, faults: &mut Vec<Fault>) {
        let sent = self.letters.derived(letter);
        if sent.proposes.is_empty() {
            return;
        }
        for other in &state.network {
            for (ballot, slot, chain) in &self.letters.derived(*other).proposes {
                let other = (*ballot, *slot);
                let differs = |(ballot, slot, value): &&(Ballot, Slot, paxos::Chain)| {
                    (*ballot, *slot) == other && value != chain
                };
                if let Some((ballot, slot, _)) = sent.proposes.iter().find(differs) {
                    let text = format!("two values for {slot} at {ballot}");
                    faults.push(Fault::new(Rule::OneValue, text));
                }
            }
        }
    }

    /// I7: what is decided is on the disks of a quorum of its epoch. A lost disk held it.
    fn check_chosen(&self, state: &State, history: &History, faults: &mut Vec<Fault>) {
        for (value, voters) in history.with_voters(&self.genesis) {
            let holds = |id: &&paxos::NodeId| {
                let place = self.place(**id);
                let node = place.and_then(|place| self.node_at(state, place));
                node.is_none_or(|(_, node)| node.holds(value.slot, value.chain))
            };
            let holding = voters.iter().filter(holds).count();
            if holding <= voters.len() / 2 {
                let text = format!("{} is decided and on {holding} disks", value.slot);
                faults.push(Fault::new(Rule::Chosen, text));
            }
        }
    }

    /// What a node may hear at any moment from the one at `place`: that an epoch is over, how far
    /// it is, or so many of the decided rows that are missing here.
    fn news(&self, state: &State, at: u8, place: u8, what: News) -> Option<u32> {
        let (asker, asked) = (self.node_at(state, at)?.1, self.node_at(state, place)?);
        let (to, from) = (self.id(at), self.id(place));
        let message = match what {
            News::EpochEnded => Message::EpochEnded(EpochEnded {
                epoch: asked.1.epoch,
                voters: asked.1.voters.clone(),
                decided: asked.1.decided.0,
            }),
            News::Rows(count) => {
                let request = CatchUp {
                    epoch: asker.epoch,
                    from: asker.decided.0.next(),
                };
                let message = Message::CatchUp(request);
                let (from, to) = (to, from);
                let letter = self.letters.number(Envelope { from, to, message });
                let known = self.known(place, asked.0, Act::Deliver(letter));
                let answers = known
                    .sent
                    .iter()
                    .map(|sent| &self.letters.get(*sent).message);
                let mut rows = answers.into_iter().find_map(|message| match message {
                    Message::Rows(rows) => Some(rows.clone()),
                    _ => None,
                })?;
                if rows.entries.len() < usize::from(count) {
                    return None;
                }
                rows.entries.truncate(usize::from(count));
                Message::Rows(rows)
            }
        };
        Some(self.letters.number(Envelope { from, to, message }))
    }

    fn spend(&self, state: &mut State, act: Act) {
        let spent = &mut state.spent;
        let which = match act {
            Act::Campaign => &mut spent.campaigns,
            // What is not bounded is not counted.
            Act::Propose if self.world.proposals < u8::MAX => &mut spent.proposals,
            Act::Crash(..) => &mut spent.crashes,
            Act::Damage(_) => &mut spent.damages,
            Act::Read(_) => &mut spent.reads,
            Act::Transfer(_) => &mut spent.transfers,
            Act::Compact => &mut spent.compactions,
            Act::Install(..) => &mut spent.installs,
            Act::Copy => &mut spent.copies,
            Act::TurnBack => &mut spent.turned,
            Act::Wipe => &mut spent.wipes,
            Act::Wait => &mut spent.waits,
            Act::Lose => &mut spent.losses,
            Act::Deliver(_) | Act::Persisted | Act::Propose | Act::Reconfigure | Act::Learn(..) => {
                return;
            }
        };
        *which = which.saturating_add(1);
    }
}

impl Known {
    /// A step that a node cannot take.
    const fn refused(node: u32) -> Self {
        Self {
            node,
            sent: Vec::new(),
            learned: Vec::new(),
            read: Vec::new(),
            proposed: None,
            refused: true,
            fault: None,
            died: false,
            applied: Slot::GENESIS,
        }
    }
}
