//! Every JSON that travels between a client and the gateway: docs/protocol.md as types.
//!
//! In: text frames of clients ([`ClientFrame`]). Out: text frames to clients ([`ServerFrame`])
//! and the bodies of HTTP answers.
//! Must hold: web/src/generated/frames.ts is what `typescript` makes of it (a test; `UPDATE=1` writes).

use serde::{Deserialize, Serialize};

use crate::ids::{Cid, MsgNo, RoomId, Seq, Slot, Useq, UserId};

mod client;
mod cluster;
mod event;
mod http;
mod notice;
mod people;
mod presence;
mod room_kind;
mod room_seqs;
#[cfg(test)]
mod typescript;
mod wishes;

pub use client::ClientFrame;
pub use cluster::{Cluster, Replica, Role};
use event::is_zero;
pub use event::{Edit, Event, EventKind, Reaction};
pub use http::{
    BreakReplica, CopyState, DemoFault, ErrorAnswer, ErrorBody, EventsAnswer, Health, MeAnswer,
    MembersAnswer, MessagesAnswer, RoomsAnswer, SearchAnswer, SearchHit, SignUp, SlotAnswer,
    SlotCopy, SnippetPiece, UnreadAnswer,
};
pub use notice::Notice;
pub use people::{
    AccountRole, ChangeMe, ChangePassword, ChangePerson, ChangeSettings, CreateInvitation,
    Deactivate, InvitationAnswer, InvitationEntry, InvitationsAnswer, Me, Password, PeopleAnswer,
    PersonEntry, ResetPassword, SessionEntry, SessionsAnswer, SettingsAnswer, SignIn, SignUpMode,
};
pub use presence::{PersonPresence, Presence};
pub use room_kind::{About, RoomKind};
pub use room_seqs::{ReadMarker, RoomSeqs};
pub use wishes::{NotificationLevel, RoomWishes};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Person {
    /// The account.
    pub id: UserId,
    /// The name.
    pub name: String,
}

/// Who did something, with the name at that time.
pub type Author = Person;

/// A room that the person is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Joined {
    /// The room.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// Its highest `seq`.
    pub head: Seq,
    /// How many people are in it.
    #[cfg_attr(test, ts(type = "number"))]
    pub members: u64,
    /// The room of the cluster: everybody reads it, nobody writes into it or leaves it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub system: bool,
    /// Up to where the person has read.
    #[serde(skip_serializing_if = "is_zero", default)]
    #[cfg_attr(test, ts(optional, as = "Option<Seq>"))]
    pub read: Seq,
    /// Messages of others behind that which are not deleted: at most 100.
    #[serde(skip_serializing_if = "is_zero", default)]
    #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
    pub unread: u32,
    /// Whether there may be more than `unread`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub unread_more: bool,
    /// Those of them that mention the person or everybody: at most 100.
    #[serde(skip_serializing_if = "is_zero", default)]
    #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
    pub mentions: u32,
    /// Which of its messages are news to the person.
    #[serde(skip_serializing_if = "is_zero", default)]
    #[cfg_attr(test, ts(optional, as = "Option<NotificationLevel>"))]
    pub level: NotificationLevel,
    /// Whether it stands above the others.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub favourite: bool,
    /// What else it is.
    #[serde(flatten)]
    pub about: About,
}

/// A room that the person may join or is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RoomSummary {
    /// The room.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// How many people are in it.
    #[cfg_attr(test, ts(type = "number"))]
    pub members: u64,
    /// Whether the person is one of them.
    pub joined: bool,
    /// Its highest `seq`.
    pub head: Seq,
    /// What else it is.
    #[serde(flatten)]
    pub about: About,
}

/// Why something was refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message says which field and what is allowed.
    BadRequest,
    /// No session, or a revoked one.
    Unauthenticated,
    /// A foreign page asked.
    ForbiddenOrigin,
    /// Not allowed.
    Forbidden,
    /// No such room.
    NotFound,
    /// Join the room first.
    NotMember,
    /// Somebody has that name.
    NameTaken,
    /// The name or the password is wrong.
    WrongCredentials,
    /// Sign-up is closed, or needs an invitation that is good.
    SignUpClosed,
    /// Nothing is written into an archived room.
    RoomArchived,
    /// Over a limit of size.
    TooLarge,
    /// Over a limit of rate or number.
    RateLimited,
    /// A majority of the replicas cannot be reached.
    NoQuorum,
    /// The leader's window is full.
    Overloaded,
    /// The replica that was asked has not applied what the client has seen.
    Behind,
    /// The replicas' disks are full.
    NoSpace,
    /// A bug or an outage between gateway and replica.
    Internal,
}

