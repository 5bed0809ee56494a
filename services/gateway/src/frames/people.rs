//! Accounts, sessions, invitations: the bodies of HTTP requests and answers, docs/protocol.md 1.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Cid, RoomId, UserId};

/// What a person typed as a password. Not shown by `Debug`: it must not get into a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AccountRole {
    /// Everything.
    Owner,
    /// Manages people below admin, and invitations.
    Admin,
    /// Manages rooms.
    Moderator,
    /// Makes rooms, joins public ones, invites.
    Member,
    /// Reads and writes where it was invited to, and sees nothing else.
    Guest,
    /// A program; sees what a guest sees.
    Bot,
}

/// The person whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Me {
    /// The account.
    pub id: UserId,
    /// The name.
    pub name: String,
    /// What the account may do.
    pub role: AccountRole,
    /// A colour of the palette, 1 to 12; 0: the one that follows from the number.
    pub colour: u32,
    /// Whether one can sign in with a password. Without one, the account is lost with its sessions.
    pub has_password: bool,
}

/// `POST /api/v1/sign-in`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SignIn {
    /// The id of the request.
    pub cid: Cid,
    /// Whose account.
    pub name: String,
    /// Its password.
    pub password: Password,
    /// As in `SignUp`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub secret: Option<String>,
}

/// `PATCH /api/v1/me`: what is left out stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangeMe {
    /// The id of the request.
    pub cid: Cid,
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub name: Option<String>,
    /// Another colour, 0 to 12.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub colour: Option<u32>,
}

/// `POST /api/v1/me/password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangePassword {
    /// The id of the request.
    pub cid: Cid,
    /// The one that is set, if one is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub current: Option<Password>,
    /// The one to set.
    pub password: Password,
}

/// `POST /api/v1/me/deactivate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Deactivate {
    /// The id of the request.
    pub cid: Cid,
    /// The one that is set, if one is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub current: Option<Password>,
}

/// A session in the list of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionEntry {
    /// What it is called in `DELETE /api/v1/me/sessions/{id}`; of no use to sign in.
    pub id: String,
    /// When it began: the leader's clock in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub created_ms: u64,
    /// What the browser said that it was, such as `Firefox, Linux`; may be empty.
    pub device: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Answers `GET /api/v1/me/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionsAnswer {
    /// The newest first.
    pub sessions: Vec<SessionEntry>,
}

/// A person in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PersonEntry {
    /// The account.
    pub id: UserId,
    /// The name at present.
    pub name: String,
    /// What the account may do.
    pub role: AccountRole,
    /// As in `Me`.
    pub colour: u32,
    /// Whether the account can be used.
    pub active: bool,
}

/// Answers `GET /api/v1/people`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PeopleAnswer {
    /// By number.
    pub people: Vec<PersonEntry>,
}

/// `PATCH /api/v1/people/{id}`: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangePerson {
    /// The id of the request.
    pub cid: Cid,
    /// Another role.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub role: Option<AccountRole>,
    /// Deactivate the account, or make it active again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub active: Option<bool>,
}

/// `POST /api/v1/people/{id}/password`: for somebody who forgot it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ResetPassword {
    /// The id of the request.
    pub cid: Cid,
    /// The one to set, which the caller hands over.
    pub password: Password,
}

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SignUpMode {
    /// Everybody who reaches the page.
    Open,
    /// Whoever has the link of an invitation.
    Invitation,
    /// Nobody.
    Closed,
}

/// Answers `GET /api/v1/settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SettingsAnswer {
    /// Who may sign up.
    pub sign_up: SignUpMode,
    /// There is an account, so the next one is not the owner.
    pub has_accounts: bool,
}

/// `PATCH /api/v1/settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangeSettings {
    /// The id of the request.
    pub cid: Cid,
    /// Who may sign up.
    pub sign_up: SignUpMode,
}

/// `POST /api/v1/invitations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CreateInvitation {
    /// The id of the request.
    pub cid: Cid,
    /// 32 to 128 random characters, made by the client, which alone knows them: the link is
    /// `#/invitation/SECRET`.
    pub secret: String,
    /// How many accounts may be made with it, 1 to 1000.
    pub uses: u32,
    /// What they become: member or guest.
    pub role: AccountRole,
    /// A room that they enter, in which the caller is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub room: Option<RoomId>,
}

/// Answers `POST /api/v1/invitations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InvitationAnswer {
    /// What it is called in `DELETE /api/v1/invitations/{id}`.
    #[cfg_attr(test, ts(type = "number"))]
    pub id: u64,
}

/// An invitation that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InvitationEntry {
    /// Its number.
    #[cfg_attr(test, ts(type = "number"))]
    pub id: u64,
    /// Who made it.
    pub created_by: String,
    /// When: the leader's clock in milliseconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub created_ms: u64,
    /// How many accounts may still be made with it.
    pub uses_left: u32,
    /// What they become.
    pub role: AccountRole,
    /// The room that they enter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub room: Option<RoomId>,
}

/// Answers `GET /api/v1/invitations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct InvitationsAnswer {
    /// The newest first.
    pub invitations: Vec<InvitationEntry>,
}
