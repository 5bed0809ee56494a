//! Reads from whichever replica answers.
//!
//! In: what to read and the slot that the answer must contain at least. Out: the answer, or
//! the word for what stood in the way.
//! Must hold: every read asks for at least [`Seen`], so that nobody reads a past that this
//! gateway has already shown them the future of.

use std::sync::Arc;
use std::time::Duration;

use proto::v1::chat_client::ChatClient;
use proto::v1::get_credentials_request::Of;
use proto::v1::get_history_request::Range;
use proto::v1::list_messages_request::Which;
use proto::v1::{
    GetCredentialsRequest, GetCredentialsResponse, GetHistoryRequest, GetSessionRequest,
    GetUserStateRequest, ListMembersRequest, ListMessagesRequest, ListPeopleRequest,
    ListRoomsRequest, SearchRequest,
};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::channels::Channels;
use crate::cluster::{Cluster, SHARD, View};
use crate::convert::{self, UserState};
use crate::errors::{Error, another_may_answer};
use crate::frames::{
    EventsAnswer, Me, MessagesAnswer, Person, PersonEntry, RoomSummary, SearchAnswer,
};
use crate::ids::{NodeId, RoomId, Seq, Slot, UserId};
use crate::limits::{READ_ATTEMPT_TIMEOUT, READ_LAST_TIMEOUT, REPLY_BYTES_MAX};
use crate::search::Question;
use crate::seen::Seen;

/// Which page of a room's events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    /// The newest ones below.
    Before(Seq),
    /// The oldest ones above.
    After(Seq),
}

/// Which messages of a room, by what they have to do with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Related {
    /// The answers to a message.
    Replies(Seq),
    /// A message as it was written, and its edits.
    Versions(Seq),
    /// What is pinned.
    Pinned,
}

/// A cheap handle for reads.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    cluster: Cluster,
    channels: Arc<Channels>,
    seen: Arc<Seen>,
}

impl Reads {
    pub(crate) fn new(cluster: Cluster, channels: Arc<Channels>, seen: Arc<Seen>) -> Self {
        Self {
            cluster,
            channels,
            seen,
        }
    }

    /// Whose session it is. `Ok(None)`: nobody's, and the leader says so too, or none leads and
    /// the most advanced replica that answers says so.
    pub(crate) async fn session(&self, token_hash: [u8; 32]) -> Result<Option<Me>, Error> {
        let request = |min_slot: Slot| GetSessionRequest {
            shard: SHARD,
            token_hash: token_hash.to_vec(),
            min_slot: min_slot.0,
            linearizable: false,
        };
        let min_slot = self.at_least(Slot(0));
        let found = self
            .read(min_slot, move |mut chat| async move {
                chat.get_session(request(min_slot)).await
            })
            .await;
        match found {
            Ok(session) => Ok(Some(convert::me(
                session.user,
                session.name,
                session.profile,
            ))),
            Err(status) if status.code() == Code::NotFound => {
                self.session_at_leader(request(min_slot)).await
            }
            Err(status) => Err(Error::read(&status)),
        }
    }

    /// A replica that lags does not know a new session yet, and the client has no slot to
    /// prove it: only the no of a leader that a majority confirms is a no.
    async fn session_at_leader(&self, request: GetSessionRequest) -> Result<Option<Me>, Error> {
        let request = GetSessionRequest {
            linearizable: true,
            ..request
        };
        let session = self
            .at_leader(|mut chat| async move { chat.get_session(request).await })
            .await?;
        Ok(session.map(|session| convert::me(session.user, session.name, session.profile)))
    }

    /// What a sign-in is verified against, as of now and not as of what some replica has applied:
    /// a new password counts at once. `Ok(None)`: there is no such account.
    pub(crate) async fn credentials(
        &self,
        of: Of,
    ) -> Result<Option<GetCredentialsResponse>, Error> {
        let request = GetCredentialsRequest {
            shard: SHARD,
            of: Some(of),
        };
        self.at_leader(|mut chat| async move { chat.get_credentials(request).await })
            .await
    }