/// Why a gateway says `bye`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// It stops.
    Drain,
}

/// How far an own message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    /// The leader gave it a slot.
    Proposed,
    /// A quorum holds it.
    Chosen,
}

/// What a gateway may say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ServerFrame {
    /// First frame: who speaks, and the limits.
    Hello {
        /// Version of the protocol.
        v: u32,
        /// The cluster's id. A client drops what it cached of another cluster.
        cluster: String,
        /// Grows when the cluster was restored from a backup: a client drops its cache.
        #[cfg_attr(test, ts(type = "number"))]
        epoch: u64,
        /// The gateway's name.
        gateway: String,
        /// How often a client should be heard.
        heartbeat_ms: u32,
        /// Bytes of a frame.
        max_frame: u32,
        /// Bytes of a message.
        max_message: u32,
        /// Requests without an answer.
        max_inflight: u32,
        /// How far this gateway has followed the log.
        head_slot: Slot,
        /// Traces are wanted: of a million messages, how many the client should send with a
        /// sampled `traceparent`. Absent: none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        trace_ppm: Option<u32>,
    },
    /// Answers `start`.
    Ready {
        /// Whose session it is.
        user: Me,
        /// The number of the last event of the own stream that `rooms` contains.
        useq: Useq,
        /// The rooms that the person is in.
        rooms: Vec<Joined>,
    },
    /// An event of a room.
    Ev {
        /// The room.
        room: RoomId,
        /// The event.
        ev: Event,
    },
    /// These events are not replayed: load them by HTTP.
    Gap {
        /// The room.
        room: RoomId,
        /// The first that is left out.
        from: Seq,
        /// The last that is left out.
        to: Seq,
    },
    /// The replay of a room is complete.
    Live {
        /// The room.
        room: RoomId,
        /// Up to here.
        head: Seq,
    },
    /// The own stream: the room list changed, or a read marker moved.
    Uev {
        /// Its number.
        useq: Useq,
        /// A new room.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        joined: Option<Joined>,
        /// A room that was left.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        left: Option<RoomId>,
        /// Another device, or this one, has read on.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        read: Option<ReadMarker>,
        /// The person wishes something else of a room, on this device or another.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        wishes: Option<RoomWishes>,
        /// The own name, colour, role or password changed: ask `me` again.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
        profile: bool,
    },
    /// Progress of an own message.
    State {
        /// The message.
        cid: Cid,
        /// How far.
        state: SendState,
        /// Where.
        slot: Slot,
    },
    /// A message is committed and applied.
    Ack {
        /// The message.
        cid: Cid,
        /// The room.
        room: RoomId,
        /// Its number in the room.
        seq: Seq,
        /// Its number among the messages.
        msg_no: MsgNo,
        /// Where it stands in the log.
        slot: Slot,
        /// The leader's clock.
        #[cfg_attr(test, ts(type = "number"))]
        ts: u64,
        /// Whether it had been committed before.
        dup: bool,
    },
    /// Any other request is committed and applied.
    Done {
        /// The request.
        cid: Cid,
        /// The room.
        room: RoomId,
        /// Where it stands in the log.
        slot: Slot,
        /// Whether it had been committed before.
        dup: bool,
    },
    /// A request was refused or failed.
    Err {
        /// The `cid` of the request.
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        reference: Option<Cid>,
        /// The word.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Whether the same request with the same `cid` may succeed later.
        temporary: bool,
        /// When to try again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        retry_ms: Option<u32>,
    },
    /// This connection was too slow: its queue was cleared.
    Lag {
        /// The head of each room.
        rooms: RoomSeqs,
    },
    /// The cluster changed.
    Cluster(Cluster),
    /// Somebody is writing in a room; true for 5 s, or until a message of theirs.
    Typing {
        /// The room.
        room: RoomId,
        /// Who.
        person: Person,
    },
    /// How people are that the client watches: all of them, then whoever changed.
    Presence {
        /// In no order.
        people: Vec<PersonPresence>,
    },
    /// Answers `ping`.
    Pong {
        /// From the `ping`.
        #[cfg_attr(test, ts(type = "number"))]
        n: u64,
        /// How far this gateway has followed the log.
        head_slot: Slot,
    },
    /// The gateway goes.
    Bye {
        /// Why.
        reason: ByeReason,
        /// When to reconnect.
        after_ms: u32,
    },
}
