//! The caller's own account and sessions.
//!
//! Must hold: the cookie that is set belongs to a session that the replicas hold. A repeated
//! sign-up finds the account that the first try made; whether the session is its own too is
//! asked, not guessed. A wrong name and a wrong password are told alike, and cost alike.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::v1::get_credentials_request::Of;
use proto::v1::outcome::Result as Did;
use proto::v1::{
    ChangeProfile, CreateAccount, CreateSession, GetCredentialsResponse, ListSessionsRequest,
    Outcome, RevokeSession, SetActive, SetPassword, command,
};
use uuid::Uuid;

use crate::app::{App, Identity};
use crate::attempts::{Address, Tried};
use crate::auth::{Token, device, is_secure, no_cookie};
use crate::cluster::SHARD;
use crate::errors::Error;
use crate::frames::{
    ChangeMe, ChangePassword, Deactivate, ErrorCode, Me, MeAnswer, Password, SessionEntry,
    SessionsAnswer, SignIn, SignUp,
};
use crate::http::people::secret_hash;
use crate::http::{Body, Caller, OurOrigin, did};
use crate::ids::{Cid, Slot, UserId};
use crate::metrics::METRICS;
use crate::{passwords, validate};

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
    let invitation = match &wish.invitation {
        Some(secret) => secret_hash(secret)?,
        None => Vec::new(),
    };
    if let Some(password) = &wish.password {
        passwords::require_strong(password)?;
    }
    app.admission.sign_up()?;
    let token = token(wish.cid, wish.secret.as_deref());
    let password = match wish.password {
        Some(password) => app.passwords.hash(password).await?,
        None => String::new(),
    };
    let body = command::Body::CreateAccount(CreateAccount {
        name: name.to_owned(),
        token_hash: token.hash().to_vec(),
        password,
        invitation,
        device: device(&headers),
    });
    let outcome = app.router.outcome(NOBODY, wish.cid, body).await?;
    let user = account(&app, &token, outcome).await?;
    tracing::info!(user = %user.id, "signed up");
    Ok(signed_in(&app, &headers, StatusCode::CREATED, token, user))
}

async fn account(app: &App, token: &Token, outcome: Outcome) -> Result<Me, Error> {
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
    // Whether it was made just now says nothing: a repetition by another gateway that came while
    // this one waited is told the same. Whoever has the same secret is the same person.
    match app.reads.session(token.hash()).await? {
        Some(owner) if owner.id == UserId(created.user) => Ok(owner),
        _ => Err(Error::new(
            ErrorCode::NameTaken,
            "this account was made by an earlier try whose session is not yours: take another name",
        )),
    }
}

/// `POST /api/v1/sign-in`.
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Address(address): Address,
    headers: HeaderMap,
    Body(wish): Body<SignIn>,
) -> Result<Response, Error> {
    if let Some(secret) = &wish.secret {
        validate::secret(secret)?;
    }
    app.attempts.at_address(address)?;
    let found = app.reads.credentials(Of::Name(wish.name.clone())).await?;
    let tried = match &found {
        Some(found) => Tried::Account(UserId(found.user)),
        None => Tried::Name(&wish.name),
    };
    app.attempts.of(tried)?;
    let found = verified(&app, found, wish.password).await?;
    let user = UserId(found.user);
    let token = token(wish.cid, wish.secret.as_deref());
    let body = command::Body::CreateSession(CreateSession {
        token_hash: token.hash().to_vec(),
        password_slot: found.password_slot,
        device: device(&headers),
    });
    did(app.router.outcome(user, wish.cid, body).await?)?;
    // A repetition of a sign-in whose session was ended meanwhile does not bring it back.
    let me = app.reads.session(token.hash()).await?;
    let me = me.filter(|me| me.id == user);
    let me = me.ok_or_else(Error::unauthenticated)?;
    tracing::info!(%user, "signed in");
    Ok(signed_in(&app, &headers, StatusCode::OK, token, me))
}

/// The account, if that is its password.
async fn verified(
    app: &App,
    found: Option<GetCredentialsResponse>,
    password: Password,
) -> Result<GetCredentialsResponse, Error> {
    let phc = found.as_ref().map(|found| found.password.clone());
    let is_right = app
        .passwords
        .verify(password, phc.unwrap_or_default())
        .await?;
    found.filter(|_| is_right).ok_or_else(|| {
        METRICS.wrong_password();
        Error::wrong_credentials()
    })
}

/// The slot of the caller's password, which the caller has typed once more; 0 if there is none.
async fn confirmed(app: &App, caller: &Me, typed: Option<Password>) -> Result<u64, Error> {
    let found = app.reads.credentials(Of::User(caller.id.0)).await?;
    let found = found.ok_or_else(Error::unauthenticated)?;
    if found.password.is_empty() {
        return Ok(0);
    }
    app.attempts.of(Tried::Account(caller.id))?;
    let typed = typed.unwrap_or(Password(String::new()));
    Ok(verified(app, Some(found), typed).await?.password_slot)
}

