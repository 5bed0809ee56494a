//! What happens before a world is explored, and how a way through it is told.
//!
//! In: the world's opening. Out: the first state. Invariants: the opening uses the same moves as
//! the exploration, and no bound counts it. Tested by: tests/worlds.rs.

use paxos::{Message, NodeId};

use crate::history::History;
use crate::node::Node;
use crate::system::{Act, Move, Spent, State, System};
use crate::world::Opening;

impl System {
    /// The first state of the exploration.
    ///
    /// # Panics
    /// If the opening is not possible.
    #[must_use]
    pub(crate) fn opened(&self) -> State {
        let mut state = self.fresh();
        for opening in self.world.opening {
            state = self.open(state, opening);
            state.spent = Spent::default();
        }
        state
    }

    /// Every node has just started for the first time.
    fn fresh(&self) -> State {
        let (mut nodes, mut network) = (Vec::new(), Vec::new());
        for (at, id) in (0_u8..).zip(self.world.nodes) {
            let effects = Node::first(NodeId(*id), &self.world);
            assert!(effects.faults.is_empty(), "{:?}", effects.faults);
            let known = self.note(at, effects);
            nodes.push(known.node);
            network.extend(known.sent);
        }
        network.retain(|letter| self.world.carries(&self.letters.get(*letter).message));
        network.sort_unstable();
        State {
            nodes,
            network,
            history: self.histories.number(History::default()),
            spent: Spent::default(),
            fault: None,
        }
    }

    fn open(&self, mut state: State, opening: &Opening) -> State {
        let (node, act) = match opening {
            Opening::Campaign(node) => (node, Act::Campaign),
            Opening::Propose(node) => (node, Act::Propose),
            Opening::Reconfigure(node) => (node, Act::Reconfigure),
            Opening::Compact(node) => (node, Act::Compact),
            Opening::Crash(node) => (node, Act::Crash(0, false)),
            Opening::Persist(node) => (node, Act::Persisted),
            Opening::Lose => {
                state.network.clear();
                return state;
            }
            Opening::Settle(nodes) => return self.settled(state, nodes),
        };
        let at = self.place(NodeId(*node));
        let next = at.and_then(|at| self.after(&state, Move { at, act }));
        assert!(next.is_some(), "the opening is possible: {opening:?}");
        next.unwrap_or(state)
    }

    /// After everything that was sent to these nodes has arrived, and their disks have done
    /// their work.
    fn settled(&self, mut state: State, nodes: &[u64]) -> State {
        loop {
            let mut moves = Vec::new();
            self.moves(&state, &mut moves);
            let next = moves.into_iter().find_map(|next| {
                let among = nodes.contains(&self.id(next.at).0);
                let natural = matches!(next.act, Act::Deliver(_) | Act::Persisted);
                (among && natural).then(|| self.after(&state, next))?
            });
            let Some(next) = next else { return state };
            assert!(next.fault.is_none(), "{:?}", self.fault(&next));
            state = next;
        }
    }

    /// A move in words, and what it made of the node.
    #[must_use]
    pub(crate) fn tell(&self, state: &State, next: Option<Move>) -> String {
        let Some(next) = next else {
            return String::from("and that is it");
        };
        let id = self.id(next.at);
        let what = match next.act {
            Act::Deliver(number) => {
                let envelope = self.letters.get(number);
                format!("<- {} {}", envelope.from, brief(&envelope.message))
            }
            Act::Transfer(place) => format!("hands over to {}", self.id(place)),
            Act::Learn(place, what) => format!("hears from {}: {what:?}", self.id(place)),
            Act::Crash(kept, state) => {
                format!("crashes; {kept} requests survive; state.db survives: {state}")
            }
            act => format!("{act:?}"),
        };
        let after = self.after(state, next);
        let node = after.and_then(|after| Some(self.node_at(&after, next.at)?.0));
        let node = node.map(|number| self.nodes.get(number));
        let became = node.map(|node| {
            let status = node.core.status();
            format!(
                "{:?} {} decided {} | disk {} decided {} rows {:?} | {} under way",
                status.role,
                status.promised,
                status.decided,
                node.disk.promised,
                node.disk.decided,
                node.disk
                    .rows
                    .values()
                    .map(|row| format!("{}:{}", row.slot, row.ballot))
                    .collect::<Vec<_>>(),
                node.under_way.len()
            )
        });
        format!("{id} {what}\n      => {}", became.unwrap_or_default())
    }
}

/// A message without its rows' hashes.
fn brief(message: &Message) -> String {
    let rows = |entries: &[paxos::Entry]| {
        let row = |entry: &paxos::Entry| {
            format!(
                "{}:{} {:?} {}",
                entry.slot, entry.ballot, entry.kind, entry.chain
            )
        };
        entries.iter().map(row).collect::<Vec<_>>().join(", ")
    };
    match message {
        Message::Accept(accept) => format!(
            "Accept {} base {} first {} decided {} [{}]",
            accept.ballot,
            accept.base,
            accept.first,
            accept.decided,
            rows(&accept.entries)
        ),
        Message::Promise(promise) => format!(
            "Promise {} decided {} page {}/{} [{}]",
            promise.ballot,
            promise.decided,
            promise.page,
            promise.pages,
            rows(&promise.entries)
        ),
        Message::Rows(message) => format!(
            "Rows e{} decided {} compacted {} [{}]",
            message.epoch.0,
            message.decided,
            message.compacted_to,
            rows(&message.entries)
        ),
        other => format!("{other:?}"),
    }
}
