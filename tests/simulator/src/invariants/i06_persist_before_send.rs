//! I6: what a message promises is durable when it is sent (D1, D2, R4).
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.5: an acceptor records its response in
//! stable storage before it sends it. Chandra, Griesemer, Redstone, *Paxos Made Live* (2007),
//! section 5.1, for what happens otherwise. A damaged row is not durable: its acceptor promises
//! nothing (Alagappan et al., *Protocol-Aware Recovery*, FAST 2018).

use std::collections::BTreeMap;

use paxos::message::{Accepted, Promise};
use paxos::{Ballot, Entry, Message, PersistOp, Slot};

use super::{ByNode, Facts, Who};
use crate::disk::Image;
use crate::violation::{Verdict, hold};

const NAME: &str = "I6";

/// How far the acceptances of each process were verified on its disk.
#[derive(Clone, Debug, Default)]
pub struct PersistBeforeSend {
    verified: ByNode<Option<(Ballot, Slot)>>,
    /// From which slot on each candidate asked.
    asked: BTreeMap<Ballot, Slot>,
}

impl PersistBeforeSend {
    /// A process starts: what is on its disk may be less than before.
    pub fn on_start(&mut self, who: Who) {
        *self.verified.of(who) = None;
    }

    /// A disk is about to make a change durable: no row is above the promise (D2).
    pub fn on_op(&self, who: Who, image: &Image, op: &PersistOp) -> Verdict {
        if let PersistOp::Accept(rows) = op {
            let highest = rows.iter().map(|row| row.ballot).max().unwrap_or_default();
            let promised = image.promised;
            hold!(
                NAME,
                highest <= promised,
                "{}: a row at {highest}, promise {promised}",
                who.id
            );
        }
        Ok(())
    }

