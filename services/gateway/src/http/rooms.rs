//! Reads of rooms.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::app::{App, Identity};
use crate::errors::Error;
use crate::frames::{
    ErrorCode, EventsAnswer, MembersAnswer, MessagesAnswer, RoomsAnswer, UnreadAnswer,
};
use crate::http::Caller;
use crate::ids::{RoomId, Seq, Slot};
use crate::limits::{HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX};
use crate::reads::{Page, Related};

/// The newest page has no lower bound: every `seq` is below this, and it is a number of JSON.
const BEYOND: Seq = Seq(1 << 53);

/// What a read may say about where it begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Where {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u32>,
    min_slot: Option<u64>,
}

type Asked = Result<Query<Where>, QueryRejection>;

fn asked(query: Asked) -> Result<Where, Error> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Error::bad_request(rejection.body_text())),
    }
}

impl Where {
    fn min_slot(&self) -> Slot {
        Slot(self.min_slot.unwrap_or(0))
    }

    fn limit(&self) -> Result<u32, Error> {
        let limit = self.limit.unwrap_or(HISTORY_PAGE_DEFAULT);
        if (1..=HISTORY_PAGE_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(Error::bad_request(format!(
            "limit: 1 to {HISTORY_PAGE_MAX} are allowed"
        )))
    }
}

fn room_of(room: &str) -> Result<RoomId, Error> {
    let room = room.parse().ok().map(RoomId);
    room.ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no such room"))
}

/// `GET /api/v1/rooms`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: Asked,
) -> Result<Json<RoomsAnswer>, Error> {
    let min_slot = asked(query)?.min_slot();
    let rooms = app.reads.rooms(caller.person.id, min_slot).await?;
    Ok(Json(RoomsAnswer { rooms }))
}

/// `GET /api/v1/rooms/{room}/members`.
pub(crate) async fn members(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<String>,
    query: Asked,
) -> Result<Json<MembersAnswer>, Error> {
    let (room, min_slot) = (room_of(&room)?, asked(query)?.min_slot());
    let members = app.reads.members(caller.person.id, room, min_slot).await?;
    Ok(Json(MembersAnswer { members }))
}

/// `GET /api/v1/rooms/{room}/events`.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<String>,
    query: Asked,
) -> Result<Json<EventsAnswer>, Error> {
    let (room, query) = (room_of(&room)?, asked(query)?);
    let page = match (query.before, query.after) {
        (Some(_), Some(_)) => {
            return Err(Error::bad_request(
                "before and after: one of them is allowed",
            ));
        }
        (None, Some(after)) => Page::After(Seq(after)),
        (Some(before), None) => Page::Before(Seq(before)),
        (None, None) => Page::Before(BEYOND),
    };
    let limit = query.limit()?;
    let reads = &app.reads;
    Ok(Json(
        reads
            .history(caller.person.id, room, page, limit, query.min_slot())
            .await?,
    ))
}

/// `GET /api/v1/rooms/{room}/pins`.
pub(crate) async fn pins(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<String>,
    query: Asked,
) -> Result<Json<MessagesAnswer>, Error> {
    let (room, query) = (room_of(&room)?, asked(query)?);
    related(&app, &caller, room, Related::Pinned, &query).await
}

/// `GET /api/v1/rooms/{room}/messages/{seq}/replies`.
pub(crate) async fn replies(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path((room, seq)): Path<(String, String)>,
    query: Asked,
) -> Result<Json<MessagesAnswer>, Error> {
    let (room, query) = (room_of(&room)?, asked(query)?);
    related(&app, &caller, room, Related::Replies(seq_of(&seq)?), &query).await
}

/// `GET /api/v1/rooms/{room}/messages/{seq}/versions`.
pub(crate) async fn versions(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path((room, seq)): Path<(String, String)>,
    query: Asked,
) -> Result<Json<MessagesAnswer>, Error> {
    let (room, query) = (room_of(&room)?, asked(query)?);
    related(
        &app,
        &caller,
        room,
        Related::Versions(seq_of(&seq)?),
        &query,
    )
    .await
}

/// `GET /api/v1/unread`.
pub(crate) async fn unread(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: Asked,
) -> Result<Json<UnreadAnswer>, Error> {
    let min_slot = asked(query)?.min_slot();
    let state = app.reads.user_state(caller.person.id, min_slot).await?;
    Ok(Json(UnreadAnswer { rooms: state.rooms }))
}

fn seq_of(seq: &str) -> Result<Seq, Error> {
    let seq = seq.parse().ok().map(Seq);
    seq.ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no such message"))
}

async fn related(
    app: &App,
    caller: &Identity,
    room: RoomId,
    which: Related,
    query: &Where,
) -> Result<Json<MessagesAnswer>, Error> {
    if query.before.is_some() {
        return Err(Error::bad_request("before: not known here"));
    }
    let page = (Seq(query.after.unwrap_or(0)), query.limit()?);
    let messages = app
        .reads
        .messages(caller.person.id, room, which, page, query.min_slot());
    Ok(Json(messages.await?))
}
