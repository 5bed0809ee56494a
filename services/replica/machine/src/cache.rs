//! Rows that the apply path needs again and again, kept in memory.
//!
//! The cache never decides anything: it holds what the open transaction would read, and a miss
//! reads it. So its size and its past have no influence on what a command does.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Fault;
use crate::ids::{RoomId, SenderSessionId, UserId, from_sql, to_sql};
use crate::limits;
use crate::roles::Role;

/// What is known of an account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// The highest `useq`; this and the rest is written through with every change.
    pub(crate) useq: u64,
    pub(crate) role: Role,
    pub(crate) active: bool,
    /// The slot at which the password was set; 0 for none.
    pub(crate) password_slot: u64,
}

/// What is known of a room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    /// The highest `seq`. This and the next two are newer than the row until `flush`.
    pub(crate) head: u64,
    /// The highest `msg_no`.
    pub(crate) messages: u64,
    pub(crate) members: u64,
    /// `rooms.kind`, which stays. This and the rest is written through with every change.
    pub(crate) kind: i64,
    /// `rooms.name_folded`.
    pub(crate) key: String,
    pub(crate) topic: String,
    pub(crate) archived: bool,
    pub(crate) created_by: UserId,
}

/// What is known of a sender session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderSession {
    pub(crate) author: UserId,
    /// The highest number that was answered. Newer than the row until `flush`.
    pub(crate) last_seq: u64,
}

/// The cache. Dropped as a whole when a transaction is rolled back.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    accounts: BTreeMap<UserId, Account>,
    rooms: BTreeMap<RoomId, Room>,
    /// Rooms whose counters are newer than their rows.
    changed: BTreeSet<RoomId>,
    /// Whether a person is in a room.
    members: BTreeMap<(RoomId, UserId), bool>,
    sender_sessions: BTreeMap<SenderSessionId, SenderSession>,
    /// Those whose numbers are newer than their rows.
    advanced: BTreeSet<SenderSessionId>,
}

impl Cache {
    /// The account, if there is one.
    pub(crate) fn account(
        &mut self,
        connection: &Connection,
        user: UserId,
    ) -> Result<Option<&mut Account>, Fault> {
        let vacant = match self.accounts.entry(user) {
            Entry::Occupied(known) => return Ok(Some(known.into_mut())),
            Entry::Vacant(vacant) => vacant,
        };
        let found = connection
            .prepare_cached(
                "SELECT a.name, a.useq, a.role, coalesce(p.deactivated_slot, 0) = 0,
                        coalesce(p.password_slot, 0)
                 FROM accounts a LEFT JOIN profiles p ON p.user = a.id WHERE a.id = ?1",
            )?
            .query_row([to_sql(user.0)], |row| {
                let account = Account {
                    name: row.get(0)?,
                    useq: from_sql(row.get(1)?),
                    role: Role::Guest,
                    active: row.get(3)?,
                    password_slot: from_sql(row.get(4)?),
                };
                Ok((account, row.get(2)?))
            })
            .optional()?;
        let Some((account, role)) = found else {
            return Ok(None);
        };
        let role = Role::from_number(role)
            .ok_or_else(|| Fault::Damaged(format!("{user} has the unknown role {role}")))?;
        Ok(Some(vacant.insert(Account { role, ..account })))
    }

    /// Whether there is such a room.
    pub(crate) fn has_room(
        &mut self,
        connection: &Connection,
        room: RoomId,
    ) -> rusqlite::Result<bool> {
        Ok(self.room(connection, room)?.is_some())
    }

    fn room(
        &mut self,
        connection: &Connection,
        room: RoomId,
    ) -> rusqlite::Result<Option<&mut Room>> {
        let vacant = match self.rooms.entry(room) {
            Entry::Occupied(known) => return Ok(Some(known.into_mut())),
            Entry::Vacant(vacant) => vacant,
        };
        let found = connection
            .prepare_cached(
                "SELECT name, head, messages, members, kind, name_folded, topic, archived,
                        created_by
                 FROM rooms WHERE id = ?1",
            )?
            .query_row([to_sql(room.0)], |row| {
                Ok(Room {
                    name: row.get(0)?,
                    head: from_sql(row.get(1)?),
                    messages: from_sql(row.get(2)?),
                    members: from_sql(row.get(3)?),
                    kind: row.get(4)?,
                    key: row.get(5)?,
                    topic: row.get(6)?,
                    archived: row.get(7)?,
                    created_by: UserId(from_sql(row.get(8)?)),
                })
            })
            .optional()?;
        Ok(found.map(|room| vacant.insert(room)))
    }

