//! The state machine once more, as naive as possible, for comparison: plain maps, no tables, no
//! cache, no transaction.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proto::v1::{
    AccountCreated, Command, Done, MessagePosted, PostMessage, RefusalCode, RoomChanged,
    SenderSessionOpened, command::Body, notice::Kind, outcome::Result as Answer,
};

#[derive(Default)]
struct Room {
    name: String,
    head: u64,
    messages: u64,
    /// The messages by `seq`.
    posts: BTreeMap<u64, Post>,
    /// Up to where each member has read.
    markers: BTreeMap<u64, u64>,
    members: BTreeSet<u64>,
}

/// A message, with every change that it had.
#[derive(Default)]
pub(crate) struct Post {
    pub(crate) author: u64,
    pub(crate) texts: Vec<String>,
    pub(crate) deleted: bool,
    pub(crate) pinned: bool,
    pub(crate) replies: u64,
    /// In the order in which they came.
    pub(crate) reactions: Vec<(String, u64)>,
}

/// What a command should answer: an answer, or a refusal of which only the code is compared.
pub(crate) type Expected = Result<Answer, RefusalCode>;

#[derive(Default)]
pub(crate) struct Model {
    names: Vec<String>,
    sessions: BTreeMap<Vec<u8>, u64>,
    rooms: Vec<Room>,
    answers: BTreeMap<(u64, Bytes), Expected>,
    /// Of each open sender session: whose it is, and the last number.
    senders: BTreeMap<u64, (u64, u64)>,
    /// A leader has posted a notice.
    has_cluster_room: bool,
}

impl Model {
    /// The answer, and whether the command had been applied before. `place`: what a sender session
    /// would be called that this command opens.
    pub(crate) fn apply(
        &mut self,
        command: &Command,
        timestamp_ms: u64,
        place: u64,
    ) -> (Expected, bool) {
        if command.cid.len() != 16 {
            return (Err(RefusalCode::BadRequest), false);
        }
        let key = (command.author, command.cid.clone());
        let first = self.answers.get(&key).cloned();
        let (session, seq) = (command.sender_session, command.sender_seq);
        let has_turn = (session, seq) != (0, 0);
        let sender = self.senders.get(&session).copied();
        let last = sender.filter(|(author, _)| *author == command.author);
        let last = last.map(|(_, last)| last);
        match last {
            None if has_turn && first.is_none() => {
                return (Err(RefusalCode::SenderSessionClosed), false);
            }
            Some(last) if seq > last + 1 => return (Err(RefusalCode::SequenceGap), false),
            Some(last) if seq <= last && first.is_none() => {
                return (Err(RefusalCode::SequenceUsed), false);
            }
            _ => {}
        }
        let duplicate = first.is_some();
        let answer = first.unwrap_or_else(|| {
            let body = command.body.clone().unwrap();
            self.execute(command.author, body, timestamp_ms, place)
        });
        self.answers.insert(key, answer.clone());
        if let Some(sender) = self.senders.get_mut(&session)
            && last.is_some_and(|last| seq == last + 1)
        {
            sender.1 = seq;
        }
        (answer, duplicate)
    }

