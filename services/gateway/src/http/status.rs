//! How this gateway and the cluster are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::frames::{Cluster, Health};

/// `GET /api/v1/cluster`.
pub(crate) async fn cluster(State(app): State<Arc<App>>) -> Json<Cluster> {
    Json(app.cluster.view().frame(&app.options))
}

/// `GET /health/live`: the process answers.
pub(crate) async fn live() -> Response {
    health(None)
}

/// `GET /health/ready`: requests can be served.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    health(app.not_ready())
}

fn health(reason: Option<String>) -> Response {
    let (code, status) = match reason {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (
        code,
        Json(Health {
            status: status.to_owned(),
            reason,
        }),
    )
        .into_response()
}
