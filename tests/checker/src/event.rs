//! The history of a client: one line of JSON for each thing that it did or was told.
//!
//! Must hold: a line is written when the thing happens, so lines of one file are in the order of
//! their times, and the times of all files of a run come from one monotonic clock. What a client
//! sends is written down before it is sent; what it is told, after it was told. So a wrong order
//! in the file is a wrong order in the world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// One line of a client's file: `[12,{"sent":{…}}]`. An array, because serde reads it without
/// holding the line back; a history has millions of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(
    /// Microseconds since the run began.
    pub u64,
    /// What happened.
    pub Event,
);

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is not one: what serde says. A line of an unknown kind is [`Event::Other`].
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).or_else(|error| {
            // Only a kind that this checker does not know may be passed over; a known one with
            // wrong fields is a broken history.
            let known = |kind: &String| KINDS.contains(&kind.as_str());
            match serde_json::from_str::<(u64, BTreeMap<String, serde_json::Value>)>(text) {
                Ok((at, event)) if event.len() == 1 && !event.keys().any(known) => {
                    Ok(Self(at, Event::Other))
                }
                _ => Err(error),
            }
        })
    }
}

/// The kinds of lines that this checker judges.
const KINDS: [&str; 21] = [
    "client",
    "sent",
    "resent",
    "acked",
    "refused",
    "did",
    "connected",
    "disconnected",
    "opened",
    "closed",
    "shown",
    "skipped",
    "lagged",
    "resumed",
    "asked",
    "page",
    "read_whole",
    "quorum",
    "changing",
    "marking",
    "told",
];

/// What a client did or was told.
///
/// A line of an unknown kind is counted and not judged: a newer recorder may say more than an
/// older checker knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// First line: whose history it is.
    Client {
        /// The account's name.
        name: String,
        /// The account.
        user: u64,
    },
    /// A message is about to be sent for the first time. The client has one message in flight
    /// per room: the order of these lines is the order in which its author wrote them.
    Sent {
        /// Its id.
        cid: Uuid,
        /// Where to.
        room: u64,
        /// [`digest`] of the text.
        body: u64,
    },
    /// The same again, on this or another connection.
    Resent {
        /// Its id.
        cid: Uuid,
    },
    /// It is committed.
    Acked {
        /// Its id.
        cid: Uuid,
        /// Where it is.
        room: u64,
        /// Its number in the room.
        seq: u64,
        /// Its number among the messages of the room.
        msg_no: u64,
        /// Where it stands in the log.
        slot: u64,
        /// Whether it had been committed before.
        dup: bool,
    },
    /// A change of an own message is about to be asked for. The client has one at a time: the order
    /// of these lines is the order in which its author changed them.
    Changing {
        /// The id of the request.
        cid: Uuid,
        /// Where.
        room: u64,
        /// The message, by its number in the room.
        of: u64,
        /// [`digest`] of the new text; nothing when the message is deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<u64>,
    },
    /// The client is about to say that it has read a room.
    Marking {
        /// The id of the request.
        cid: Uuid,
        /// Which room.
        room: u64,
        /// Up to here.
        seq: u64,
    },
    /// It was not committed, or the gateway does not know.
    Refused {
        /// The id of the request.
        cid: Uuid,
        /// The word: `no_quorum`, `not_member` …
        code: String,
        /// Whether the same request may succeed later. If not, it must never take effect.
        temporary: bool,
    },
    /// A room was made, joined or left, a message was changed, a read marker moved.
    Did {
        /// The id of the request.
        cid: Uuid,
        /// Which room.
        room: u64,
        /// Where it stands in the log.
        slot: u64,
    },
    /// `ready` came on a new connection.
    Connected {
        /// The gateway, by its address.
        gateway: String,
        /// The last `seq` that the client named for each room.
        resume: BTreeMap<u64, u64>,
        /// The head that the gateway told of each room.
        heads: BTreeMap<u64, u64>,
        /// What it told of the client's reading of each room.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        markers: BTreeMap<u64, Marker>,
    },
    /// The own stream said that the client has read a room up to here.
    Told {
        /// Which room.
        room: u64,
        /// Up to where.
        read: u64,
    },
    /// The connection ended.
    Disconnected {
        /// Why, in words.
        why: String,
    },
    /// The own stream said that the room was joined: its replay follows, from the beginning.
    Opened {
        /// Which room.
        room: u64,
    },
    /// The own stream said that the room was left.
    Closed {
        /// Which room.
        room: u64,
    },
    /// An event came on the connection, replayed or live.
    Shown {
        /// The room.
        room: u64,
        /// What is shown.
        row: Row,
        /// Whether the replay of the room was complete.
        live: bool,
    },
    /// The gateway said that these events are not replayed.
    Skipped {
        /// The room.
        room: u64,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The gateway said that this connection was too slow: nothing is shown until `Resumed`.
    Lagged,
    /// The client asked to go on after `Lagged`.
    Resumed {
        /// From where, per room.
        rooms: BTreeMap<u64, u64>,
    },
    /// The client is about to ask for a page of history over HTTP.
    Asked {
        /// Its number in this file.
        question: u64,
        /// The gateway, by its address.
        gateway: String,
        /// The room.
        room: u64,
        /// Which end it asks for.
        range: Range,
        /// How many events at most.
        limit: u64,
    },
    /// The answer.
    Page {
        /// To which question.
        question: u64,
        /// The highest `seq` of the room, as told.
        head: u64,
        /// The events.
        rows: Vec<Row>,
    },
    /// Pages of this client have shown the whole room, from the first event to this one, as this
    /// gateway has it, after everything was quiet. What is missing there is lost.
    ReadWhole {
        /// The gateway, by its address.
        gateway: String,
        /// The room.
        room: u64,
        /// The highest `seq`.
        head: u64,
    },
    /// The gateway said whether a message sent now can be committed.
    Quorum {
        /// Whether it can.
        there: bool,
    },
    /// Something that this checker does not know.
    Other,
}

