//! A small state machine with the outcomes and effects of the real one.

use std::collections::{BTreeMap, HashMap};

use proto::v1::outcome::Result as Did;
use proto::v1::{
    AccountCreated, ArchivedEvent, Command, CreateAccount, CreateInvitation, CreatedEvent,
    DeletedEvent, Done, EditedEvent, Effect, InvitationCreated, JoinedEvent, JoinedRoom, LeftEvent,
    MessageEvent, MessagePosted, Notice, Outcome, PinEvent, PostMessage, ProfileChanged,
    ReactionEvent, ReadMarker, Refusal, RefusalCode, RemovedEvent, RenamedEvent, Role, RoomChanged,
    RoomEvent, RoomKind, RoomWishes, SignUpMode, TopicEvent, UserEvent, command, effect,
    room_event, user_event,
};

use crate::entries::{Account, Room};

/// The log of a real cluster begins here.
pub(crate) const FIRST_SLOT: u64 = 1024;

/// The room of the cluster.
pub(crate) const CLUSTER: u64 = u32::MAX as u64;

/// What one slot did.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) slot: u64,
    pub(crate) effects: Vec<Effect>,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) slot: u64,
    pub(crate) log: Vec<Applied>,
    pub(crate) accounts: BTreeMap<u64, Account>,
    pub(crate) rooms: BTreeMap<u64, Room>,
    /// Token hash → account and the slot that made it.
    pub(crate) sessions: HashMap<Vec<u8>, (u64, u64)>,
    pub(crate) sign_up: SignUpMode,
    pub(crate) invitations: Vec<CreateInvitation>,
    outcomes: HashMap<(u64, Vec<u8>), Outcome>,
    effects: Vec<Effect>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            slot: FIRST_SLOT - 1,
            log: Vec::new(),
            accounts: BTreeMap::new(),
            rooms: BTreeMap::new(),
            sessions: HashMap::new(),
            sign_up: SignUpMode::Open,
            invitations: Vec::new(),
            outcomes: HashMap::new(),
            effects: Vec::new(),
        }
    }
}

impl Machine {
    /// Applies a command at the next slot; once per author and cid.
    pub(crate) fn apply(&mut self, command: Command) -> Outcome {
        self.slot += 1;
        let key = (command.author, command.cid.to_vec());
        let outcome = match self.outcomes.get(&key) {
            Some(outcome) => Outcome {
                duplicate: true,
                ..outcome.clone()
            },
            None => {
                let did = self.take_effect(&command).unwrap_or_else(Did::Refusal);
                let outcome = Outcome {
                    cid: key.1.clone(),
                    author: command.author,
                    slot: self.slot,
                    duplicate: false,
                    result: Some(did),
                };
                self.outcomes.insert(key, outcome.clone());
                outcome
            }
        };
        let effects = std::mem::take(&mut self.effects);
        self.log.push(Applied {
            slot: self.slot,
            effects,
        });
        outcome
    }

