//! The frames of docs/protocol.md, as far as a terminal needs them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person: oneself, or an author.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) name: String,
}

/// A room that one is in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Joined {
    pub(super) id: u64,
    pub(super) name: String,
}

/// A room that one may join.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RoomSummary {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) members: u64,
    pub(super) joined: bool,
}

/// A durable event of a room. Kinds that this program does not know are counted, not shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) slot: u64,
    pub(super) author: Person,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(super) enum ServerFrame {
    Hello {
        heartbeat_ms: u64,
        max_message: usize,
    },
    Ready {
        useq: u64,
        rooms: Vec<Joined>,
    },
    Ev {
        room: u64,
        ev: Event,
    },
    Gap {
        room: u64,
        from: u64,
        to: u64,
    },
    Live {
        room: u64,
    },
    Uev {
        useq: u64,
        joined: Option<Joined>,
        left: Option<u64>,
    },
    Ack {
        cid: Uuid,
        slot: u64,
    },
    Done {
        cid: Uuid,
        room: u64,
        slot: u64,
    },
    Err {
        r#ref: Option<Uuid>,
        message: String,
        temporary: bool,
        retry_ms: Option<u64>,
    },
    Lag {
        rooms: BTreeMap<String, u64>,
    },
    Cluster {
        quorum: bool,
        up: u64,
        voters: u64,
    },
    Bye {
        after_ms: u64,
    },
    /// `state`, `pong`, and what a later version adds.
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(super) enum ClientFrame {
    Start {
        useq: u64,
        min_slot: u64,
        rooms: BTreeMap<String, u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        focus: Option<u64>,
    },
    Send {
        cid: Uuid,
        room: u64,
        body: String,
    },
    Create {
        cid: Uuid,
        name: String,
    },
    Join {
        cid: Uuid,
        room: u64,
    },
    Leave {
        cid: Uuid,
        room: u64,
    },
    Resume {
        rooms: BTreeMap<String, u64>,
    },
    Ping {
        n: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::{ClientFrame, ServerFrame};

    #[test]
    fn reads_and_writes_the_documented_form() {
        for text in [
            r#"{"t":"hello","v":1,"cluster":"c","epoch":1,"gateway":"g","heartbeat_ms":1,
                "max_frame":1,"max_message":1,"max_inflight":1,"head_slot":1}"#,
            r#"{"t":"ready","user":{"id":1,"name":"a"},"useq":1,
                "rooms":[{"id":1,"name":"general","head":3,"members":1}]}"#,
            r#"{"t":"ev","room":1,"ev":{"seq":1,"slot":2,"ts":3,"author":{"id":1,"name":"a"},
                "kind":"message","msg_no":1,"cid":"x","body":"hi"}}"#,
            r#"{"t":"uev","useq":2,"left":7}"#,
            r#"{"t":"err","code":"no_quorum","message":"m","temporary":true}"#,
            r#"{"t":"lag","rooms":{"1":5}}"#,
            r#"{"t":"bye","reason":"drain","after_ms":5}"#,
        ] {
            let frame: ServerFrame = serde_json::from_str(text).expect(text);
            assert_ne!(frame, ServerFrame::Other, "{text}");
        }
        let new: ServerFrame = serde_json::from_str(r#"{"t":"new","x":1}"#).expect("other");
        assert_eq!(new, ServerFrame::Other);
        let ping = serde_json::to_string(&ClientFrame::Ping { n: 3 }).expect("json");
        assert_eq!(ping, r#"{"t":"ping","n":3}"#);
    }
}