/// Which end of a range of history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Events with a higher `seq`, the oldest of them.
    After(u64),
    /// Events with a lower `seq`, the newest of them.
    Before(u64),
}

/// How far a client has read a room, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Up to this event.
    pub read: u64,
    /// Messages of others behind it that are not deleted, as far as they were counted.
    pub unread: u64,
    /// Whether there may be more than that.
    pub more: bool,
}

/// An event of a room as a client was shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the room.
    pub seq: u64,
    /// Where it stands in the log.
    pub slot: u64,
    /// Who did it.
    pub author: u64,
    /// What it is, if it is a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRow>,
    /// What it changes, if it changes a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeRow>,
    /// [`digest`] of its kind and time: what else two clients must agree on.
    pub rest: u64,
}

impl Row {
    /// What never changes of it: all but the texts, which later events replace or take away.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        if let Some(message) = &mut self.message {
            (message.body, message.edited, message.deleted) = (0, 0, false);
        }
        if let Some(ChangeRow { body, .. }) = &mut self.change {
            *body = None;
        }
        self
    }
}

/// What only messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// The author's id for it.
    pub cid: Uuid,
    /// Its number among the messages of the room.
    pub msg_no: u64,
    /// [`digest`] of the text that it has now.
    pub body: u64,
    /// The event that gave it this text; 0 for the one that it was sent with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edited: u64,
    /// It has no text any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What only changes of messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// The message, by its number in the room.
    pub of: u64,
    /// Whether it deletes the message; otherwise it gives it another text.
    pub deletes: bool,
    /// [`digest`] of that text; nothing when the message was deleted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The first 64 bits of the SHA-256: for a text, so that histories need not hold it.
#[must_use]
pub fn digest(text: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let (first, _) = hash.split_at(8);
    first
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history survives its file, and a line of a newer recorder does not stop an older
    /// checker.
    #[test]
    fn lines_are_read_as_they_were_written() -> serde_json::Result<()> {
        let message = MessageRow {
            cid: Uuid::from_u128(7),
            msg_no: 3,
            body: digest("hello"),
            edited: 0,
            deleted: false,
        };
        let row = Row {
            seq: 4,
            slot: 1040,
            author: 2,
            message: Some(message),
            change: None,
            rest: digest("message 17"),
        };
        let edited = Row {
            message: None,
            change: Some(ChangeRow {
                of: 4,
                deletes: false,
                body: Some(7),
            }),
            ..row
        };
        let events = [
            Event::Shown {
                room: 9,
                row,
                live: true,
            },
            Event::Page {
                question: 1,
                head: 4,
                rows: vec![row, edited],
            },
            Event::Connected {
                gateway: "http://127.0.0.1:1050".to_owned(),
                resume: BTreeMap::from([(1, 5)]),
                heads: BTreeMap::new(),
                markers: BTreeMap::from([(
                    1,
                    Marker {
                        read: 4,
                        unread: 1,
                        more: false,
                    },
                )]),
            },
            Event::Changing {
                cid: Uuid::from_u128(8),
                room: 9,
                of: 4,
                body: None,
            },
            Event::Lagged,
        ];
        for event in events {
            let line = Line(12, event);
            let text = serde_json::to_string(&line)?;
            assert_eq!(Line::parse(&text)?, line, "{text}");
        }
        let newer = Line::parse(r#"[1,{"waved":{"room":1,"seq":2}}]"#)?;
        assert_eq!(newer, Line(1, Event::Other));
        assert!(Line::parse(r#"[1,{"sent":{"room":1}}]"#).is_err());
        assert!(Line::parse(r#"[1,{"sent":"#).is_err());
        Ok(())
    }
}
