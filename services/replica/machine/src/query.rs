//! Reads, beside the writer: each in one read transaction, each says of which slot its view is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use paxos::config::Configuration;
use paxos::ids::{NodeId, Slot};
use proto::v1::{JoinedRoom, Member, RoomKind, RoomSummary};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::damage::{self, CheckFrom};
use crate::directory::{PROFILE_COLUMNS, Profile, profile_of, role_of};
use crate::error::Fault;
use crate::hash::{self, StateHash};
use crate::history::{self, History, HistoryRange};
use crate::ids::{RoomId, UserId, from_sql, to_sql};
use crate::nodes::{self, Node};
use crate::pinned::Pinned;
use crate::replay::{self, EffectsPage};
use crate::roles::Role;
use crate::search::{Hits, Search, Searcher};
use crate::states::{self, Found, Related};
use crate::{Error, kinds, limits, markers, notices, schema, wishes};

/// A connection for reading. Blocks its thread; use one per thread.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Opened by the first search.
    searcher: Option<Searcher>,
}

/// An answer, and the state that it is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View<T> {
    /// The last applied slot of the state that was read.
    pub applied: Slot,
    /// The answer.
    pub value: T,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A gateway on its own behalf: may see every room.
    Gateway,
    /// A person: sees the rooms that the person is in.
    User(UserId),
}

/// The room of the cluster as each person has it, also before its first line. Its members are all
/// accounts: none is ever deleted.
fn cluster_room(connection: &Connection) -> rusqlite::Result<JoinedRoom> {
    let members: Option<i64> = connection
        .prepare_cached("SELECT max(id) FROM accounts")?
        .query_row([], |row| row.get(0))?;
    Ok(JoinedRoom {
        room: RoomId::CLUSTER.0,
        name: notices::ROOM_NAME.to_owned(),
        head: history::head(connection, RoomId::CLUSTER)?.map_or(0, |head| head.0),
        members: members.map_or(0, from_sql),
        system: true,
        kind: RoomKind::Public.into(),
        ..JoinedRoom::default()
    })
}

impl Asker {
    /// From the wire, where 0 is the gateway itself.
    #[must_use]
    pub const fn from_wire(user: u64) -> Self {
        if user == 0 {
            Self::Gateway
        } else {
            Self::User(UserId(user))
        }
    }
}

/// Why a question about a room is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// There is no such room.
    NoSuchRoom,
    /// The asker is not in it.
    NotMember,
}

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionUser {
    /// The account.
    pub user: UserId,
    /// Its name.
    pub name: String,
    /// What else it is.
    pub profile: Profile,
}

/// A person and the rooms that the person is in.
#[derive(Clone, PartialEq, Debug)]
pub struct UserState {
    /// The name.
    pub name: String,
    /// What else the account is.
    pub profile: Profile,
    /// The highest `useq` of the person's own stream.
    pub useq: u64,
    /// By id; the last one is the room of the cluster, in which everybody is from the beginning.
    pub rooms: Vec<JoinedRoom>,
}

