//! The directory, and what owners and admins change: roles, settings, invitations.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use proto::v1::outcome::Result as Did;
use proto::v1::{
    self, GetSettingsRequest, ListInvitationsRequest, RevokeInvitation, SetActive, SetRole,
    SetSignUpMode, command,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::app::App;
use crate::cluster::SHARD;
use crate::errors::Error;
use crate::frames::{
    ChangePerson, ChangeSettings, CreateInvitation, ErrorCode, InvitationAnswer, InvitationsAnswer,
    PeopleAnswer, ResetPassword, SettingsAnswer, SignUpMode,
};
use crate::http::{Body, Caller, Chat, OurOrigin, did};
use crate::ids::{Cid, Slot};
use crate::{convert, passwords, validate};

/// What the replicas know of the secret in the link of an invitation.
pub(crate) fn secret_hash(secret: &str) -> Result<Vec<u8>, Error> {
    validate::secret(secret)?;
    let digest = Sha256::new()
        .chain_update(b"chatterbox invitation v1\0")
        .chain_update(secret.as_bytes())
        .finalize();
    Ok(digest.to_vec())
}

/// The number of a person in a path.
fn person(id: &str) -> Result<u64, Error> {
    let nobody = |_| Error::new(ErrorCode::NotFound, "there is no such person");
    id.parse().map_err(nobody)
}

/// `GET /api/v1/people`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Json<PeopleAnswer>, Error> {
    let people = app.reads.people(caller.person.id).await?;
    Ok(Json(PeopleAnswer { people }))
}

/// `PATCH /api/v1/people/{id}`.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(wish): Body<ChangePerson>,
) -> Result<StatusCode, Error> {
    let user = person(&id)?;
    let body = match (wish.role, wish.active) {
        (Some(role), None) => command::Body::SetRole(SetRole {
            user,
            role: convert::role_to_wire(role).into(),
        }),
        (None, Some(active)) => command::Body::SetActive(SetActive { user, active }),
        _ => return Err(Error::bad_request("role or active: one of them is needed")),
    };
    did(app.router.outcome(caller.person.id, wish.cid, body).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/people/{id}/password`.
pub(crate) async fn reset_password(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Body(wish): Body<ResetPassword>,
) -> Result<StatusCode, Error> {
    let user = person(&id)?;
    passwords::require_strong(&wish.password)?;
    let body = command::Body::ResetPassword(v1::ResetPassword {
        user,
        password: app.passwords.hash(wish.password).await?,
    });
    did(app.router.outcome(caller.person.id, wish.cid, body).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/settings`: without a session, for the first screen.
pub(crate) async fn settings(State(app): State<Arc<App>>) -> Result<Json<SettingsAnswer>, Error> {
    let min_slot = app.reads.at_least(Slot(0));
    let request = GetSettingsRequest {
        shard: SHARD,
        min_slot: min_slot.0,
    };
    let ask = |mut chat: Chat| async move { chat.get_settings(request).await };
    let answer = app.reads.read(min_slot, ask).await;
    let answer = answer.map_err(|status| Error::read(&status))?;
    Ok(Json(convert::settings(answer)))
}

/// `PATCH /api/v1/settings`.
pub(crate) async fn change_settings(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Body(wish): Body<ChangeSettings>,
) -> Result<StatusCode, Error> {
    let mode = match wish.sign_up {
        SignUpMode::Open => v1::SignUpMode::Open,
        SignUpMode::Invitation => v1::SignUpMode::Invitation,
        SignUpMode::Closed => v1::SignUpMode::Closed,
    };
    let body = command::Body::SetSignUpMode(SetSignUpMode { mode: mode.into() });
    did(app.router.outcome(caller.person.id, wish.cid, body).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/invitations`.
pub(crate) async fn invitations(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
) -> Result<Json<InvitationsAnswer>, Error> {
    let min_slot = app.reads.at_least(Slot(0));
    let request = ListInvitationsRequest {
        shard: SHARD,
        user: caller.person.id.0,
        min_slot: min_slot.0,
    };
    let ask = |mut chat: Chat| async move { chat.list_invitations(request).await };
    let answer = app.reads.read(min_slot, ask).await;
    let answer = answer.map_err(|status| match status.code() {
        tonic::Code::PermissionDenied => {
            Error::new(ErrorCode::Forbidden, "your role does not allow that")
        }
        _ => Error::read(&status),
    })?;
    let invitations = answer.invitations.into_iter();
    let invitations = invitations.map(convert::invitation).collect();
    Ok(Json(InvitationsAnswer { invitations }))
}

/// `POST /api/v1/invitations`.
pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Body(wish): Body<CreateInvitation>,
) -> Result<Response, Error> {
    let body = command::Body::CreateInvitation(v1::CreateInvitation {
        secret_hash: secret_hash(&wish.secret)?,
        uses: wish.uses,
        role: convert::role_to_wire(wish.role).into(),
        room: wish.room.map_or(0, |room| room.0),
    });
    match did(app.router.outcome(caller.person.id, wish.cid, body).await?)? {
        Did::InvitationCreated(created) => {
            let id = created.invitation;
            let answer = Json(InvitationAnswer { id });
            Ok((StatusCode::CREATED, answer).into_response())
        }
        _ => Err(Error::bad_request(
            "cid: it was used before for another kind of request",
        )),
    }
}

/// `DELETE /api/v1/invitations/{id}`.
pub(crate) async fn revoke_invitation(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let invitation = id
        .parse()
        .map_err(|_| Error::new(ErrorCode::NotFound, "there is no such invitation"))?;
    let body = command::Body::RevokeInvitation(RevokeInvitation { invitation });
    let cid = Cid(Uuid::now_v7());
    did(app.router.outcome(caller.person.id, cid, body).await?)?;
    Ok(StatusCode::NO_CONTENT)
}
