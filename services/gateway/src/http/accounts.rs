//! Accounts and sessions.
//!
//! Must hold: the cookie that is set belongs to a session that the replicas hold. A repeated
//! sign-up finds the account that the first try made; whether the session is its own too is
//! asked, not guessed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::v1::outcome::Result as Did;
use proto::v1::{CreateAccount, Outcome, RevokeSession, command};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Token, is_secure, no_cookie};
use crate::errors::Error;
use crate::frames::{ErrorCode, MeAnswer, Person, SignUp};
use crate::http::{Body, Caller, OurOrigin};
use crate::ids::{Cid, UserId};
use crate::validate;

/// The author of a sign-up: nobody yet.
const NOBODY: UserId = UserId(0);

/// `POST /api/v1/sign-up`.
pub(crate) async fn sign_up(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    headers: HeaderMap,
    Body(wish): Body<SignUp>,
) -> Result<Response, Error> {
    let name = validate::person_name(&wish.name)?;
    if let Some(secret) = &wish.secret {
        validate::secret(secret)?;
    }
    app.admission.sign_up()?;
    let token = match &wish.secret {
        Some(secret) => Token::of_sign_up(wish.cid, secret),
        None => Token::random(),
    };
    let body = command::Body::CreateAccount(CreateAccount {
        name: name.to_owned(),
        token_hash: token.hash().to_vec(),
    });
    let outcome = app.router.outcome(NOBODY, wish.cid, body).await?;
    let user = account(&app, &token, outcome).await?;
    app.sessions.remember(token.hash(), user.clone());
    tracing::info!(user = %user.id, "signed up");
    let answer = (StatusCode::CREATED, Json(MeAnswer { user })).into_response();
    Ok(with_cookie(answer, token.cookie(is_secure(&headers))))
}

async fn account(app: &App, token: &Token, outcome: Outcome) -> Result<Person, Error> {
    let created = match outcome.result {
        Some(Did::AccountCreated(created)) => created,
        Some(Did::Refusal(refusal)) => return Err(Error::refused(&refusal)),
        other => {
            tracing::error!(?other, "an outcome that a sign-up cannot have");
            return Err(Error::internal(
                "the sign-up had an outcome that it cannot have",
            ));
        }
    };
    let user = Person {
        id: UserId(created.user),
        name: created.name,
    };
    // Whether it was made just now says nothing: a repetition by another gateway that came while
    // this one waited is told the same. Whoever has the same secret is the same person.
    match app.reads.session(token.hash()).await? {
        Some(owner) if owner.id == user.id => Ok(user),
        _ => Err(Error::new(
            ErrorCode::NameTaken,
            "this account was made by an earlier try whose session is not yours: take another name",
        )),
    }
}

/// `POST /api/v1/sign-out`.
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    headers: HeaderMap,
    Caller(caller): Caller,
) -> Result<Response, Error> {
    let token_hash = caller.token_hash.to_vec();
    let body = command::Body::RevokeSession(RevokeSession { token_hash });
    let outcome = app
        .router
        .outcome(caller.person.id, Cid(Uuid::now_v7()), body)
        .await?;
    if let Some(Did::Refusal(refusal)) = outcome.result {
        return Err(Error::refused(&refusal));
    }
    app.sessions.forget(&caller.token_hash);
    let answer = StatusCode::NO_CONTENT.into_response();
    Ok(with_cookie(answer, no_cookie(is_secure(&headers))))
}

/// `GET /api/v1/me`.
pub(crate) async fn me(Caller(caller): Caller) -> Json<MeAnswer> {
    Json(MeAnswer {
        user: caller.person,
    })
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
