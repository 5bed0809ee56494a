//! The frame of an event, which is made once for all readers of a room.

use std::hint::black_box;

use anyhow::Result;
use gateway::frames::{Event, EventKind, Person, ServerFrame};
use gateway::ids::{Cid, MsgNo, RoomId, Seq, Slot, UserId};
use uuid::Uuid;

use crate::body;

pub(crate) fn steps() -> Box<dyn FnMut() -> Result<()>> {
    let mut frame = ServerFrame::Ev {
        room: RoomId(1),
        ev: Event {
            seq: Seq(1),
            slot: Slot(1),
            ts: 1_700_000_000_000,
            author: Person {
                id: UserId(1),
                name: "alice".to_owned(),
            },
            what: EventKind::Message {
                msg_no: MsgNo(1),
                cid: Cid(Uuid::from_u128(1)),
                body: body(1),
                reply_to: None,
                deleted: false,
                taken_away_by: None,
                rev: None,
                edited: None,
                pinned: None,
                replies: 0,
                reactions: Vec::new(),
                mentions: Vec::new(),
            },
        },
    };
    Box::new(move || {
        if let ServerFrame::Ev { ev, .. } = &mut frame {
            ev.seq = ev.seq.next();
        }
        black_box(serde_json::to_string(black_box(&frame))?);
        Ok(())
    })
}
