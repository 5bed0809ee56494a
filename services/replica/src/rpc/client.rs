//! What gateways ask: commands in, the live log and reads out.

mod people;
mod search;
mod slots;
mod submit;
mod tail;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use machine::{Asker, HistoryRange, Related, RoomId, Seq, UserId};
use paxos::output::RejectReason;
use proto::v1 as pb;
use proto::v1::chat_server;
use proto::v1::get_history_request::Range;
use proto::v1::list_messages_request::Which;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::admin::changes::not_leader;
use crate::driver::{Ask, Refusal};
use crate::errors::Refused;
use crate::limits::STREAM_OUTSTANDING_MAX;
use crate::role::{Member, Shared};

/// Events in one page for a person; a gateway may ask for [`machine::limits::HISTORY_EVENTS_MAX`].
const HISTORY_EVENTS_PERSON_MAX: usize = 200;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Chat(pub(crate) Arc<Shared>);

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl chat_server::Chat for Chat {
    type SubmitStream = Streamed<pb::SubmitResponse>;

    async fn submit(
        &self,
        request: Request<Streaming<pb::SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStream>, Status> {
        if self.0.stopping.is_cancelled() {
            return Err(Refused::Stopping.into());
        }
        let member = self.0.member()?;
        let answers = submit::start(request.into_inner(), Arc::clone(&self.0), member);
        Ok(Response::new(Box::pin(answers)))
    }

    type TailStream = Streamed<pb::TailResponse>;

    async fn tail(
        &self,
        request: Request<pb::TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let pb::TailRequest { shard, after_slot } = request.into_inner();
        let answers = tail::start(self.0.serving(shard)?, after_slot)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_session(
        &self,
        request: Request<pb::GetSessionRequest>,
    ) -> Result<Response<pb::GetSessionResponse>, Status> {
        let pb::GetSessionRequest {
            shard,
            token_hash,
            min_slot,
            linearizable,
        } = request.into_inner();
        let member = self.0.serving(shard)?;
        let min_slot = read_from(&member, min_slot, linearizable).await?;
        let reads = &member.reads;
        let view = reads
            .read(min_slot, move |reader| reader.session(&token_hash))
            .await?;
        let session = view.value.ok_or(Refused::NotFound("session"))?;
        let response = pb::GetSessionResponse {
            user: session.user.0,
            name: session.name,
            profile: Some(people::profile(session.profile)),
        };
        Ok(Response::new(response))
    }

    async fn get_user_state(
        &self,
        request: Request<pb::GetUserStateRequest>,
    ) -> Result<Response<pb::GetUserStateResponse>, Status> {
        let pb::GetUserStateRequest {
            shard,
            user,
            min_slot,
        } = request.into_inner();
        let member = self.0.serving(shard)?;
        let reads = &member.reads;
        let view = reads
            .read(min_slot, move |reader| reader.user_state(UserId(user)))
            .await?;
        let state = view.value.ok_or(Refused::NotFound("person"))?;
        Ok(Response::new(pb::GetUserStateResponse {
            user,
            name: state.name,
            useq: state.useq,
            rooms: state.rooms,
            applied: view.applied.0,
            profile: Some(people::profile(state.profile)),
        }))
    }

    async fn list_rooms(
        &self,
        request: Request<pb::ListRoomsRequest>,
    ) -> Result<Response<pb::ListRoomsResponse>, Status> {
        let pb::ListRoomsRequest {
            shard,
            user,
            min_slot,
        } = request.into_inner();
        let member = self.0.serving(shard)?;
        let reads = &member.reads;
        let view = reads
            .read(min_slot, move |reader| reader.rooms(UserId(user)))
            .await?;
        Ok(Response::new(pb::ListRoomsResponse { rooms: view.value }))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let pb::ListMembersRequest {
            shard,
            user,
            room,
            min_slot,
        } = request.into_inner();
        let member = self.0.serving(shard)?;
        let reads = &member.reads;
        let asker = Asker::from_wire(user);
        let view = reads
            .read(min_slot, move |reader| reader.members(asker, RoomId(room)))
            .await?;
        let members = view.value.map_err(Refused::from)?;
        Ok(Response::new(pb::ListMembersResponse { members }))
    }

    async fn get_history(
        &self,
        request: Request<pb::GetHistoryRequest>,
    ) -> Result<Response<pb::GetHistoryResponse>, Status> {
        let request = request.into_inner();
        let member = self.0.serving(request.shard)?;
        let limit = page_limit(request.user, request.limit)?;
        let min_slot = read_from(&member, request.min_slot, request.linearizable).await?;
        let asker = Asker::from_wire(request.user);
        let room = RoomId(request.room);
        let range = match request.range {
            Some(Range::Before(seq)) => HistoryRange::Before(Seq(seq)),
            Some(Range::After(seq)) => HistoryRange::After(Seq(seq)),
            None => HistoryRange::Newest,
        };
        let view = member
            .reads
            .read(min_slot, move |reader| {
                reader.history(asker, room, range, limit)
            })
            .await?;
        let applied = view.applied.0;
        let history = view.value.map_err(Refused::from)?;
        Ok(Response::new(pb::GetHistoryResponse {
            events: history.events,
            head: history.head.0,
            applied,
        }))
    }

    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let request = request.into_inner();
        let member = self.0.serving(request.shard)?;
        let (user, min_slot) = (UserId(request.user), request.min_slot);
        let (wanted, limit) = search::wanted(request)?;
        let hits = member
            .reads
            .read(min_slot, move |reader| reader.search(user, &wanted, limit))
            .await?;
        Ok(Response::new(search::response(hits)))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let request = request.into_inner();
        let member = self.0.serving(request.shard)?;
        let limit = page_limit(request.user, request.limit)?;
        let (asker, room) = (Asker::from_wire(request.user), RoomId(request.room));
        let after = Seq(request.after);
        let which = match request.which {
            Some(Which::RepliesTo(seq)) => Related::Replies(Seq(seq), after),
            Some(Which::VersionsOf(seq)) => Related::Versions(Seq(seq), after),
            Some(Which::Pinned(true)) => Related::Pinned,
            Some(Which::Pinned(false)) | None => {
                return Err(Refused::Bad("which: replies, versions or pins".to_owned()).into());
            }
        };
        let view = member
            .reads
            .read(request.min_slot, move |reader| {
                reader.related(asker, room, which, limit)
            })
            .await?;
        let found = view.value.map_err(Refused::from)?;
        let found = found.ok_or(Refused::NotFound("message"))?;
        Ok(Response::new(pb::ListMessagesResponse {
            events: found.events,
            more: found.more,
        }))
    }

    async fn get_credentials(
        &self,
        request: Request<pb::GetCredentialsRequest>,
    ) -> Result<Response<pb::GetCredentialsResponse>, Status> {
        let answer = people::credentials(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let answer = people::sessions(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_people(
        &self,
        request: Request<pb::ListPeopleRequest>,
    ) -> Result<Response<pb::ListPeopleResponse>, Status> {
        let answer = people::people(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_settings(
        &self,
        request: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::GetSettingsResponse>, Status> {
        let answer = people::settings(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_invitations(
        &self,
        request: Request<pb::ListInvitationsRequest>,
    ) -> Result<Response<pb::ListInvitationsResponse>, Status> {
        let answer = people::invitations(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_slot(
        &self,
        request: Request<pb::GetSlotRequest>,
    ) -> Result<Response<pb::GetSlotResponse>, Status> {
        let answer = slots::slot(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}

/// From which slot on a read is good enough. A linearizable one asks the core, which asks a
/// majority whether this replica still leads (read index; Ongaro's dissertation, section 6.4).
async fn read_from(member: &Member, min_slot: u64, linearizable: bool) -> Result<u64, Refused> {
    if !linearizable {
        return Ok(min_slot);
    }
    match member.driver.ask(Ask::Read).await {
        Ok(slot) => Ok(min_slot.max(slot.0)),
        Err(Refusal::Core(RejectReason::NotLeader { leader })) => Err(not_leader(member, leader)),
        Err(Refusal::Core(RejectReason::NoQuorum)) => Err(Refused::NotNow(
            "no majority confirms that this replica leads",
        )),
        Err(Refusal::Core(RejectReason::WindowFull)) => Err(Refused::Busy("linearizable reads")),
        Err(Refusal::Core(_)) => Err(Refused::NotNow("an epoch or the lead changes hands")),
        Err(Refusal::NoAnswer) => Err(Refused::NotNow("no majority answered in time")),
    }
}

fn page_limit(user: u64, limit: u32) -> Result<usize, Refused> {
    let max = match Asker::from_wire(user) {
        Asker::Gateway => machine::limits::HISTORY_EVENTS_MAX,
        Asker::User(_) => HISTORY_EVENTS_PERSON_MAX,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(Refused::Bad(format!(
            "limit is {limit}, 1 to {max} are possible"
        )))
    }
}

const _: () = assert!(
    HISTORY_EVENTS_PERSON_MAX <= machine::limits::HISTORY_EVENTS_MAX,
    "what a person may ask for is answered"
);
const _: () = assert!(
    STREAM_OUTSTANDING_MAX <= u32::MAX as usize,
    "permits are counted in u32"
);
