//! What a leader knows of one acceptor, and the `Accept`s that follow from it.
//!
//! Reads: nothing. Emits: `Accept`, with entries or with news of the commit index only.
//! Invariants: rows are sent from the ballot's base on; I17 (the window bounds what is sent).
//! Tests: below and tests/simulator

use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::entry::Entry;
use crate::ids::{Ballot, Millis, NodeId, Slot};
use crate::limits::{HEARTBEAT_MS, RETRANSMIT_MS, WINDOW_SLOTS_MAX};
use crate::message::{Accept, Message};

/// One acceptor as its leader sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Progress {
    /// The next slot to send.
    next: Slot,
    /// Everything from the base to here is durable there; `base - 1` at first.
    pub(crate) upto: Slot,
    /// When `upto` rose, or sending began after a pause, or rows were sent again.
    moved: Millis,
    /// The commit index that it was last told.
    told: Slot,
    /// It knows of this ballot.
    greeted: bool,
    /// It did not answer: one page at a time, when `due`, until it does.
    probing: bool,
    /// Something is to be sent although there is nothing new.
    due: bool,
    /// The last gap served and when: pipelined messages cause the same gap several times.
    rewound: (Slot, Millis),
}

impl Progress {
    /// Nothing is known yet.
    pub(crate) const fn new(base: Slot, now: Millis) -> Self {
        Self {
            next: base,
            upto: base.prev(),
            moved: now,
            told: Slot::GENESIS,
            greeted: false,
            probing: false,
            due: true,
            rewound: (Slot::GENESIS, now),
        }
    }

    /// It has accepted up to a slot. Answers whether this is more than before.
    pub(crate) fn acknowledge(&mut self, upto: Slot, now: Millis) -> bool {
        self.greeted = true;
        self.probing = false;
        let more = upto > self.upto;
        if more {
            self.upto = upto;
            self.moved = now;
            self.next = self.next.max(upto.next());
        }
        assert!(self.next > self.upto, "what was accepted is not sent again");
        more
    }

    /// It needs entries from `expect` on; `here` says whether they are in memory. If not, it
    /// will fetch them as decided rows.
    pub(crate) fn rewind(&mut self, expect: Slot, here: bool, now: Millis) {
        self.greeted = true;
        if !here || expect <= self.upto {
            return;
        }
        let (slot, at) = self.rewound;
        if slot == expect && now.since(at) < HEARTBEAT_MS {
            return;
        }
        self.rewound = (expect, now);
        self.next = expect;
        self.probing = false;
        assert!(self.next > self.upto, "what was accepted is not sent again");
    }

    /// Once a round: sends again what was not acknowledged for `timeout` milliseconds.
    fn retransmit(&mut self, again: Slot, timeout: u64, now: Millis) {
        let owes = self.next > self.upto.next();
        if owes && now.since(self.moved) >= timeout {
            self.next = again.max(self.upto.next());
            self.moved = now;
            self.probing = true;
            self.due = true;
        }
        if !self.greeted {
            self.due = true;
        }
    }
}

impl Core {
    /// Sends each acceptor what it lacks. The last act of a step, so that entries and the
    /// commit index of one step travel together.
    pub(crate) fn replicate(&mut self) {
        if !matches!(self.role, Role::Leader(_)) {
            return;
        }
        for peer in self.peers() {
            while let Some(accept) = self.next_accept(peer) {
                assert!(
                    accept.ballot == self.acceptor.promised,
                    "sent at the promised ballot"
                );
                self.send(peer, Message::Accept(accept));
            }
        }
    }

    /// The next message for `peer`: entries, or news, which entries bring along.
    fn next_accept(&mut self, peer: NodeId) -> Option<Accept> {
        let now = self.now;
        let decided = self.log.decided();
        let Role::Leader(leader) = &mut self.role else {
            return None;
        };
        let (ballot, base, last) = (leader.ballot, leader.base, leader.last);
        let progress = leader.peers.get_mut(&peer)?;
        if progress.probing && !progress.due {
            return None;
        }
        let window = Slot(progress.upto.0.saturating_add(WINDOW_SLOTS_MAX));
        let mut entries: Vec<Entry> = self.log.page(progress.next, last.min(window));
        if entries.is_empty() && progress.next <= decided && !self.log.holds(progress.next) {
            progress.next = decided.next();
            entries = self.log.page(progress.next, last.min(window));
        }
        assert!(
            entries.iter().all(|e| e.ballot == ballot),
            "sent at the leader's own ballot"
        );
        let news = progress.told < decided || progress.due;
        if entries.is_empty() && !news {
            return None;
        }
        let first = progress.next;
        if let Some(entry) = entries.last() {
            assert!(
                entries.first().is_some_and(|e| e.slot == first),
                "sent from the next slot"
            );
            if progress.next == progress.upto.next() {
                progress.moved = now;
            }
            progress.next = entry.slot.next();
        }
        progress.told = decided;
        progress.due = false;
        assert!(first >= base, "nothing is sent below the base");
        Some(Accept {
            ballot,
            base,
            first,
            entries,
            decided,
        })
    }