    /// A node sends a message; `image` is what its disk holds at that moment.
    pub fn on_send(
        &mut self,
        who: Who,
        message: &Message,
        image: &Image,
        facts: &Facts<'_>,
    ) -> Verdict {
        let promised = image.promised;
        match message {
            Message::Prepare(prepare) => {
                let ballot = prepare.ballot;
                hold!(
                    NAME,
                    promised >= ballot,
                    "Prepare {ballot}, durable {promised}"
                );
                self.asked.insert(ballot, prepare.from);
            }
            Message::Accept(accept) => {
                let ballot = accept.ballot;
                hold!(
                    NAME,
                    promised >= ballot,
                    "Accept {ballot}, durable {promised}"
                );
            }
            Message::Promise(promise) => {
                let from = self.asked.get(&promise.ballot).copied();
                return check_promise(who, promise, from.unwrap_or_default(), image, facts);
            }
            Message::Accepted(accepted) => {
                return self.check_accepted(who, accepted, image, facts);
            }
            Message::Confirmed(confirmed) => {
                let ballot = confirmed.ballot;
                hold!(
                    NAME,
                    promised <= ballot,
                    "Confirmed {ballot}, durable {promised}"
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn check_accepted(
        &mut self,
        who: Who,
        accepted: &Accepted,
        image: &Image,
        facts: &Facts<'_>,
    ) -> Verdict {
        let Accepted {
            ballot,
            upto,
            disk_seq,
        } = *accepted;
        let promised = image.promised;
        hold!(
            NAME,
            promised >= ballot,
            "Accepted {ballot}, durable {promised}"
        );
        hold!(
            NAME,
            disk_seq <= image.disk_seq,
            "Accepted tells {disk_seq}, not durable"
        );
        let Some(base) = facts.base(ballot) else {
            hold!(
                NAME,
                false,
                "{} accepts at {ballot}, which nobody proposed at",
                who.id
            );
            return Ok(());
        };
        let before = self.verified.of(who).filter(|(other, _)| *other == ballot);
        let verified = before.map_or_else(|| base.prev(), |(_, slot)| slot);
        for slot in (verified.0 + 1..=upto.0).map(Slot) {
            if slot > image.compacted_to {
                check_row(who, ballot, slot, image, facts)?;
            }
        }
        *self.verified.of(who) = Some((ballot, verified.max(upto)));
        Ok(())
    }
}

/// Slot `slot` is durably accepted at `ballot`, or decided.
fn check_row(who: Who, ballot: Ballot, slot: Slot, image: &Image, facts: &Facts<'_>) -> Verdict {
    let row = image.rows.get(&slot).filter(|_| image.holds(slot));
    let Some(row) = row else {
        hold!(
            NAME,
            false,
            "{} accepts {slot} at {ballot} before it is durable",
            who.id
        );
        return Ok(());
    };
    if row.ballot == ballot {
        let sent = facts.proposed(ballot, slot);
        hold!(
            NAME,
            sent.is_none_or(|chain| chain == row.chain),
            "{} accepts another value for {slot} at {ballot} than was sent",
            who.id
        );
    } else {
        hold!(
            NAME,
            facts.settled(slot) == Some(row.chain),
            "{} accepts {slot} at {ballot}; durable is {}, not decided",
            who.id,
            row.ballot
        );
    }
    Ok(())
}

fn check_promise(
    who: Who,
    promise: &Promise,
    from: Slot,
    image: &Image,
    facts: &Facts<'_>,
) -> Verdict {
    let (ballot, promised) = (promise.ballot, image.promised);
    hold!(
        NAME,
        promised >= ballot,
        "Promise {ballot}, durable {promised}"
    );
    let seq = promise.disk_seq;
    hold!(
        NAME,
        seq <= image.disk_seq,
        "{} tells {seq}, not durable",
        who.id
    );
    let damaged = image.damaged.iter().find(|slot| **slot > facts.commit);
    hold!(
        NAME,
        damaged.is_none(),
        "{} promises {ballot}, {damaged:?} is damaged",
        who.id
    );
    for entry in &promise.entries {
        let row = image.rows.get(&entry.slot);
        // A decided row, or one of this very ballot, may replace it while the page waits.
        let held = row.is_some_and(|row| row == entry || row.ballot > entry.ballot);
        let compacted = entry.slot <= image.compacted_to;
        hold!(
            NAME,
            held || compacted,
            "{} reports {}, not durable",
            who.id,
            entry.slot
        );
    }
    if promise.pages == 1 {
        let first = from.max(facts.commit.max(promise.decided).next());
        check_whole(who, promise, image, first)?;
    }
    Ok(())
}

/// What was accepted below the ballot, was asked for, and is not known to be decided, is
/// reported (trap 6).
fn check_whole(who: Who, promise: &Promise, image: &Image, first: Slot) -> Verdict {
    let reported = |row: &Entry| {
        let found = promise
            .entries
            .binary_search_by_key(&row.slot, |entry| entry.slot);
        row.ballot >= promise.ballot || found.is_ok()
    };
    let hidden = image.rows.range(first..).find(|(_, row)| !reported(row));
    let hidden = hidden.map(|(slot, _)| *slot);
    hold!(
        NAME,
        hidden.is_none(),
        "{} hides {hidden:?} from {}",
        who.id,
        promise.ballot
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::PersistBeforeSend;
    use crate::disk::Image;
    use crate::invariants::testing::{at, ballot, broken, entries, image, who};
    use crate::invariants::{Facts, History};
    use crate::violation::Verdict;
    use paxos::message::{Accept, Accepted, Promise};
    use paxos::{Ballot, DiskSeq, Entry, Message, Slot};

    /// What was sent at `ballot`: these rows.
    fn history(ballot: Ballot, rows: &[Entry]) -> History {
        let mut history = History::default();
        let (base, first, decided) = (at(1), at(1), at(0));
        let entries = rows.to_vec();
        let accept = Accept {
            ballot,
            base,
            first,
            entries,
            decided,
        };
        history
            .values
            .on_accept(who(1), &accept)
            .expect("one value");
        history.in_order.on_accept(&accept).expect("one base");
        history
    }

    fn sent(message: &Message, image: &Image, history: &History) -> Verdict {
        let facts = Facts {
            history,
            commit: Slot::GENESIS,
        };
        PersistBeforeSend::default().on_send(who(2), message, image, &facts)
    }

    fn accepted(ballot: Ballot, upto: u64) -> Message {
        let (upto, disk_seq) = (at(upto), DiskSeq(0));
        Message::Accepted(Accepted {
            ballot,
            upto,
            disk_seq,
        })
    }

    #[test]
    fn accepting_what_is_not_durable_breaks_it() {
        let (at_ballot, rows) = (ballot(1, 1), entries(ballot(1, 1), 3, b'a'));
        let history = history(at_ballot, &rows);
        let held = image(at_ballot, &rows[..2]);
        assert_eq!(sent(&accepted(at_ballot, 2), &held, &history), Ok(()));
        assert_eq!(
            broken(sent(&accepted(at_ballot, 3), &held, &history)),
            Some("I6")
        );
        let low = image(Ballot::ZERO, &rows);
        assert_eq!(
            broken(sent(&accepted(at_ballot, 2), &low, &history)),
            Some("I6")
        );
        let mut flipped = image(at_ballot, &rows);
        flipped.damaged.insert(at(2));
        assert_eq!(
            broken(sent(&accepted(at_ballot, 3), &flipped, &history)),
            Some("I6")
        );
    }

    #[test]
    fn a_row_of_another_ballot_counts_only_if_it_is_decided() {
        let (low, high) = (ballot(1, 1), ballot(2, 3));
        let mut history = history(high, &entries(high, 1, b'a'));
        let held = image(high, &entries(low, 1, b'a'));
        assert_eq!(
            broken(sent(&accepted(high, 1), &held, &history)),
            Some("I6")
        );
        let chain = held.rows[&at(1)].chain;
        history
            .agreement
            .on_decided(at(1), chain)
            .expect("decided once");
        assert_eq!(sent(&accepted(high, 1), &held, &history), Ok(()));
    }

    fn promise(ballot: Ballot, entries: &[Entry]) -> Message {
        Message::Promise(Promise {
            ballot,
            decided: at(0),
            compacted_to: at(0),
            page: 0,
            pages: 1,
            entries: entries.to_vec(),
            disk_seq: DiskSeq(0),
        })
    }

    #[test]
    fn a_promise_tells_all_that_is_durable_and_nothing_else() {
        let (low, high) = (ballot(1, 1), ballot(2, 3));
        let (rows, history) = (entries(low, 3, b'a'), History::default());
        let held = image(high, &rows[..2]);
        assert_eq!(sent(&promise(high, &rows[..2]), &held, &history), Ok(()));
        let too_much = sent(&promise(high, &rows), &held, &history);
        assert_eq!(broken(too_much), Some("I6"), "a row that is not durable");
        let too_little = sent(&promise(high, &rows[..1]), &held, &history);
        assert_eq!(broken(too_little), Some("I6"), "trap 6: a row is hidden");
        let early = image(low, &rows[..2]);
        let early = sent(&promise(high, &rows[..2]), &early, &history);
        assert_eq!(broken(early), Some("I6"), "D1");
        let mut flipped = held;
        flipped.damaged.insert(at(2));
        let flipped = sent(&promise(high, &rows[..2]), &flipped, &history);
        assert_eq!(broken(flipped), Some("I6"), "PAR: it abstains");
    }
}
