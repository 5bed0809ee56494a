//! Commands on what an account is: password, name, colour, role, active or not.
//!
//! Must hold: no command carries a password, only what a gateway made of it; a change takes effect
//! only if the password that was verified for it is still the account's (`password_slot`), because
//! a gateway verifies against a state that may be older than the log. Tests: tests/accounts.rs.

use proto::v1::{
    ChangeProfile, Done, ProfileChanged, ResetPassword, SetActive, SetPassword, SetRole, outcome,
    user_event,
};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{UserId, to_sql};
use crate::refusal::Reason;
use crate::roles::{Role, active_owners};
use crate::sessions::require_token_hash;
use crate::{limits, names};

impl Context<'_> {
    /// A first or another password; the other sessions of the author end.
    pub(crate) fn set_password(
        &mut self,
        author: UserId,
        command: &SetPassword,
    ) -> Result<Answer, Stop> {
        require_token_hash(&command.kept_token_hash)?;
        if command.password.is_empty() {
            return Err(Stop::Refused(Reason::PasswordInvalid));
        }
        require_password(&command.password)?;
        if self.known_account(author)?.password_slot != command.password_slot {
            return Err(Stop::Refused(Reason::PasswordChanged));
        }
        self.store_password(author, &command.password)?;
        self.end_sessions(author, &command.kept_token_hash)?;
        self.profile_changed(author)?;
        Ok(done())
    }

    /// A new password for somebody who forgot it; the account's sessions end.
    pub(crate) fn reset_password(
        &mut self,
        author: UserId,
        command: &ResetPassword,
    ) -> Result<Answer, Stop> {
        if command.password.is_empty() {
            return Err(Stop::Refused(Reason::PasswordInvalid));
        }
        require_password(&command.password)?;
        let user = UserId(command.user);
        let actor = self.known_account(author)?.role;
        // One's own needs the old one (`SetPassword`).
        if user == author || !actor.may_manage(self.other_account(user)?.role) {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        self.store_password(user, &command.password)?;
        self.end_sessions(user, &[])?;
        self.profile_changed(user)?;
        Ok(done())
    }

    /// Another name or colour.
    pub(crate) fn change_profile(
        &mut self,
        author: UserId,
        command: &ChangeProfile,
    ) -> Result<Answer, Stop> {
        let colour = command.colour.map(i64::from);
        if colour.is_some_and(|colour| colour > limits::COLOUR_MAX) {
            return Err(Stop::Refused(Reason::ColourUnknown));
        }
        if !command.name.is_empty() {
            self.rename_account(author, &command.name)?;
        }
        if let Some(colour) = colour {
            self.ensure_profile(author)?;
            self.connection
                .prepare_cached("UPDATE profiles SET colour = ?2 WHERE user = ?1")?
                .execute(params![to_sql(author.0), colour])?;
        }
        self.profile_changed(author)?;
        Ok(done())
    }

    /// Another role.
    pub(crate) fn set_role(&mut self, author: UserId, command: &SetRole) -> Result<Answer, Stop> {
        let user = UserId(command.user);
        let role =
            Role::from_number(i64::from(command.role)).ok_or(Stop::Refused(Reason::RoleUnknown))?;
        let actor = self.known_account(author)?.role;
        let before = self.other_account(user)?.role;
        if !actor.may_manage(before) || !actor.may_manage(role) {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        if before == role {
            return Ok(done());
        }
        self.require_other_owner(user)?;
        self.connection
            .prepare_cached("UPDATE accounts SET role = ?2 WHERE id = ?1")?
            .execute(params![to_sql(user.0), role.number()])?;
        self.known_account(user)?.role = role;
        self.profile_changed(user)?;
        Ok(done())
    }

    /// Deactivates an account, or makes it active again.
    pub(crate) fn set_active(
        &mut self,
        author: UserId,
        command: &SetActive,
    ) -> Result<Answer, Stop> {
        let user = UserId(command.user);
        let actor = self.known_account(author)?.role;
        let account = self.other_account(user)?;
        let (role, was_active) = (account.role, account.active);
        if user != author && !actor.may_manage(role) {
            return Err(Stop::Refused(Reason::RoleTooLow));
        }
        if was_active == command.active {
            return Ok(done());
        }
        if !command.active {
            self.require_other_owner(user)?;
        }
        self.ensure_profile(user)?;
        let deactivated_slot = if command.active { 0 } else { self.slot.0 };
        self.connection
            .prepare_cached("UPDATE profiles SET deactivated_slot = ?2 WHERE user = ?1")?
            .execute(params![to_sql(user.0), to_sql(deactivated_slot)])?;
        self.known_account(user)?.active = command.active;
        if !command.active {
            self.end_sessions(user, &[])?;
        }
        Ok(done())
    }

    /// Keeps a password that was checked.
    pub(crate) fn store_password(&mut self, user: UserId, password: &str) -> Result<(), Fault> {
        self.ensure_profile(user)?;
        self.connection
            .prepare_cached(
                "UPDATE profiles SET password = ?2, password_slot = ?3 WHERE user = ?1",
            )?
            .execute(params![to_sql(user.0), password, to_sql(self.slot.0)])?;
        let slot = self.slot.0;
        self.known_account(user)?.password_slot = slot;
        Ok(())
    }

    fn rename_account(&mut self, user: UserId, name: &str) -> Result<(), Stop> {
        let name = names::person(name).map_err(Stop::Refused)?;
        let is_taken = self
            .connection
            .prepare_cached("SELECT 1 FROM accounts WHERE name_folded = ?1 AND id <> ?2")?
            .exists(params![name.folded, to_sql(user.0)])?;
        if is_taken {
            return Err(Stop::Refused(Reason::PersonNameTaken));
        }
        let until = self.next_event_id()?;
        let former = std::mem::replace(&mut self.known_account(user)?.name, name.text.clone());
        // Two changes between which there was no event: nothing shows the name between them.
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO former_names (user, until, name) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![to_sql(user.0), until.to_sql(), former])?;
        self.connection
            .prepare_cached("UPDATE accounts SET name = ?2, name_folded = ?3 WHERE id = ?1")?
            .execute(params![to_sql(user.0), name.text, name.folded])?;
        Ok(())
    }

    /// The row that holds what differs from the defaults.
    fn ensure_profile(&self, user: UserId) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO profiles
                 (user, password, password_slot, colour, deactivated_slot)
                 VALUES (?1, '', 0, 0, 0)",
            )?
            .execute([to_sql(user.0)])?;
        Ok(())
    }

    /// Not if the person is the last one who can give rights.
    fn require_other_owner(&mut self, user: UserId) -> Result<(), Stop> {
        let account = self.known_account(user)?;
        if account.role == Role::Owner && account.active && active_owners(self.connection)? <= 1 {
            return Err(Stop::Refused(Reason::LastOwner));
        }
        Ok(())
    }

    fn profile_changed(&mut self, user: UserId) -> Result<(), Fault> {
        self.emit_user_event(user, user_event::Kind::ProfileChanged(ProfileChanged {}))
    }
}

/// What a gateway makes of a password. The machine cannot verify more.
pub(crate) fn require_password(password: &str) -> Result<(), Stop> {
    let is_phc = password.starts_with("$argon2id$") && password.is_ascii();
    if password.is_empty() || is_phc && password.len() <= limits::PASSWORD_BYTES_MAX {
        return Ok(());
    }
    Err(Stop::Refused(Reason::PasswordInvalid))
}

fn done() -> Answer {
    outcome::Result::Done(Done {}).into()
}
