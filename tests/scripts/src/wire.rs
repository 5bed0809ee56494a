//! What is under way between nodes, and which links are cut.
//!
//! In: messages that cores send. Out: those that a script delivers, drops or repeats.
//! Invariants: messages of one link stay in order unless the script picks others. Tests: below

use std::collections::VecDeque;

use paxos::{Message, NodeId};

use crate::show;

/// Which of several messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pick {
    #[default]
    Every,
    First,
    Last,
}

/// Which messages a command is for. `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) from: Option<NodeId>,
    pub(crate) to: Option<NodeId>,
    /// The other direction, too.
    pub(crate) both: bool,
    pub(crate) kind: Option<&'static str>,
    pub(crate) pick: Pick,
}

impl Route {
    fn links(&self, from: NodeId, to: NodeId) -> bool {
        let matches = |a: NodeId, b: NodeId| {
            self.from.is_none_or(|node| node == a) && self.to.is_none_or(|node| node == b)
        };
        matches(from, to) || (self.both && matches(to, from))
    }

    /// Whether the route covers a message.
    pub(crate) fn covers(&self, letter: &Letter) -> bool {
        let kind = show::kind(&letter.message);
        self.links(letter.from, letter.to) && self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) message: Message,
}

/// The network.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) letters: VecDeque<Letter>,
    cuts: Vec<Route>,
}

impl Wire {
    /// Whether a message is lost because its link is cut.
    pub(crate) fn is_cut(&self, letter: &Letter) -> bool {
        self.cuts.iter().any(|cut| cut.covers(letter))
    }

    /// Cuts links from now on. What is under way on them is lost.
    pub(crate) fn cut(&mut self, route: Route) {
        self.letters.retain(|letter| !route.covers(letter));
        self.cuts.push(route);
    }

    /// Undoes a cut that was made with the same words, or all with none.
    pub(crate) fn heal(&mut self, route: &Route) -> bool {
        let before = self.cuts.len();
        let all = *route == Route::default();
        self.cuts.retain(|cut| !all && cut != route);
        self.cuts.len() < before
    }

    /// Takes what a route covers and is under way now.
    pub(crate) fn take(&mut self, route: &Route) -> Vec<Letter> {
        let covered: Vec<usize> = (0..self.letters.len())
            .filter(|index| self.letters.get(*index).is_some_and(|l| route.covers(l)))
            .collect();
        let wanted: Vec<usize> = match route.pick {
            Pick::Every => covered,
            Pick::First => covered.into_iter().take(1).collect(),
            Pick::Last => covered.into_iter().next_back().into_iter().collect(),
        };
        let mut taken: Vec<Letter> = Vec::new();
        for index in wanted.into_iter().rev() {
            taken.extend(self.letters.remove(index));
        }
        taken.reverse();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Letter, Pick, Route, Wire};
    use paxos::message::Ping;
    use paxos::{Epoch, Message, NodeId, Slot};

    fn letter(from: u64, to: u64, round: u64) -> Letter {
        let message = Message::Ping(Ping {
            epoch: Epoch::FIRST,
            round,
            decided: Slot::GENESIS,
        });
        let (from, to) = (NodeId(from), NodeId(to));
        Letter { from, to, message }
    }

    #[test]
    fn routes_pick_from_one_link_in_order() {
        let mut wire = Wire::default();
        wire.letters.extend([
            letter(1, 2, 1),
            letter(1, 3, 2),
            letter(1, 2, 3),
            letter(2, 1, 4),
        ]);
        let route = |pick| Route {
            from: Some(NodeId(1)),
            to: Some(NodeId(2)),
            pick,
            ..Route::default()
        };
        let rounds = |letters: Vec<Letter>| -> Vec<u64> {
            let round = |letter: &Letter| match letter.message {
                Message::Ping(ping) => ping.round,
                _ => 0,
            };
            letters.iter().map(round).collect()
        };
        assert_eq!(rounds(wire.take(&route(Pick::Last))), [3]);
        wire.letters.push_back(letter(1, 2, 5));
        assert_eq!(rounds(wire.take(&route(Pick::Every))), [1, 5]);
        assert_eq!(wire.letters.len(), 2, "the other links keep theirs");
    }

    #[test]
    fn a_cut_is_one_way_unless_both_are_named() {
        let mut wire = Wire::default();
        let one_way = Route {
            from: Some(NodeId(1)),
            to: Some(NodeId(2)),
            ..Route::default()
        };
        wire.cut(one_way.clone());
        assert!(wire.is_cut(&letter(1, 2, 0)) && !wire.is_cut(&letter(2, 1, 0)));
        assert!(wire.heal(&one_way) && !wire.is_cut(&letter(1, 2, 0)));
        wire.cut(Route {
            both: true,
            ..one_way
        });
        assert!(wire.is_cut(&letter(2, 1, 0)));
        assert!(wire.heal(&Route::default()) && !wire.is_cut(&letter(2, 1, 0)));
    }
}
