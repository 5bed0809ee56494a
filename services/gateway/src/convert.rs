//! From the words of replicas (proto) to the words of clients (frames).

use proto::v1;

use crate::errors::Error;
use crate::frames::{
    About, AccountRole, Edit, Event, EventKind, EventsAnswer, InvitationEntry, Joined, Me,
    MessagesAnswer, Notice, NotificationLevel, Person, PersonEntry, Reaction, RoomKind,
    RoomSummary, RoomWishes, SearchAnswer, SearchHit, SettingsAnswer, SignUpMode, SnippetPiece,
};
use crate::ids::{Cid, MsgNo, NodeId, RoomId, Seq, Slot, Useq, UserId};

/// An event of a room.
pub(crate) fn event(event: v1::RoomEvent) -> Result<Event, Error> {
    let (room, seq) = (event.room, event.seq);
    let broken = || {
        tracing::error!(room, seq, "an event that this version cannot read");
        Error::internal("an event that this gateway's version cannot read")
    };
    let what = match event.kind.ok_or_else(broken)? {
        v1::room_event::Kind::Message(message) => self::message(message).ok_or_else(broken)?,
        v1::room_event::Kind::Edited(edited) => EventKind::Edited {
            of: Seq(edited.target),
            body: edited.body,
            mentions: edited.mentions.into_iter().map(UserId).collect(),
        },
        v1::room_event::Kind::Deleted(deleted) => EventKind::Deleted {
            of: Seq(deleted.target),
        },
        v1::room_event::Kind::ReactionAdded(reaction) => EventKind::ReactionAdded {
            of: Seq(reaction.target),
            emoji: reaction.emoji,
        },
        v1::room_event::Kind::ReactionRemoved(reaction) => EventKind::ReactionRemoved {
            of: Seq(reaction.target),
            emoji: reaction.emoji,
        },
        v1::room_event::Kind::Pinned(pin) => EventKind::Pinned {
            of: Seq(pin.target),
        },
        v1::room_event::Kind::Unpinned(pin) => EventKind::Unpinned {
            of: Seq(pin.target),
        },
        v1::room_event::Kind::Created(_) => EventKind::Created,
        v1::room_event::Kind::Joined(_) => EventKind::Joined,
        v1::room_event::Kind::Left(_) => EventKind::Left,
        v1::room_event::Kind::Added(added) => EventKind::Added {
            by: UserId(added.by),
        },
        v1::room_event::Kind::Removed(removed) => EventKind::Removed {
            by: UserId(removed.by),
        },
        v1::room_event::Kind::Renamed(renamed) => EventKind::Renamed { name: renamed.name },
        v1::room_event::Kind::Topic(topic) => EventKind::Topic { topic: topic.topic },
        v1::room_event::Kind::Archived(archived) => match archived.archived {
            true => EventKind::Archived,
            false => EventKind::Restored,
        },
        v1::room_event::Kind::Notice(said) => EventKind::Notice {
            notice: notice(said).ok_or_else(broken)?,
        },
    };
    Ok(Event {
        seq: Seq(seq),
        slot: Slot(event.slot),
        ts: event.timestamp_ms,
        author: Person {
            id: UserId(event.author),
            name: event.author_name,
        },
        what,
    })
}

/// A message; `None` when its id is none.
fn message(message: v1::MessageEvent) -> Option<EventKind> {
    let state = message.state.unwrap_or_default();
    let known = |seq: u64| (seq > 0).then_some(Seq(seq));
    let reaction = |reaction: v1::Reaction| Reaction {
        emoji: reaction.emoji,
        people: reaction.people.into_iter().map(reactor).collect(),
    };
    Some(EventKind::Message {
        msg_no: MsgNo(message.msg_no),
        cid: Cid::from_bytes(&message.cid)?,
        body: message.body,
        reply_to: known(message.reply_to),
        deleted: message.deleted,
        taken_away_by: (state.taken_away_by > 0).then_some(UserId(state.taken_away_by)),
        rev: known(state.rev),
        edited: known(state.edited_seq).map(|seq| Edit {
            seq,
            ts: state.edited_ms,
        }),
        pinned: known(state.pinned_seq),
        replies: state.replies,
        reactions: state.reactions.into_iter().map(reaction).collect(),
        mentions: message.mentions.into_iter().map(UserId).collect(),
    })
}

