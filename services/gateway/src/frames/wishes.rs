//! What a person wishes of a room.

use serde::{Deserialize, Serialize};

use crate::ids::RoomId;

/// Which messages of a room are news to a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum NotificationLevel {
    /// Those that mention the person or everybody; in a direct room all.
    #[default]
    Mentions,
    /// All.
    All,
    /// None.
    Nothing,
}

/// What a person wishes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RoomWishes {
    /// Which.
    pub room: RoomId,
    /// Which of its messages are news.
    pub level: NotificationLevel,
    /// Whether it stands above the others.
    pub favourite: bool,
}