    fn execute(&mut self, author: u64, body: Body, timestamp_ms: u64, place: u64) -> Expected {
        if let Body::CreateAccount(create) = body {
            return self.sign_up(author, create.name.trim(), create.token_hash);
        }
        if let Body::PostNotice(post) = body {
            let kind = post.notice.and_then(|notice| notice.kind);
            self.has_cluster_room |= matches!(kind, Some(Kind::Elected(_)));
            return Ok(Answer::Done(Done {}));
        }
        if author == 0 || author > self.names.len() as u64 {
            return Err(RefusalCode::Unauthenticated);
        }
        match body {
            Body::CreateAccount(_) | Body::PostNotice(_) => unreachable!(),
            Body::RevokeSession(revoke) => match self.sessions.get(&revoke.token_hash) {
                Some(owner) if *owner != author => Err(RefusalCode::Forbidden),
                _ => {
                    self.sessions.remove(&revoke.token_hash);
                    Ok(Answer::Done(Done {}))
                }
            },
            Body::OpenSenderSession(_) => Ok(self.open(author, place)),
            Body::CloseSenderSession(close) => match self.senders.get(&close.session) {
                Some((owner, _)) if *owner != author => Err(RefusalCode::Forbidden),
                _ => {
                    self.senders.remove(&close.session);
                    Ok(Answer::Done(Done {}))
                }
            },
            Body::CreateRoom(create) => {
                if create.name.is_empty() || create.name.contains(' ') {
                    return Err(RefusalCode::BadRequest);
                }
                let taken = self.rooms.iter().any(|room| same(&room.name, &create.name));
                if taken || self.has_cluster_room && same("cluster", &create.name) {
                    return Err(RefusalCode::NameTaken);
                }
                Ok(changed(self.make_room(author, &create.name)))
            }
            Body::JoinRoom(join) if self.is_clusters(join.room) => Ok(changed(join.room)),
            Body::LeaveRoom(leave) if self.is_clusters(leave.room) => Err(RefusalCode::Forbidden),
            Body::JoinRoom(join) => {
                let room = self.room(join.room)?;
                if room.members.insert(author) {
                    room.head += 1;
                    room.markers.insert(author, room.head);
                }
                Ok(changed(join.room))
            }
            Body::LeaveRoom(leave) => {
                let room = self.room(leave.room)?;
                if !room.members.remove(&author) {
                    return Err(RefusalCode::NotMember);
                }
                room.markers.remove(&author);
                room.head += 1;
                Ok(changed(leave.room))
            }
            Body::PostMessage(post) => self.post(author, &post, timestamp_ms),
            change => self.change(author, change),
        }
    }

    fn open(&mut self, author: u64, session: u64) -> Answer {
        self.senders.insert(session, (author, 0));
        let own = |(_, (owner, _)): &(&u64, &(u64, u64))| *owner == author;
        if self.senders.iter().filter(own).count() > 32 {
            let oldest = *self.senders.iter().find(own).unwrap().0;
            self.senders.remove(&oldest);
        }
        Answer::SenderSessionOpened(SenderSessionOpened { session })
    }

    fn post(&mut self, author: u64, post: &PostMessage, timestamp_ms: u64) -> Expected {
        if post.body.trim().is_empty() || post.body.len() > 16 * 1024 {
            return Err(RefusalCode::BadRequest);
        }
        if self.is_clusters(post.room) {
            return Err(RefusalCode::Forbidden);
        }
        let room = self.room(post.room)?;
        if !room.members.contains(&author) {
            return Err(RefusalCode::NotMember);
        }
        if post.reply_to != 0 && !room.posts.contains_key(&post.reply_to) {
            return Err(RefusalCode::BadRequest);
        }
        room.head += 1;
        room.messages += 1;
        if let Some(root) = room.posts.get_mut(&post.reply_to) {
            root.replies += 1;
        }
        let new = Post {
            author,
            texts: vec![post.body.clone()],
            ..Post::default()
        };
        room.posts.insert(room.head, new);
        Ok(Answer::MessagePosted(MessagePosted {
            room: post.room,
            seq: room.head,
            msg_no: room.messages,
            timestamp_ms,
        }))
    }

    /// An edit, a deletion, a reaction, a pin, a read marker.
    fn change(&mut self, author: u64, change: Body) -> Expected {
        use Body as B;
        let (room, seq) = target_of(&change)?;
        if self.is_clusters(room) {
            return Err(RefusalCode::Forbidden);
        }
        let state = self.room(room)?;
        if !state.members.contains(&author) {
            return Err(RefusalCode::NotMember);
        }
        if let B::MarkRead(_) = change {
            let marker = state.markers.get_mut(&author).unwrap();
            *marker = (*marker).max(seq.min(state.head));
            return Ok(changed(room));
        }
        let post = state.posts.get_mut(&seq).ok_or(RefusalCode::NotFound)?;
        if post.deleted {
            return match change {
                B::DeleteMessage(_) => Ok(changed(room)),
                _ => Err(RefusalCode::NotFound),
            };
        }
        let is_change = match change {
            B::EditMessage(_) | B::DeleteMessage(_) if post.author != author => {
                return Err(RefusalCode::Forbidden);
            }
            B::EditMessage(edit) => {
                let is_new = post.texts.last() != Some(&edit.body);
                post.texts.push(edit.body);
                is_new
            }
            B::DeleteMessage(_) => {
                let (author, replies) = (post.author, post.replies);
                *post = Post {
                    author,
                    replies,
                    deleted: true,
                    ..Post::default()
                };
                true
            }
            B::AddReaction(react) => {
                let new = (react.emoji, author);
                let is_new = !post.reactions.contains(&new);
                if is_new {
                    post.reactions.push(new);
                }
                is_new
            }
            B::RemoveReaction(react) => {
                let before = post.reactions.len();
                post.reactions
                    .retain(|old| *old != (react.emoji.clone(), author));
                post.reactions.len() < before
            }
            B::PinMessage(_) => !std::mem::replace(&mut post.pinned, true),
            B::UnpinMessage(_) => std::mem::replace(&mut post.pinned, false),
            other => unreachable!("{other:?}"),
        };
        state.head += u64::from(is_change);
        Ok(changed(room))
    }

