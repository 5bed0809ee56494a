//! The HTTP interface: docs/protocol.md 1.

pub(crate) mod accounts;
pub(crate) mod demo;
pub(crate) mod people;
pub(crate) mod rooms;
pub(crate) mod search;
pub(crate) mod slots;
pub(crate) mod status;

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use proto::v1::chat_client::ChatClient;
use proto::v1::{Outcome, outcome};
use serde::de::DeserializeOwned;
use tonic::transport::Channel;

use crate::app::{App, Identity};
use crate::auth::{Credentials, check_origin};
use crate::errors::Error;

/// A replica, to be asked.
pub(crate) type Chat = ChatClient<Channel>;

/// What a command did, or the refusal.
pub(crate) fn did(outcome: Outcome) -> Result<outcome::Result, Error> {
    match outcome.result {
        Some(outcome::Result::Refusal(refusal)) => Err(Error::refused(&refusal)),
        Some(did) => Ok(did),
        None => Err(Error::internal("a replica answered without a result")),
    }
}

/// Whoever asks, with a session.
pub(crate) struct Caller(pub(crate) Identity);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        app.identify(&parts.headers).await.map(Self)
    }
}

/// A request that changes something and does not come from a foreign page.
pub(crate) struct OurOrigin;

impl FromRequestParts<Arc<App>> for OurOrigin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let credentials = Credentials::of(&parts.headers);
        check_origin(&parts.headers, &credentials, &app.options.public_origins).map(|()| Self)
    }
}

/// A JSON body. The content type must say so: a foreign page's form cannot.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Error::bad_request(rejection.body_text())),
        }
    }
}
