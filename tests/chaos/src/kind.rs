//! The kinds of faults, and how often each is drawn.

use std::fmt;
use std::str::FromStr;

/// Spells the table once: the kinds, their names, their weights, what they do.
macro_rules! kinds {
    ($($kind:ident = $name:literal weighs $weight:literal: $what:literal),* $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $(#[doc = $what] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As in `FAULTS=`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// How often it is in the deck from which steps are drawn.
            #[must_use]
            pub const fn weight(self) -> usize {
                match self { $(Self::$kind => $weight,)* }
            }

            /// What it does, in a sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$kind => $what,)* }
            }
        }
    };
}

kinds! {
    Kill = "kill" weighs 2: "kill -9 of a replica, which is started again.",
    KillLeader = "kill-leader" weighs 3: "kill -9 of the leader.",
    Pause = "pause" weighs 1: "A replica stands still (SIGSTOP) and goes on.",
    PauseLeader = "pause-leader" weighs 1: "The leader stands still and goes on.",
    Restart = "restart" weighs 1: "A replica is stopped (SIGTERM) and started again.",
    Halves = "partition-halves" weighs 1: "A minority of the replicas is cut off from the others.",
    One = "partition-one" weighs 1: "One replica, as often as not the leader, is cut off from everything.",
    OneWay = "partition-one-way" weighs 1: "One replica hears all but is not heard, or is heard but hears nobody.",
    Chain = "partition-chain" weighs 1: "Each replica reaches its two neighbours in a row only.",
    Delay = "delay" weighs 1: "What replicas send each other arrives late.",
    Loss = "loss" weighs 1: "What replicas send each other stalls, and connections break.",
    Wipe = "wipe" weighs 1: "A replica is killed, its disk is emptied, it comes back as a new node.",
    DiskFull = "disk-full" weighs 1: "The disk of a replica is nearly full for a while.",
    BitFlip = "bit-flip" weighs 1: "Bits are flipped in the files of a killed replica.",
    Truncate = "truncate" weighs 1: "A file of a killed replica loses its end.",
    Clock = "clock" weighs 1: "The wall clock of a replica jumps, forwards or backwards.",
    Gateway = "gateway" weighs 1: "kill -9 of a gateway, which is started again.",
    Membership = "membership" weighs 1: "kill -9 of the membership service, which is started again.",
    Majority = "majority" weighs 1: "A majority of the voters is killed: until they are back nothing may be acknowledged.",
    Rolling = "rolling" weighs 1: "Every process is stopped and started again, one after the other.",
    PowerOne = "power-one" weighs 1: "A replica loses its power: killed, and what was not synced is lost.",
    PowerAll = "power-all" weighs 1: "All replicas lose their power at once.",
    Replace = "replace" weighs 3: "A replica dies for good, with its disk; a new one comes.",
    Drain = "drain" weighs 1: "A machine of Kubernetes is drained as far as the budgets allow, and comes back.",
    Scale = "scale" weighs 1: "Two more replicas vote on Kubernetes, then two fewer.",
}

impl Kind {
    /// Whether it happens on Kubernetes only: elsewhere it is drawn when it is asked for by name.
    #[must_use]
    pub const fn needs_kubernetes(self) -> bool {
        matches!(self, Self::Drain | Self::Scale)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("no fault is called `{name}`; there are {}", all.join(", "))
        })
    }
}