    #[expect(clippy::too_many_lines, reason = "a table: an arm for each command")]
    fn take_effect(&mut self, command: &Command) -> Result<Did, Refusal> {
        let author = command.author;
        match command.body.clone().unwrap() {
            command::Body::CreateAccount(wish) => self.create_account(wish),
            command::Body::RevokeSession(wish) => {
                self.sessions.remove(&wish.token_hash);
                self.user_event(author, user_event::Kind::SessionRevoked(wish.token_hash));
                Ok(Did::Done(Done {}))
            }
            command::Body::CreateSession(wish) => {
                if self.account(author)?.password_slot != wish.password_slot {
                    return Err(refusal(RefusalCode::PasswordChanged, "changed"));
                }
                self.sessions.insert(wish.token_hash, (author, self.slot));
                Ok(Did::Done(Done {}))
            }
            command::Body::SetPassword(wish) => {
                let slot = self.slot;
                let account = self.account(author)?;
                if account.password_slot != wish.password_slot {
                    return Err(refusal(RefusalCode::PasswordChanged, "changed"));
                }
                (account.password, account.password_slot) = (wish.password, slot);
                self.end_sessions(author, wish.kept_token_hash);
                self.user_event(author, user_event::Kind::ProfileChanged(ProfileChanged {}));
                Ok(Did::Done(Done {}))
            }
            command::Body::ChangeProfile(wish) => {
                let account = self.account(author)?;
                if !wish.name.is_empty() {
                    account.name = wish.name;
                }
                account.colour = wish.colour.unwrap_or(account.colour);
                self.user_event(author, user_event::Kind::ProfileChanged(ProfileChanged {}));
                Ok(Did::Done(Done {}))
            }
            command::Body::SetActive(wish) => {
                self.account(wish.user)?.inactive = !wish.active;
                if !wish.active {
                    self.end_sessions(wish.user, Vec::new());
                }
                Ok(Did::Done(Done {}))
            }
            command::Body::ResetPassword(wish) => {
                let slot = self.slot;
                let account = self.account(wish.user)?;
                (account.password, account.password_slot) = (wish.password, slot);
                self.end_sessions(wish.user, Vec::new());
                Ok(Did::Done(Done {}))
            }
            command::Body::SetRoomWishes(wish) => {
                let room = wish.room;
                self.room(room)?;
                let wishes = RoomWishes {
                    room,
                    level: wish.level,
                    favourite: wish.favourite,
                };
                self.user_event(author, user_event::Kind::Wishes(wishes));
                Ok(Did::RoomChanged(RoomChanged { room }))
            }
            command::Body::SetRole(wish) => {
                self.account(wish.user)?.role = wish.role();
                self.user_event(
                    wish.user,
                    user_event::Kind::ProfileChanged(ProfileChanged {}),
                );
                Ok(Did::Done(Done {}))
            }
            command::Body::SetSignUpMode(wish) => {
                self.sign_up = wish.mode();
                Ok(Did::Done(Done {}))
            }
            command::Body::CreateInvitation(wish) => {
                self.invitations.push(wish);
                let invitation = self.invitations.len() as u64;
                Ok(Did::InvitationCreated(InvitationCreated { invitation }))
            }
            command::Body::RevokeInvitation(wish) => {
                let at = usize::try_from(wish.invitation).unwrap() - 1;
                self.invitations[at].uses = 0;
                Ok(Did::Done(Done {}))
            }
            command::Body::OpenDirectRoom(wish) => {
                let room = self.create_room(author, "direct")?;
                self.rooms.get_mut(&room).unwrap().kind = RoomKind::Direct;
                for user in wish.people.into_iter().chain([author]) {
                    self.join(user, room);
                }
                Ok(Did::RoomChanged(RoomChanged { room }))
            }
            command::Body::AddMember(wish) => {
                self.room(wish.room)?;
                self.join(wish.user, wish.room);
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::RemoveMember(wish) => {
                self.room(wish.room)?.members.remove(&wish.user);
                let removed = room_event::Kind::Removed(RemovedEvent { by: author });
                self.room_event(wish.user, wish.room, removed);
                self.user_event(wish.user, user_event::Kind::Left(wish.room));
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::RenameRoom(wish) => {
                self.room(wish.room)?.name.clone_from(&wish.name);
                let renamed = room_event::Kind::Renamed(RenamedEvent { name: wish.name });
                self.room_event(author, wish.room, renamed);
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::SetTopic(wish) => {
                self.room(wish.room)?.topic.clone_from(&wish.topic);
                let topic = room_event::Kind::Topic(TopicEvent { topic: wish.topic });
                self.room_event(author, wish.room, topic);
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::ArchiveRoom(wish) => {
                let archived = wish.archived;
                self.room(wish.room)?.archived = archived;
                let event = room_event::Kind::Archived(ArchivedEvent { archived });
                self.room_event(author, wish.room, event);
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::OpenSenderSession(_) | command::Body::CloseSenderSession(_) => {
                panic!("the gateway opens no sender session")
            }
            command::Body::CreateRoom(wish) => {
                let room = self.create_room(author, &wish.name)?;
                if wish.private {
                    self.rooms.get_mut(&room).unwrap().kind = RoomKind::Private;
                }
                self.join(author, room);
                Ok(Did::RoomChanged(RoomChanged { room }))
            }
            command::Body::JoinRoom(wish) => {
                self.room(wish.room)?;
                self.join(author, wish.room);
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::LeaveRoom(wish) => {
                self.room(wish.room)?.members.remove(&author);
                self.room_event(author, wish.room, room_event::Kind::Left(LeftEvent {}));
                self.user_event(author, user_event::Kind::Left(wish.room));
                Ok(Did::RoomChanged(RoomChanged { room: wish.room }))
            }
            command::Body::PostNotice(wish) => {
                self.tell(wish.notice.unwrap());
                Ok(Did::Done(Done {}))
            }
            command::Body::PostMessage(wish) => self.post(author, command.cid.to_vec(), wish),
            change => self.change_message(author, change),
        }
    }

    fn post(&mut self, author: u64, cid: Vec<u8>, wish: PostMessage) -> Result<Did, Refusal> {
        let room = self.room(wish.room)?;
        if room.system {
            return Err(refusal(RefusalCode::Forbidden, "nobody writes there"));
        }
        if !room.members.contains(&author) {
            return Err(refusal(RefusalCode::NotMember, "join the room first"));
        }
        room.messages += 1;
        let msg_no = room.messages;
        let message = MessageEvent {
            msg_no,
            cid,
            body: wish.body,
            reply_to: wish.reply_to,
            ..MessageEvent::default()
        };
        let kind = room_event::Kind::Message(message);
        let seq = self.room_event(author, wish.room, kind);
        let timestamp_ms = self.slot;
        Ok(Did::MessagePosted(MessagePosted {
            room: wish.room,
            seq,
            msg_no,
            timestamp_ms,
        }))
    }

    fn change_message(&mut self, author: u64, change: command::Body) -> Result<Did, Refusal> {
        match change {
            command::Body::EditMessage(wish) => {
                let edited = EditedEvent {
                    target: wish.seq,
                    body: wish.body,
                    ..EditedEvent::default()
                };
                Ok(self.change(author, wish.room, room_event::Kind::Edited(edited)))
            }
            command::Body::DeleteMessage(wish) => self.delete(author, wish.room, wish.seq),
            command::Body::TakeAwayMessage(wish) => self.delete(author, wish.room, wish.seq),
            command::Body::AddReaction(wish) => {
                let added = reaction(wish.seq, wish.emoji);
                Ok(self.change(author, wish.room, room_event::Kind::ReactionAdded(added)))
            }
            command::Body::RemoveReaction(wish) => {
                let removed = reaction(wish.seq, wish.emoji);
                Ok(self.change(
                    author,
                    wish.room,
                    room_event::Kind::ReactionRemoved(removed),
                ))
            }
            command::Body::PinMessage(wish) => {
                let pin = PinEvent { target: wish.seq };
                Ok(self.change(author, wish.room, room_event::Kind::Pinned(pin)))
            }
            command::Body::UnpinMessage(wish) => {
                let pin = PinEvent { target: wish.seq };
                Ok(self.change(author, wish.room, room_event::Kind::Unpinned(pin)))
            }
            command::Body::MarkRead(wish) => {
                let (room, seq) = (wish.room, wish.seq);
                self.user_event(author, user_event::Kind::Read(ReadMarker { room, seq }));
                Ok(Did::RoomChanged(RoomChanged { room }))
            }
            other => panic!("{other:?} changes no message"),
        }
    }

    fn delete(&mut self, author: u64, room: u64, seq: u64) -> Result<Did, Refusal> {
        let events = &mut self.room(room)?.events;
        let event = &mut events[seq as usize - 1];
        if let Some(room_event::Kind::Message(message)) = &mut event.kind {
            message.body.clear();
            message.deleted = true;
        }
        let deleted = DeletedEvent { target: seq };
        Ok(self.change(author, room, room_event::Kind::Deleted(deleted)))
    }

    fn change(&mut self, author: u64, room: u64, kind: room_event::Kind) -> Did {
        self.room_event(author, room, kind);
        Did::RoomChanged(RoomChanged { room })
    }

    /// A line in the room of the cluster, in which everybody is.
    fn tell(&mut self, notice: Notice) {
        let room = self.rooms.entry(CLUSTER).or_default();
        room.name = "cluster".to_owned();
        room.system = true;
        room.members = self.accounts.keys().copied().collect();
        self.room_event(0, CLUSTER, room_event::Kind::Notice(notice));
    }

    fn account(&mut self, user: u64) -> Result<&mut Account, Refusal> {
        self.accounts
            .get_mut(&user)
            .ok_or_else(|| refusal(RefusalCode::NotFound, "nobody"))
    }

    fn end_sessions(&mut self, user: u64, kept: Vec<u8>) {
        self.sessions
            .retain(|hash, (owner, _)| *owner != user || *hash == kept);
        self.user_event(user, user_event::Kind::SessionsEnded(kept));
    }

    fn create_account(&mut self, wish: CreateAccount) -> Result<Did, Refusal> {
        let (name, token_hash) = (&*wish.name, wish.token_hash);
        let invited = self
            .invitations
            .iter_mut()
            .find(|known| known.uses > 0 && known.secret_hash == wish.invitation);
        match (self.sign_up, invited) {
            (SignUpMode::Closed, _) | (SignUpMode::Invitation, None) => {
                return Err(refusal(RefusalCode::SignUpClosed, "not without a link"));
            }
            (_, Some(known)) => known.uses -= 1,
            _ => {}
        }
        let taken = |account: &Account| account.name.to_lowercase() == name.to_lowercase();
        if self.accounts.values().any(taken) {
            return Err(refusal(RefusalCode::NameTaken, "somebody has this name"));
        }
        let user = self.accounts.len() as u64 + 1;
        self.accounts.insert(
            user,
            Account {
                name: name.to_owned(),
                role: if user == 1 { Role::Owner } else { Role::Member },
                password_slot: if wish.password.is_empty() {
                    0
                } else {
                    self.slot
                },
                password: wish.password,
                ..Account::default()
            },
        );
        self.sessions.insert(token_hash, (user, self.slot));
        if self.rooms.is_empty() {
            self.create_room(user, "general")?;
        }
        self.join(user, 1);
        Ok(Did::AccountCreated(AccountCreated {
            user,
            name: name.to_owned(),
        }))
    }

    fn create_room(&mut self, author: u64, name: &str) -> Result<u64, Refusal> {
        let taken = |room: &Room| room.name.to_lowercase() == name.to_lowercase();
        if self.rooms.values().any(taken) {
            return Err(refusal(RefusalCode::NameTaken, "a room has this name"));
        }
        let room = self.rooms.len() as u64 + 1;
        self.rooms.insert(
            room,
            Room {
                name: name.to_owned(),
                ..Room::default()
            },
        );
        let created = room_event::Kind::Created(CreatedEvent {
            name: name.to_owned(),
        });
        self.room_event(author, room, created);
        Ok(room)
    }

    fn join(&mut self, author: u64, room: u64) {
        self.rooms.get_mut(&room).unwrap().members.insert(author);
        self.room_event(author, room, room_event::Kind::Joined(JoinedEvent {}));
        let joined = self.joined(room);
        self.user_event(author, user_event::Kind::Joined(joined));
    }

    pub(crate) fn joined(&self, room: u64) -> JoinedRoom {
        let entry = &self.rooms[&room];
        JoinedRoom {
            room,
            name: entry.name.clone(),
            head: entry.events.len() as u64,
            members: entry.members.len() as u64,
            system: entry.system,
            kind: entry.wire_kind().into(),
            topic: entry.topic.clone(),
            archived: entry.archived,
            ..JoinedRoom::default()
        }
    }

    fn room(&mut self, room: u64) -> Result<&mut Room, Refusal> {
        self.rooms
            .get_mut(&room)
            .ok_or_else(|| refusal(RefusalCode::NotFound, "no such room"))
    }

    fn room_event(&mut self, author: u64, room: u64, kind: room_event::Kind) -> u64 {
        let author_name = self
            .accounts
            .get(&author)
            .map(|account| account.name.clone());
        let entry = self.rooms.get_mut(&room).unwrap();
        let seq = entry.events.len() as u64 + 1;
        let event = RoomEvent {
            room,
            seq,
            slot: self.slot,
            timestamp_ms: self.slot,
            author,
            author_name: author_name.unwrap_or_default(),
            kind: Some(kind),
        };
        entry.events.push(event.clone());
        self.effects.push(Effect {
            kind: Some(effect::Kind::Room(event)),
        });
        seq
    }

    fn user_event(&mut self, user: u64, kind: user_event::Kind) {
        let slot = self.slot;
        let account = self.accounts.get_mut(&user).unwrap();
        account.useq += 1;
        let event = UserEvent {
            user,
            useq: account.useq,
            slot,
            kind: Some(kind),
        };
        self.effects.push(Effect {
            kind: Some(effect::Kind::User(event)),
        });
    }
}

fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal {
        code: code.into(),
        message: message.to_owned(),
        next_sender_seq: 0,
    }
}

fn reaction(target: u64, emoji: String) -> ReactionEvent {
    ReactionEvent { target, emoji }
}
