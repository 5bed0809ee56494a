//! What clients say over the WebSocket: docs/protocol.md 2.2.

use serde::{Deserialize, Serialize};

use super::{RoomSeqs, RoomWishes};
use crate::ids::{Cid, RoomId, Seq, Slot, Useq, UserId};

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ClientFrame {
    /// First frame: what the client has.
    Start {
        /// The last event of the own stream that it has seen.
        useq: Useq,
        /// The highest slot that it has seen.
        min_slot: Slot,
        /// The last `seq` that it has of each room.
        rooms: RoomSeqs,
        /// The room on the screen: replayed first.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        focus: Option<RoomId>,
    },
    /// A message.
    Send {
        /// Its id.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The text.
        body: String,
        /// The message that it answers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        reply_to: Option<Seq>,
        /// The trace that it belongs to: a W3C `traceparent`. What cannot be read is passed over.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        traceparent: Option<String>,
    },
    /// Make a room and join it.
    Create {
        /// The id of the request.
        cid: Cid,
        /// The room's name.
        name: String,
        /// For people who are added only; for others it does not exist.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
        private: bool,
    },
    /// The room of these people and oneself: the one that there is, or a new one.
    Direct {
        /// The id of the request.
        cid: Cid,
        /// 1 to 7 others.
        people: Vec<UserId>,
    },
    /// Put somebody into a room.
    Invite {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
        /// Whom.
        user: UserId,
    },
    /// Put somebody out of a room.
    Remove {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
        /// Whom.
        user: UserId,
    },
    /// Call a room otherwise.
    Rename {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
        /// How.
        name: String,
    },
    /// Say what a room is about.
    Topic {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
        /// About what; empty for nothing.
        topic: String,
    },
    /// Make a room one that can only be read, or open it again.
    Archive {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
        /// Whether it can only be read.
        archived: bool,
    },
    /// Join a room.
    Join {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
    },
    /// Leave a room.
    Leave {
        /// The id of the request.
        cid: Cid,
        /// Which.
        room: RoomId,
    },
    /// Another text for an own message.
    Edit {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The message.
        seq: Seq,
        /// The new text.
        body: String,
    },
    /// Make a tombstone of a message.
    Delete {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The message.
        seq: Seq,
    },
    /// Make a tombstone of somebody else's message: for moderators.
    TakeAway {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The message.
        seq: Seq,
    },
    /// Say which messages of a room are news, and whether it stands above the others.
    Wish {
        /// The id of the request.
        cid: Cid,
        /// What is wished.
        #[serde(flatten)]
        wishes: RoomWishes,
    },
    /// Add or take back an own reaction.
    React {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The message.
        seq: Seq,
        /// Which.
        emoji: String,
        /// Whether it should be there.
        on: bool,
    },
    /// Pin a message, or unpin it.
    Pin {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The message.
        seq: Seq,
        /// Whether it should be pinned.
        on: bool,
    },
    /// The person has read up to here.
    Read {
        /// The id of the request.
        cid: Cid,
        /// Where.
        room: RoomId,
        /// The last event that was read.
        seq: Seq,
    },
    /// The person is writing. No answer.
    Typing {
        /// Where.
        room: RoomId,
    },
    /// The person has left this device alone, or is back at it. No answer.
    Away {
        /// Whether nobody is there.
        away: bool,
    },
    /// Whose presence the client wants to be told; replaces whom it named before.
    Watch {
        /// At most 500.
        people: Vec<UserId>,
    },
    /// After `lag`: replay from here.
    Resume {
        /// The last `seq` that the client has of each room.
        rooms: RoomSeqs,
    },
    /// A sign of life.
    Ping {
        /// Comes back in `pong`.
        #[cfg_attr(test, ts(type = "number"))]
        n: u64,
    },
}
