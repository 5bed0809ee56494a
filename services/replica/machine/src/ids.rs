//! The numbers that the state machine assigns, each a type of its own.

use std::fmt;

use paxos::ids::Slot;

use crate::error::Fault;

/// An account: 1, 2, 3 … in the order of sign-up. 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UserId(pub u64);

impl UserId {
    /// The author of notices in commands: no person, and no number that a person can get.
    pub const REPLICAS: Self = Self(u64::MAX);
}

/// A room: 1, 2, 3 … in the order of creation, with the shard in the high bits (0 as yet).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RoomId(pub u64);

impl RoomId {
    /// The room `general`, which the first account creates and every later one joins. Known by
    /// its id, because a name can be changed.
    pub const GENERAL: Self = Self(1);
    /// The room `cluster`, which tells what happens to the replicas (notices.rs). The highest
    /// number of 32 bits, apart from those that are counted; its row is made by its first line.
    pub const CLUSTER: Self = Self(u32::MAX as u64);
}

/// A sender session: the slot that opened it and the command's place in the batch, as one number.
/// Never given twice. 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SenderSessionId(pub u64);

/// The number of an event within its room: 1, 2, 3 … without a hole. 0 is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.0)
    }
}

impl fmt::Display for SenderSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sender session {}", self.0)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "room {}", self.0)
    }
}

/// The primary key of an event: its slot and its place among the effects of that slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct EventId(u64);

impl EventId {
    const ORDINAL_BITS: u32 = 16;
    /// The highest place within a slot.
    pub(crate) const ORDINAL_MAX: u64 = (1 << Self::ORDINAL_BITS) - 1;
    /// The highest slot whose keys fit SQLite's signed integers.
    pub(crate) const SLOT_MAX: Slot = Slot((1 << (63 - Self::ORDINAL_BITS)) - 1);

    /// The key, if both parts are within their bounds.
    pub(crate) const fn new(slot: Slot, ordinal: u64) -> Option<Self> {
        if slot.0 > Self::SLOT_MAX.0 || ordinal > Self::ORDINAL_MAX {
            return None;
        }
        Some(Self(slot.0 << Self::ORDINAL_BITS | ordinal))
    }

    /// The highest key that an event of `slot` or of one below can have.
    pub(crate) const fn last_of(slot: Slot) -> Self {
        let slot = if slot.0 > Self::SLOT_MAX.0 {
            Self::SLOT_MAX.0
        } else {
            slot.0
        };
        Self(slot << Self::ORDINAL_BITS | Self::ORDINAL_MAX)
    }

    /// The number itself.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn slot(self) -> Slot {
        Slot(self.0 >> Self::ORDINAL_BITS)
    }

    pub(crate) const fn to_sql(self) -> i64 {
        to_sql(self.0)
    }

    pub(crate) const fn from_sql(number: i64) -> Self {
        Self(from_sql(number))
    }
}

/// SQLite's integers are signed: the same bits. What must sort in SQL stays below 2^63, which
/// `EventId::new` ensures for slots, and counting by one for everything else.
pub(crate) const fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// The number after this one, of a counter that is kept in a row. A damaged row may hold one that
/// has none.
pub(crate) fn next(number: u64) -> Result<u64, Fault> {
    match number.checked_add(1) {
        Some(next) if next <= i64::MAX.cast_unsigned() => Ok(next),
        _ => Err(Fault::Damaged(format!("no counter gets to {number}"))),
    }
}

/// The reverse of [`to_sql`].
pub(crate) const fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: keys sort by slot, then by place, and give their slot back, at the bounds too.
    #[test]
    fn event_ids_sort_like_slot_and_ordinal() {
        let slots = [Slot(0), Slot::FIRST, EventId::SLOT_MAX];
        let keys: Vec<EventId> = slots
            .iter()
            .flat_map(|slot| [0, 1, EventId::ORDINAL_MAX].map(|n| EventId::new(*slot, n).unwrap()))
            .collect();
        assert!(
            keys.windows(2)
                .all(|pair| pair[0].to_sql() < pair[1].to_sql())
        );
        assert!(
            keys.iter()
                .all(|key| EventId::from_sql(key.to_sql()) == *key)
        );
        assert_eq!(keys[8].slot(), EventId::SLOT_MAX);
        assert_eq!(EventId::last_of(Slot::FIRST), keys[5]);
        assert_eq!(EventId::last_of(Slot(u64::MAX)), keys[8]);
        assert_eq!(EventId::new(EventId::SLOT_MAX.next(), 0), None);
        assert_eq!(EventId::new(Slot::FIRST, EventId::ORDINAL_MAX + 1), None);
    }
}
