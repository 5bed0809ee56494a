//! From an HTTP request to a session.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::app::{App, Identity};
use crate::auth::{Credentials, check_origin};
use crate::errors::Error;
use crate::frames::ErrorCode;
use crate::limits::{
    CLOSE_PATIENCE, FLUSH_BYTES_MAX, FRAME_BYTES_MAX, OUTBOX_BYTES_MAX, SOCKET_READ_BUFFER_BYTES,
};

use crate::port;

use super::{Close, session, writer};

/// The only version so far.
pub(crate) const SUBPROTOCOL: &str = "chatterbox.v1.json";
/// What tungstenite takes: above our own limit, so that we can say why instead of hanging up.
const FRAME_BYTES_HARD: usize = 2 * FRAME_BYTES_MAX;

/// `GET /ws`.
pub(crate) async fn upgrade(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    client: Option<Extension<Arc<port::places::Place>>>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let socket = match socket {
        Ok(socket) => socket,
        Err(rejection) => return Error::bad_request(rejection.body_text()).into_response(),
    };
    let credentials = Credentials::of(&headers);
    if let Err(error) = check_origin(&headers, &credentials, &app.options.public_origins) {
        return error.into_response();
    }
    if app.stopping.is_cancelled() {
        return Error::overloaded("the gateway stops", 1000).into_response();
    }
    let socket = socket
        .protocols([SUBPROTOCOL])
        .max_message_size(FRAME_BYTES_HARD)
        .max_frame_size(FRAME_BYTES_HARD)
        .read_buffer_size(SOCKET_READ_BUFFER_BYTES)
        .write_buffer_size(FLUSH_BYTES_MAX)
        .max_write_buffer_size(OUTBOX_BYTES_MAX);
    if socket.selected_protocol().is_none() {
        let message = format!("the subprotocol {SUBPROTOCOL} is needed");
        return Error::bad_request(message).into_response();
    }
    let admitted = admit(&app, &headers).await;
    let sockets = app.sockets.clone();
    socket.on_upgrade(move |socket| {
        // axum drops the task of an upgrade with the server; the tracker waits for its end.
        sockets.track_future(async move {
            // A client behind a proxy holds its place for as long as its socket.
            let _client = client;
            match admitted {
                Ok((identity, place)) => session::run(socket, app, identity, place).await,
                Err(close) => refuse(socket, close).await,
            }
        })
    })
}

type Admitted = (Identity, super::admission::Place);

/// A browser cannot read the status of a refused upgrade, so refusals come as close codes.
async fn admit(app: &App, headers: &HeaderMap) -> Result<Admitted, Close> {
    let identity = app
        .identify(headers)
        .await
        .map_err(|error| match error.code {
            ErrorCode::Unauthenticated => Close::Unauthenticated,
            // Nobody can say at the moment whether it is a session.
            _ => Close::Behind,
        })?;
    let place = app
        .admission
        .open(identity.person.id)
        .ok_or(Close::TooManySockets)?;
    Ok((identity, place))
}

async fn refuse(mut socket: WebSocket, close: Close) {
    let farewell = async {
        if socket.send(writer::close_message(close)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(CLOSE_PATIENCE, farewell).await;
}
