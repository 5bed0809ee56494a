//! Reads about people: who they are, how they sign in, where they are signed in.

use proto::v1::{InvitationInfo, SignUpMode};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::Fault;
use crate::ids::{UserId, from_sql, to_sql};
use crate::invitations::sign_up_mode;
use crate::query::{Reader, View};
use crate::roles::Role;
use crate::{Error, limits, names};

/// Whose credentials are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// As somebody typed it.
    Name(String),
    /// By number.
    User(UserId),
}

/// What a sign-in is verified against. Not `Debug`: it has a hash of the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account, which is active.
    pub user: UserId,
    /// Its name.
    pub name: String,
    /// A PHC string; empty when no password is set.
    pub password: String,
    /// The slot at which it was set; 0 when none is set.
    pub password_slot: u64,
}

/// What an account is besides its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// What it may do.
    pub role: Role,
    /// 1 to [`limits::COLOUR_MAX`]; 0: the one that follows from the number.
    pub colour: u32,
    /// Whether it can sign in with a password.
    pub has_password: bool,
}

/// An account in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersonInfo {
    /// The account.
    pub user: UserId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub profile: Profile,
    /// Whether it can be used.
    pub active: bool,
}

/// A session in the list of its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// Leader's clock, milliseconds since 1970.
    pub created_ms: u64,
    /// What it is listed as; may be empty.
    pub device: String,
}

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Who may sign up.
    pub sign_up: SignUpMode,
    /// Whether there is an account, so that the next one is not the owner.
    pub has_accounts: bool,
}

/// Columns of [`profile_of`], from the tables `accounts a LEFT JOIN profiles p`.
pub(crate) const PROFILE_COLUMNS: &str =
    "a.role, coalesce(p.colour, 0), coalesce(p.password, '') <> ''";

/// The profile in a row that has [`PROFILE_COLUMNS`] from `first` on.
pub(crate) fn profile_of(row: &Row<'_>, first: usize) -> Result<Profile, Fault> {
    let number = row.get(first)?;
    let role = Role::from_number(number)
        .ok_or_else(|| Fault::Damaged(format!("unknown role {number} of an account")))?;
    Ok(Profile {
        role,
        colour: row.get(first + 1)?,
        has_password: row.get(first + 2)?,
    })
}

/// The role of an account, if there is one.
pub(crate) fn role_of(connection: &Connection, user: UserId) -> Result<Option<Role>, Fault> {
    let number: Option<i64> = connection
        .prepare_cached("SELECT role FROM accounts WHERE id = ?1")?
        .query_row([to_sql(user.0)], |row| row.get(0))
        .optional()?;
    Ok(number.and_then(Role::from_number))
}

impl Reader {
    /// What a sign-in is verified against; `None` for an account that does not exist or is not
    /// active.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn credentials(&mut self, who: &Who) -> Result<View<Option<Credentials>>, Error> {
        let columns = "SELECT a.id, a.name, coalesce(p.password, ''), coalesce(p.password_slot, 0)
             FROM accounts a LEFT JOIN profiles p ON p.user = a.id
             WHERE coalesce(p.deactivated_slot, 0) = 0";
        let credentials = |row: &Row<'_>| {
            Ok(Credentials {
                user: UserId(from_sql(row.get(0)?)),
                name: row.get(1)?,
                password: row.get(2)?,
                password_slot: from_sql(row.get(3)?),
            })
        };
        self.read(|connection| {
            let found = match who {
                // A name that nobody can have is nobody's.
                Who::Name(name) => match names::person(name) {
                    Err(_) => None,
                    Ok(name) => connection
                        .prepare_cached(&format!("{columns} AND a.name_folded = ?1"))?
                        .query_row([name.folded], credentials)
                        .optional()?,
                },
                Who::User(user) => connection
                    .prepare_cached(&format!("{columns} AND a.id = ?1"))?
                    .query_row([to_sql(user.0)], credentials)
                    .optional()?,
            };
            Ok(found)
        })
    }

    /// A person's sessions, the newest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn sessions(&mut self, user: UserId) -> Result<View<Vec<SessionInfo>>, Error> {
        self.read(|connection| {
            let sessions = connection
                .prepare_cached(
                    "SELECT s.token_hash, s.created_ms, coalesce(d.device, '')
                     FROM sessions s LEFT JOIN session_devices d ON d.token_hash = s.token_hash
                     WHERE s.user = ?1 ORDER BY s.created_slot DESC, s.token_hash LIMIT ?2",
                )?
                .query_map(params![to_sql(user.0), limits::SESSIONS_MAX], |row| {
                    Ok(SessionInfo {
                        token_hash: row.get(0)?,
                        created_ms: from_sql(row.get(1)?),
                        device: row.get(2)?,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(sessions)
        })
    }

    /// The accounts that the asker may know of, by number; the first
    /// [`limits::MEMBERS_LISTED_MAX`]. A guest or bot knows those with whom it shares a room.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn people(&mut self, asker: UserId) -> Result<View<Vec<PersonInfo>>, Error> {
        self.read(|connection| {
            let everybody = role_of(connection, asker)?.is_some_and(Role::is_insider);
            let condition = if everybody {
                "?1 = ?1"
            } else {
                "a.id = ?1 OR a.id IN
                 (SELECT o.user FROM members m CROSS JOIN members o ON o.room = m.room
                  WHERE m.user = ?1)"
            };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT a.id, a.name, coalesce(p.deactivated_slot, 0) = 0, {PROFILE_COLUMNS}
                 FROM accounts a LEFT JOIN profiles p ON p.user = a.id
                 WHERE {condition} ORDER BY a.id LIMIT ?2"
            ))?;
            let limit = limits::MEMBERS_LISTED_MAX as i64;
            let mut found = statement.query(params![to_sql(asker.0), limit])?;
            let mut people = Vec::new();
            while let Some(row) = found.next()? {
                people.push(PersonInfo {
                    user: UserId(from_sql(row.get(0)?)),
                    name: row.get(1)?,
                    active: row.get(2)?,
                    profile: profile_of(row, 3)?,
                });
            }
            Ok(people)
        })
    }

    /// The settings.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn settings(&mut self) -> Result<View<Settings>, Error> {
        self.read(|connection| {
            Ok(Settings {
                sign_up: sign_up_mode(connection)?,
                has_accounts: connection
                    .prepare_cached("SELECT 1 FROM accounts LIMIT 1")?
                    .exists([])?,
            })
        })
    }

    /// The invitations that can still be used, the newest first; `None` for whoever may not see
    /// them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn invitations(
        &mut self,
        asker: UserId,
    ) -> Result<View<Option<Vec<InvitationInfo>>>, Error> {
        self.read(|connection| {
            if !role_of(connection, asker)?.is_some_and(Role::may_invite_to_sign_up) {
                return Ok(None);
            }
            let invitations = connection
                .prepare_cached(
                    "SELECT i.id, a.name, i.created_ms, i.uses_left, i.role, i.room
                     FROM invitations i CROSS JOIN accounts a ON a.id = i.created_by
                     WHERE i.uses_left > 0 ORDER BY i.id DESC LIMIT ?1",
                )?
                .query_map([limits::INVITATIONS_LISTED_MAX as i64], |row| {
                    Ok(InvitationInfo {
                        invitation: from_sql(row.get(0)?),
                        created_by: row.get(1)?,
                        created_ms: from_sql(row.get(2)?),
                        uses_left: row.get(3)?,
                        role: row.get(4)?,
                        room: from_sql(row.get(5)?),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Some(invitations))
        })
    }
}