impl Reader {
    /// Opens an existing state.db.
    ///
    /// # Errors
    ///
    /// When the file is missing, foreign, damaged or of a later program.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_path_buf();
        let connection = schema::open_reader(&path)?;
        Ok(Self {
            connection,
            path,
            searcher: None,
        })
    }

    /// Fixes the state that is there now, for reading it at leisure.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn pin(self) -> Result<Pinned, Error> {
        Pinned::new(self.connection, self.path)
    }

    /// The last applied slot.
    ///
    /// # Errors
    ///
    /// This and all others: when the file cannot be read.
    pub fn applied(&mut self) -> Result<Slot, Error> {
        Ok(self.read(|_| Ok(()))?.applied)
    }

    /// The configuration that the latest `Seal` began; `None` before the first one, when the
    /// genesis' configuration is the active one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn configuration(&mut self) -> Result<View<Option<Configuration>>, Error> {
        self.read(|connection| Ok(schema::read_applied(connection)?.configuration))
    }

    /// All registered nodes, by id; at most [`limits::NODES_MAX`]. The first voters are not among
    /// them: the genesis names them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn nodes(&mut self) -> Result<View<Vec<Node>>, Error> {
        self.read(|connection| Ok(nodes::all(connection)?))
    }

    /// The node that this disk registered as, if it did.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn node_by_disk(&mut self, disk: Uuid) -> Result<View<Option<Node>>, Error> {
        self.read(|connection| Ok(nodes::by_disk(connection, disk)?))
    }

    /// Those of `wanted` that no entry of the log has registered and that are no first voters
    /// either (whether one of these exists is for the genesis to say). A leader asks before it
    /// proposes a `Seal`: a voter that does not exist would be in the quorum for ever.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn unknown_nodes(
        &mut self,
        wanted: &BTreeSet<NodeId>,
    ) -> Result<View<BTreeSet<NodeId>>, Error> {
        self.read(|connection| Ok(nodes::unknown(connection, wanted)?))
    }

    /// The session with this SHA-256 of its token, if it exists and is not revoked.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn session(&mut self, token_hash: &[u8]) -> Result<View<Option<SessionUser>>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT s.user, a.name, {PROFILE_COLUMNS}
                 FROM sessions s CROSS JOIN accounts a ON a.id = s.user
                 LEFT JOIN profiles p ON p.user = a.id
                 WHERE s.token_hash = ?1"
            ))?;
            let mut found = statement.query([token_hash])?;
            let Some(row) = found.next()? else {
                return Ok(None);
            };
            Ok(Some(SessionUser {
                user: UserId(from_sql(row.get(0)?)),
                name: row.get(1)?,
                profile: profile_of(row, 2)?,
            }))
        })
    }

    /// The person with the rooms that the person is in, if there is such an account.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn user_state(&mut self, user: UserId) -> Result<View<Option<UserState>>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT a.name, a.useq, {PROFILE_COLUMNS}
                 FROM accounts a LEFT JOIN profiles p ON p.user = a.id WHERE a.id = ?1"
            ))?;
            let mut found = statement.query([to_sql(user.0)])?;
            let Some(row) = found.next()? else {
                return Ok(None);
            };
            let (name, useq) = (row.get(0)?, row.get(1)?);
            let profile = profile_of(row, 2)?;
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.name, r.head, r.members, r.kind, r.name_folded, r.topic, r.archived
                 FROM members m CROSS JOIN rooms r ON r.id = m.room
                 WHERE m.user = ?1 ORDER BY m.room",
            )?;
            let mut found = statement.query([to_sql(user.0)])?;
            let mut rooms = Vec::new();
            while let Some(row) = found.next()? {
                let kind = row.get(4)?;
                let mut room = JoinedRoom {
                    room: from_sql(row.get(0)?),
                    name: row.get(1)?,
                    head: from_sql(row.get(2)?),
                    members: from_sql(row.get(3)?),
                    kind: kinds::to_wire(kind)?.into(),
                    people: kinds::people_of(kind, &row.get::<_, String>(5)?)?,
                    topic: row.get(6)?,
                    archived: row.get(7)?,
                    ..JoinedRoom::default()
                };
                markers::add_unread(connection, user, &mut room)?;
                wishes::add_wishes(connection, user, &mut room)?;
                rooms.push(room);
            }
            let mut cluster = cluster_room(connection)?;
            wishes::add_wishes(connection, user, &mut cluster)?;
            rooms.push(cluster);
            Ok(Some(UserState {
                name,
                profile,
                useq: from_sql(useq),
                rooms,
            }))
        })
    }

    /// The rooms that the person is in or may join, by name, without the one of the cluster; the
    /// first
    /// [`limits::ROOMS_LISTED_MAX`] of them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn rooms(&mut self, user: UserId) -> Result<View<Vec<RoomSummary>>, Error> {
        self.read(|connection| {
            let sees_public = role_of(connection, user)?.is_some_and(Role::is_insider);
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.name, r.members, m.user IS NOT NULL, r.head, r.kind, r.name_folded,
                        r.topic, r.archived
                 FROM rooms r LEFT JOIN members m ON m.room = r.id AND m.user = ?1
                 WHERE r.kind = 1 AND ?3 OR m.user IS NOT NULL
                 ORDER BY r.name_folded LIMIT ?2",
            )?;
            let limit = limits::ROOMS_LISTED_MAX as i64;
            let mut found = statement.query(params![to_sql(user.0), limit, sees_public])?;
            let mut rooms = Vec::new();
            while let Some(row) = found.next()? {
                let kind = row.get(5)?;
                rooms.push(RoomSummary {
                    room: from_sql(row.get(0)?),
                    name: row.get(1)?,
                    members: from_sql(row.get(2)?),
                    joined: row.get(3)?,
                    head: from_sql(row.get(4)?),
                    kind: kinds::to_wire(kind)?.into(),
                    people: kinds::people_of(kind, &row.get::<_, String>(6)?)?,
                    topic: row.get(7)?,
                    archived: row.get(8)?,
                });
            }
            Ok(rooms)
        })
    }

    /// The members of a room, by id; the first [`limits::MEMBERS_LISTED_MAX`] of them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn members(
        &mut self,
        asker: Asker,
        room: RoomId,
    ) -> Result<View<Result<Vec<Member>, Denied>>, Error> {
        self.read(|connection| {
            if let Err(denied) = history::readable_head(connection, asker, room)? {
                return Ok(Err(denied));
            }
            let query = if room == RoomId::CLUSTER {
                "SELECT id, name FROM accounts WHERE ?1 = ?1 ORDER BY id LIMIT ?2"
            } else {
                "SELECT a.id, a.name FROM members m CROSS JOIN accounts a ON a.id = m.user
                 WHERE m.room = ?1 ORDER BY m.user LIMIT ?2"
            };
            let members = connection
                .prepare_cached(query)?
                .query_map(
                    params![to_sql(room.0), limits::MEMBERS_LISTED_MAX as i64],
                    |row| {
                        Ok(Member {
                            user: from_sql(row.get(0)?),
                            name: row.get(1)?,
                        })
                    },
                )?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Ok(members))
        })
    }

    /// A page of a room's events, at most `limit` and [`limits::HISTORY_EVENTS_MAX`] of them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn history(
        &mut self,
        asker: Asker,
        room: RoomId,
        range: HistoryRange,
        limit: usize,
    ) -> Result<View<Result<History, Denied>>, Error> {
        self.read(|connection| {
            let head = match history::readable_head(connection, asker, room)? {
                Ok(head) => head,
                Err(denied) => return Ok(Err(denied)),
            };
            Ok(Ok(history::page(connection, room, head, range, limit)?))
        })
    }

    /// Messages of a room by what they have to do with each other, at most `limit` and
    /// [`limits::HISTORY_EVENTS_MAX`] of them; `None` when there is no such message.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn related(
        &mut self,
        asker: Asker,
        room: RoomId,
        which: Related,
        limit: usize,
    ) -> Result<View<Result<Option<Found>, Denied>>, Error> {
        self.read(|connection| {
            if let Err(denied) = history::readable_head(connection, asker, room)? {
                return Ok(Err(denied));
            }
            let limit = limit.min(limits::HISTORY_EVENTS_MAX);
            Ok(Ok(states::related(connection, room, which, limit)?))
        })
    }

    /// What the person finds in the rooms that the person is in, at most `limit` and
    /// [`limits::SEARCH_HITS_MAX`] messages, the newest first.
    ///
    /// # Errors
    ///
    /// When the state, or its index, cannot be read.
    pub fn search(&mut self, user: UserId, wanted: &Search, limit: usize) -> Result<Hits, Error> {
        if self.searcher.is_none() {
            self.searcher = Searcher::open(&self.path)?;
        }
        let Some(mut searcher) = self.searcher.take() else {
            // Nothing is indexed yet.
            let applied = self.applied()?;
            return Ok(Hits {
                hits: Vec::new(),
                next: None,
                indexed: Slot::GENESIS,
                applied,
            });
        };
        let hits = searcher.search(user, wanted, limit)?;
        // One that is behind may be a file that was replaced meanwhile: the next one looks again.
        if hits.indexed >= hits.applied {
            self.searcher = Some(searcher);
        }
        Ok(hits)
    }

    /// The effects of the slots in `(after, upto]`, as far as they are applied, in pages of at
    /// most `effects_max` effects; a slot is never split, so a page may exceed it by one slot.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn effects_between(
        &mut self,
        after: Slot,
        upto: Slot,
        effects_max: usize,
    ) -> Result<View<EffectsPage>, Error> {
        self.read(|connection| {
            let applied = schema::read_applied(connection)?.slot;
            // An empty range, not a reversed one, when the caller is ahead of this replica.
            let upto = upto.min(applied).max(after);
            replay::effects_between(connection, after, upto, effects_max)
        })
    }

    /// A hash of the whole state, equal on all replicas at the same slot. Reads everything.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn state_hash(&mut self) -> Result<View<StateHash>, Error> {
        self.read(hash::state_hash)
    }

    /// Checks at most `rows` further events of the state as it is now: each against its checksum,
    /// the index of its table, and the answer to its command. Some 5 µs per row. Says where to go
    /// on; that is [`CheckFrom::default`] when the last one was reached.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] with the first finding.
    pub fn check_events(&mut self, from: CheckFrom, rows: u32) -> Result<CheckFrom, Error> {
        let view = self.read(|connection| damage::next_rows(connection, from, rows))?;
        Ok(view.value)
    }

    /// Reads everything and checks that it is whole: the structure of the file, every index against
    /// its table, every event against its checksum. About 1.5 s per million messages.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] with the first finding.
    pub fn check(&mut self) -> Result<(), Error> {
        damage::full(&self.connection, &self.path)
    }

    pub(crate) fn read<T>(
        &mut self,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<View<T>, Error> {
        let view = || {
            let transaction = self.connection.transaction()?;
            // The first read fixes the state that all others of the transaction see.
            let applied = schema::read_applied(&transaction)?.slot;
            let value = query(&transaction)?;
            Ok(View { applied, value })
        };
        view().map_err(|fault: Fault| fault.at("read", &self.path))
    }
}
