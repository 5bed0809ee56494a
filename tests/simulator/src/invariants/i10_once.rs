//! I10: a `(client, cid)` takes effect at most once, for ever, and every repetition is
//! answered with the slot of the first.
//!
//! Liskov, Cowling, *Viewstamped Replication Revisited* (2012), section 4.1, for the client
//! table; here it is kept for ever, inside the state, so that it survives snapshots and
//! changes of leader.

use paxos::Slot;

use crate::state::Outcome;
use crate::violation::{Verdict, hold};

const NAME: &str = "I10";

/// Where each command took effect.
#[derive(Clone, Debug, Default)]
pub struct Once {
    /// By client and cid.
    effects: Vec<Vec<Option<Slot>>>,
}

impl Once {
    /// Some node has applied a slot, with this outcome.
    pub fn on_applied(&mut self, at: Slot, outcome: &Outcome) -> Verdict {
        let Outcome::Done {
            command,
            slot,
            repeated,
        } = outcome
        else {
            return Ok(());
        };
        let (client, cid) = (command.client, command.cid);
        let known = *self.place(client, cid).get_or_insert(*slot);
        let named = if *repeated { *slot } else { at };
        hold!(
            NAME,
            known == *slot && known == named,
            "command {cid} of client {client} takes effect at {at}, and did at {known}"
        );
        Ok(())
    }

    /// Where a command took effect, if it did.
    #[must_use]
    pub fn effect(&self, client: u16, cid: u32) -> Option<Slot> {
        let of_client = self.effects.get(usize::from(client))?;
        of_client.get(cid as usize).copied().flatten()
    }

    fn place(&mut self, client: u16, cid: u32) -> &mut Option<Slot> {
        let (client, cid) = (usize::from(client), cid as usize);
        if self.effects.len() <= client {
            self.effects.resize(client + 1, Vec::new());
        }
        let of_client = &mut self.effects[client];
        if of_client.len() <= cid {
            of_client.resize(cid + 1, None);
        }
        &mut of_client[cid]
    }
}

#[cfg(test)]
mod tests {
    use super::Once;
    use crate::invariants::testing::{at, broken, command};
    use crate::state::Outcome;

    #[test]
    fn a_second_effect_breaks_it() {
        let mut once = Once::default();
        let done = |slot, repeated| Outcome::Done {
            command: command(5),
            slot: at(slot),
            repeated,
        };
        assert_eq!(once.on_applied(at(1), &done(1, false)), Ok(()));
        assert_eq!(
            once.on_applied(at(1), &done(1, false)),
            Ok(()),
            "at another node"
        );
        assert_eq!(
            once.on_applied(at(4), &done(1, true)),
            Ok(()),
            "a repetition"
        );
        assert_eq!(broken(once.on_applied(at(5), &done(5, false))), Some("I10"));
        assert_eq!(broken(once.on_applied(at(6), &done(2, true))), Some("I10"));
    }
}
