//! The bodies of HTTP requests and answers: docs/protocol.md 1.

use serde::{Deserialize, Serialize};

use crate::ids::{Cid, NodeId, RoomId, Seq, Slot};

use super::{ErrorCode, Event, Joined, Me, Password, Person, RoomSummary};

/// `POST /api/v1/sign-up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SignUp {
    /// The id of the request.
    pub cid: Cid,
    /// The wished name.
    pub name: String,
    /// 32 to 128 random characters, made with the `cid` and kept until the answer: a retry with
    /// the same two gets the same session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub secret: Option<String>,
    /// 8 characters or more. Without one the account is lost with its sessions, until one is set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub password: Option<Password>,
    /// The secret of an invitation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub invitation: Option<String>,
}

/// Answers `sign-up`, `sign-in` and `me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MeAnswer {
    /// Whose session it is.
    pub user: Me,
}

/// Answers `GET /api/v1/rooms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RoomsAnswer {
    /// By name.
    pub rooms: Vec<RoomSummary>,
}

/// Answers `GET /api/v1/rooms/{room}/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EventsAnswer {
    /// Ascending, without a hole.
    pub events: Vec<Event>,
    /// The room's highest `seq`.
    pub head: Seq,
    /// Where in the log that was so. Whoever sends it as `min_slot` from now on is never told a
    /// lower head, by no gateway.
    pub slot: Slot,
}

/// Answers `GET /api/v1/rooms/{room}/pins`, `…/messages/{seq}/replies` and
/// `…/messages/{seq}/versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MessagesAnswer {
    /// Pins: the latest first. Replies and versions: ascending.
    pub events: Vec<Event>,
    /// Whether there are more.
    pub more: bool,
}

/// Answers `GET /api/v1/search`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SearchAnswer {
    /// The newest first.
    pub hits: Vec<SearchHit>,
    /// `cursor` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub next: Option<u64>,
    /// Whether the index is behind: the latest messages may be missing.
    pub lags: bool,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SearchHit {
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub room_name: String,
    /// The message.
    pub seq: Seq,
    /// The leader's clock in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub ts: u64,
    /// Who wrote it.
    pub author: Person,
    /// What surrounds the words in its text, in order.
    pub snippet: Vec<SnippetPiece>,
}

/// A part of a text that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SnippetPiece {
    /// The part.
    pub text: String,
    /// Whether it is what was sought.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub hit: bool,
}

/// Answers `GET /api/v1/unread`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct UnreadAnswer {
    /// The rooms that the person is in, as `ready` has them.
    pub rooms: Vec<Joined>,
}

/// Answers `GET /api/v1/rooms/{room}/members`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MembersAnswer {
    /// Who is in the room.
    pub members: Vec<Person>,
}

/// The body of an HTTP error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorAnswer {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorBody {
    /// The word.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub retry_ms: Option<u32>,
}

/// Answers `/health/live` and `/health/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Health {
    /// `ok` or `unavailable`.
    pub status: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub reason: Option<String>,
}

/// Answers `GET /api/v1/slots/{slot}`: where in the cluster an entry of the log is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SlotAnswer {
    /// Which.
    pub slot: Slot,
    /// What each replica has of it, by their numbers.
    pub copies: Vec<SlotCopy>,
}

/// What one replica has of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SlotCopy {
    /// Its number.
    pub node: NodeId,
    /// Its name for people.
    pub name: String,
    /// Whether it has the entry.
    pub state: CopyState,
    /// The ballot under which it was accepted: `round.node`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub ballot: Option<String>,
    /// Whether its state machine has applied the slot.
    pub applied: bool,
}

/// Whether a replica has an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// In its log, on its disk.
    Here,
    /// Its log was shortened: the state has what came of it.
    Compacted,
    /// Not yet.
    Missing,
    /// It does not answer.
    Silent,
}

/// `POST /api/v1/demo/{node}`: breaks a replica on purpose, in a demo, as an owner or admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BreakReplica {
    /// How.
    pub fault: DemoFault,
}

/// How a replica is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DemoFault {
    /// Its process ends as by `kill -9`, and is started again.
    Kill,
    /// It stands still for some seconds.
    Pause,
    /// The other replicas do not reach it for some seconds, nor it them.
    CutOff,
}