fn reactor(person: v1::Reactor) -> Person {
    Person {
        id: UserId(person.user),
        name: person.name,
    }
}

/// What happened to the cluster; `None` for what a later version says.
fn notice(notice: v1::Notice) -> Option<Notice> {
    let nodes = |nodes: Vec<u64>| nodes.into_iter().map(NodeId).collect();
    let known = |node: u64| (node > 0).then_some(NodeId(node));
    let measured = |ms: u64| (ms > 0).then_some(ms);
    Some(match notice.kind? {
        v1::notice::Kind::Elected(elected) => Notice::Elected {
            node: NodeId(elected.node),
            ballot: format!("{}.{}", elected.round, elected.node),
            epoch: elected.epoch,
            previous: known(elected.previous),
            gap_ms: measured(elected.gap_ms),
        },
        v1::notice::Kind::Silent(silent) => Notice::Silent {
            node: NodeId(silent.node),
            for_ms: silent.for_ms,
        },
        v1::notice::Kind::Heard(heard) => Notice::Heard {
            node: NodeId(heard.node),
            after_ms: measured(heard.after_ms),
        },
        v1::notice::Kind::Voters(changed) => Notice::Voters {
            epoch: changed.epoch,
            voters: nodes(changed.voters),
            added: nodes(changed.added),
            removed: nodes(changed.removed),
        },
    })
}

/// A page of events.
pub(crate) fn events(page: v1::GetHistoryResponse) -> Result<EventsAnswer, Error> {
    let head = Seq(page.head);
    let events = page
        .events
        .into_iter()
        .map(event)
        .collect::<Result<_, _>>()?;
    let slot = Slot(page.applied);
    Ok(EventsAnswer { events, head, slot })
}

/// Messages by what they have to do with each other.
pub(crate) fn messages(found: v1::ListMessagesResponse) -> Result<MessagesAnswer, Error> {
    let events = found.events.into_iter().map(event);
    Ok(MessagesAnswer {
        events: events.collect::<Result<_, _>>()?,
        more: found.more,
    })
}

/// What was found.
pub(crate) fn search(found: v1::SearchResponse) -> SearchAnswer {
    let piece = |piece: v1::SnippetPiece| SnippetPiece {
        text: piece.text,
        hit: piece.hit,
    };
    let hit = |hit: v1::SearchHit| SearchHit {
        room: RoomId(hit.room),
        room_name: hit.room_name,
        seq: Seq(hit.seq),
        ts: hit.timestamp_ms,
        author: Person {
            id: UserId(hit.author),
            name: hit.author_name,
        },
        snippet: hit.snippet.into_iter().map(piece).collect(),
    };
    SearchAnswer {
        lags: found.indexed < found.applied,
        next: (found.next > 0).then_some(found.next),
        hits: found.hits.into_iter().map(hit).collect(),
    }
}

/// A room that a person is in.
pub(crate) fn joined(room: v1::JoinedRoom) -> Joined {
    Joined {
        level: level(room.level()),
        favourite: room.favourite,
        id: RoomId(room.room),
        name: room.name,
        head: Seq(room.head),
        members: room.members,
        system: room.system,
        read: Seq(room.read_seq),
        unread: room.unread,
        unread_more: room.unread_more,
        mentions: room.mentions,
        about: About {
            kind: kind(room.kind),
            topic: room.topic,
            archived: room.archived,
            people: room.people.into_iter().map(UserId).collect(),
        },
    }
}

/// What a person wishes of a room.
pub(crate) fn wishes(wishes: v1::RoomWishes) -> RoomWishes {
    RoomWishes {
        room: RoomId(wishes.room),
        level: level(wishes.level()),
        favourite: wishes.favourite,
    }
}

/// A level. One that a later version has is read as the default.
fn level(level: v1::NotificationLevel) -> NotificationLevel {
    match level {
        v1::NotificationLevel::Unspecified => NotificationLevel::Mentions,
        v1::NotificationLevel::All => NotificationLevel::All,
        v1::NotificationLevel::Nothing => NotificationLevel::Nothing,
    }
}

