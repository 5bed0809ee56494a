//! Commands on accounts and sessions.

use proto::v1::{AccountCreated, CreateAccount, Done, RevokeSession, outcome, user_event};
use rusqlite::{OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::cache::Cache;
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, UserId, from_sql, next, to_sql};
use crate::refusal::Reason;
use crate::{limits, names};

/// Values of `accounts.role`.
mod role {
    pub(super) const OWNER: i64 = 1;
    pub(super) const MEMBER: i64 = 4;
}

impl Context<'_> {
    /// A new account with its first session, and a member of `general`.
    pub(crate) fn create_account(
        &mut self,
        author: UserId,
        command: &CreateAccount,
    ) -> Result<Answer, Stop> {
        if author != UserId(0) {
            return Err(Stop::Refused(Reason::SignUpSignedIn));
        }
        require_token_hash(&command.token_hash)?;
        let name = names::person(&command.name).map_err(Stop::Refused)?;
        if self.name_is_taken("SELECT 1 FROM accounts WHERE name_folded = ?1", &name)? {
            return Err(Stop::Refused(Reason::PersonNameTaken));
        }
        if self.session_owner(&command.token_hash)?.is_some() {
            return Err(Stop::Refused(Reason::TokenHashUsed));
        }

        let user = UserId(self.next_id("SELECT max(id) FROM accounts")?);
        let is_first = user == UserId(1);
        let role = if is_first { role::OWNER } else { role::MEMBER };
        self.connection
            .prepare_cached(
                "INSERT INTO accounts (id, name, name_folded, role, useq, created_slot, created_ms)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
            )?
            .execute(params![
                to_sql(user.0),
                name.text,
                name.folded,
                role,
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        self.create_session(&command.token_hash, user)?;
        if is_first {
            let general = names::room("general").map_err(Stop::Refused)?;
            let room = self.insert_room(user, general)?;
            if room != RoomId::GENERAL {
                let found = format!("{room} is made by the first account, but is not the first");
                return Err(Fault::Damaged(found).into());
            }
        }
        self.enter(user, RoomId::GENERAL)?;
        let created = AccountCreated {
            user: user.0,
            name: name.text,
        };
        Ok(outcome::Result::AccountCreated(created).into())
    }

    /// Ends a session of the author's. One that does not exist is ended already.
    pub(crate) fn revoke_session(
        &mut self,
        author: UserId,
        command: &RevokeSession,
    ) -> Result<Answer, Stop> {
        require_token_hash(&command.token_hash)?;
        match self.session_owner(&command.token_hash)? {
            None => return Ok(outcome::Result::Done(Done {}).into()),
            Some(owner) if owner != author => return Err(Stop::Refused(Reason::ForeignSession)),
            Some(_) => {}
        }
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE token_hash = ?1")?
            .execute([&command.token_hash])?;
        let revoked = user_event::Kind::SessionRevoked(command.token_hash.clone());
        self.emit_user_event(author, revoked)?;
        Ok(outcome::Result::Done(Done {}).into())
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
        account(self.cache, self.connection, user).map(|account| account.name.clone())
    }

    /// Takes the next number of the person's own stream.
    pub(crate) fn next_useq(&mut self, user: UserId) -> Result<u64, Fault> {
        let account = account(self.cache, self.connection, user)?;
        account.useq = next(account.useq)?;
        self.connection
            .prepare_cached("UPDATE accounts SET useq = ?2 WHERE id = ?1")?
            .execute(params![to_sql(user.0), to_sql(account.useq)])?;
        Ok(account.useq)
    }

    fn create_session(&self, token_hash: &[u8], user: UserId) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (token_hash, user, created_slot, created_ms)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                token_hash,
                to_sql(user.0),
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        Ok(())
    }

    fn session_owner(&self, token_hash: &[u8]) -> rusqlite::Result<Option<UserId>> {
        self.connection
            .prepare_cached("SELECT user FROM sessions WHERE token_hash = ?1")?
            .query_row([token_hash], |row| Ok(UserId(from_sql(row.get(0)?))))
            .optional()
    }
}

fn account<'a>(
    cache: &'a mut Cache,
    connection: &rusqlite::Connection,
    user: UserId,
) -> Result<&'a mut crate::cache::Account, Fault> {
    cache
        .account(connection, user)?
        .ok_or_else(|| Fault::Damaged(format!("{user} has no row but is referred to")))
}

fn require_token_hash(token_hash: &[u8]) -> Result<(), Stop> {
    if token_hash.len() != limits::TOKEN_HASH_BYTES {
        return Err(Stop::Refused(Reason::TokenHashLength));
    }
    Ok(())
}
