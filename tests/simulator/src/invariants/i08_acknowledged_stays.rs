//! I8: what was acknowledged is decided, and still there at the end.
//!
//! Durability as a client sees it (D5); the property that Jepsen calls *lost updates*
//! (Kingsbury, Alvaro, *Elle*, VLDB 2020).

use paxos::Slot;

use super::i10_once::Once;
use crate::command::Command;
use crate::violation::{Verdict, hold};

const NAME: &str = "I8";

/// What clients were told.
#[derive(Clone, Debug, Default)]
pub struct AcknowledgedStays {
    told: Vec<(Command, Slot)>,
}

impl AcknowledgedStays {
    /// A client is told where its command took effect.
    pub fn on_acknowledged(&mut self, command: Command, slot: Slot) {
        self.told.push((command, slot));
    }

    /// The end of a run: `decided` is the highest slot that every healed node has applied.
    pub fn at_end(&self, once: &Once, decided: Slot) -> Verdict {
        for (command, slot) in &self.told {
            let effect = once.effect(command.client, command.cid);
            hold!(
                NAME,
                effect == Some(*slot) && *slot <= decided,
                "client {} was told {slot} for its {}, found is {effect:?} up to {decided}",
                command.client,
                command.cid
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AcknowledgedStays;
    use crate::invariants::i10_once::Once;
    use crate::invariants::testing::{at, broken, command};
    use crate::state::Outcome;

    #[test]
    fn an_acknowledged_command_without_effect_breaks_it() {
        let (mut told, mut once) = (AcknowledgedStays::default(), Once::default());
        let done = Outcome::Done {
            command: command(0),
            slot: at(3),
            repeated: false,
        };
        once.on_applied(at(3), &done).expect("once");
        told.on_acknowledged(command(0), at(3));
        assert_eq!(told.at_end(&once, at(3)), Ok(()));
        assert_eq!(
            broken(told.at_end(&once, at(2))),
            Some("I8"),
            "the prefix is too short"
        );
        told.on_acknowledged(command(1), at(2));
        assert_eq!(
            broken(told.at_end(&once, at(3))),
            Some("I8"),
            "it is nowhere"
        );
    }
}
