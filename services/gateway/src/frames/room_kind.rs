//! What a room is besides its name.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// What a room is, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody but guests and bots may join it.
    #[default]
    Public,
    /// People are added to it; for others it does not exist.
    Private,
    /// Between people who do not change.
    Direct,
}

/// What the list of rooms and the person's own rooms say of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct About {
    /// What it is.
    #[serde(default)]
    pub kind: RoomKind,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    #[cfg_attr(test, ts(optional, as = "Option<String>"))]
    pub topic: String,
    /// It can only be read.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub archived: bool,
    /// Of a direct room: who is in it, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<UserId>>"))]
    pub people: Vec<UserId>,
}
