//! The durable events of a room: docs/protocol.md 2.1 and 2.6.

use serde::{Deserialize, Serialize};

use crate::ids::{Cid, MsgNo, Seq, Slot, UserId};

use super::{Author, Notice, Person};

/// A durable event of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Event {
    /// Its number in the room.
    pub seq: Seq,
    /// Where it stands in the replicated log.
    pub slot: Slot,
    /// The leader's clock in milliseconds since 1970; for display only.
    #[cfg_attr(test, ts(type = "number"))]
    pub ts: u64,
    /// Who did it, with the name at that time; number 0 without a name for a notice.
    pub author: Author,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody wrote.
    Message {
        /// Its number among the messages of the room.
        msg_no: MsgNo,
        /// The author's id for it.
        cid: Cid,
        /// The text: the newest one, when it was read from history; empty for a tombstone.
        body: String,
        /// The message that it answers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        reply_to: Option<Seq>,
        /// Whether it is a tombstone.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
        deleted: bool,
        /// The moderator who took it away, if one did.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        taken_away_by: Option<UserId>,
        /// The latest event that this form of the message contains: later ones change it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        rev: Option<Seq>,
        /// The edit whose text it has.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        edited: Option<Edit>,
        /// The event that pinned it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        pinned: Option<Seq>,
        /// How many messages answer it.
        #[serde(skip_serializing_if = "is_zero", default)]
        #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
        replies: u64,
        /// By the first of each emoji.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Reaction>>"))]
        reactions: Vec<Reaction>,
        /// Whom it mentions; 0 is everybody in the room.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<UserId>>"))]
        mentions: Vec<UserId>,
    },
    /// A message has another text.
    Edited {
        /// The message.
        of: Seq,
        /// The new text; empty when the message was deleted since.
        body: String,
        /// Whom it mentions, unless another edit has replaced it.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<UserId>>"))]
        mentions: Vec<UserId>,
    },
    /// A message is a tombstone: the work of its author, or of a moderator.
    Deleted {
        /// The message.
        of: Seq,
    },
    /// The author reacted.
    ReactionAdded {
        /// The message.
        of: Seq,
        /// How.
        emoji: String,
    },
    /// The author took a reaction back.
    ReactionRemoved {
        /// The message.
        of: Seq,
        /// Which.
        emoji: String,
    },
    /// A message is pinned.
    Pinned {
        /// The message.
        of: Seq,
    },
    /// It no longer is.
    Unpinned {
        /// The message.
        of: Seq,
    },
    /// The room was made.
    Created,
    /// Somebody came.
    Joined,
    /// Somebody went.
    Left,
    /// Somebody was put into the room by somebody else.
    Added {
        /// By whom.
        by: UserId,
    },
    /// Somebody was put out of the room by somebody else.
    Removed {
        /// By whom.
        by: UserId,
    },
    /// The room is called otherwise.
    Renamed {
        /// How.
        name: String,
    },
    /// The room is about something else.
    Topic {
        /// About what; may be empty.
        topic: String,
    },
    /// The room can only be read.
    Archived,
    /// The room is open again.
    Restored,
    /// Something happened to the cluster.
    Notice {
        /// What.
        notice: Notice,
    },
}

/// An edit of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Edit {
    /// Its event.
    pub seq: Seq,
    /// The leader's clock in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub ts: u64,
}

/// The reactions to a message with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Reaction {
    /// Which.
    pub emoji: String,
    /// Whose, in the order in which they came.
    pub people: Vec<Person>,
}

/// What a field without a value is not written for.
pub(super) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
