//! How far a client, or a person, is in rooms.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{RoomId, Seq};

/// A `seq` per room. JSON writes the rooms as strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RoomSeqs(
    #[cfg_attr(test, ts(type = "Record<string, number>"))] pub BTreeMap<RoomId, Seq>,
);

impl<'de> Deserialize<'de> for RoomSeqs {
    /// By hand: inside a tagged enum serde hands on keys as strings and takes no number there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rooms;
        impl<'de> Visitor<'de> for Rooms {
            type Value = RoomSeqs;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of room ids and their last seq")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RoomSeqs, A::Error> {
                let mut rooms = BTreeMap::new();
                while let Some((key, seq)) = map.next_entry::<String, Seq>()? {
                    let room = key.parse().map_err(|_| {
                        serde::de::Error::custom(format!("rooms: {key:?} is not a room id"))
                    })?;
                    rooms.insert(RoomId(room), seq);
                }
                Ok(RoomSeqs(rooms))
            }
        }
        deserializer.deserialize_map(Rooms)
    }
}

/// Up to where a person has read a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ReadMarker {
    /// The room.
    pub room: RoomId,
    /// The last event that was read.
    pub seq: Seq,
}