    /// Asks the leader, which a majority confirms. `Ok(None)`: it says that there is no such thing.
    pub(crate) async fn at_leader<T, F>(
        &self,
        ask: impl FnOnce(ChatClient<Channel>) -> F,
    ) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut view = self.cluster.watch();
        // An election takes less than this, and so does a gateway's first look around.
        let led = async { view.wait_for(|view| view.quorum()).await.is_ok() };
        let led = timeout(READ_ATTEMPT_TIMEOUT, led).await.unwrap_or(false);
        let leader = self.cluster.view().quorum_leader().cloned().filter(|_| led);
        let Some(leader) = leader else {
            return Err(Error::no_quorum());
        };
        let Some(pair) = self.channels.get(&leader.address) else {
            return Err(Error::internal("the leader has no address"));
        };
        match timeout(READ_LAST_TIMEOUT, ask(ChatClient::new(pair.unary))).await {
            Ok(Ok(answer)) => Ok(Some(answer.into_inner())),
            Ok(Err(status)) if status.code() == Code::NotFound => Ok(None),
            // It has lost the lead, or its majority, since this gateway looked.
            Ok(Err(status))
                if matches!(status.code(), Code::FailedPrecondition | Code::Unavailable) =>
            {
                Err(Error::no_quorum())
            }
            Ok(Err(status)) => Err(Error::read(&status)),
            Err(_) => Err(Error::internal("the leader did not answer in time")),
        }
    }

    /// A person's rooms as of at least `min_slot`.
    pub(crate) async fn user_state(
        &self,
        user: UserId,
        min_slot: Slot,
    ) -> Result<UserState, Error> {
        let min_slot = self.at_least(min_slot);
        let request = GetUserStateRequest {
            shard: SHARD,
            user: user.0,
            min_slot: min_slot.0,
        };
        let state = self
            .read(min_slot, move |mut chat| async move {
                chat.get_user_state(request).await
            })
            .await
            .map_err(|status| Error::read(&status))?;
        Ok(convert::user_state(state))
    }

    /// Every room that a person may join.
    pub(crate) async fn rooms(
        &self,
        user: UserId,
        min_slot: Slot,
    ) -> Result<Vec<RoomSummary>, Error> {
        let min_slot = self.at_least(min_slot);
        let request = ListRoomsRequest {
            shard: SHARD,
            user: user.0,
            min_slot: min_slot.0,
        };
        let answer = self
            .read(min_slot, move |mut chat| async move {
                chat.list_rooms(request).await
            })
            .await
            .map_err(|status| Error::read(&status))?;
        Ok(answer.rooms.into_iter().map(convert::summary).collect())
    }

    /// Who is in a room.
    pub(crate) async fn members(
        &self,
        user: UserId,
        room: RoomId,
        min_slot: Slot,
    ) -> Result<Vec<Person>, Error> {
        let min_slot = self.at_least(min_slot);
        let request = ListMembersRequest {
            shard: SHARD,
            user: user.0,
            room: room.0,
            min_slot: min_slot.0,
        };
        let answer = self
            .read(min_slot, move |mut chat| {
                let request = request;
                async move { chat.list_members(request).await }
            })
            .await
            .map_err(|status| Error::read(&status))?;
        let person = |member: proto::v1::Member| Person {
            id: UserId(member.user),
            name: member.name,
        };
        Ok(answer.members.into_iter().map(person).collect())
    }

    /// Everybody of whom a person may know.
    pub(crate) async fn people(&self, user: UserId) -> Result<Vec<PersonEntry>, Error> {
        let min_slot = self.at_least(Slot(0));
        let request = ListPeopleRequest {
            shard: SHARD,
            user: user.0,
            min_slot: min_slot.0,
        };
        let answer = self
            .read(min_slot, move |mut chat| async move {
                chat.list_people(request).await
            })
            .await
            .map_err(|status| Error::read(&status))?;
        Ok(answer.people.into_iter().map(convert::person).collect())
    }

    /// A page of a room's events.
    pub(crate) async fn history(
        &self,
        user: UserId,
        room: RoomId,
        page: Page,
        limit: u32,
        min_slot: Slot,
    ) -> Result<EventsAnswer, Error> {
        let min_slot = self.at_least(min_slot);
        let range = match page {
            Page::Before(seq) => Range::Before(seq.0),
            Page::After(seq) => Range::After(seq.0),
        };
        let request = GetHistoryRequest {
            shard: SHARD,
            user: user.0,
            room: room.0,
            range: Some(range),
            limit,
            min_slot: min_slot.0,
            linearizable: false,
        };
        let answer = self
            .read(min_slot, move |mut chat| async move {
                chat.get_history(request).await
            })
            .await
            .map_err(|status| Error::read(&status))?;
        convert::events(answer)
    }

    /// Messages of a room, above `after`, but for pins.
    pub(crate) async fn messages(
        &self,
        user: UserId,
        room: RoomId,
        which: Related,
        (after, limit): (Seq, u32),
        min_slot: Slot,
    ) -> Result<MessagesAnswer, Error> {
        let min_slot = self.at_least(min_slot);
        let request = ListMessagesRequest {
            shard: SHARD,
            user: user.0,
            room: room.0,
            which: Some(match which {
                Related::Replies(seq) => Which::RepliesTo(seq.0),
                Related::Versions(seq) => Which::VersionsOf(seq.0),
                Related::Pinned => Which::Pinned(true),
            }),
            after: after.0,
            limit,
            min_slot: min_slot.0,
        };
        let answer = self
            .read(min_slot, move |mut chat| async move {
                chat.list_messages(request).await
            })
            .await
            .map_err(|status| Error::read(&status))?;
        convert::messages(answer)
    }

    /// What a person finds.
    pub(crate) async fn search(
        &self,
        user: UserId,
        question: Question,
        (cursor, limit): (u64, u32),
        min_slot: Slot,
    ) -> Result<SearchAnswer, Error> {
        let min_slot = self.at_least(min_slot);
        let request = SearchRequest {
            shard: SHARD,
            user: user.0,
            words: question.words,
            without: question.without,
            from: question.from.unwrap_or_default(),
            in_room: question.in_room.unwrap_or_default(),
            before_ms: question.before_ms.unwrap_or(0),
            after_ms: question.after_ms.unwrap_or(0),
            cursor,
            limit,
            min_slot: min_slot.0,
        };
        let answer = self
            .read(min_slot, move |mut chat| {
                let request = request.clone();
                async move { chat.search(request).await }
            })
            .await
            .map_err(|status| Error::read(&status))?;
        Ok(convert::search(answer))
    }

    pub(crate) fn at_least(&self, min_slot: Slot) -> Slot {
        min_slot.max(self.seen.get())
    }

    /// Asks one replica after the other until one answers or refuses for good.
    pub(crate) async fn read<T, F>(
        &self,
        min_slot: Slot,
        ask: impl Fn(ChatClient<Channel>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let view = self.cluster.view();
        let mut candidates = candidates(&view, min_slot).into_iter().peekable();
        let mut last = Status::unavailable("no replica can be reached");
        while let Some(address) = candidates.next() {
            let Some(pair) = self.channels.get(&address) else {
                continue;
            };
            let chat = ChatClient::new(pair.unary).max_decoding_message_size(REPLY_BYTES_MAX);
            let patience = attempt(candidates.peek().is_none());
            match timeout(patience, ask(chat)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if !another_may_answer(&status) => return Err(status),
                Ok(Err(status)) => last = status,
                Err(_) => last = Status::deadline_exceeded("a replica did not answer in time"),
            }
            tracing::debug!(address, %last, "a replica did not answer a read");
            self.cluster.suspect();
        }
        tracing::warn!(%min_slot, error = last.message(), "no replica answered a read");
        Err(last)
    }
}

fn attempt(is_last: bool) -> Duration {
    if is_last {
        READ_LAST_TIMEOUT
    } else {
        READ_ATTEMPT_TIMEOUT
    }
}

/// Whom to ask, in this order: followers known to have the slot (the leader has enough to do),
/// the leader, which has applied whatever it acknowledged, and then the others.
fn candidates(view: &View, min_slot: Slot) -> Vec<String> {
    let leader = view.leader().map(|node| node.id);
    let rank = |id: NodeId, applied: Slot| {
        let leads = Some(id) == leader;
        match (applied >= min_slot, leads) {
            (true, false) => 0,
            (_, true) => 1,
            (false, false) => 2,
        }
    };
    let mut nodes: Vec<_> = view.nodes.iter().filter(|node| node.serves()).collect();
    // Followers share the work by chance.
    let start = rand::random_range(0..nodes.len().max(1));
    nodes.rotate_left(start);
    nodes.sort_by_key(|node| rank(node.id, node.applied()));
    nodes.into_iter().map(|node| node.address.clone()).collect()
}
