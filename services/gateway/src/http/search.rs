//! Search.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use crate::app::App;
use crate::errors::Error;
use crate::frames::SearchAnswer;
use crate::http::Caller;
use crate::ids::Slot;
use crate::limits::{SEARCH_PAGE_DEFAULT, SEARCH_PAGE_MAX};
use crate::search::parse;

/// What is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Asked {
    q: String,
    cursor: Option<u64>,
    limit: Option<u32>,
    min_slot: Option<u64>,
}

/// `GET /api/v1/search`.
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<SearchAnswer>, Error> {
    let Query(asked) = query.map_err(|wrong| Error::bad_request(wrong.body_text()))?;
    let question = parse(&asked.q)?;
    let limit = asked.limit.unwrap_or(SEARCH_PAGE_DEFAULT);
    if !(1..=SEARCH_PAGE_MAX).contains(&limit) {
        return Err(Error::bad_request(format!(
            "limit: 1 to {SEARCH_PAGE_MAX} are allowed"
        )));
    }
    let page = (asked.cursor.unwrap_or(0), limit);
    let min_slot = Slot(asked.min_slot.unwrap_or(0));
    let found = app.reads.search(caller.person.id, question, page, min_slot);
    Ok(Json(found.await?))
}