/// A level in a command.
pub(crate) fn level_to_wire(level: NotificationLevel) -> v1::NotificationLevel {
    match level {
        NotificationLevel::Mentions => v1::NotificationLevel::Unspecified,
        NotificationLevel::All => v1::NotificationLevel::All,
        NotificationLevel::Nothing => v1::NotificationLevel::Nothing,
    }
}

/// A room that a person may join.
pub(crate) fn summary(room: v1::RoomSummary) -> RoomSummary {
    RoomSummary {
        id: RoomId(room.room),
        name: room.name,
        members: room.members,
        joined: room.joined,
        head: Seq(room.head),
        about: About {
            kind: kind(room.kind),
            topic: room.topic,
            archived: room.archived,
            people: room.people.into_iter().map(UserId).collect(),
        },
    }
}

/// What a room is. A kind that a later version has is taken for the most secret.
fn kind(kind: i32) -> RoomKind {
    match v1::RoomKind::try_from(kind) {
        Ok(v1::RoomKind::Public) => RoomKind::Public,
        Ok(v1::RoomKind::Direct) => RoomKind::Direct,
        Ok(v1::RoomKind::Private | v1::RoomKind::Unspecified) | Err(_) => RoomKind::Private,
    }
}

/// What a person's session starts from.
pub(crate) struct UserState {
    pub(crate) user: Me,
    pub(crate) useq: Useq,
    pub(crate) rooms: Vec<Joined>,
    /// The slot that this view is of.
    pub(crate) applied: Slot,
}

/// A person's rooms.
pub(crate) fn user_state(state: v1::GetUserStateResponse) -> UserState {
    UserState {
        user: me(state.user, state.name, state.profile),
        useq: Useq(state.useq),
        rooms: state.rooms.into_iter().map(joined).collect(),
        applied: Slot(state.applied),
    }
}

/// The person whose session it is.
pub(crate) fn me(user: u64, name: String, profile: Option<v1::Profile>) -> Me {
    let profile = profile.unwrap_or_default();
    Me {
        id: UserId(user),
        name,
        role: role(profile.role()),
        colour: profile.colour,
        has_password: profile.has_password,
    }
}

/// A role. One that a later version has is taken for the least that there is.
pub(crate) fn role(role: v1::Role) -> AccountRole {
    match role {
        v1::Role::Owner => AccountRole::Owner,
        v1::Role::Admin => AccountRole::Admin,
        v1::Role::Moderator => AccountRole::Moderator,
        v1::Role::Member => AccountRole::Member,
        v1::Role::Bot => AccountRole::Bot,
        v1::Role::Guest | v1::Role::Unspecified => AccountRole::Guest,
    }
}

/// A role in a command.
pub(crate) fn role_to_wire(role: AccountRole) -> v1::Role {
    match role {
        AccountRole::Owner => v1::Role::Owner,
        AccountRole::Admin => v1::Role::Admin,
        AccountRole::Moderator => v1::Role::Moderator,
        AccountRole::Member => v1::Role::Member,
        AccountRole::Guest => v1::Role::Guest,
        AccountRole::Bot => v1::Role::Bot,
    }
}

/// A person in the directory.
pub(crate) fn person(person: v1::PersonInfo) -> PersonEntry {
    PersonEntry {
        id: UserId(person.user),
        role: role(person.role()),
        name: person.name,
        colour: person.colour,
        active: person.active,
    }
}

/// The settings. A mode that a later version has is taken for the strictest.
pub(crate) fn settings(settings: v1::GetSettingsResponse) -> SettingsAnswer {
    SettingsAnswer {
        sign_up: match settings.sign_up() {
            v1::SignUpMode::Open => SignUpMode::Open,
            v1::SignUpMode::Invitation => SignUpMode::Invitation,
            v1::SignUpMode::Closed | v1::SignUpMode::Unspecified => SignUpMode::Closed,
        },
        has_accounts: settings.has_accounts,
    }
}

/// An invitation in the list.
pub(crate) fn invitation(invitation: v1::InvitationInfo) -> InvitationEntry {
    InvitationEntry {
        id: invitation.invitation,
        role: role(invitation.role()),
        created_by: invitation.created_by,
        created_ms: invitation.created_ms,
        uses_left: invitation.uses_left,
        room: (invitation.room > 0).then_some(RoomId(invitation.room)),
    }
}
