//! Who may sign up: the setting, and the links with which one may.
//!
//! Must hold: when sign-up is not open, its refusal says nothing about accounts that exist; an
//! invitation makes no more accounts than it was made for. Tests: tests/accounts.rs.

use proto::v1::{
    CreateInvitation, Done, InvitationCreated, RevokeInvitation, SetSignUpMode, SignUpMode, outcome,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, UserId, from_sql, to_sql};
use crate::limits;
use crate::refusal::Reason;
use crate::roles::Role;
use crate::sessions::require_token_hash;

/// What an invitation makes of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invited {
    pub(crate) role: Role,
    pub(crate) room: Option<RoomId>,
}

/// The setting.
pub(crate) fn sign_up_mode(connection: &Connection) -> Result<SignUpMode, Fault> {
    let stored: Option<i64> = connection
        .prepare_cached("SELECT sign_up FROM settings WHERE id = 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(stored) = stored else {
        return Ok(SignUpMode::Open);
    };
    known_mode(stored).ok_or_else(|| Fault::Damaged(format!("unknown mode {stored} of sign-up")))
}

fn known_mode(number: i64) -> Option<SignUpMode> {
    let mode = SignUpMode::try_from(i32::try_from(number).ok()?).ok()?;
    (mode != SignUpMode::Unspecified).then_some(mode)
}

impl Context<'_> {
    /// Who may sign up from now on.
    pub(crate) fn set_sign_up_mode(
        &mut self,
        author: UserId,
        command: SetSignUpMode,
    ) -> Result<Answer, Stop> {
        let mode =
            known_mode(i64::from(command.mode)).ok_or(Stop::Refused(Reason::SignUpModeUnknown))?;
        if self.known_account(author)?.role != Role::Owner {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO settings (id, sign_up) VALUES (1, ?1)")?
            .execute([i64::from(mode as i32)])?;
        Ok(outcome::Result::Done(Done {}).into())
    }

    /// A link.
    pub(crate) fn create_invitation(
        &mut self,
        author: UserId,
        command: &CreateInvitation,
    ) -> Result<Answer, Stop> {
        require_token_hash(&command.secret_hash)?;
        let role = Role::from_number(i64::from(command.role));
        let role = role.filter(|role| matches!(role, Role::Member | Role::Guest));
        let role = role.ok_or(Stop::Refused(Reason::RoleUnknown))?;
        if !(1..=limits::INVITATION_USES_MAX).contains(&command.uses) {
            return Err(Stop::Refused(Reason::InvitationUses));
        }
        if !self.known_account(author)?.role.may_invite_to_sign_up() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        if command.room != 0 {
            let room = self.existing_room(author, command.room)?;
            Self::require_for_people(room)?;
            self.require_member(room, author)?;
            self.require_inviting(room)?;
        }
        let is_used = self
            .connection
            .prepare_cached("SELECT 1 FROM invitations WHERE secret_hash = ?1")?
            .exists([&command.secret_hash])?;
        if is_used {
            return Err(Stop::Refused(Reason::TokenHashUsed));
        }
        let id = self.next_id("SELECT max(id) FROM invitations")?;
        self.connection
            .prepare_cached(
                "INSERT INTO invitations
                 (id, secret_hash, created_by, created_ms, uses_left, role, room)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                to_sql(id),
                command.secret_hash,
                to_sql(author.0),
                to_sql(self.timestamp.0),
                i64::from(command.uses),
                role.number(),
                to_sql(command.room)
            ])?;
        let created = InvitationCreated { invitation: id };
        Ok(outcome::Result::InvitationCreated(created).into())
    }

    /// Nobody signs up with it any more. One that does not exist is of no use already.
    pub(crate) fn revoke_invitation(
        &mut self,
        author: UserId,
        command: RevokeInvitation,
    ) -> Result<Answer, Stop> {
        if !self.known_account(author)?.role.may_invite_to_sign_up() {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        self.connection
            .prepare_cached("UPDATE invitations SET uses_left = 0 WHERE id = ?1")?
            .execute([to_sql(command.invitation)])?;
        Ok(outcome::Result::Done(Done {}).into())
    }

    /// Whether somebody may sign up with this invitation, or without one; takes nothing yet.
    pub(crate) fn admit(&self, secret_hash: &[u8]) -> Result<Option<Invited>, Stop> {
        let mode = sign_up_mode(self.connection)?;
        if mode == SignUpMode::Closed {
            return Err(Stop::Refused(Reason::SignUpClosed));
        }
        if secret_hash.is_empty() {
            return match mode {
                SignUpMode::Open => Ok(None),
                _ => Err(Stop::Refused(Reason::InvitationNeeded)),
            };
        }
        let found: Option<(i64, i64)> = self
            .connection
            .prepare_cached(
                "SELECT role, room FROM invitations WHERE secret_hash = ?1 AND uses_left > 0",
            )?
            .query_row([secret_hash], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((role, room)) = found else {
            return Err(Stop::Refused(Reason::InvitationInvalid));
        };
        let role = Role::from_number(role)
            .ok_or_else(|| Fault::Damaged(format!("unknown role {role} of an invitation")))?;
        let room = RoomId(from_sql(room));
        Ok(Some(Invited {
            role,
            room: (room.0 != 0).then_some(room),
        }))
    }

    /// One account was made with it.
    pub(crate) fn use_invitation(&self, secret_hash: &[u8]) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE invitations SET uses_left = uses_left - 1 WHERE secret_hash = ?1",
            )?
            .execute([secret_hash])?;
        Ok(())
    }
}
