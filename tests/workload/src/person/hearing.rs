//! What a person is told, written down and answered.

use std::time::Duration;

use anyhow::Result;
use checker::{Event, Range};
use gateway::frames::{ClientFrame, ErrorCode, ServerFrame};
use rand::Rng as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Person, seqs};
use crate::limits::RETRY_MS;
use crate::reads;

impl Person {
    pub(super) async fn hear(&mut self, frame: ServerFrame) -> Result<()> {
        if let Some(connection) = &mut self.connection {
            connection.heard = Instant::now();
        }
        match frame {
            ServerFrame::Ev { room, ev } => self.hear_event(room.0, &ev),
            ServerFrame::Gap { room, from, to } => {
                let (room, from, to) = (room.0, from.0, to.0);
                self.recorder.record(Event::Skipped { room, from, to })?;
                self.last.insert(room, to);
                self.want_page(room, Range::After(from.saturating_sub(1)));
                Ok(())
            }
            ServerFrame::Live { room, .. } => {
                if let Some(connection) = &mut self.connection {
                    connection.live.insert(room.0);
                }
                Ok(())
            }
            ServerFrame::Uev {
                joined, left, read, ..
            } => {
                if let Some(marker) = read {
                    let (room, read) = (marker.room.0, marker.seq.0);
                    self.recorder.record(Event::Told { room, read })?;
                }
                if let Some(joined) = joined {
                    let room = joined.id.0;
                    self.recorder.record(Event::Opened { room })?;
                    self.joined.insert(room);
                    self.last.remove(&room);
                }
                if let Some(room) = left {
                    let room = room.0;
                    self.recorder.record(Event::Closed { room })?;
                    self.joined.remove(&room);
                    self.last.remove(&room);
                }
                Ok(())
            }
            ServerFrame::Lag { .. } => self.hear_lag().await,
            ServerFrame::Cluster(cluster) => {
                let there = cluster.quorum;
                if self.quorum.replace(there) != Some(there) {
                    self.recorder.record(Event::Quorum { there })?;
                }
                Ok(())
            }
            ServerFrame::Bye { .. } => self.disconnect("bye"),
            ServerFrame::Hello { .. }
            | ServerFrame::Ready { .. }
            | ServerFrame::State { .. }
            | ServerFrame::Pong { .. } => Ok(()),
            answer => self.hear_answer(answer),
        }
    }

    fn hear_event(&mut self, room: u64, event: &gateway::frames::Event) -> Result<()> {
        let row = reads::row(event);
        let live = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.live.contains(&room));
        self.recorder.record(Event::Shown { room, row, live })?;
        self.min_slot = self.min_slot.max(row.slot);
        if self.joined.contains(&room) {
            let last = self.last.entry(room).or_insert(0);
            *last = row.seq.max(*last);
        }
        Ok(())
    }

    /// Goes on from what it has; what is missing comes by replay, or as a gap.
    async fn hear_lag(&mut self) -> Result<()> {
        self.recorder.record(Event::Lagged)?;
        let rooms = self.last.clone();
        let frame = ClientFrame::Resume {
            rooms: seqs(&rooms),
        };
        self.recorder.record(Event::Resumed { rooms })?;
        if let Some(connection) = &mut self.connection {
            connection.live.clear();
        }
        self.say(&frame).await
    }

    fn hear_answer(&mut self, frame: ServerFrame) -> Result<()> {
        match frame {
            ServerFrame::Ack {
                cid,
                room,
                seq,
                msg_no,
                slot,
                dup,
                ..
            } => {
                let at = self.recorder.record(Event::Acked {
                    cid: cid.0,
                    room: room.0,
                    seq: seq.0,
                    msg_no: msg_no.0,
                    slot: slot.0,
                    dup,
                })?;
                self.min_slot = self.min_slot.max(slot.0);
                if self.outbox.take(cid.0).is_some() {
                    self.world.counter.acked(at);
                    self.asking.own(room.0, seq.0);
                }
                Ok(())
            }
            ServerFrame::Done {
                cid, room, slot, ..
            } => {
                self.asked = self.asked.filter(|(asked, _)| *asked != cid.0);
                self.asking.answered(cid.0);
                self.min_slot = self.min_slot.max(slot.0);
                self.recorder.record(Event::Did {
                    cid: cid.0,
                    room: room.0,
                    slot: slot.0,
                })?;
                Ok(())
            }
            ServerFrame::Err {
                reference: Some(cid),
                code,
                temporary,
                retry_ms,
                ..
            } => self.hear_refusal(cid.0, code, temporary, retry_ms),
            ServerFrame::Err { code, message, .. } => {
                self.disconnect(&format!("{code:?}: {message}"))
            }
            _ => Ok(()),
        }
    }

    fn hear_refusal(
        &mut self,
        cid: Uuid,
        code: ErrorCode,
        temporary: bool,
        retry_ms: Option<u32>,
    ) -> Result<()> {
        let word = serde_json::to_value(code)?;
        self.recorder.record(Event::Refused {
            cid,
            code: word.as_str().unwrap_or_default().to_owned(),
            temporary,
        })?;
        self.asked = self.asked.filter(|(asked, _)| *asked != cid);
        if !temporary {
            self.asking.answered(cid);
            if self.outbox.take(cid).is_some() {
                self.world.counter.refused();
            }
            return Ok(());
        }
        let pause = self.random.random_range(RETRY_MS) + u64::from(retry_ms.unwrap_or(0));
        if let Some(waiting) = self.outbox.find(cid) {
            waiting.in_flight = None;
            waiting.not_before = Instant::now() + Duration::from_millis(pause);
        }
        self.asking.refused(cid, Duration::from_millis(pause));
        Ok(())
    }
}
