//! The layered HTTP service, one reason per layer, outermost first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_http::compression::CompressionLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::app::App;
use crate::attempts::Address;
use crate::errors::Error;
use crate::frames::ErrorCode;
use crate::http::{accounts, demo, people, rooms, search, slots, status};
use crate::limits::{HSTS, HTTP_BODY_BYTES_MAX, HTTP_CONCURRENT_MAX, HTTP_TIMEOUT};
use crate::metrics::{METRICS, Refused};
use crate::page;
use crate::port::Encrypted;
use crate::socket::upgrade::upgrade;

/// Everything that the public port answers.
pub(crate) fn service(app: Arc<App>) -> Router {
    let room = Arc::new(Semaphore::new(HTTP_CONCURRENT_MAX));
    let api = Router::new()
        .route("/api/v1/sign-up", post(accounts::sign_up))
        .route("/api/v1/sign-in", post(accounts::sign_in))
        .route("/api/v1/sign-out", post(accounts::sign_out))
        .route("/api/v1/me", get(accounts::me).patch(accounts::change_me))
        .route("/api/v1/me/password", post(accounts::change_password))
        .route("/api/v1/me/deactivate", post(accounts::deactivate))
        .route("/api/v1/me/sessions", get(accounts::sessions))
        .route("/api/v1/me/sessions/{id}", delete(accounts::revoke_session))
        .route("/api/v1/people", get(people::list))
        .route("/api/v1/people/{id}", patch(people::change))
        .route("/api/v1/people/{id}/password", post(people::reset_password))
        .route(
            "/api/v1/settings",
            get(people::settings).patch(people::change_settings),
        )
        .route(
            "/api/v1/invitations",
            get(people::invitations).post(people::invite),
        )
        .route(
            "/api/v1/invitations/{id}",
            delete(people::revoke_invitation),
        )
        .route("/api/v1/rooms", get(rooms::list))
        .route("/api/v1/rooms/{room}/events", get(rooms::events))
        .route("/api/v1/rooms/{room}/members", get(rooms::members))
        .route("/api/v1/rooms/{room}/pins", get(rooms::pins))
        .route(
            "/api/v1/rooms/{room}/messages/{seq}/replies",
            get(rooms::replies),
        )
        .route(
            "/api/v1/rooms/{room}/messages/{seq}/versions",
            get(rooms::versions),
        )
        .route("/api/v1/unread", get(rooms::unread))
        .route("/api/v1/search", get(search::search))
        .route("/api/v1/cluster", get(status::cluster))
        .route("/api/v1/slots/{slot}", get(slots::slot))
        .route("/api/v1/demo/{node}", post(demo::break_replica))
        .method_not_allowed_fallback(wrong_method)
        // Answers are about this person at this moment: nobody may keep them.
        .layer(from_fn(never_stored))
        // Whoever waits longer has been given up by the browser.
        .layer(from_fn(in_time))
        // More at once only make each other slower; the next one is told to come again.
        .layer(from_fn_with_state(room, one_of_many))
        // Whoever sends slowly must not hold one of those places meanwhile.
        .layer(from_fn_with_state(Arc::clone(&app), arrived))
        // Whoever asks without end is told when to come again.
        .layer(from_fn_with_state(Arc::clone(&app), in_moderation));
    Router::new()
        .merge(api)
        // Outside of the layers above: sockets live for days, and health must answer when
        // nothing else does.
        .route("/ws", get(upgrade))
        .route("/health/live", get(status::live))
        .route("/health/ready", get(status::ready))
        .fallback(page::serve)
        // Behind a proxy all connections are the proxy's: there each request is counted.
        .layer(from_fn_with_state(Arc::clone(&app), one_client))
        .with_state(app)
        // Text shrinks to a quarter; sockets are not touched, since an upgrade has no body.
        .layer(CompressionLayer::new().gzip(true))
        // On every answer, also on errors: a page that somebody smuggles in runs nothing.
        .layer(from_fn(secured))
        // Outermost, so that a request is seen whatever becomes of it. Paths hold no secrets.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(DefaultMakeSpan::new().level(Level::DEBUG))
                .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                // An answer that says "not now" is no fault: whoever made it has logged why.
                .on_failure(()),
        )
}

async fn wrong_method() -> Error {
    Error::bad_request("this address does not know this method")
}

async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    match timeout(HTTP_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::internal("the request took too long").into_response(),
    }
}

async fn in_moderation(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
    next: Next,
) -> Response {
    match app.attempts.asked(address.0) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The whole body, in time and of a size that is allowed.
async fn arrived(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let patience = Duration::from_millis(app.options.body_timeout_ms.into());
    match timeout(patience, whole(body)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, bytes.into())).await,
        Ok(Err(error)) => error.into_response(),
        Err(_) => {
            METRICS.refused(Refused::SlowBody);
            let error = Error::bad_request("the body of the request came too slowly");
            (StatusCode::REQUEST_TIMEOUT, error).into_response()
        }
    }
}

async fn whole(body: Body) -> Result<Bytes, Error> {
    let too_large = || {
        METRICS.refused(Refused::LargeBody);
        let message = format!("a body of a request has at most {HTTP_BODY_BYTES_MAX} bytes");
        Error::new(ErrorCode::TooLarge, message)
    };
    if body.size_hint().lower() > HTTP_BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Error::bad_request("the body of the request ended early"))?;
        if bytes.len() + piece.len() > HTTP_BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

async fn one_client(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    let client = peer
        .filter(|peer| app.proxies.are(*peer))
        .and_then(|peer| app.proxies.client(peer, request.headers()));
    let Some(client) = client else {
        return next.run(request).await;
    };
    match app.places.client(client) {
        Ok(place) => {
            let place = Arc::new(place);
            // A socket takes it along.
            request.extensions_mut().insert(Arc::clone(&place));
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(why) => {
            METRICS.refused(why);
            Error::rate_limited("too many connections of this address", 1000).into_response()
        }
    }
}

async fn one_of_many(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match room.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Error::overloaded("this gateway has too much to do", 500).into_response(),
    }
}

async fn secured(request: Request, next: Next) -> Response {
    let policy = content_policy(request.headers());
    let encrypted = request.extensions().get::<Encrypted>().is_some();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    // Over plain HTTP it would mean nothing, and behind a proxy it is the proxy's to say.
    if encrypted {
        let hsts = HeaderValue::from_static(HSTS);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `'self'` covers our WebSocket in browsers of today; older Safari wants it by name.
fn content_policy(headers: &HeaderMap) -> HeaderValue {
    let plain = |host: &&str| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(plain);
    let sockets = host.map_or(String::new(), |host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'{sockets}; \
         img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; \
         object-src 'none'; require-trusted-types-for 'script'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}
