//! What kinds of rooms there are, and who knows of them.
//!
//! Must hold: a room that is not public does not exist for whoever is not in it: no read and no
//! refusal tells it from a number that no room has. So its name is not unique, and the column that
//! must be has a key of its own. Tests: tests/rooms.rs.

use proto::v1::RoomKind;

use crate::error::Fault;
use crate::ids::RoomId;

/// Value of `rooms.kind` for a room that everybody may join.
pub(crate) const PUBLIC: i64 = 1;
/// For one that people are added to.
pub(crate) const PRIVATE: i64 = 2;
/// For one between people who do not change.
pub(crate) const DIRECT: i64 = 3;
/// For the one of the cluster: everybody is in it, nobody writes into it.
pub(crate) const SYSTEM: i64 = 4;

/// The kind as the wire has it.
pub(crate) fn to_wire(kind: i64) -> Result<RoomKind, Fault> {
    match kind {
        // To clients, the room of the cluster is one that all are in, marked `system`.
        PUBLIC | SYSTEM => Ok(RoomKind::Public),
        PRIVATE => Ok(RoomKind::Private),
        DIRECT => Ok(RoomKind::Direct),
        other => Err(Fault::Damaged(format!("unknown kind {other} of a room"))),
    }
}

/// What `rooms.name_folded` has for a private room. No name folds to it: `+` is in none.
pub(crate) fn private_key(room: RoomId) -> String {
    format!("+{}", room.0)
}

/// The same for a room between these people, ascending: there is one for them.
pub(crate) fn direct_key(people: &[u64]) -> String {
    let people: Vec<String> = people.iter().map(u64::to_string).collect();
    format!("@{}", people.join(","))
}

/// The people in such a key; none for a room of another kind.
pub(crate) fn people_of(kind: i64, key: &str) -> Result<Vec<u64>, Fault> {
    if kind != DIRECT {
        return Ok(Vec::new());
    }
    let people = key.strip_prefix('@').map(|people| people.split(','));
    let people = people.and_then(|people| people.map(|one| one.parse().ok()).collect());
    people.ok_or_else(|| Fault::Damaged(format!("{key:?} names no people")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: a key gives its people back, and is no name that a room can have.
    #[test]
    fn keys() {
        let key = direct_key(&[1, 20, 300]);
        assert_eq!(people_of(DIRECT, &key).unwrap(), [1, 20, 300]);
        assert_eq!(people_of(PRIVATE, "+7").unwrap(), [0; 0]);
        for key in [key, private_key(RoomId(7))] {
            assert!(crate::names::room(&key).is_err(), "{key}");
        }
        assert!(people_of(DIRECT, "general").is_err());
        assert!(people_of(DIRECT, "@1,x").is_err());
    }
}