    /// The messages of a room, by `seq`.
    pub(crate) fn posts(&self, room: u64) -> &BTreeMap<u64, Post> {
        &self.rooms[room as usize - 1].posts
    }

    /// Up to where a person has read a room, and what is unread of it, recomputed from nothing:
    /// messages of others, and those of them that mention the person.
    pub(crate) fn unread(&self, user: u64, room: u64) -> (u64, u32, u32) {
        let state = &self.rooms[room as usize - 1];
        let read = state.markers[&user];
        let news: Vec<&Post> = state
            .posts
            .range(read + 1..)
            .map(|(_, post)| post)
            .filter(|post| !post.deleted && post.author != user)
            .collect();
        let name = &self.names[user as usize - 1];
        let is_meant = |post: &&&Post| {
            let text = post.texts.last().unwrap().to_lowercase();
            text.contains("@room") || text.contains(&format!("@{}", name.to_lowercase()))
        };
        let mentions = news.iter().filter(is_meant).count();
        (read, news.len() as u32, mentions as u32)
    }

    fn sign_up(&mut self, author: u64, name: &str, token_hash: Vec<u8>) -> Expected {
        if author != 0 || token_hash.len() != 32 || name.is_empty() {
            return Err(RefusalCode::BadRequest);
        }
        if self.names.iter().any(|taken| same(taken, name)) {
            return Err(RefusalCode::NameTaken);
        }
        if self.sessions.contains_key(&token_hash) {
            return Err(RefusalCode::BadRequest);
        }
        self.names.push(name.to_owned());
        let user = self.names.len() as u64;
        self.sessions.insert(token_hash, user);
        if user == 1 {
            self.make_room(user, "general");
        } else {
            let general = &mut self.rooms[0];
            general.members.insert(user);
            general.head += 1;
            general.markers.insert(user, general.head);
        }
        Ok(Answer::AccountCreated(AccountCreated {
            user,
            name: name.to_owned(),
        }))
    }

    fn make_room(&mut self, author: u64, name: &str) -> u64 {
        // Created, joined.
        let mut room = Room {
            name: name.to_owned(),
            head: 2,
            ..Room::default()
        };
        room.members.insert(author);
        room.markers.insert(author, room.head);
        self.rooms.push(room);
        self.rooms.len() as u64
    }

    fn is_clusters(&self, room: u64) -> bool {
        self.has_cluster_room && room == u64::from(u32::MAX)
    }

    fn room(&mut self, room: u64) -> Result<&mut Room, RefusalCode> {
        let index = usize::try_from(room).unwrap().checked_sub(1);
        index
            .and_then(|index| self.rooms.get_mut(index))
            .ok_or(RefusalCode::NotFound)
    }
}

fn changed(room: u64) -> Answer {
    Answer::RoomChanged(RoomChanged { room })
}

/// Enough for the names that the generator uses.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// The room and the message that a change is about, if it is one that can be.
fn target_of(change: &Body) -> Result<(u64, u64), RefusalCode> {
    use Body as B;
    Ok(match change {
        B::EditMessage(edit) if edit.body.trim().is_empty() => {
            return Err(RefusalCode::BadRequest);
        }
        B::EditMessage(edit) => (edit.room, edit.seq),
        B::DeleteMessage(delete) => (delete.room, delete.seq),
        B::AddReaction(react) if react.emoji.is_ascii() => {
            return Err(RefusalCode::BadRequest);
        }
        B::RemoveReaction(react) if react.emoji.is_ascii() => {
            return Err(RefusalCode::BadRequest);
        }
        B::AddReaction(react) => (react.room, react.seq),
        B::RemoveReaction(react) => (react.room, react.seq),
        B::PinMessage(pin) => (pin.room, pin.seq),
        B::UnpinMessage(pin) => (pin.room, pin.seq),
        B::MarkRead(read) => (read.room, read.seq),
        other => unreachable!("{other:?}"),
    })
}
