//! Pages of history over HTTP, and events as rows of a history.

use anyhow::{Context as _, Result};
use checker::{ChangeRow, MessageRow, Range, Row, digest};
use gateway::frames::{Event, EventKind, EventsAnswer};

use crate::wire::Account;

/// An event as it is written down.
pub(crate) fn row(event: &Event) -> Row {
    let (ts, name) = (event.ts, &event.author.name);
    let mut change = None;
    let (message, rest) = match &event.what {
        EventKind::Message {
            msg_no,
            cid,
            body,
            reply_to,
            deleted,
            edited,
            ..
        } => {
            let message = MessageRow {
                cid: cid.0,
                msg_no: msg_no.0,
                body: digest(body),
                edited: edited.map_or(0, |edit| edit.seq.0),
                deleted: *deleted,
            };
            (Some(message), format!("message {ts} {name} {reply_to:?}"))
        }
        // Its text and whom that mentions are taken away when the message is deleted.
        EventKind::Edited { of, body, .. } => {
            change = Some(ChangeRow {
                of: of.0,
                deletes: false,
                body: (!body.is_empty()).then(|| digest(body)),
            });
            (None, format!("edited {ts} {name}"))
        }
        EventKind::Deleted { of } => {
            change = Some(ChangeRow {
                of: of.0,
                deletes: true,
                body: None,
            });
            (None, format!("deleted {ts} {name}"))
        }
        other => (None, format!("{other:?} {ts} {name}")),
    };
    Row {
        seq: event.seq.0,
        slot: event.slot.0,
        author: event.author.id.0,
        message,
        change,
        rest: digest(&rest),
    }
}

/// A page of a room.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) head: u64,
    /// Where in the log `head` was the head: what is asked from now on must be as new.
    pub(crate) slot: u64,
}

/// Asks a gateway for a page.
pub(crate) async fn page(
    http: &reqwest::Client,
    account: &Account,
    gateway: &str,
    room: u64,
    (range, limit): (Range, u64),
    min_slot: u64,
) -> Result<Page> {
    let range = match range {
        Range::After(seq) => format!("after={seq}"),
        Range::Before(seq) => format!("before={seq}"),
    };
    let url =
        format!("{gateway}/api/v1/rooms/{room}/events?{range}&limit={limit}&min_slot={min_slot}");
    let body = account.get(http, &url).await?;
    let answer: EventsAnswer =
        serde_json::from_slice(&body).with_context(|| format!("the answer to {url}"))?;
    Ok(Page {
        rows: answer.events.iter().map(row).collect(),
        head: answer.head.0,
        slot: answer.slot.0,
    })
}