/// `POST /api/v1/sign-out`.
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    headers: HeaderMap,
    Caller(caller): Caller,
) -> Result<Response, Error> {
    end_session(&app, &caller, &caller.token_hash).await?;
    let answer = StatusCode::NO_CONTENT.into_response();
    Ok(with_cookie(answer, no_cookie(is_secure(&headers))))
}

/// `GET /api/v1/me`.
pub(crate) async fn me(Caller(caller): Caller) -> Json<MeAnswer> {
    Json(MeAnswer {
        user: caller.person,
    })
}

/// `PATCH /api/v1/me`.
pub(crate) async fn change_me(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Body(wish): Body<ChangeMe>,
) -> Result<StatusCode, Error> {
    let name = wish
        .name
        .as_deref()
        .map(validate::person_name)
        .transpose()?;
    let body = command::Body::ChangeProfile(ChangeProfile {
        name: name.unwrap_or_default().to_owned(),
        colour: wish.colour,
    });
    changed(&app, &caller, wish.cid, body).await
}

/// `POST /api/v1/me/password`.
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Body(wish): Body<ChangePassword>,
) -> Result<StatusCode, Error> {
    passwords::require_strong(&wish.password)?;
    let password_slot = confirmed(&app, &caller.person, wish.current).await?;
    let body = command::Body::SetPassword(SetPassword {
        password: app.passwords.hash(wish.password).await?,
        password_slot,
        kept_token_hash: caller.token_hash.to_vec(),
    });
    changed(&app, &caller, wish.cid, body).await
}

/// `POST /api/v1/me/deactivate`.
pub(crate) async fn deactivate(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    headers: HeaderMap,
    Caller(caller): Caller,
    Body(wish): Body<Deactivate>,
) -> Result<Response, Error> {
    confirmed(&app, &caller.person, wish.current).await?;
    let body = command::Body::SetActive(SetActive {
        user: caller.person.id.0,
        active: false,
    });
    let answer = changed(&app, &caller, wish.cid, body).await?;
    Ok(with_cookie(
        answer.into_response(),
        no_cookie(is_secure(&headers)),
    ))
}

/// `GET /api/v1/me/sessions`.
pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Json<SessionsAnswer>, Error> {
    let min_slot = app.reads.at_least(Slot(0));
    let request = ListSessionsRequest {
        shard: SHARD,
        user: caller.person.id.0,
        min_slot: min_slot.0,
    };
    let ask = |mut chat: super::Chat| async move { chat.list_sessions(request).await };
    let answer = app.reads.read(min_slot, ask).await;
    let answer = answer.map_err(|status| Error::read(&status))?;
    let sessions = answer.sessions.into_iter().map(|session| SessionEntry {
        current: session.token_hash[..] == caller.token_hash[..],
        id: hex(&session.token_hash),
        created_ms: session.created_ms,
        device: session.device,
    });
    Ok(Json(SessionsAnswer {
        sessions: sessions.collect(),
    }))
}

/// `DELETE /api/v1/me/sessions/{id}`.
pub(crate) async fn revoke_session(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let token_hash = unhex(&id);
    let token_hash = token_hash
        .ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no such session of yours"))?;
    end_session(&app, &caller, &token_hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_session(app: &App, caller: &Identity, token_hash: &[u8]) -> Result<(), Error> {
    let body = command::Body::RevokeSession(RevokeSession {
        token_hash: token_hash.to_vec(),
    });
    changed(app, caller, Cid(Uuid::now_v7()), body).await?;
    app.sessions.forget(token_hash);
    Ok(())
}

/// Carries out what the caller wishes for the own account.
async fn changed(
    app: &App,
    caller: &Identity,
    cid: Cid,
    body: command::Body,
) -> Result<StatusCode, Error> {
    did(app.router.outcome(caller.person.id, cid, body).await?)?;
    // The log tells it to all gateways; this one has promised it to the caller already.
    app.sessions.forget_of(caller.person.id);
    Ok(StatusCode::NO_CONTENT)
}

fn token(cid: Cid, secret: Option<&str>) -> Token {
    match secret {
        Some(secret) => Token::of_wish(cid, secret),
        None => Token::random(),
    }
}

fn signed_in(
    app: &App,
    headers: &HeaderMap,
    status: StatusCode,
    token: Token,
    user: Me,
) -> Response {
    app.sessions.remember(token.hash(), user.clone());
    let answer = (status, Json(MeAnswer { user })).into_response();
    with_cookie(answer, token.cookie(is_secure(headers)))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..32).map(|index| pair(index * 2)).collect()
}
