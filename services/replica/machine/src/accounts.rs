//! The command that makes an account, and what all others need to know of one.

use proto::v1::{AccountCreated, CreateAccount, outcome};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::cache::Account;
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, UserId, from_sql, next, to_sql};
use crate::names;
use crate::profiles::require_password;
use crate::refusal::Reason;
use crate::roles::Role;
use crate::sessions::{require_device, require_token_hash};

impl Context<'_> {
    /// A new account with its first session, and a member of `general`; a guest is only in the room
    /// of its invitation.
    pub(crate) fn create_account(
        &mut self,
        author: UserId,
        command: &CreateAccount,
    ) -> Result<Answer, Stop> {
        if author != UserId(0) {
            return Err(Stop::Refused(Reason::SignUpSignedIn));
        }
        require_token_hash(&command.token_hash)?;
        require_password(&command.password)?;
        require_device(&command.device)?;
        let name = names::person(&command.name).map_err(Stop::Refused)?;
        let user = UserId(self.next_id("SELECT max(id) FROM accounts")?);
        let is_first = user == UserId(1);
        // Before the name: whoever may not sign up learns of no account.
        let invited = if is_first {
            None
        } else {
            self.admit(&command.invitation)?
        };
        if self.name_is_taken("SELECT 1 FROM accounts WHERE name_folded = ?1", &name)? {
            return Err(Stop::Refused(Reason::PersonNameTaken));
        }
        if self.session_owner(&command.token_hash)?.is_some() {
            return Err(Stop::Refused(Reason::TokenHashUsed));
        }

        let role = match invited {
            _ if is_first => Role::Owner,
            Some(invited) => invited.role,
            None => Role::Member,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO accounts (id, name, name_folded, role, useq, created_slot, created_ms)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
            )?
            .execute(params![
                to_sql(user.0),
                name.text,
                name.folded,
                role.number(),
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        if !command.password.is_empty() {
            self.store_password(user, &command.password)?;
        }
        self.create_session(&command.token_hash, user, &command.device)?;
        if is_first {
            let general = names::room("general").map_err(Stop::Refused)?;
            let room = self.insert_room(user, general)?;
            if room != RoomId::GENERAL {
                let found = format!("{room} is made by the first account, but is not the first");
                return Err(Fault::Damaged(found).into());
            }
        }
        if role != Role::Guest {
            self.enter(user, RoomId::GENERAL)?;
        }
        if let Some(invited) = invited {
            self.use_invitation(&command.invitation)?;
            self.enter_invited(user, invited.room)?;
        }
        let created = AccountCreated {
            user: user.0,
            name: name.text,
        };
        Ok(outcome::Result::AccountCreated(created).into())
    }

    /// The room of an invitation, unless it can no longer be entered.
    fn enter_invited(&mut self, user: UserId, room: Option<RoomId>) -> Result<(), Stop> {
        let Some(room) = room else { return Ok(()) };
        let is_archived = self.cache.room_mut(self.connection, room)?.archived;
        if !is_archived && !self.cache.is_member(self.connection, room, user)? {
            self.enter(user, room)?;
        }
        Ok(())
    }

    /// Whether a name of this folding exists, by a query on the table in question.
    pub(crate) fn name_is_taken(
        &self,
        query: &'static str,
        name: &names::Name,
    ) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached(query)?
            .exists([&name.folded])
    }

    /// The highest id plus one: rows are never deleted, so no id is given twice.
    pub(crate) fn next_id(&self, query: &'static str) -> Result<u64, Fault> {
        let highest: Option<i64> = self
            .connection
            .prepare_cached(query)?
            .query_row([], |row| row.get(0))?;
        next(highest.map_or(0, from_sql))
    }

    /// The author's name for an effect. Whoever emits has checked that the account exists.
    pub(crate) fn author_name(&mut self, user: UserId) -> Result<String, Fault> {
        self.known_account(user).map(|account| account.name.clone())
    }

    /// Takes the next number of the person's own stream.
    pub(crate) fn next_useq(&mut self, user: UserId) -> Result<u64, Fault> {
        let account = self.known_account(user)?;
        account.useq = next(account.useq)?;
        let useq = account.useq;
        self.connection
            .prepare_cached("UPDATE accounts SET useq = ?2 WHERE id = ?1")?
            .execute(params![to_sql(user.0), to_sql(useq)])?;
        Ok(useq)
    }

    /// An account that must be there, because a row or a check says so.
    pub(crate) fn known_account(&mut self, user: UserId) -> Result<&mut Account, Fault> {
        self.cache
            .account(self.connection, user)?
            .ok_or_else(|| Fault::Damaged(format!("{user} has no row but is referred to")))
    }

    /// An account that a command names.
    pub(crate) fn other_account(&mut self, user: UserId) -> Result<&mut Account, Stop> {
        self.cache
            .account(self.connection, user)?
            .ok_or(Stop::Refused(Reason::NoSuchPerson))
    }
}