    /// Once a round: sends again what was lost, rows or news.
    pub(crate) fn retransmit(&mut self) {
        let now = self.now;
        let decided = self.log.decided();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        for (peer, progress) in &mut leader.peers {
            let pong = self.election.last_pong(*peer);
            if pong.is_some_and(|pong| pong.ballot == leader.ballot) {
                progress.greeted = true;
                // What it learned otherwise, from rows or a snapshot, it need not accept. Only
                // what is decided here as well: nothing becomes chosen by this.
                let learned = pong.map_or(Slot::GENESIS, |pong| pong.decided.min(decided));
                if learned > progress.upto {
                    progress.acknowledge(learned, now);
                }
            }
            if pong.is_some_and(|pong| pong.decided < decided) {
                progress.told = Slot::GENESIS;
            }
            let latency = pong.map_or(0, |pong| pong.commit_latency_ms);
            let timeout = RETRANSMIT_MS.max(latency.saturating_mul(3));
            let first = progress.upto.next();
            let again = if self.log.holds(first) {
                first
            } else {
                decided.next().max(first)
            };
            progress.retransmit(again, timeout, now);
        }
    }

    /// The ballot at which this node leads, if it does.
    pub(crate) fn leading(&self) -> Option<Ballot> {
        match &self.role {
            Role::Leader(leader) => Some(leader.ballot),
            Role::Candidate(_) | Role::Follower => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::Progress;
    use crate::ids::{Millis, Slot};
    use crate::input::Input;
    use crate::limits::{HEARTBEAT_MS, RETRANSMIT_MS, WINDOW_SLOTS_MAX};
    use crate::message::{Message, Pong};
    use crate::testing::{Bench, accepted, accepts_to, ballot, led, rows_to, sent, slot};

    #[test]
    fn unacknowledged_rows_are_sent_again_after_the_timeout_only() {
        let mut progress = Progress::new(Slot(2000), Millis(0));
        progress.next = Slot(2010);
        progress.due = false;
        progress.greeted = true;
        progress.retransmit(Slot(2000), RETRANSMIT_MS, Millis(RETRANSMIT_MS - 1));
        assert!(!progress.due && progress.next == Slot(2010));
        progress.retransmit(Slot(2000), RETRANSMIT_MS, Millis(RETRANSMIT_MS));
        assert!(progress.due && progress.probing && progress.next == Slot(2000));
        assert!(progress.acknowledge(Slot(2004), Millis(300)));
        assert!(!progress.probing && progress.next == Slot(2005));
        assert!(
            !progress.acknowledge(Slot(2004), Millis(300)),
            "the same again is no progress"
        );
        progress.due = false;
        progress.retransmit(Slot(2000), RETRANSMIT_MS, Millis(9_000));
        assert!(!progress.due && !progress.probing, "it owes nothing");
    }

    #[test]
    fn one_gap_is_served_once_a_round() {
        let mut progress = Progress::new(Slot(2000), Millis(0));
        progress.next = Slot(2010);
        progress.rewind(Slot(2003), true, Millis(1));
        assert_eq!(progress.next, Slot(2003));
        progress.next = Slot(2010);
        progress.rewind(Slot(2003), true, Millis(2));
        assert_eq!(progress.next, Slot(2010));
        progress.rewind(Slot(2003), true, Millis(1 + HEARTBEAT_MS));
        assert_eq!(progress.next, Slot(2003));
        progress.rewind(Slot(2001), false, Millis(500));
        assert_eq!(
            progress.next,
            Slot(2003),
            "rows that are not here are not sent"
        );
    }

    /// Goal: a peer that skipped more than a window, by a snapshot, gets rows again. Method: it
    /// acknowledges nothing and then tells a commit index far above what it had.
    #[test]
    fn what_a_peer_learned_elsewhere_need_not_be_accepted() {
        let mut bench = Bench::leader(3);
        let far = WINDOW_SLOTS_MAX + 10;
        for number in 1..=far {
            bench.propose(number, 1);
            bench.persisted();
            bench.receive(2, accepted(ballot(1, 1), number));
        }
        let status = bench.core.status();
        assert_eq!(status.decided, slot(far));
        bench.round_with(&[2, 3], |_, pong| Pong {
            ballot: ballot(1, 1),
            decided: slot(far),
            chain: status.chain,
            ..pong
        });
        bench.round(&[2, 3]);
        let out = bench.propose(far + 1, 1);
        let rows = sent(&out).into_iter().find(|(to, _)| *to == 3);
        let Some((_, Message::Accept(accept))) = rows else {
            panic!("an Accept to the third: {out:?}")
        };
        assert_eq!(accept.first, slot(far + 1));
        assert_eq!(accept.entries.len(), 1);
    }

    /// Property: the time for an answer begins when the first row is sent, however long there was
    /// nothing to send before.
    #[test]
    fn rows_after_a_pause_have_their_full_time() {
        let mut bench = Bench::leader(3);
        for _ in 0..10 {
            bench.round_with(&[2, 3], led);
        }
        assert_eq!(accepts_to(2, &bench.propose(1, 1)).len(), 1);
        bench.persisted();
        let soon = bench.round_with(&[2, 3], led);
        assert_eq!(accepts_to(2, &soon), []);
        let late = bench.round_with(&[2, 3], led);
        assert_eq!(accepts_to(2, &late).len(), 1, "{late:?}");
        // That it is there, and has no more than before, is no answer.
        bench.round_with(&[2, 3], led);
        assert_eq!(accepts_to(2, &bench.propose(2, 1)), [], "one at a time");
    }

    /// Property: a peer that does not know what is decided is told again in each round, and one that
    /// does is not.
    #[test]
    fn news_is_told_until_it_is_known() {
        let mut bench = Bench::leader(3);
        bench.propose(1, 1);
        bench.persisted();
        for peer in [2, 3] {
            bench.receive(peer, accepted(ballot(1, 1), 1));
        }
        let chain = bench.core.status().chain;
        let answer = |peer, pong| match peer {
            2 => Pong {
                decided: slot(1),
                chain,
                ..led(peer, pong)
            },
            _ => led(peer, pong),
        };
        bench.round_with(&[2, 3], answer);
        for _ in 0..2 {
            let out = bench.round_with(&[2, 3], answer);
            assert_eq!(accepts_to(2, &out), []);
            let told = accepts_to(3, &out);
            assert_eq!(told.len(), 1);
            assert_eq!((told[0].decided, told[0].entries.len()), (slot(1), 0));
        }
    }

    /// Property: what is no longer in memory is not sent again; the stream goes on above it, and
    /// the peer fetches what it lacks.
    #[test]
    fn a_stream_goes_on_above_what_was_forgotten() {
        let mut bench = Bench::leader(3);
        bench.propose(1, 1);
        bench.persisted();
        bench.receive(2, accepted(ballot(1, 1), 1));
        bench.give(Input::Applied { slot: slot(1) });
        bench.give(Input::Compact { upto: slot(1) });
        bench.persisted();
        let mut again = Vec::new();
        for _ in 0..3 {
            again.append(&mut accepts_to(3, &bench.round_with(&[2, 3], led)));
        }
        let last = again.last().expect("it owes a row");
        assert_eq!((last.first, last.decided), (slot(2), slot(1)));
    }

    /// Property: what a full window held back is sent when there is room, unless it was forgotten
    /// meanwhile: then the stream goes on above it.
    #[test]
    fn a_full_window_holds_rows_back_and_loses_none() {
        for forgotten in [false, true] {
            let mut bench = Bench::leader(3);
            let last = WINDOW_SLOTS_MAX + 2;
            for number in 1..=last {
                bench.propose(number, 1);
                bench.persisted();
                bench.receive(2, accepted(ballot(1, 1), number));
            }
            bench.give(Input::Applied { slot: slot(last) });
            if forgotten {
                bench.give(Input::Compact { upto: slot(last) });
                bench.persisted();
            }
            let held_back = bench.receive(3, accepted(ballot(1, 1), WINDOW_SLOTS_MAX));
            let sent: &[Slot] = if forgotten {
                &[]
            } else {
                &[slot(last - 1), slot(last)]
            };
            assert_eq!(rows_to(3, &held_back), sent);
            assert_eq!(rows_to(3, &bench.propose(last + 1, 1)), [slot(last + 1)]);
        }
    }
}
