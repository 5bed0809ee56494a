//! I19: at most one proposer is active at each ballot: its owner, once, in one process.
//!
//! Lamport, *Paxos Made Simple* (2001), section 2.5: proposers choose from disjoint sets of
//! numbers, and never use one twice, not even after a restart (D1).

use std::collections::BTreeMap;

use paxos::{Ballot, Message};

use super::Who;
use crate::violation::{Verdict, hold};

const NAME: &str = "I19";

/// Who used each ballot: the node and the process.
#[derive(Clone, Debug, Default)]
pub struct OneProposer {
    campaigns: BTreeMap<Ballot, (usize, u32)>,
    leaders: BTreeMap<Ballot, (usize, u32)>,
}

impl OneProposer {
    /// Process `life` of a node begins to lead.
    pub fn on_leading(&mut self, who: Who, life: u32, ballot: Ballot) -> Verdict {
        hold!(NAME, ballot.node == who.id, "{} leads at {ballot}", who.id);
        let other = self.leaders.insert(ballot, (who.index, life));
        hold!(NAME, other.is_none(), "{ballot} is led twice");
        Ok(())
    }

    /// Process `life` of a node sends a message.
    pub fn on_send(&mut self, who: Who, life: u32, message: &Message) -> Verdict {
        let process = (who.index, life);
        match message {
            Message::Prepare(prepare) => {
                let ballot = prepare.ballot;
                hold!(NAME, ballot.node == who.id, "{} prepares {ballot}", who.id);
                let owner = *self.campaigns.entry(ballot).or_insert(process);
                hold!(
                    NAME,
                    owner == process,
                    "{ballot} is prepared by two processes"
                );
                let leads = self.leaders.contains_key(&ballot);
                hold!(NAME, !leads, "{ballot} is prepared after it was led");
            }
            Message::Accept(accept) => {
                let leader = self.leaders.get(&accept.ballot);
                let ballot = accept.ballot;
                hold!(
                    NAME,
                    leader == Some(&process),
                    "{} proposes at {ballot}",
                    who.id
                );
            }
            Message::Confirm(confirm) => {
                let leader = self.leaders.get(&confirm.ballot);
                let ballot = confirm.ballot;
                hold!(
                    NAME,
                    leader == Some(&process),
                    "{} asks as {ballot}",
                    who.id
                );
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::OneProposer;
    use crate::invariants::testing::{at, ballot, broken, who};
    use paxos::Message;
    use paxos::message::{Accept, Prepare};

    #[test]
    fn a_ballot_used_twice_breaks_it() {
        let mut proposers = OneProposer::default();
        let prepare = Message::Prepare(Prepare {
            ballot: ballot(1, 1),
            from: at(1),
        });
        assert_eq!(proposers.on_send(who(1), 1, &prepare), Ok(()));
        assert_eq!(proposers.on_send(who(1), 1, &prepare), Ok(()), "sent again");
        assert_eq!(
            broken(proposers.on_send(who(1), 2, &prepare)),
            Some("I19"),
            "a restart"
        );
        assert_eq!(broken(proposers.on_send(who(2), 1, &prepare)), Some("I19"));
        assert_eq!(proposers.on_leading(who(1), 1, ballot(1, 1)), Ok(()));
        assert_eq!(
            broken(proposers.on_leading(who(1), 1, ballot(1, 1))),
            Some("I19")
        );
        assert_eq!(
            broken(proposers.on_leading(who(2), 1, ballot(2, 1))),
            Some("I19")
        );
    }

    #[test]
    fn proposing_without_leading_breaks_it() {
        let mut proposers = OneProposer::default();
        let (base, first, decided) = (at(1), at(1), at(0));
        let accept = Accept {
            ballot: ballot(1, 1),
            base,
            first,
            entries: Vec::new(),
            decided,
        };
        let accept = Message::Accept(accept);
        assert_eq!(broken(proposers.on_send(who(1), 1, &accept)), Some("I19"));
        proposers.on_leading(who(1), 1, ballot(1, 1)).expect("once");
        assert_eq!(proposers.on_send(who(1), 1, &accept), Ok(()));
        assert_eq!(broken(proposers.on_send(who(1), 2, &accept)), Some("I19"));
    }
}
