//! Brings one listener from what its client has to the stream, without a hole.
//!
//! In: the last `seq` of the client. Out: `gap`, `ev`…, `live` in the queue, at the pace at
//! which the client takes them.
//! Must hold: docs/protocol.md 2.3. The line is entered in the hub before this begins, so that
//! what happens meanwhile is in the ring, or, if that was too short, is read here too.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::errors::Error;
use crate::frames::{EventsAnswer, ServerFrame};
use crate::ids::{RoomId, Seq, Slot};
use crate::limits::{REPLAY_EVENTS_MAX, REPLAY_NEWEST, REPLAY_PAGE};
use crate::reads::Page;

use super::hub::Line;
use super::outbox::{Pushed, serialise};

/// Above every `seq`, and still a number of JSON.
const BEYOND: Seq = Seq(1 << 53);
/// Before a page is asked for again that nobody answered, or that had nothing new.
const AGAIN: Duration = Duration::from_millis(200);

/// What the client has of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Everything up to here.
    After(Seq),
    /// Nothing: it gets the newest.
    Nothing,
}

/// Replays one room; ends when it is live, or when the line lags or has left.
pub(super) async fn replay(app: Arc<App>, line: Arc<Line>, room: RoomId, from: From) {
    let mut last = match from {
        From::After(seq) => seq,
        From::Nothing => match newest(&app, &line, room).await {
            Some(last) => last,
            None => return,
        },
    };
    loop {
        line.outbox.half_empty().await;
        if line.outbox.is_lagging() || app.hub.go_live(&line, room, last) {
            return;
        }
        let Some(page) = read(&app, &line, room, Page::After(last), REPLAY_PAGE).await else {
            return;
        };
        let missing = page.head.0.saturating_sub(last.0);
        if missing > REPLAY_EVENTS_MAX {
            let to = Seq(page.head.0 - REPLAY_NEWEST);
            push(
                &line,
                &ServerFrame::Gap {
                    room,
                    from: last.next(),
                    to,
                },
            );
            last = to;
            continue;
        }
        if page.events.is_empty() {
            // Another replica told of more than this one has applied yet.
            sleep(AGAIN).await;
        }
        for ev in page.events {
            // A page may be larger than the queue.
            line.outbox.half_empty().await;
            last = ev.seq;
            push(&line, &ServerFrame::Ev { room, ev });
        }
    }
}

/// The newest events, after a gap for what is older; the last `seq` of them.
async fn newest(app: &App, line: &Line, room: RoomId) -> Option<Seq> {
    let limit = u32::try_from(REPLAY_NEWEST).unwrap_or(REPLAY_PAGE);
    let page = read(app, line, room, Page::Before(BEYOND), limit).await?;
    let first = page
        .events
        .first()
        .map_or_else(|| page.head.next(), |event| event.seq);
    if first > Seq(1) {
        let to = Seq(first.0.saturating_sub(1));
        push(
            line,
            &ServerFrame::Gap {
                room,
                from: Seq(1),
                to,
            },
        );
    }
    for ev in page.events {
        line.outbox.half_empty().await;
        push(line, &ServerFrame::Ev { room, ev });
    }
    Some(page.head)
}

/// Reads a page that contains everything up to the hub's slot; again and again while no replica
/// answers. As the person: whoever was put out of the room meanwhile reads nothing of it.
/// `None`: the room is gone, or nobody waits for it any more.
async fn read(
    app: &App,
    line: &Line,
    room: RoomId,
    page: Page,
    limit: u32,
) -> Option<EventsAnswer> {
    loop {
        // What this read contains at least: above it, everything came through the hub.
        let as_of: Slot = app.hub.position()?;
        match app.reads.history(line.user, room, page, limit, as_of).await {
            Ok(answer) => {
                app.hub
                    .learn_heads(std::iter::once((room, answer.head)), as_of);
                return Some(answer);
            }
            Err(error) if !Error::temporary(&error) => {
                tracing::warn!(%room, %error, "a replay ended");
                return None;
            }
            Err(error) => tracing::debug!(%room, %error, "a replay waits"),
        }
        if line.outbox.is_lagging() {
            return None;
        }
        sleep(AGAIN).await;
    }
}

fn push(line: &Line, frame: &ServerFrame) {
    if let Some(text) = serialise(frame)
        && line.outbox.push_event(text) == Pushed::Overflowed
    {
        line.lags();
    }
}
