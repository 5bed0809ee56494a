//! Commands on sessions: who is signed in.
//!
//! Must hold: a session begins only with the password that was verified for it, as far as one is
//! set, and each end of one is an event of the person's own stream, so that gateways close its
//! sockets. Tests: tests/accounts.rs.

use proto::v1::{CreateSession, Done, RevokeSession, outcome, user_event};
use rusqlite::{OptionalExtension, params};

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{UserId, from_sql, to_sql};
use crate::limits;
use crate::refusal::Reason;

impl Context<'_> {
    /// The author, whose password a gateway has verified, is signed in once more.
    pub(crate) fn sign_in(
        &mut self,
        author: UserId,
        command: &CreateSession,
    ) -> Result<Answer, Stop> {
        require_token_hash(&command.token_hash)?;
        require_device(&command.device)?;
        let account = self.known_account(author)?;
        if account.password_slot == 0 || account.password_slot != command.password_slot {
            return Err(Stop::Refused(Reason::PasswordChanged));
        }
        if self.session_owner(&command.token_hash)?.is_some() {
            return Err(Stop::Refused(Reason::TokenHashUsed));
        }
        self.end_oldest_session(author)?;
        self.create_session(&command.token_hash, author, &command.device)?;
        Ok(outcome::Result::Done(Done {}).into())
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
        self.end_session(author, &command.token_hash)?;
        Ok(outcome::Result::Done(Done {}).into())
    }

    /// A session that was checked not to exist.
    pub(crate) fn create_session(
        &self,
        token_hash: &[u8],
        user: UserId,
        device: &str,
    ) -> rusqlite::Result<()> {
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
        if !device.is_empty() {
            self.connection
                .prepare_cached("INSERT INTO session_devices (token_hash, device) VALUES (?1, ?2)")?
                .execute(params![token_hash, device])?;
        }
        Ok(())
    }

    /// Whose session it is.
    pub(crate) fn session_owner(&self, token_hash: &[u8]) -> rusqlite::Result<Option<UserId>> {
        self.connection
            .prepare_cached("SELECT user FROM sessions WHERE token_hash = ?1")?
            .query_row([token_hash], |row| Ok(UserId(from_sql(row.get(0)?))))
            .optional()
    }

    /// Ends all sessions of a person but one; `kept` may be none of them.
    pub(crate) fn end_sessions(&mut self, user: UserId, kept: &[u8]) -> Result<(), Fault> {
        self.connection
            .prepare_cached(
                "DELETE FROM session_devices WHERE token_hash IN
                 (SELECT token_hash FROM sessions WHERE user = ?1 AND token_hash <> ?2)",
            )?
            .execute(params![to_sql(user.0), kept])?;
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE user = ?1 AND token_hash <> ?2")?
            .execute(params![to_sql(user.0), kept])?;
        self.emit_user_event(user, user_event::Kind::SessionsEnded(kept.to_vec()))
    }

    /// Makes room for one more.
    fn end_oldest_session(&mut self, user: UserId) -> Result<(), Fault> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM sessions WHERE user = ?1")?
            .query_row([to_sql(user.0)], |row| row.get(0))?;
        if count < limits::SESSIONS_MAX {
            return Ok(());
        }
        let oldest: Vec<u8> = self
            .connection
            .prepare_cached(
                "SELECT token_hash FROM sessions WHERE user = ?1
                 ORDER BY created_slot, token_hash LIMIT 1",
            )?
            .query_row([to_sql(user.0)], |row| row.get(0))?;
        self.end_session(user, &oldest)
    }

    fn end_session(&mut self, user: UserId, token_hash: &[u8]) -> Result<(), Fault> {
        for statement in [
            "DELETE FROM session_devices WHERE token_hash = ?1",
            "DELETE FROM sessions WHERE token_hash = ?1",
        ] {
            self.connection
                .prepare_cached(statement)?
                .execute([token_hash])?;
        }
        let revoked = user_event::Kind::SessionRevoked(token_hash.to_vec());
        self.emit_user_event(user, revoked)
    }
}

/// A SHA-256.
pub(crate) fn require_token_hash(token_hash: &[u8]) -> Result<(), Stop> {
    if token_hash.len() != limits::TOKEN_HASH_BYTES {
        return Err(Stop::Refused(Reason::TokenHashLength));
    }
    Ok(())
}

/// What a session is listed as: short, and nothing that does strange things to a list.
pub(crate) fn require_device(device: &str) -> Result<(), Stop> {
    if device.len() > limits::DEVICE_BYTES_MAX || device.chars().any(char::is_control) {
        return Err(Stop::Refused(Reason::DeviceInvalid));
    }
    Ok(())
}