    /// The room's highest `seq`.
    pub(crate) fn head(&mut self, connection: &Connection, room: RoomId) -> Result<u64, Fault> {
        let found = self.room(connection, room)?.map(|room| room.head);
        found.ok_or_else(|| Fault::Damaged(format!("{room} has no row but is referred to")))
    }

    /// The room, to change its counters.
    pub(crate) fn room_mut(
        &mut self,
        connection: &Connection,
        room: RoomId,
    ) -> Result<&mut Room, Fault> {
        self.changed.insert(room);
        self.room(connection, room)?
            .ok_or_else(|| Fault::Damaged(format!("{room} has no row but is referred to")))
    }

    /// Whether the person is in the room.
    pub(crate) fn is_member(
        &mut self,
        connection: &Connection,
        room: RoomId,
        user: UserId,
    ) -> rusqlite::Result<bool> {
        if let Some(known) = self.members.get(&(room, user)) {
            return Ok(*known);
        }
        let found = connection
            .prepare_cached("SELECT 1 FROM members WHERE room = ?1 AND user = ?2")?
            .exists(params![to_sql(room.0), to_sql(user.0)])?;
        self.members.insert((room, user), found);
        Ok(found)
    }

    /// Notes a change that was written.
    pub(crate) fn set_member(&mut self, room: RoomId, user: UserId, is_member: bool) {
        self.members.insert((room, user), is_member);
    }

    /// The sender session, if it is open.
    pub(crate) fn sender_session(
        &mut self,
        connection: &Connection,
        session: SenderSessionId,
    ) -> rusqlite::Result<Option<SenderSession>> {
        if let Some(known) = self.sender_sessions.get(&session) {
            return Ok(Some(*known));
        }
        let found = connection
            .prepare_cached("SELECT author, last_seq FROM sender_sessions WHERE id = ?1")?
            .query_row([to_sql(session.0)], |row| {
                Ok(SenderSession {
                    author: UserId(from_sql(row.get(0)?)),
                    last_seq: from_sql(row.get(1)?),
                })
            })
            .optional()?;
        if let Some(found) = found {
            self.sender_sessions.insert(session, found);
        }
        Ok(found)
    }

    /// Notes that a number of the session was answered.
    pub(crate) fn advance(&mut self, session: SenderSessionId, advanced: SenderSession) {
        self.sender_sessions.insert(session, advanced);
        self.advanced.insert(session);
    }

    /// Notes that the session's row is gone.
    pub(crate) fn forget_sender_session(&mut self, session: SenderSessionId) {
        self.sender_sessions.remove(&session);
        self.advanced.remove(&session);
    }

    /// Writes what changed: once per transaction, not per message.
    pub(crate) fn flush(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.flush_rooms(connection)?;
        self.flush_sender_sessions(connection)
    }

    fn flush_sender_sessions(&mut self, connection: &Connection) -> Result<(), Fault> {
        let mut statement =
            connection.prepare_cached("UPDATE sender_sessions SET last_seq = ?2 WHERE id = ?1")?;
        for id in std::mem::take(&mut self.advanced) {
            let known = self.sender_sessions.get(&id);
            let last_seq = known.map_or(0, |session| session.last_seq);
            if statement.execute(params![to_sql(id.0), to_sql(last_seq)])? != 1 {
                return Err(Fault::Damaged(format!("{id} has no row but advanced")));
            }
        }
        Ok(())
    }

    fn flush_rooms(&mut self, connection: &Connection) -> Result<(), Fault> {
        let mut statement = connection.prepare_cached(
            "UPDATE rooms SET head = ?2, messages = ?3, members = ?4 WHERE id = ?1",
        )?;
        for id in std::mem::take(&mut self.changed) {
            let Some(room) = self.rooms.get(&id) else {
                return Err(Fault::Damaged(format!(
                    "{id} was changed but is not cached"
                )));
            };
            let changed = statement.execute(params![
                to_sql(id.0),
                to_sql(room.head),
                to_sql(room.messages),
                to_sql(room.members)
            ])?;
            if changed != 1 {
                return Err(Fault::Damaged(format!("{id} has no row but was changed")));
            }
        }
        Ok(())
    }

    /// Keeps the cache within its bound. Between transactions only: what is not written yet must
    /// stay.
    pub(crate) fn trim(&mut self) {
        assert!(
            self.changed.is_empty() && self.advanced.is_empty(),
            "flushed by the transaction before"
        );
        if self.sender_sessions.len() > limits::CACHED_ROWS_MAX {
            self.sender_sessions.clear();
        }
        if self.accounts.len() > limits::CACHED_ROWS_MAX {
            self.accounts.clear();
        }
        if self.members.len() > limits::CACHED_ROWS_MAX {
            self.members.clear();
        }
        if self.rooms.len() > limits::CACHED_ROWS_MAX {
            self.rooms.clear();
        }
    }
}
