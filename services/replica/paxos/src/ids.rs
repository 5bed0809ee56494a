//! The numbers of the protocol, each a type of its own.
//!
//! Names as in van Renesse & Altinbüken, *Paxos Made Moderately Complex* (slot, ballot), and
//! Lamport, Malkhi, Zhou, *Reconfiguring a State Machine* (epoch: one configuration).

use core::fmt;

/// A position in the replicated log. Contiguous across epochs; the first one is
/// [`Slot::FIRST`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Slot(pub u64);

impl Slot {
    /// The slot before the first one: the empty prefix, decided from the beginning.
    ///
    /// Slots below it do not exist, because the ids of the first voters
    /// ([`NodeId::GENESIS_MAX`]) must equal no slot: later ids are the slots of their
    /// `RegisterNode` entries.
    pub const GENESIS: Self = Self(1023);
    /// The first slot of the log.
    pub const FIRST: Self = Self(1024);

    /// The slot after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The slot before this one; `GENESIS` has none and stays.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(if self.0 <= Self::GENESIS.0 {
            Self::GENESIS.0
        } else {
            self.0.saturating_sub(1)
        })
    }

    /// How many slots lie in `(other, self]`; 0 when `other` is not below.
    #[must_use]
    pub const fn distance_above(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

/// One configuration of voters. Each is ended by a chosen `Seal`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the first configuration.
    pub const FIRST: Self = Self(1);

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The attempt number within an epoch, at most [`crate::limits::ROUND_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Round(pub u64);

/// A replica. Never reused, tied to one disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The first voters are `1..=GENESIS_MAX`; every later id is a slot.
    pub const GENESIS_MAX: Self = Self(1023);
}

const _: () = assert!(
    NodeId::GENESIS_MAX.0 < Slot::FIRST.0,
    "a first voter's id equals no slot"
);
const _: () = assert!(
    Slot::GENESIS.0 + 1 == Slot::FIRST.0,
    "the log starts right after genesis"
);

/// A proposer's claim to lead, ordered by epoch, then round, then node.
///
/// Lamport, *Paxos Made Simple*, section 2.2: proposals are numbered and no two are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ballot {
    /// The configuration whose voters may answer.
    pub epoch: Epoch,
    /// Higher than every round of this epoch that its owner had seen; 0 only for the node that
    /// the epoch's `Seal` names.
    pub round: Round,
    /// The owner. Two nodes never own the same ballot.
    pub node: NodeId,
}

impl Ballot {
    /// Below every ballot of every epoch: what a new acceptor has promised.
    pub const ZERO: Self = Self {
        epoch: Epoch(0),
        round: Round(0),
        node: NodeId(0),
    };
}

/// Numbers the persist requests of one process. Not durable; starts at 1 in each process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PersistSeq(pub u64);

/// Counts the transactions of one disk for ever: durable, +1 with each. A disk that shows a
/// lower number than others saw from it was turned back (section 2.9 of the design).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DiskSeq(pub u64);

/// Milliseconds of a monotonic clock that the driver reads. Only differences matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// How long ago `earlier` was, in milliseconds; 0 if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `ms` milliseconds.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// The leader's clock in an entry: milliseconds since 1970, for display only. Strictly
/// increasing along the log: `max(clock, previous + 1)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

/// Names a proposal between driver and core in one process. The driver's choice; not durable,
/// never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProposalToken(pub u64);

/// Names a linearizable read between driver and core in one process. The driver's choice; not
/// durable, never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReadToken(pub u64);

macro_rules! show {
    ($($name:ident => $prefix:literal),* $(,)?) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

show! {
    Slot => "s", Epoch => "e", Round => "", NodeId => "r", PersistSeq => "p",
    Millis => "t", Timestamp => "", ProposalToken => "#",
    DiskSeq => "d", ReadToken => "?",
}

impl fmt::Display for Ballot {
    /// `epoch.round@node`, for example `1.7@r2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@r{}", self.epoch.0, self.round.0, self.node.0)
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
