//! The numbers and ids of the client protocol, one type each, so that a slot is never taken for
//! a `seq`.
//!
//! In: JSON numbers below 2⁵³ and hyphenated UUIDs. Out: the same.
//! Must hold: a `Cid` is a UUIDv7 in its lower-case hyphenated form (docs/protocol.md 2.4).

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub struct $name(#[cfg_attr(test, ts(type = "number"))] pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    };
}

number! {
    /// A person's account, numbered by the replicated state machine.
    UserId
}
number! {
    /// A room, numbered by the replicated state machine.
    RoomId
}
number! {
    /// 1, 2, 3 … per room: counts every durable event.
    Seq
}
number! {
    /// 1, 2, 3 … per room: counts messages only.
    MsgNo
}
number! {
    /// 1, 2, 3 … per person: counts the events of the own stream.
    Useq
}
number! {
    /// A position in the replicated log.
    Slot
}
number! {
    /// A replica of the cluster.
    NodeId
}

impl RoomId {
    /// The room of the cluster, in which nobody writes: docs/protocol.md 2.5.
    pub(crate) const CLUSTER: Self = Self(u32::MAX as u64);
}

impl Seq {
    /// The one after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The client's id for a request: a UUIDv7, made once and kept until the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Cid(#[cfg_attr(test, ts(type = "string"))] pub Uuid);

impl Cid {
    /// From the 16 bytes that travel to replicas.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// From its one accepted form.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let mut buffer = Uuid::encode_buffer();
        let canonical = uuid.hyphenated().encode_lower(&mut buffer) == text;
        (canonical && uuid.get_version_num() == 7).then_some(Self(uuid))
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom("cid: a UUIDv7 in lower-case hyphenated form is needed")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cid;

    #[test]
    fn only_one_form_of_a_cid_is_taken() {
        let good = "019aaf3e-6b7c-7a00-8000-000000000001";
        assert_eq!(
            Cid::parse(good).map(|cid| cid.to_string()).as_deref(),
            Some(good)
        );
        for bad in [
            "",
            "019AAF3E-6B7C-7A00-8000-000000000001",
            "019aaf3e6b7c7a008000000000000001",
            "{019aaf3e-6b7c-7a00-8000-000000000001}",
            "019aaf3e-6b7c-4a00-8000-000000000001",
        ] {
            assert_eq!(Cid::parse(bad), None, "{bad:?}");
        }
    }
}
