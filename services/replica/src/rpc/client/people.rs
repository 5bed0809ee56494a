//! What gateways ask about people, sessions and the settings.

use machine::{Credentials, Profile, UserId, Who};
use proto::v1 as pb;
use proto::v1::get_credentials_request::Of;

use super::read_from;
use crate::errors::Refused;
use crate::role::Shared;

/// As the wire has it.
pub(super) fn profile(profile: Profile) -> pb::Profile {
    pb::Profile {
        role: profile.role.to_wire().into(),
        colour: profile.colour,
        has_password: profile.has_password,
    }
}

pub(super) async fn credentials(
    shared: &Shared,
    request: pb::GetCredentialsRequest,
) -> Result<pb::GetCredentialsResponse, Refused> {
    let who = match request.of {
        Some(Of::Name(name)) => Who::Name(name),
        Some(Of::User(user)) => Who::User(UserId(user)),
        None => return Err(Refused::Bad("of: a name or a user is needed".to_owned())),
    };
    let member = shared.serving(request.shard)?;
    let min_slot = read_from(&member, 0, true).await?;
    let view = member
        .reads
        .read(min_slot, move |reader| reader.credentials(&who))
        .await?;
    let Credentials {
        user,
        name,
        password,
        password_slot,
    } = view.value.ok_or(Refused::NotFound("person"))?;
    Ok(pb::GetCredentialsResponse {
        user: user.0,
        name,
        password,
        password_slot,
    })
}

pub(super) async fn sessions(
    shared: &Shared,
    request: pb::ListSessionsRequest,
) -> Result<pb::ListSessionsResponse, Refused> {
    let member = shared.serving(request.shard)?;
    let user = UserId(request.user);
    let view = member
        .reads
        .read(request.min_slot, move |reader| reader.sessions(user))
        .await?;
    let sessions = view.value.into_iter().map(|session| pb::SessionInfo {
        token_hash: session.token_hash,
        created_ms: session.created_ms,
        device: session.device,
    });
    Ok(pb::ListSessionsResponse {
        sessions: sessions.collect(),
    })
}

pub(super) async fn people(
    shared: &Shared,
    request: pb::ListPeopleRequest,
) -> Result<pb::ListPeopleResponse, Refused> {
    let member = shared.serving(request.shard)?;
    let user = UserId(request.user);
    let view = member
        .reads
        .read(request.min_slot, move |reader| reader.people(user))
        .await?;
    let people = view.value.into_iter().map(|person| pb::PersonInfo {
        user: person.user.0,
        name: person.name,
        role: person.profile.role.to_wire().into(),
        colour: person.profile.colour,
        active: person.active,
    });
    Ok(pb::ListPeopleResponse {
        people: people.collect(),
    })
}

pub(super) async fn settings(
    shared: &Shared,
    request: pb::GetSettingsRequest,
) -> Result<pb::GetSettingsResponse, Refused> {
    let member = shared.serving(request.shard)?;
    let view = member
        .reads
        .read(request.min_slot, machine::Reader::settings)
        .await?;
    Ok(pb::GetSettingsResponse {
        sign_up: view.value.sign_up.into(),
        has_accounts: view.value.has_accounts,
    })
}

pub(super) async fn invitations(
    shared: &Shared,
    request: pb::ListInvitationsRequest,
) -> Result<pb::ListInvitationsResponse, Refused> {
    let member = shared.serving(request.shard)?;
    let user = UserId(request.user);
    let view = member
        .reads
        .read(request.min_slot, move |reader| reader.invitations(user))
        .await?;
    let invitations = view.value.ok_or(Refused::RoleTooLow)?;
    Ok(pb::ListInvitationsResponse { invitations })
}
